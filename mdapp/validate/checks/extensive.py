"""18 extensive: two parts far from each other know nothing of each other.

Two pieces of crystal, 100 Angstrom apart (forty distances of neighbours, or three force ranges if
that is more), have the sum of their energies, and the forces that each has alone. Atoms of a
supported species beyond the force range add their own energy and change no force.

Low precisions take coordinates relative to the cell or group of an atom, which far atoms may
change: forces are then good to what other orders and lists may change as well (checks 8 and 12), of
F_rms, and not to a fixed 1e-9.
"""

from __future__ import annotations

import numpy as np

from mdapp.evaluate import Structure
from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, force_norm

ENERGY = {"double": 1e-9, "mixed": 1e-6, "single": 1e-4, "bf16": 1e-2}
FORCE = {"double": 1e-12, "mixed": 1e-6, "single": 1e-5, "bf16": 1e-1}
INERT = 5


def extensive(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    worst_e = worst_f = 0.0
    far = max(40 * bench.crystal.distance, 3 * bench.subject.force_range)
    kinds = list(bench.kinds())
    for kind in kinds:
        a = bench.cluster(kind)
        others = [bench.cluster(kinds[-1], atoms=28), inert(bench, 1.5 * far)]
        for other in others:
            both = joined(bench, a, other, far)
            one, two = bench.evaluate(a, precision), bench.evaluate(other, precision)
            all_ = bench.evaluate(both, precision)
            error_e = abs(all_.energy - one.energy - two.energy)
            apart = np.concatenate([one.forces, two.forces])
            errors = np.linalg.norm(all_.forces - apart, axis=1)
            size = float(np.linalg.norm(apart, axis=1).max())
            scale = max(1.0, size) if precision == "double" else force_norm(one.forces)
            worst_e = max(worst_e, error_e)
            worst_f = max(worst_f, float(errors.max()) / scale)
            found.natoms = max(found.natoms, len(both.x))
            found.note_worst(float(errors.max()) + error_e, Worst(
                both, int(errors.argmax()), f"energy off by {error_e:.2g}, force by "
                f"{errors.max():.2g}"))
    found.measures = [
        below("energy", worst_e, ENERGY[precision], bench.subject.units.energy_label),
        below("force", worst_f, FORCE[precision],
              bench.force_label if precision == "double" else "F_rms")]
    return found


def inert(bench: Bench, apart: float) -> Structure:
    """Single atoms on a line, far from each other, of all species in turn."""
    x = np.zeros((INERT, 3))
    x[:, 1] = apart * np.arange(INERT)
    return bench.free(x, np.arange(INERT) % len(bench.subject.species))


def joined(bench: Bench, a: Structure, b: Structure, gap: float) -> Structure:
    """Both in empty space, the second `gap` beyond the first along x."""
    shift = np.array([a.x[:, 0].max() - b.x[:, 0].min() + gap, 0.0, 0.0])
    return bench.free(np.concatenate([a.x, b.x + shift]), np.concatenate([a.type, b.type]))
