"""Forces between charges against LAMMPS: the same commands, energies, virials and forces.

inputs/coulomb.json holds LAMMPS's numbers (coulomb_by_lammps.py made it). Its coul/dsf takes erfc
from a fit that is good to 1.5e-7 and differs as much; coul/wolf, of which the forces are the same,
and coul/cut agree to rounding.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from mdapp.evaluate import Structure, single_point
from mdapp.lammps_script import load_script
from potentials.registry import make_potential
from tests.conformance.coulomb_by_lammps import CASES, KEPT, atoms

ANSWERS = json.loads((Path(__file__).parent / "inputs" / "coulomb.json").read_text())


@pytest.mark.parametrize("name", CASES)
def test_numbers_of_lammps(name: str, tmp_path: Path) -> None:
    units, spacing, commands = CASES[name]
    script = tmp_path / "in.pair"
    script.write_text("\n".join([
        f"units {units}", "atom_style charge", "lattice fcc 1.0", "region b block 0 3 0 3 0 3",
        "create_box 2 b", "create_atoms 1 box", "mass * 1.0", *commands,
        "fix 1 all nve", "run 0", ""]))  # fmt: skip
    table = load_script(script).potential_table()
    potential = make_potential(table.pop("style"), table, 2)
    system, types, charges = atoms(spacing)
    structure = Structure.of_arrays(system.box, system.x, types, ("A", "B"), charges)
    found, expected = single_point(structure, potential, units=units), ANSWERS[name]
    bound = 3e-7 if name == "coul/dsf" else 1e-12
    assert found.energy == pytest.approx(expected["energy"], rel=bound)
    for mine, theirs in ((found.virial, "virial"), (found.forces[:KEPT], "forces"),
                         (found.energies[:KEPT], "energies")):  # fmt: skip
        theirs = np.array(expected[theirs])
        assert abs(mine - theirs).max() < 10 * bound * abs(theirs).max()
