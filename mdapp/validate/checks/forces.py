"""2 forces_fd: F against -dE/dx.

Central differences over steps of 1e-2 to 1e-6 (of an Angstrom, or a fortieth of the distance of
neighbours) in half decades, Richardson's extrapolation of each two that follow. Errors are h^4 for
long steps and rounding over h for short ones; between them lies a plateau, whose best value counts
and which must be two decades wide. Differences are taken atom by atom and then added, so that only
the energies that change bring rounding. Atoms are drawn from all species, the largest and the
smallest forces among them; one whose displacement would carry a pair over a cutoff is passed over,
because a truncated potential is judged by check 16, not here.

Forces of lower precision are held against differences of the double energy, where there is one:
those of an energy in single precision could not see better than 1e-4.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mdapp.evaluate import Structure
from mdapp.neighbors.images import with_images
from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, force_norm, shown

STEPS = 10.0 ** -np.arange(2.0, 6.01, 0.5)
THRESHOLD = {"double": 1e-6, "mixed": 1e-4, "single": 7e-4, "bf16": 7e-4}
COMPONENTS = 36                     # at least, over all structures
PLATEAU = 3                         # extrapolations in a row, each of two steps: two decades


def forces_fd(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    structures = [s for kind in bench.kinds() for s in (bench.cluster(kind), bench.bulk(kind))]
    atoms = max(2, -(-COMPONENTS // (3 * len(structures))))
    curves, moved, passed_over = [], 0, 0
    energy_in = "double" if "double" in bench.subject.potential.precisions else precision
    for s in structures:
        point = bench.evaluate(s, precision)
        norm = force_norm(point.forces)
        chosen, crossing = movable(bench, s, point.forces, atoms)
        passed_over += crossing
        for atom in chosen:
            for axis in range(3):
                errors = component(bench, s, atom, axis, energy_in) + point.forces[atom, axis]
                curve = np.abs(errors) / norm
                curves.append(curve)
                moved += 1
                found.note_worst(float(curve.min()), Worst(
                    s, atom, f"component {'xyz'[axis]} differs by {curve.min():.3g}"))
        found.natoms = max(found.natoms, len(s.x))
    if not curves:
        return Finding(skipped="no atom can be moved without a pair crossing a cutoff")
    steps = STEPS[1:] * bench.length
    curve = np.max(curves, axis=0)
    threshold = THRESHOLD[precision]
    error = float(curve.min())
    found.measures = [below("largest error of a force", error, threshold, "F_rms", relative=True),
                      shown("components", moved), shown("passed over at cutoffs", passed_over)]
    wide = longest_run(curve <= threshold)
    found.data = {"h": steps.tolist(), "error": curve.tolist(), "threshold": threshold}
    if error <= threshold and wide < PLATEAU and precision == "double":
        found.unresolved = (f"the error is below {threshold:g} over {wide} extrapolations only: no "
                            "plateau of two decades")
    return found


def movable(bench: Bench, s: Structure, forces: NDArray[np.float64], count: int
            ) -> tuple[list[int], int]:
    """Atoms of all species, of large and small forces, that no cutoff is near; how many are not."""
    near = at_cutoff(bench, s, 1.5 * STEPS[0] * bench.length)
    size = np.linalg.norm(forces, axis=1)
    chosen: list[int] = []
    groups = [np.flatnonzero((s.type == t) & ~near) for t in np.unique(s.type)]
    groups = [group[np.argsort(size[group], kind="stable")] for group in groups if len(group)]
    share = -(-count // max(len(groups), 1))
    for group in groups:
        places = np.unique(np.linspace(0, len(group) - 1, share).round().astype(int))
        chosen += group[places].tolist()
    return chosen, int(near.sum())


def at_cutoff(bench: Bench, s: Structure, width: float) -> NDArray[np.bool_]:
    """(n,) whether an atom has a partner whose distance is within `width` of a cutoff."""
    near = np.zeros(len(s.x), bool)
    if bench.subject.serial:
        return near
    distances, first = pair_distances(bench, s)
    for rc in bench.subject.cutoffs:
        near[first[np.abs(distances - rc) < width]] = True
    return near


def pair_distances(bench: Bench, s: Structure) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances up to a little beyond the cutoff, and the atom that each is of."""
    reach = 1.05 * bench.subject.potential.cutoff
    images = with_images(s.box, s.x, reach)
    d2, first = [], []
    n = len(s.x)
    for k in range(n):
        r2 = ((images.x - images.x[k]) ** 2).sum(axis=1)
        close = np.flatnonzero((r2 < reach**2) & (r2 > 0))
        d2.append(r2[close])
        first.append(np.full(len(close), k))
    if not d2:
        return np.empty(0), np.empty(0, np.int64)
    return np.sqrt(np.concatenate(d2)), np.concatenate(first)


def component(bench: Bench, s: Structure, atom: int, axis: int, precision: str
              ) -> NDArray[np.float64]:
    """(len(STEPS) - 1,) extrapolated derivatives of the energy."""
    def energies(step: float) -> NDArray[np.float64]:
        x = s.x.copy()
        x[atom, axis] += step
        return bench.evaluate(replace(s, x=x), precision).energies

    return extrapolated(energies, STEPS * bench.length)


def extrapolated(energies: object, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """(len(steps) - 1,) derivatives at 0 of the sum of per-atom energies(h)."""
    slopes = np.array([float((energies(h) - energies(-h)).sum()) / (2 * h)  # type: ignore[operator]
                       for h in steps])
    ratio2 = (steps[:-1] / steps[1:]) ** 2
    result: NDArray[np.float64] = (ratio2 * slopes[1:] - slopes[:-1]) / (ratio2 - 1)
    return result


def longest_run(good: NDArray[np.bool_]) -> int:
    """How many in a row are good."""
    best = run = 0
    for value in good:
        run = run + 1 if value else 0
        best = max(best, run)
    return best
