"""3 virial_fd: W against the derivative of the energy by strain.

Coordinates and cell are strained together, six ways, in a rectangular and in a triclinic cell, by
central differences with Richardson's extrapolation over steps from 3e-4 downwards. Structures are
drawn until none has a pair that a strain carries over a cutoff; where there is none, steps are
shorter. Also: virials of atoms add up to the total that the kernel sums itself; the trace is three
times the derivative by uniform scaling, as a pressure that is minus dE/dV must be; and the energy
does not change under a small rotation, which is what a symmetric virial means. (The engine keeps
six components: an antisymmetric part could not even be written down.)

A potential without a virial must raise. One that returns zeros fails here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mdapp.derivatives import VOIGT
from mdapp.evaluate import Structure
from mdapp.model.box import Box
from mdapp.validate.bench import Bench, Point
from mdapp.validate.checks.forces import extrapolated, pair_distances
from mdapp.validate.measure import FLOORS, Finding, Worst, below, shown, virial_error
from potentials.base import Want

DERIVATIVE = {"double": 1e-6, "mixed": 1e-4, "single": 1e-3, "bf16": 1e-3}
SUM = {"double": 1e-12, "mixed": 1e-10, "single": 1e-5, "bf16": 1e-10}
STRAINS = (3e-4, 1e-4, 3e-5)                 # largest steps, tried in this order
LADDER = np.array([1.0, 10**-0.5, 0.1, 10**-1.5])
ATTEMPTS = 40


def virial_fd(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    energy_in = "double" if "double" in bench.subject.potential.precisions else precision
    worst = {"strain": 0.0, "pressure": 0.0, "sum": 0.0, "rotation": 0.0}
    largest_step = STRAINS[0]
    for kind in bench.kinds():
        for shear in (False, True):
            s, step = uncrossed(bench, kind, shear)
            largest_step = min(largest_step, step)
            point = bench.evaluate(s, precision)
            found.natoms = max(found.natoms, len(s.x))
            steps = step * LADDER
            def along(direction: NDArray[np.float64], s: Structure = s,
                      steps: NDArray[np.float64] = steps) -> NDArray[np.float64]:
                return extrapolated(strained(bench, s, direction, energy_in), steps)

            w = np.array([along(symmetric(a, b)) for a, b in VOIGT])
            error = best(-w, point.virial, len(s.x))
            found.note_worst(error, Worst(s, what=f"virial differs by {error:.3g}"))
            worst["strain"] = max(worst["strain"], error)
            trace = -along(np.eye(3))
            norm = max(float(np.linalg.norm(point.virial)), len(s.x) * FLOORS.virial_floor)
            worst["pressure"] = max(worst["pressure"], float(
                np.abs(trace - point.virial[:3].sum()).min() / norm))
            worst["sum"] = max(worst["sum"], sums_error(bench, s, point, precision))
            if not shear and not bench.subject.external_field:
                turn = max(float(np.abs(along(antisymmetric(a, b))).min()) for a, b in VOIGT[3:])
                worst["rotation"] = max(worst["rotation"], turn / norm)
    found.measures = [
        below("virial against strain", worst["strain"], DERIVATIVE[precision], "|W|",
              relative=True),
        below("pressure against -dE/dV", worst["pressure"], DERIVATIVE[precision], "|W|",
              relative=True),
        below("sum of atoms' virials against the total", worst["sum"], SUM[precision], "|W|"),
        below("change of the energy by rotation", worst["rotation"], DERIVATIVE[precision], "|W|"),
        shown("largest strain", largest_step)]
    return found


def uncrossed(bench: Bench, kind: str, shear: bool) -> tuple[Structure, float]:
    """A periodic structure and the largest strain that carries no pair over a cutoff."""
    base = bench.bulk(kind, cells=2, shear=shear)
    random = bench.random(f"virial {kind} {shear}")
    if bench.subject.serial:
        return base, STRAINS[0]
    for strain in STRAINS:
        for _ in range(ATTEMPTS):
            nudge = random.uniform(-1, 1, base.x.shape) * 0.02 * bench.crystal.distance
            s = replace(base, x=base.x + nudge)
            distances, _ = pair_distances(bench, s)
            if all(np.abs(distances - rc).min(initial=np.inf) > 3 * strain * rc
                   for rc in bench.subject.cutoffs):
                return s, strain
    return base, STRAINS[-1]


def strained(bench: Bench, s: Structure, direction: NDArray[np.float64], precision: str
             ) -> Callable[[float], NDArray[np.float64]]:
    """Per-atom energies as a function of the size of a strain."""
    def energies(size: float) -> NDArray[np.float64]:
        m = np.eye(3) + size * direction
        box = Box(s.box.lo @ m, s.box.edges @ m, s.box.periodic)
        return bench.evaluate(replace(s, box=box, x=s.x @ m), precision).energies

    return energies


def symmetric(a: int, b: int) -> NDArray[np.float64]:
    """Unit strain of a component."""
    m = np.zeros((3, 3))
    m[a, b] += 0.5
    m[b, a] += 0.5
    return m


def antisymmetric(a: int, b: int) -> NDArray[np.float64]:
    """Unit rotation about the third axis."""
    m = np.zeros((3, 3))
    m[a, b], m[b, a] = 1.0, -1.0
    return m


def best(w: NDArray[np.float64], virial: NDArray[np.float64], n: int) -> float:
    """Error of the best step; w (6, steps)."""
    return min(virial_error(virial, column, n) for column in w.T)


def sums_error(bench: Bench, s: Structure, point: Point, precision: str) -> float:
    """Atoms' virials against the totals, those of the same call and of one that has no atoms'."""
    totals = bench.evaluate(s, precision, want=Want.TOTALS)
    assert point.total_virial is not None
    size = max(float(np.abs(point.virials).sum()), len(s.x) * FLOORS.virial_floor)
    return max(float(np.abs(total - point.virial).max())
               for total in (point.total_virial, totals.virial)) / size
