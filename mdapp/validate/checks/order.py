"""15 order: the time step errs by its square, and a run can be run backwards.

The total energy of a run fluctuates by an amount that velocity Verlet makes proportional to the
square of the time step, if forces are smooth: over the same time with steps dt, dt/2 and dt/4 the
exponent must be 2. And 200 steps forward, velocities turned round, 200 steps: atoms are where they
were.
"""

from __future__ import annotations

import numpy as np

from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Worst, below, shown
from mdapp.validate.runs import simulation, unwrapped

EXPONENT, OFF = 2.0, 0.3
STEPS = 100                          # of the longest time step
BACK = 200
RETURN = 1e-8
PART = 0.01


def order(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    s = bench.bulk(bench.richest)
    found = Finding(natoms=len(s.x), worst=Worst(s, what="the start of the runs"))
    spreads = []
    longest = bench.subject.units.default_timestep
    share = 1.0 if bench.subject.units.thermo_normalised else 1.0 / len(s.x)
    for part in (1, 2, 4):
        with simulation(bench, s, precision, part=PART, run={"timestep": longest / part},
                        more={"thermo": {"every": part}}) as sim:
            sim.run(STEPS * part)
            total = [(row["pe"] + row["ke"]) * share for row in sim.thermo.rows]
        spreads.append(float(np.std(total)))
    exponent = float(np.log2(spreads[0] / spreads[2]) / 2) if spreads[2] > 0 else 0.0
    with simulation(bench, s, precision, part=PART) as sim:
        before = unwrapped(sim)
        sim.run(BACK)
        sim.atoms.v[:sim.atoms.nlocal] *= -1
        sim.run(BACK)
        back = float(np.abs(unwrapped(sim) - before).max())
    found.measures = [
        below("exponent of the time step, off 2", abs(exponent - EXPONENT), OFF),
        below(f"{BACK} steps forward and back", back, RETURN * bench.length,
              bench.subject.units.length_label),
        shown("exponent", exponent)]
    found.data = {"timestep": [longest / k for k in (1, 2, 4)], "spread": spreads}
    return found
