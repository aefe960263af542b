"""NEP against NEP_CPU: published models, energies, forces and virials in full double precision.

The data of other projects is read where a machine has it, and a test is skipped by the name of its
file where not.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.cli.inputs import load_input
from mdapp.evaluate import SinglePoint, Structure, single_point
from mdapp.model.box import Box
from mdapp.simulation import Simulation
from potentials.nep.format import read_nep
from potentials.registry import make_potential

ROOT = Path(__file__).resolve().parents[2]
# Forces (eV / A), energies of atoms (eV), components of the virial (eV). Measured: 6e-14, 4e-14,
# 5e-12 in double precision, 3e-10, 1e-11, 4e-9 of deterministic sums, 1e-5, 6e-6, 3e-4 in mixed.
BOUNDS = {("double", False): (1e-12, 1e-12, 5e-11), ("double", True): (1e-9, 1e-10, 2e-8),
          ("mixed", False): (5e-5, 2e-5, 2e-3)}  # fmt: skip
VARIANTS = pytest.mark.parametrize(("precision", "deterministic"), BOUNDS,
                                   ids=["double", "deterministic", "mixed"])  # fmt: skip


def data_file(name: str) -> Path:
    """A file of the reference data; the test is skipped if there is none."""
    named = os.environ.get("MDAPP_TEST_DATA")
    for folder in ([Path(named)] if named else [ROOT.parent / "shared" / "data"]):
        if (folder / name).is_file():
            return folder / name
    pytest.skip(f"needs {name} in MDAPP_TEST_DATA or ../shared/data")


def frames(path: Path, species: list[str]) -> list[tuple[Structure, dict[str, np.ndarray]]]:
    """Structures of an extended XYZ file with what it says of each."""
    lines, found, at = path.read_text().splitlines(), [], 0
    while at < len(lines):
        n, comment = int(lines[at]), lines[at + 1]
        rows = [line.split() for line in lines[at + 2 : at + 2 + n]]

        def quoted(key: str, comment=comment) -> np.ndarray:
            return np.array(comment.split(f'{key}="')[1].split('"')[0].split(), float)

        numbers = np.array([row[1:8] for row in rows], float)
        types = np.array([species.index(row[0]) for row in rows], np.int32)
        box = Box.from_vectors(quoted("Lattice").reshape(3, 3))
        structure = Structure.of_arrays(box, numbers[:, :3], types, tuple(species))
        w = quoted("virial").reshape(3, 3)
        virial = np.array([w[0, 0], w[1, 1], w[2, 2], w[1, 2], w[0, 2], w[0, 1]])
        found.append((structure, {"energies": numbers[:, 3], "forces": numbers[:, 4:],
                                  "virial": virial}))  # fmt: skip
        at += n + 2
    return found


def held(found: SinglePoint, expected: dict[str, np.ndarray], bounds) -> None:
    for name, bound in zip(("forces", "energies", "virial"), bounds, strict=True):
        assert abs(getattr(found, name) - expected[name]).max() < bound, name


@VARIANTS
def test_lead_telluride(precision: str, deterministic: bool) -> None:
    """A rhombohedral cell, virials of atoms: those of the neighbours, made symmetric."""
    words = data_file("nep-cpu-pbte/xyz.in").read_text().split()
    rows = np.array(words[10:]).reshape(-1, 4)
    species = ["Pb", "Te"]
    types = np.array([species.index(s) for s in rows[:, 0]], np.int32)
    box = Box.from_vectors(np.array(words[1:10], float).reshape(3, 3))
    structure = Structure.of_arrays(box, rows[:, 1:].astype(float), types, tuple(species))
    table = {"file": str(data_file("nep-cpu-pbte/nep.txt")), "species": species}
    found = single_point(structure, make_potential("nep", table, 2), precision, deterministic)

    def reference(name: str) -> np.ndarray:
        return np.loadtxt(data_file(f"nep-cpu-pbte/{name}.out"))

    w = reference("virial_ref").reshape(-1, 3, 3)
    w = (w + w.swapaxes(1, 2)) / 2
    virials = np.stack([w[:, a, b] for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))],
                       axis=1)  # fmt: skip
    bounds = BOUNDS[precision, deterministic]
    held(found, {"forces": reference("force_analytical_ref"), "virial": virials.sum(axis=0),
                 "energies": reference("derived_energy")}, bounds)  # fmt: skip
    assert abs(found.virials - virials).max() < bounds[0]


@VARIANTS
@pytest.mark.parametrize(("model", "frames_of"), [
    ("lammps-matpl-hfo2/nep.txt", "lammps-matpl-hfo2/derived_frames.xyz"),
    ("matpl-hfo2-nep4/nep_to_lmps.txt", "matpl-hfo2-nep4/derived_frames.xyz"),
    ("gpumd-pbte-species/PbTe.txt", "gpumd-pbte-species/derived_PbTe.xyz"),
    ("gpumd-pbte-species/PbTe_reordered.txt", "gpumd-pbte-species/derived_PbTe.xyz"),
    ("gpumd-pbte-species/PbTe_modified.txt", "gpumd-pbte-species/derived_PbTe_modified.xyz"),
])  # fmt: skip
def test_published_models(model: str, frames_of: str, precision: str, deterministic: bool) -> None:
    species = ["Pb", "Te"] if "PbTe" in model else ["Hf", "O"]
    table = {"file": str(data_file(model)), "species": species}
    potential = make_potential("nep", table, 2)
    kernel = potential.compiled(precision, deterministic)
    for structure, expected in frames(data_file(frames_of), species)[:3]:
        found = single_point(structure, potential, precision, deterministic, kernel=kernel)
        held(found, expected, BOUNDS[precision, deterministic])


@pytest.mark.parametrize(("name", "numbers"), [
    ("Si_2022_NEP4_3body", 3148), ("Si_2022_NEP4_4body", 3709), ("C_2022_NEP4", 6968)
])  # fmt: skip
def test_models_of_one_element(name: str, numbers: int) -> None:
    m = read_nep(data_file(f"gpumd-nep-models/{name}.txt"))
    arrays = (m.w0, m.b0, m.w1, m.c_radial, m.c_angular, m.scaler)
    assert sum(a.size for a in arrays) + 1 == numbers


SCRIPT = """units metal
read_data data.hfo2
mass 1 178.49
mass 2 15.999
pair_style nep nep.txt
pair_coeff * * nep.txt Hf O
fix 1 all nve
thermo_style custom step pe pxx
run 0
"""


def test_a_script(tmp_path: Path) -> None:
    """Its box is narrower than two cutoffs. The log of LAMMPS, with the constants of 2020."""
    lines = [line.split() for line in
             data_file("lammps-matpl-hfo2/conf.lmp").read_text().splitlines()]
    edge = next(float(words[1]) for words in lines if words[2:3] == ["xlo"])
    atoms = [words for words in lines if len(words) == 5]
    (tmp_path / "nep.txt").write_text(data_file("lammps-matpl-hfo2/nep.txt").read_text())
    cells = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    rows = [f"{k} {words[1]} " + " ".join(map(repr, (np.array(words[2:], float) + edge * cell)
                                              .tolist()))
            for k, (cell, words) in enumerate(((c, w) for c in cells for w in atoms), 1)]
    bounds = "\n".join(f"0 {3 * edge!r} {a}lo {a}hi" for a in "xyz")
    (tmp_path / "data.hfo2").write_text(
        f"HfO2\n\n{len(rows)} atoms\n2 atom types\n{bounds}\n\nAtoms # atomic\n\n"
        + "\n".join(rows) + "\n")  # fmt: skip
    (tmp_path / "in.hfo2").write_text(SCRIPT)
    run = Simulation(load_input(tmp_path / "in.hfo2"), MPI.COMM_SELF, out=tmp_path / "run")
    run.run()
    run.outputs.close()
    assert run.thermo.last["pe"] == pytest.approx(-10.09822728689 * len(rows), abs=1e-7)
    assert run.thermo.last["pxx"] == pytest.approx(-4.5060941 * len(rows), rel=2e-7)
