"""Stillinger-Weber and Tersoff against LAMMPS: structures, a crystal, and its first steps.

inputs/threebody.json holds energies, forces and virials by LAMMPS (threebody_by_lammps.py made it).
Files that are not written there are read where a machine has them, and a test is skipped by its
file's name where not.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.cli.inputs import load_input
from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from mdapp.simulation import Simulation
from potentials.registry import make_potential
from tests.conformance.lammps_files import folder_of_files
from tests.conformance.threebody_by_lammps import (
    CASES,
    DIAMOND,
    SILICON_SW,
    SILICON_TERSOFF,
    SUMS,
    WRITTEN,
    Case,
    of_sum,
)

INPUTS = Path(__file__).parent / "inputs"
ANSWERS = {
    (case["file"], case["seed"]): case
    for case in json.loads((INPUTS / "threebody.json").read_text())["cases"]
}
# Of energies (relative), forces (eV / A) and virials (eV). Measured in double precision: 2e-15,
# 5e-12, 2e-11; with SiC_Erhart-Albe, where LAMMPS subtracts numbers of 1e5, 4e-12, 5e-11, 5e-11.
# Forces 1e-10 for deterministic sums. Others: 5e-6, 2e-3, 1e-2 of Tersoff, a tenth of that of SW.
BOUNDS = {"double": (1e-10, 1e-9, 1e-9), "deterministic": (1e-10, 1e-9, 1e-9),
          "mixed": (1e-5, 4e-3, 2e-2), "single": (1e-5, 4e-3, 2e-2)}  # fmt: skip
# File, energy of an atom of diamond at 5.431 A by direct lattice sums, and what LAMMPS prints for
# inputs/in.STYLE; the two logs of 2020 in its distribution have the same.
CRYSTALS = {
    "sw": (SILICON_SW, -4.336599995040, [
        ["0", "1000", "-138771.2", "0", "-134635", "6866.6499"],
        ["100", "508.80533", "-136736.12", "0", "-134631.6", "6361.7858"]]),
    "tersoff": (SILICON_TERSOFF, -4.630412064213, [
        ["0", "1000", "-148173.19", "0", "-144036.99", "7019.4434"],
        ["100", "430.57813", "-145815.61", "0", "-144034.65", "-14550.734"]]),
}  # fmt: skip


def path_of(file: str, tmp_path: Path) -> Path:
    if file not in WRITTEN:
        return folder_of_files([file]) / file
    path = tmp_path / "written"
    path.write_text(WRITTEN[file])
    return path


@pytest.mark.parametrize("mode", BOUNDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file}, {case.seed}")
def test_structures(case: Case, mode: str, tmp_path: Path) -> None:
    table = {"file": str(path_of(case.file, tmp_path)), "species": case.species}
    x, types = case.atoms()
    structure = Structure.of_arrays(Box.from_vectors(case.edges()), x, types, case.species)
    found = single_point(
        structure, make_potential(case.style, table, len(case.species)),
        "double" if mode == "deterministic" else mode, mode == "deterministic", "metal",
    )  # fmt: skip
    expected = ANSWERS[case.file, case.seed]
    relative, of_forces, of_virial = BOUNDS[mode]
    assert found.energy == pytest.approx(expected["energy"], rel=relative)
    assert abs(found.forces - np.array(expected["forces"])).max() < of_forces
    assert abs(found.virial - np.array(expected["virial"])).max() < of_virial


@pytest.mark.parametrize("seed", SUMS)
def test_sums_whose_parts_do_not_see_all_types(seed: int, tmp_path: Path) -> None:
    case, lines = of_sum(seed, tmp_path)
    path = tmp_path / "in.sum"
    path.write_text("\n".join([
        "units metal", "lattice fcc 4.0", "region b block 0 3 0 3 0 3", "create_box 3 b",
        "create_atoms 1 box", "mass * 1.0", *lines, "fix 1 all nve", "run 0", ""]))  # fmt: skip
    table = load_input(path, []).potential_table()
    x, types = case.atoms()
    structure = Structure.of_arrays(Box.from_vectors(case.edges()), x, types, ("A", "B", "C"))
    potential = make_potential(table.pop("style"), table, 3)
    found = single_point(structure, potential, units="metal")
    expected = ANSWERS[case.file, seed]
    assert found.energy == pytest.approx(expected["energy"], rel=1e-10)
    assert abs(found.forces - np.array(expected["forces"])).max() < 1e-9
    assert abs(found.virial - np.array(expected["virial"])).max() < 1e-9


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("style", CRYSTALS)
def test_diamond(style: str, deterministic: bool, tmp_path: Path) -> None:
    """One cell, which is narrower than twice the cutoff."""
    text, energy, _ = CRYSTALS[style]
    (tmp_path / "file").write_text(text)
    potential = make_potential(style, {"file": str(tmp_path / "file"), "species": ["Si"]}, 1)
    structure = Structure.of_arrays(Box.orthogonal([0.0] * 3, [5.431] * 3), 5.431 * DIAMOND)
    found = single_point(structure, potential, "double", deterministic, "metal")
    assert found.energy / 8 == pytest.approx(energy, rel=1e-12)
    assert abs(found.forces).max() < 1e-11
    np.testing.assert_allclose(found.energies, energy, rtol=1e-12)


@pytest.fixture
def script(tmp_path: Path):
    """The script of a style, beside the file that it names."""

    def write(style: str) -> Path:
        (tmp_path / f"Si.{style}").write_text(CRYSTALS[style][0])
        path = tmp_path / f"in.{style}"
        path.write_text((INPUTS / f"in.{style}").read_text())
        return path

    return write


@pytest.mark.parametrize("mode", ["", "run.deterministic=true"])
@pytest.mark.parametrize("style", CRYSTALS)
def test_the_lines_lammps_prints(script, style: str, mode: str, tmp_path: Path) -> None:
    lines: list[list[str]] = []
    sim = Simulation(
        load_input(script(style), [mode] * bool(mode)), MPI.COMM_SELF, out=tmp_path / "run",
        on_thermo=lambda row: lines.append(sim.thermo.line(row).split()),
    )  # fmt: skip
    sim.run()
    sim.outputs.close()
    assert lines == CRYSTALS[style][2]


@pytest.mark.parametrize("style", CRYSTALS)
def test_the_lines_on_two_ranks(script, style: str, mpirun) -> None:
    end = mpirun(2, ["-m", "mdapp", "run", str(script(style)), "--out", "run"], timeout=200)
    assert end.code == 0, end.stderr
    printed = [line.split() for line in end.stdout.splitlines()]
    assert [words for words in printed if words[:1] in (["0"], ["100"])] == CRYSTALS[style][2]
