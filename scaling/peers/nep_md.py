"""Molecular dynamics with NEP_CPU: velocity Verlet around the calculator that calorine ships.

Run by the interpreter of the peer's environment, which has neither mdapp nor MPI:

    python nep_md.py START.npz MODEL STEPS REPORT.json

START holds what mdapp starts from (scaling/peers/codes/nep_cpu.py writes it), so that both follow
the same trajectory; constants of the units are among it. Only the loop is timed: neighbours are
searched for anew by NEP_CPU in every step, which is how it is made.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np


def run(start: Any, model: str, steps: int) -> dict[str, Any]:
    """Loop time and thermo rows."""
    from ase import Atoms
    from calorine.calculators import CPUNEP

    mass = start["mass"][:, None]
    atoms = Atoms(list(start["symbols"]), positions=start["x"], cell=start["cell"], pbc=True)
    atoms.calc = CPUNEP(model)
    x, v, dt, every = start["x"].copy(), start["v"].copy(), float(start["dt"]), int(start["every"])
    f, rows = atoms.get_forces(), []
    rows.append(thermo(start, 0, atoms, v))
    began = time.perf_counter()
    for step in range(1, steps + 1):
        v += 0.5 * dt * start["ftm2v"] * f / mass
        x += dt * v
        atoms.set_positions(x)
        f = atoms.get_forces()
        v += 0.5 * dt * start["ftm2v"] * f / mass
        if step % every == 0 or step == steps:
            rows.append(thermo(start, step, atoms, v))
    return {"loop_s": time.perf_counter() - began, "thermo": rows}


def thermo(start: Any, step: int, atoms: Any, v: Any) -> dict[str, float]:
    """Temperature, energies and pressure, as LAMMPS defines them."""
    kinetic = float(0.5 * start["mvv2e"] * (start["mass"][:, None] * v * v).sum())
    volume, n = atoms.get_volume(), len(v)
    temperature = 2 * kinetic / ((3 * n - 3) * float(start["boltz"]))
    energy = float(atoms.get_potential_energy())
    virial = -float(atoms.get_stress()[:3].sum()) * volume
    pressure = start["nktv2p"] * ((n - 1) * start["boltz"] * temperature + virial / 3) / volume
    return {"step": step, "temp": temperature, "epair": energy, "etotal": energy + kinetic,
            "press": float(pressure)}


if __name__ == "__main__":
    source, model_file, count, report = sys.argv[1:]
    with open(report, "w", encoding="utf-8") as out:  # noqa: PTH123
        json.dump(run(dict(np.load(source)), model_file, int(count)), out)
