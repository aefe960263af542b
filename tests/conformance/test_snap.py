"""SNAP against LAMMPS: published files, linear and quadratic, of one and of explicit elements.

With ZBL the two potentials of the benchmarks in LAMMPS's distribution; their logs of 2020 have the
same numbers as LAMMPS 22Jul2025, divided by that of the atoms. inputs/snap.json holds energies,
forces and virials by LAMMPS (snap_by_lammps.py made it); the files are read where a machine has
them, and a test is skipped by its file's name where not.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.cli.inputs import load_input
from mdapp.evaluate import SinglePoint, Structure, single_point
from mdapp.model.box import Box
from mdapp.simulation import Simulation
from potentials.registry import make_potential
from potentials.snap.files import read_coefficients, read_parameters
from tests.conformance.eam_by_lammps import Case
from tests.conformance.lammps_files import ROOT, folder_of_files
from tests.conformance.snap_by_lammps import CASES, OVERLAYS, files_of

INPUTS = Path(__file__).parent / "inputs"
ANSWERS, SUMS = (
    {tuple(case["files"]): case for case in json.loads((INPUTS / "snap.json").read_text())[key]}
    for key in ("cases", "overlays")
)
# Of energies (relative), forces (eV / A) and virials (eV). Measured: 2e-15, 1e-13, 6e-13; and
# 9e-14, 4e-11, 2e-10 for deterministic sums.
BOUNDS = {"double": (1e-13, 1e-12, 3e-12), "deterministic": (1e-12, 1e-10, 6e-10),
          "mixed": (1e-6, 1e-3, 1e-2)}  # fmt: skip
SCRIPT = """units metal
lattice bcc {constant}
region box block 0 4 0 4 0 4
create_box 1 box
create_atoms 1 box
mass 1 {mass}
pair_style hybrid/overlay zbl 4.0 4.8 snap
pair_coeff 1 1 zbl {z} {z}
pair_coeff * * snap {files[0]} {files[1]} {species}
velocity all create 300.0 4928459 loop geom
neighbor 1.0 bin
neigh_modify delay 0 every 1 check yes
fix 1 all nve
timestep 0.0005
run 100
"""
TUNGSTEN = {"files": ["W_2940_2017_2.snapcoeff", "W_2940_2017_2.snapparam"], "species": "W",
            "constant": 3.1803, "mass": 183.84, "z": 74}  # fmt: skip
TANTALUM = {"files": ["Ta06A.snapcoeff", "Ta06A.snapparam"], "species": "Ta",
            "constant": 3.316, "mass": 180.88, "z": 73}  # fmt: skip
THERMO = {  # step, temp, epair, etotal, press
    "W": (TUNGSTEN, ["0 300 -1411.6256 -1406.7007 3010.497",
                     "100 32.094224 -1407.2273 -1406.7005 11987.181"]),
    "Ta": (TANTALUM, ["0 300 -1517.001 -1512.0762 2717.1661",
                      "100 74.035418 -1513.2914 -1512.076 2515.8526"]),
}  # fmt: skip


@pytest.mark.parametrize("mode", BOUNDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_published_files(case: Case, mode: str, tmp_path: Path) -> None:
    files = files_of(case, folder_of_files(case.files), tmp_path)
    potential = make_potential("snap", {"file": files, "species": case.species}, len(case.species))
    x, types = case.atoms()
    structure = Structure.of_arrays(Box.from_vectors(case.edges()), x, types, case.species)
    precision, deterministic = ("double", True) if mode == "deterministic" else (mode, False)
    found = single_point(structure, potential, precision, deterministic, "metal")
    compare(found, ANSWERS[case.files], mode)


def compare(found: SinglePoint, expected: dict, mode: str = "double") -> None:
    """Hold energy, forces and virial to the bounds of a mode."""
    relative, of_forces, of_virial = BOUNDS[mode]
    assert found.energy == pytest.approx(expected["energy"], rel=relative)
    assert abs(found.forces - np.array(expected["forces"])).max() < of_forces
    assert abs(found.virial - np.array(expected["virial"])).max() < of_virial


@pytest.mark.parametrize("name", THERMO)
def test_snap_and_zbl(name: str, tmp_path: Path) -> None:
    model, expected = THERMO[name]
    folder = folder_of_files(model["files"])
    files = [folder / file for file in model["files"]]
    script = tmp_path / "in.overlay"
    script.write_text(SCRIPT.format(**model | {"files": files}))
    sim = Simulation(load_input(script), MPI.COMM_SELF, out=tmp_path)
    sim.run()
    sim.outputs.close()
    columns = ["temp", "epair", "etotal", "press"]
    lines = [" ".join([str(row["step"]), *(f"{row[c]:.8g}" for c in columns)])
             for row in sim.thermo.rows]  # fmt: skip
    assert lines == expected


@pytest.mark.parametrize("case", OVERLAYS, ids=lambda case: case.name)
def test_forces_of_snap_and_zbl(case: Case, tmp_path: Path) -> None:
    files = files_of(case, folder_of_files(case.files), tmp_path)
    parts = [{"style": "zbl", "z": OVERLAYS[case], "inner": 4.0, "outer": 4.8},
             {"style": "snap", "file": files, "species": case.species}]  # fmt: skip
    potential = make_potential("hybrid/overlay", {"part": parts}, 1, case.species)
    structure = Structure.of_arrays(Box.from_vectors(case.edges()), case.atoms()[0])
    compare(single_point(structure, potential, "double", False, "metal"), SUMS[case.files])


def test_the_fit_of_the_example_repeats(python, tmp_path: Path) -> None:
    """To 1e-8: the condition number, 1650, takes four digits, and the smallest are 1e-4 of all."""
    folder = ROOT / "examples" / "tungsten"
    end = python([str(folder / "fit.py"), "--out", str(tmp_path)], timeout=200)
    assert end.code == 0, end.stderr
    assert end.stdout.strip() in (folder / "README.md").read_text()
    assert (tmp_path / "W.snapparam").read_text() == (folder / "W.snapparam").read_text()
    parameters = read_parameters(folder / "W.snapparam")
    kept, made = (read_coefficients(f / "W.snapcoeff", parameters) for f in (folder, tmp_path))
    np.testing.assert_allclose(made.beta, kept.beta, rtol=1e-8)
