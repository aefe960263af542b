"""EAM against LAMMPS: published files of all three formats, and a crystal that melts.

inputs/eam.json holds energies, forces and virials by LAMMPS (eam_by_lammps.py made it); the files
are read where a machine has them, and a test is skipped by its file's name where not.
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
from tests.conformance.eam_by_lammps import CASES, Case
from tests.conformance.lammps_files import folder_of_files

INPUTS = Path(__file__).parent / "inputs"
ANSWERS = {
    (tuple(case["files"]), case["seed"]): case
    for case in json.loads((INPUTS / "eam.json").read_text())["cases"]
}
# Of energies (relative), forces (eV / A) and virials (eV). Measured: 4e-15, 2e-13, 4e-13 in double
# precision; 8e-12, 2e-10, 6e-10 for deterministic sums; 2e-7, 2e-5, 2e-4 for the others.
BOUNDS = {"double": (1e-13, 1e-12, 3e-12), "deterministic": (1e-10, 1e-9, 1e-9),
          "mixed": (3e-7, 3e-5, 3e-4), "single": (3e-7, 3e-5, 3e-4)}  # fmt: skip
# What LAMMPS 22Jul2025 prints for inputs/in.eam.
MELT = [
    ["0", "1600", "-113280", "0", "-106662.09", "18703.573"],
    ["50", "781.69049", "-109873.35", "0", "-106640.13", "52273.088"],
    ["100", "801.832", "-109957.3", "0", "-106640.77", "51322.821"],
]


@pytest.mark.parametrize("mode", BOUNDS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_published_files(case: Case, mode: str) -> None:
    folder = folder_of_files(case.files)
    files = [str(folder / name) for name in case.files]
    table = {"file": files} if case.style == "eam" else {"file": files[0], "species": case.species}
    x, types = case.atoms()
    structure = Structure.of_arrays(Box.from_vectors(case.edges()), x, types, case.species)
    precision = "double" if mode == "deterministic" else mode
    found = single_point(
        structure, make_potential(case.style, table, len(case.species)), precision,
        mode == "deterministic", "metal",
    )  # fmt: skip
    expected = ANSWERS[case.files, case.seed]
    relative, of_forces, of_virial = BOUNDS[mode]
    assert found.energy == pytest.approx(expected["energy"], rel=relative)
    assert abs(found.forces - np.array(expected["forces"])).max() < of_forces
    assert abs(found.virial - np.array(expected["virial"])).max() < of_virial


def test_enough_files_and_alloys_among_them() -> None:
    assert len({name for case in CASES for name in case.files}) >= 10
    assert {case.style for case in CASES} == {"eam", "eam/alloy", "eam/fs"}
    assert sum(len(case.species) > 1 for case in CASES) >= 5


@pytest.fixture
def melt(tmp_path: Path) -> Path:
    """The script, beside a file that it finds."""
    folder = folder_of_files(["Cu_u3.eam"])
    path = tmp_path / "in.eam"
    text = (INPUTS / "in.eam").read_text()
    path.write_text(text.replace("Cu_u3.eam", str(folder / "Cu_u3.eam")))
    return path


@pytest.mark.parametrize("mode", ["", "run.deterministic=true"])
def test_the_melt_prints_what_lammps_prints(melt: Path, mode: str, tmp_path: Path) -> None:
    lines: list[list[str]] = []
    sim = Simulation(
        load_input(melt, [mode] * bool(mode)), MPI.COMM_SELF, out=tmp_path / "run",
        on_thermo=lambda row: lines.append(sim.thermo.line(row).split()),
    )  # fmt: skip
    sim.run()
    sim.outputs.close()
    assert lines == MELT


def test_the_melt_on_two_ranks(melt: Path, mpirun, tmp_path: Path) -> None:
    end = mpirun(2, ["-m", "mdapp", "run", str(melt), "--out", "run"], timeout=200)
    assert end.code == 0, end.stderr
    printed = [line.split() for line in end.stdout.splitlines()]
    assert [words for words in printed if words[:1] in (["0"], ["50"], ["100"])] == MELT
