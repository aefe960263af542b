"""SNAP against LAMMPS: published files, linear and quadratic, of one and of explicit elements.

inputs/snap.json holds energies, forces and virials by LAMMPS (snap_by_lammps.py made it); the files
are read where a machine has them, and a test is skipped by its file's name where not.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from potentials.registry import make_potential
from tests.conformance.eam_by_lammps import Case
from tests.conformance.lammps_files import folder_of_files
from tests.conformance.snap_by_lammps import CASES, files_of

INPUTS = Path(__file__).parent / "inputs"
ANSWERS = {
    tuple(case["files"]): case for case in json.loads((INPUTS / "snap.json").read_text())["cases"]
}
# Of energies (relative), forces (eV / A) and virials (eV). Measured: 2e-15, 1e-13, 6e-13; and
# 9e-14, 4e-11, 2e-10 for deterministic sums.
BOUNDS = {False: (1e-13, 1e-12, 3e-12), True: (1e-12, 1e-10, 6e-10)}


@pytest.mark.parametrize("deterministic", BOUNDS, ids=["", "deterministic"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_published_files(case: Case, deterministic: bool, tmp_path: Path) -> None:
    files = files_of(case, folder_of_files(case.files), tmp_path)
    potential = make_potential("snap", {"file": files, "species": case.species}, len(case.species))
    x, types = case.atoms()
    structure = Structure.of_arrays(Box.from_vectors(case.edges()), x, types, case.species)
    found = single_point(structure, potential, "double", deterministic, "metal")
    expected = ANSWERS[case.files]
    relative, of_forces, of_virial = BOUNDS[deterministic]
    assert found.energy == pytest.approx(expected["energy"], rel=relative)
    assert abs(found.forces - np.array(expected["forces"])).max() < of_forces
    assert abs(found.virial - np.array(expected["virial"])).max() < of_virial
