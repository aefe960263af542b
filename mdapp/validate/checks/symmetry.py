"""7 symmetry: space has no preferred place, direction or hand.

A piece of crystal is moved by an irrational vector, turned by a random rotation, and inverted; a
triclinic cell is turned with its atoms. Energies must not change, forces must turn along.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mdapp.evaluate import Structure
from mdapp.model.box import Box
from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, energy_error, force_errors, largest

ENERGY = {"double": 1e-12, "mixed": 1e-6, "single": 1e-5, "bf16": 1e-2}
FORCE = {"double": 1e-10, "mixed": 1e-5, "single": 1e-4, "bf16": 1e-1}


def symmetry(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    worst: dict[str, tuple[float, float]] = {}
    for kind in bench.kinds():
        for name, s, other, turn in transformed(bench, kind):
            a, b = bench.evaluate(s, precision), bench.evaluate(other, precision)
            error_e = energy_error(b.energy, a.energy, a.energies)
            errors = force_errors(b.forces, a.forces @ turn)
            error_f = largest(errors)
            before = worst.get(name, (0.0, 0.0))
            worst[name] = max(before[0], error_e), max(before[1], error_f)
            found.note_worst(max(100 * error_e, error_f), Worst(
                other, int(errors.argmax()), f"{name}: energy {error_e:.2g}, force {error_f:.2g}"))
            found.natoms = max(found.natoms, len(s.x))
    for name, (error_e, error_f) in worst.items():
        found.measures += [
            below(f"{name}: energy", error_e, ENERGY[precision], "of sum |e|", relative=True),
            below(f"{name}: forces", error_f, FORCE[precision], "F_rms", relative=True)]
    return found


def transformed(bench: Bench, kind: str
                ) -> Iterator[tuple[str, Structure, Structure, NDArray[np.float64]]]:
    """(what, structure, the same transformed, matrix that its forces are multiplied by)."""
    s = bench.cluster(kind)
    one = np.eye(3)
    away = np.array([2**0.5, -(3**0.5), 5**0.5]) * bench.length
    yield "translation", s, bench.free(s.x + away, s.type), one
    turn = rotation(bench.random(f"symmetry {kind}"))
    yield "rotation", s, bench.free(s.x @ turn, s.type), turn
    yield "inversion", s, bench.free(-s.x, s.type), -one
    sheared = bench.bulk(kind, cells=2, shear=True)
    box = Box(sheared.box.lo @ turn, sheared.box.edges @ turn, sheared.box.periodic)
    yield "rotated cell", sheared, replace(sheared, x=sheared.x @ turn, box=box), turn


def rotation(random: np.random.Generator) -> NDArray[np.float64]:
    """A random rotation matrix."""
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    turn: NDArray[np.float64] = q if np.linalg.det(q) > 0 else q[:, ::-1]
    return turn
