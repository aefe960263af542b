"""9 sums: nothing comes from nothing.

Forces of a periodic and of a free structure add up to zero, torques of the free one as well; shares
of atoms add up to the energy; over a run of 1000 steps (200 where a step takes long) the momentum
stays at zero. Kernels that compute a pair twice keep the third law by doing the same arithmetic
both ways round, which is a property to be tested.
"""

from __future__ import annotations

import math
import time

import numpy as np

from mdapp.validate.bench import Bench
from mdapp.validate.measure import FLOORS, Finding, Worst, below, force_norm
from mdapp.validate.runs import simulation
from potentials.base import Want

ZERO = {"double": 1e-10, "mixed": 1e-6, "single": 1e-5, "bf16": 1e-6}
SHARES = {"double": 1e-12, "mixed": 1e-12, "single": 1e-6, "bf16": 1e-6}
STEPS, FEW = 1000, 200
PATIENCE = 2.0e-3                   # seconds of a step up to which all of them are made


def sums(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    found = Finding()
    net = torque = shares = 0.0
    for kind in bench.kinds():
        for s in (bench.cluster(kind), bench.bulk(kind)):
            point = bench.evaluate(s, precision)
            found.natoms = max(found.natoms, len(s.x))
            norm = force_norm(point.forces) * math.sqrt(len(s.x))
            error = float(np.abs(total(point.forces)).max()) / norm
            found.note_worst(error, Worst(s, what=f"sum of forces {error:.2g}"))
            net = max(net, error)
            if not s.box.periodic.any():
                arm = s.x - s.x.mean(axis=0)
                size = float(np.linalg.norm(arm, axis=1).max())
                torque = max(torque, float(np.abs(total(np.cross(arm, point.forces))).max())
                             / (norm * size))
            totals = bench.evaluate(s, precision, want=Want.TOTALS).energy
            size = max(float(np.abs(point.energies).sum()), len(s.x) * FLOORS.energy_floor)
            shares = max(shares, abs(point.energy - point.total) / size,
                         abs(point.energy - totals) / size)
    found.measures = [
        below("sum of forces", net, ZERO[precision], "sqrt(N) F_rms", relative=True),
        below("torque", torque, ZERO[precision], "sqrt(N) F_rms R"),
        below("atoms' energies against the total", shares, SHARES[precision], "of sum |e|")]
    found.measures.append(below("momentum after a run", drift(bench, precision),
                                ZERO[precision] * 10, "sqrt(N) p_rms"))
    return found


def total(f: np.ndarray) -> np.ndarray:
    """(3,) sum, rounded once."""
    return np.array([math.fsum(c) for c in f.T])


def drift(bench: Bench, precision: str) -> float:
    """Momentum that a run from rest of the whole gains, over sqrt(N) of an atom's."""
    kind = bench.richest
    with simulation(bench, bench.bulk(kind), precision) as sim:
        sim.run(1)
        began = time.perf_counter()
        sim.run(20)
        few = (time.perf_counter() - began) / 20 > PATIENCE
        sim.run((FEW if few else STEPS) - 21)
        n = sim.atoms.nlocal
        p = sim.atoms.v[:n] * sim.atoms.mass[sim.atoms.type[:n]][:, None]
        size = math.sqrt(n) * max(math.sqrt(float((p**2).sum(axis=1).mean())), 1e-12)
        return float(np.abs(total(p)).max()) / size
