"""26 precision: what lower precisions cost, against what the model is worth.

Double, mixed, single and bf16 on the same frames, as far as the potential has them. Forces may
differ by a tenth of the model's own error on labelled data, where such were given, else by 5 meV/A;
energies by a tenth of its mean absolute error, else by half a meV per atom. The forces of each
precision must still be derivatives of the double energy (check 2 in that precision).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdapp.validate.bench import Bench
from mdapp.validate.checks.dataset import parity_data
from mdapp.validate.checks.forces import forces_fd
from mdapp.validate.measure import Finding, Worst, below, shown

FORCE, ENERGY = 5e-3, 5e-4
PART = 0.1
MOVED = (0.04, 0.08, 0.15)            # displacements, of the distance of neighbours
ORDER = ("mixed", "single", "bf16")


def precision_ladder(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    lower = [p for p in ORDER if p in bench.subject.potential.precisions]
    if not lower:
        return Finding(skipped="the potential has double precision alone")
    labelled = parity_data(bench, "double")
    force_limit = PART * labelled.data["force_rmse"] if labelled.data else FORCE
    energy_limit = PART * labelled.data["energy_mae"] if labelled.data else ENERGY
    found = Finding()
    frames = [bench.bulk(kind, displacement=d) for kind in bench.kinds() for d in MOVED]
    steps: list[dict[str, Any]] = []
    energy_unit, force_unit = bench.subject.units.energy_label, bench.force_label
    for low in lower:
        squares, energies = [], []
        for s in frames:
            exact, rough = bench.evaluate(s), bench.evaluate(s, low)
            found.natoms = max(found.natoms, len(s.x))
            off = rough.forces - exact.forces
            squares.append(float((off**2).mean()))
            energies.append(abs(rough.energy - exact.energy) / len(s.x))
            size = np.linalg.norm(off, axis=1)
            found.note_worst(float(size.max()), Worst(
                s, int(size.argmax()), f"{low}: force differs by {size.max():.3g}"))
        rms = float(np.sqrt(np.mean(squares)))
        found.measures += [below(f"{low}: forces, rms", rms, force_limit, force_unit),
                           below(f"{low}: energy per atom", max(energies), energy_limit,
                                 energy_unit)]
        derivative = forces_fd(bench, low)
        found.measures += derivative.measures[:1]
        steps.append({"precision": low, "force": rms, "energy": max(energies)})
    if labelled.data:
        found.measures.append(shown("the model's own error of forces",
                                    labelled.data["force_rmse"], force_unit))
    found.data = {"steps": steps, "force_limit": force_limit, "unit": force_unit,
                  "own": labelled.data.get("force_rmse")}
    return found
