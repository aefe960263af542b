"""Pair styles against LAMMPS: the same commands, energies, virials and forces.

The numbers of inputs/pair_styles.json are those of LAMMPS 22Jul2025 (plain styles), for 108 atoms
of two types displaced from an fcc lattice; forces are kept of the first 16 atoms, and the sum of
squares of all. Virials are pressures times volume, in energies, in the order xx yy zz yz xz xy.
"""

import json
from pathlib import Path

import pytest

from mdapp.evaluate import Structure, single_point
from mdapp.lammps_script import load_script
from potentials.registry import make_potential
from tests.twins.systems import lattice
from tests.unit.test_lj import types_of

INPUTS = Path(__file__).parent / "inputs"
CASES = json.loads((INPUTS / "pair_styles.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_numbers_of_lammps(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    script = tmp_path / "in.pair"
    commands = [line.replace("FOLDER", str(INPUTS)) for line in case["commands"]]
    script.write_text("\n".join([
        f"units {case['units']}", "lattice fcc 1.0", "region b block 0 3 0 3 0 3",
        "create_box 2 b", "create_atoms 1 box", "mass * 1.0", *commands,
        "fix 1 all nve", "run 0", ""]))  # fmt: skip
    deck = load_script(script)
    table = deck.potential_table()
    potential = make_potential(table.pop("style"), table, 2)
    system = lattice((3, 3, 3), case["spacing"], 0.07, 21)
    structure = Structure.of_arrays(system.box, system.x, types_of(108, 2), ("A", "B"))
    result = single_point(structure, potential, units=case["units"])
    assert result.energy == pytest.approx(case["energy"], rel=1e-10)
    assert abs(result.virial - case["virial"]).max() < 1e-9 * max(1, abs(result.virial).max())
    assert abs(result.forces[:16] - case["forces"]).max() < 1e-9
    assert (result.forces**2).sum() == pytest.approx(case["force_squares"], rel=1e-10)
