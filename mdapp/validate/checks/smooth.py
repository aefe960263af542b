"""16 smooth: energy and force end at the cutoff without a jump.

Two atoms, and one atom beside a piece of crystal, are brought to a cutoff from both sides, at
distances d of 1e-2 to 1e-6. Differences at one d say nothing, because a smooth function changes
over d as well; they are extrapolated to d = 0. The jump of the energy is taken at the declared
cutoffs and wherever the pair energy of two atoms begins to differ from that of two alone, which is
found by halving. The order of contact is the slope of log |E(rc - d) - E(far)| against log d: 2 and
more means continuous forces, 3 continuous stiffness.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mdapp.evaluate import Structure
from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, shown

APART = 10.0 ** -np.arange(2.0, 6.01, 0.5)
ENERGY = {"double": 1e-10, "mixed": 1e-5, "single": 1e-5, "bf16": 1e-2}
FORCE = {"double": 1e-8, "mixed": 1e-5, "single": 1e-5, "bf16": 1e-1}
BEYOND = 1.05
NEAR = 1e-3                        # of a cutoff: a smooth end cannot be told from it


def smooth(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    unit, worst_e, worst_f, orders = bench.length, 0.0, 0.0, []
    for crowd, place, others in settings(bench):
        here: Callable[[float], Structure] = place
        for rc in places(bench, here, precision, crowd):
            jumps = np.array([jump(bench, here, rc, d * unit, precision) for d in APART])
            de, df = limit(jumps[:, 0]), limit(jumps[:, 1])
            worst_e, worst_f = max(worst_e, de), max(worst_f, df)
            found.note_worst(de + df, Worst(
                here(rc), others, f"at {rc:.6g} the energy jumps by {de:.3g}, the force by "
                f"{df:.3g}"))
            if not crowd:
                orders.append(contact(bench, here, rc, precision))
    energy, force = bench.subject.units.energy_label, bench.force_label
    found.measures = [below("jump of the energy", worst_e, ENERGY[precision], energy),
                      below("jump of the force", worst_f, FORCE[precision], force)]
    seen = [o for o in orders if np.isfinite(o)]
    if seen:
        found.measures.append(shown("order of contact", min(seen)))
    found.data = {"cutoffs": list(bench.subject.cutoffs)}
    return found


def settings(bench: Bench) -> list[tuple[bool, Callable[[float], Structure], int]]:
    """(whether crowded, structure with the probed pair r apart, index of the atom that moves)."""
    count = len(bench.subject.species)

    def two(a: int, b: int) -> Callable[[float], Structure]:
        return lambda r: bench.free([[0.0, 0.0, 0.0], [r, 0.0, 0.0]], np.array([a, b]))

    listed = [(False, two(a, b), 1) for a in range(min(count, 3)) for b in range(a, min(count, 3))]
    crowd = bench.cluster(bench.richest, atoms=13)
    tip = int(crowd.x[:, 0].argmax())
    way = np.array([1.0, 0.08, -0.05]) / np.linalg.norm([1.0, 0.08, -0.05])

    def beside(r: float) -> Structure:
        """One more atom at the distance r from the outermost of a crowd."""
        return bench.free(np.concatenate([crowd.x, [crowd.x[tip] + r * way]]),
                          np.concatenate([crowd.type, crowd.type[:1]]))

    return [*listed, (True, beside, len(crowd.x))]


def places(bench: Bench, place: Callable[[float], Structure], precision: str, crowd: bool
           ) -> list[float]:
    """Distances to look at: the declared cutoffs, and where a pair begins to act."""
    if bench.subject.serial:
        return [] if crowd else [r for r in [onset(bench, place, precision, 4 * bench.reach)] if r]
    chosen = list(bench.subject.cutoffs)[:3]
    if not crowd:
        first = onset(bench, place, precision, BEYOND * bench.subject.potential.cutoff)
        if first and all(abs(first - rc) > NEAR * rc for rc in chosen):
            chosen.append(first)
    return chosen


def onset(bench: Bench, place: Callable[[float], Structure], precision: str, far: float
          ) -> float | None:
    """The largest distance at which the energy is not that of two atoms alone, by halving.

    Halving needs a function that is different below and the same beyond; a pair energy with a zero
    in between is different there by its last digit at least.
    """
    alone = bench.evaluate(place(far), precision).energy
    near = 0.6 * far
    if bench.evaluate(place(near), precision).energy == alone:
        return None
    for _ in range(60):
        middle = 0.5 * (near + far)
        if bench.evaluate(place(middle), precision).energy == alone:
            far = middle
        else:
            near = middle
    return near


def jump(bench: Bench, place: Callable[[float], Structure], rc: float, d: float, precision: str
         ) -> tuple[float, float]:
    """Differences of energy and of the largest force between rc - d and rc + d."""
    a, b = (bench.evaluate(place(rc + s * d), precision) for s in (-1, 1))
    energy = float((a.energies - b.energies).sum())
    return energy, float(np.linalg.norm(a.forces - b.forces, axis=1).max())


def limit(values: NDArray[np.float64]) -> float:
    """|value| at d = 0 of a function of d, from steps of half a decade.

    Smooth functions go to their limit linearly, and the last two decades give it. One that goes as
    a power of d, as bond orders do, is extrapolated by Aitken's rule, if its steps shrink; that
    moves the last value by no more than nine times its last step, so that a jump stays one.
    """
    first, second, last = values[-5], values[-3], values[-1]
    ratio = float(APART[-3] / APART[-1])
    found = [abs(last), abs((ratio * last - second) / (ratio - 1))]
    before, step = second - first, last - second
    if before != 0 and 0 < step / before < 0.9:
        found.append(abs(last - step * step / (step - before)))
    return float(min(found))


def contact(bench: Bench, place: Callable[[float], Structure], rc: float, precision: str) -> float:
    """Order of contact of a pair's energy at rc; infinite where nothing is left to fit."""
    beyond = bench.evaluate(place(BEYOND * rc), precision).energies
    d = 10.0 ** -np.arange(1.0, 4.01, 0.25) * bench.length
    e = np.array([abs(float((bench.evaluate(place(rc - s), precision).energies - beyond).sum()))
                  for s in d])
    good = e > 1e-13 * max(1.0, float(np.abs(beyond).max()))
    if good.sum() < 4:
        return np.inf
    last = np.flatnonzero(good)[-6:]
    return float(np.polyfit(np.log(d[last]), np.log(e[last]), 1)[0])
