"""LAMMPS's thermo lines, to the printed digits, from LAMMPS's own scripts.

inputs/thermo.json holds what LAMMPS 22Jul2025 printed.  `bench/in.lj` outlives its lists (every 20,
no check): which pairs are missed must agree too.
"""

import json
from pathlib import Path

import pytest
from mpi4py import MPI

from mdapp.cli.inputs import load_input
from mdapp.simulation import Simulation

FOLDER = Path(__file__).parent / "inputs"
RUNS = json.loads((FOLDER / "thermo.json").read_text())["runs"]


def lines_of(name: str, tmp_path: Path, *overrides: str) -> list[list[str]]:
    deck = load_input(FOLDER / name, overrides)
    lines: list[list[str]] = []
    sim = Simulation(
        deck,
        MPI.COMM_SELF,
        out=tmp_path,
        on_thermo=lambda row: lines.append(sim.thermo.line(row).split()),
    )
    sim.run()
    sim.outputs.close()
    lines.insert(0, sim.thermo.header().split())
    return lines


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("mode", ["", "run.deterministic=true"])
def test_the_lines_lammps_prints(name: str, mode: str, tmp_path: Path) -> None:
    expected = RUNS[name]
    heading, *lines = lines_of(name, tmp_path, *[mode] * bool(mode))
    assert heading == expected["columns"]
    assert lines == expected["lines"]


def test_mixed_precision_stays_near(tmp_path: Path) -> None:
    """in.lj, measured at both steps: 9e-8 of the energies, 3e-8 of T, 1e-6 (absolute) of P."""
    _, *lines = lines_of("in.lj", tmp_path, "run.precision=mixed")
    for line, reference in zip(lines, RUNS["in.lj"]["lines"], strict=True):
        _, temp, epair, _, etotal, press = map(float, line)
        _, temp0, epair0, _, etotal0, press0 = map(float, reference)
        assert temp == pytest.approx(temp0, rel=2e-7)
        assert epair == pytest.approx(epair0, rel=3e-7) and etotal == pytest.approx(
            etotal0, rel=3e-7
        )
        assert press == pytest.approx(press0, abs=5e-6)
