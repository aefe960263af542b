"""17 dimer: two atoms alone have one minimum, and a wall that keeps them apart.

Energy and force of every pair of species on a grid of 0.01 (of an Angstrom, or a 250th of the
distance of neighbours), as in MLIP Arena: forces below 10 meV/A and steps below 1 meV count as
none; the force changes its sign once at most, there is one minimum at most; tortuosity, the way up
and down over the depth, is 1. From 0.8 of the distance of neighbours outwards. The force is held
against central differences of the double energy, of steps that are no multiple of the grid's, where
the energy is less than 10 above its minimum. The wall must rise down to half the distance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.evaluate import Structure
from mdapp.validate.bench import Bench
from mdapp.validate.measure import Fault, Finding, Measure, Worst, below, shown

GRID = 0.01
HALF = {"double": 0.0013, "mixed": 0.9, "single": 0.9, "bf16": 0.9}  # of the grid: differences
NO_FORCE, NO_STEP = 1e-2, 1e-3
TORTUOUS, TORTUOUS_LEARNED = 1.001, 1.05
DERIVATIVE, HIGH = 1e-3, 10.0
FALLING = -0.99
INNER, WALL = 0.8, 0.5                # of the distance of neighbours
MOST_SPECIES = 4


def dimer(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding(natoms=2)
    count = min(len(bench.subject.species), MOST_SPECIES)
    tortuous = TORTUOUS_LEARNED if bench.subject.learned else TORTUOUS
    curves: list[dict[str, Any]] = []
    for a in range(count):
        for b in range(a, count):
            name = f"{bench.subject.species[a]}-{bench.subject.species[b]}"
            r, e, f, slope = scanned(bench, a, b, precision)
            found.measures += judged(name, r, e, f, slope, bench, tortuous)
            bad = sum(m.ok is False for m in found.measures)
            found.note_worst(float(bad), Worst(
                bench.free([[0, 0, 0], [r[int(e.argmin())], 0, 0]], [a, b]),
                what=f"{name} at its lowest energy"))
            thin = slice(None, None, max(1, len(r) // 300))
            curves.append({"pair": name, "r": r[thin].tolist(), "energy": e[thin].tolist(),
                           "force": f[thin].tolist()})
    found.data = {"curves": curves, "cutoff": bench.subject.potential.cutoff}
    return found


def scanned(bench: Bench, a: int, b: int, precision: str
            ) -> tuple[NDArray[np.float64], ...]:
    """Distances, energies, forces that drive the atoms apart, and slopes of the energy.

    Raises
    ------
    Fault : not a number, with the distance
    """
    d, step = bench.crystal.distance, GRID * bench.length
    far = min(1.2 * bench.reach, max(6.0 * bench.length, 1.5 * d))
    r = np.arange(WALL * d, far, step)
    energies, forces, slopes = [], [], []
    exact = "double" if "double" in bench.subject.potential.precisions else precision
    half = HALF[exact] * step

    def two(distance: float) -> Structure:
        return bench.free([[0.0, 0.0, 0.0], [distance, 0.0, 0.0]], [a, b])

    for distance in r.tolist():
        s = two(distance)
        try:
            point = bench.evaluate(s, precision)
            ends = [bench.evaluate(two(distance + h), exact).energy for h in (-half, half)]
        except Fault as fault:
            raise Fault(f"at the distance {distance:.4g} {fault}", s) from None
        energies.append(point.energy)
        forces.append(point.forces[1, 0])
        slopes.append((ends[1] - ends[0]) / (2 * half))
    return r, np.array(energies), np.array(forces), np.array(slopes)


def judged(name: str, r: NDArray[np.float64], e: NDArray[np.float64], f: NDArray[np.float64],
           slope: NDArray[np.float64], bench: Bench, tortuous: float) -> list[Measure]:
    """The measures of a pair."""
    outer = r >= INNER * bench.crystal.distance
    signs = np.sign(np.where(np.abs(f[outer]) < NO_FORCE, 0, f[outer]))
    steps = np.diff(e[outer])
    ways = np.sign(np.where(np.abs(steps) < NO_STEP, 0, steps))
    minima = int(((changes(ways) > 0)).sum())
    lowest = e[outer].min()
    depth = abs(e[outer][0] - lowest) + abs(e[outer][-1] - lowest)
    winding = float(np.abs(steps).sum() / depth) if depth > NO_STEP else 1.0
    low = (e - e.min() < HIGH) & ~near_cutoffs(bench, r, r[1] - r[0])
    off = float(np.abs(f + slope)[low].mean()) if low.any() else 0.0
    wall = r <= r[int(e[outer].argmin() + (~outer).sum())]
    measures = [
        below(f"{name}: force changes its sign", float((changes(signs) != 0).sum()), 1.0),
        below(f"{name}: minima", float(minima), 1.0),
        below(f"{name}: tortuosity", winding, tortuous),
        below(f"{name}: mean |F + dE/dr|", off, DERIVATIVE, bench.force_label)]
    if wall.sum() > 5 and np.ptp(e[wall]) > NO_STEP:
        fall = ranks_correlation(r[wall], e[wall])
        measures.append(Measure(f"{name}: rank correlation of the wall", fall, FALLING, "",
                                bool(fall <= FALLING)))
    else:
        measures.append(shown(f"{name}: no wall", 0.0))
    return measures


def changes(signs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Differences of the signs that are not zero: +2 from down to up, -2 from up to down."""
    return np.diff(signs[signs != 0])


def near_cutoffs(bench: Bench, r: NDArray[np.float64], width: float) -> NDArray[np.bool_]:
    """Whether a difference over the grid would reach over a cutoff."""
    near = np.zeros(len(r), bool)
    for rc in bench.subject.cutoffs:
        near |= np.abs(r - rc) <= width
    return near


def ranks_correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Spearman's: the correlation of the ranks."""
    x, y = (np.argsort(np.argsort(v, kind="stable"), kind="stable") * 1.0 for v in (a, b))
    return float(np.corrcoef(x, y)[0, 1])
