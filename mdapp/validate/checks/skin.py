"""12 skin: what lists hold beyond the cutoff, and how old they are, must not matter.

Energies and forces are the same with lists that reach 0, a tenth and a third of the distance of
neighbours beyond the cutoff, and with a kernel that has been asked about another structure before:
one that keeps something of its last call is found out so. A run that makes its lists at each step,
at each tenth, and when half the skin is used up arrives at the same positions, without a dangerous
build.
"""

from __future__ import annotations

import numpy as np

from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, energy_error, force_errors, largest
from mdapp.validate.runs import simulation, unwrapped

ENERGY = {"double": 1e-12, "mixed": 1e-7, "single": 1e-6, "bf16": 1e-2}
FORCE = {"double": 1e-11, "mixed": 1e-6, "single": 1e-5, "bf16": 1e-1}
MOVED = {"double": 1e-8, "mixed": 1e-4, "single": 1e-3, "bf16": 1e-1}
SKINS = (0.0, 0.12, 0.4)
STEPS = 40


def skin(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    worst_e = worst_f = 0.0
    for kind in bench.kinds():
        for s in (bench.bulk(kind), bench.cluster(kind)):
            found.natoms = max(found.natoms, len(s.x))
            first = bench.evaluate(s, precision, kernel=bench.kernel(precision, fresh=True))
            points = [bench.evaluate(s, precision, skin=k * bench.crystal.distance)
                      for k in SKINS]
            other = bench.structure(s.box, np.roll(s.x, 1, axis=0) + 0.01 * bench.length, s.type)
            bench.evaluate(other, precision)
            points.append(bench.evaluate(s, precision))
            for point in points:
                error_e = energy_error(point.energy, first.energy, first.energies)
                errors = force_errors(point.forces, first.forces)
                worst_e, worst_f = max(worst_e, error_e), max(worst_f, largest(errors))
                found.note_worst(largest(errors), Worst(
                    s, int(errors.argmax()), f"force differs by {largest(errors):.2g}"))
    moved, dangerous = in_runs(bench, precision)
    found.measures = [
        below("energy", worst_e, ENERGY[precision], "of sum |e|", relative=True),
        below("forces", worst_f, FORCE[precision], "F_rms", relative=True),
        below(f"positions after {STEPS} steps", moved, MOVED[precision] * bench.length,
              bench.subject.units.length_label),
        below("dangerous builds", float(dangerous), 0.0)]
    return found


def in_runs(bench: Bench, precision: str) -> tuple[float, int]:
    """Largest distance between runs that make their lists at other times, and dangerous builds."""
    kind = bench.richest
    s = bench.bulk(kind)
    skin = 0.15 * bench.crystal.distance
    ends, dangerous = [], 0
    wide = 0.5 * bench.crystal.distance                     # enough for ten steps of any atom
    for neighbors in ({"every": 1, "check": False},
                      {"every": 10, "check": False, "skin": wide},
                      {"every": 1, "check": True}, {"every": 1, "check": True, "skin": 2 * skin}):
        with simulation(bench, s, precision, neighbors={"skin": skin, **neighbors}) as sim:
            sim.run(STEPS)
            ends.append(unwrapped(sim))
            if neighbors["check"]:
                dangerous += sim.trigger.dangerous
    return max(float(np.abs(end - ends[0]).max()) for end in ends[1:]), dangerous
