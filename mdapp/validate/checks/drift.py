"""14 nve_drift: the total energy of a run at constant energy does not drift.

A solid and a hot crystal of some 500 atoms are run at the default time step for 50 ps (23 tau), or
as long as the check's time allows. After a tenth of it a line is fitted to the total energy of an
atom, sampled each tenth step; the standard error of its slope counts the autocorrelation of the
residuals. The drift ratio is |slope x time| over the fluctuation of the kinetic energy. A slope
fails only where it exceeds its limit by three standard errors; where the standard error is more
than a third of the limit nothing was seen, and that is said.
"""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.validate.bench import Bench
from mdapp.validate.measure import Finding, Measure, Worst, below, shown
from mdapp.validate.runs import simulation

LIMIT = {"double": 1.0, "mixed": 10.0, "single": 10.0, "bf16": 10.0}       # meV / atom / ns
WARN = {"double": 10.0, "mixed": 52.0, "single": 52.0, "bf16": 52.0}
REDUCED = 2.1e-4                  # epsilon / atom / tau that 1 meV / atom / ns is, for argon
PARTS = {"solid": 0.01, "hot": 0.05}                                 # kT over what binds an atom
LENGTH = {"lj": 23.0, "metal": 50.0}                                 # tau, ps
SAMPLE, CELLS = 10, 5


def nve_drift(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    units = bench.subject.units
    s = bench.bulk(bench.richest, edge=max(2.2 * bench.reach, CELLS * bench.crystal.constant))
    found = Finding(natoms=len(s.x), worst=Worst(s, what="the start of the runs"))
    to_limit = 1e6 if units.name == "metal" else 1 / REDUCED          # slope to meV / atom / ns
    curves: list[dict[str, Any]] = []
    for name, part in PARTS.items():
        t, total, kinetic = sampled(bench, s, precision, part)
        keep = t >= 0.1 * t[-1]
        t, total, kinetic = t[keep], total[keep], kinetic[keep]
        slope, error = fitted(t, total)
        drift, se = abs(slope) * to_limit, error * to_limit
        limit, warn = LIMIT[precision], WARN[precision]
        good = drift - 3 * se <= limit
        found.measures.append(Measure(
            f"{name}: drift", drift, limit, "meV/atom/ns", bool(good),
            warn=warn + 3 * se, stderr=se, limit=3 * se))
        ratio = abs(slope) * float(np.ptp(t)) / max(float(kinetic.std()), 1e-300)
        found.measures.append(below(f"{name}: drift over fluctuation", ratio, 1.0))
        found.measures.append(shown(f"{name}: time", float(t[-1]), units.time_label))
        if se > limit / 3 and good:
            found.unresolved = (f"{name}: the standard error {se:.2g} of the drift is more than a "
                                f"third of {limit:g} meV/atom/ns; the run is too short")
        thin = slice(None, None, max(1, len(t) // 400))
        curves.append({"name": name, "t": t[thin].tolist(),
                       "energy": (total - total[0])[thin].tolist(), "slope": slope,
                       "stderr": error, "ratio": ratio})
    found.data = {"runs": curves, "time": units.time_label, "energy": units.energy_label,
                  "precision": precision}
    return found


def sampled(bench: Bench, s: Any, precision: str, part: float
            ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Times, total and kinetic energies of an atom."""
    units = bench.subject.units
    every = {"every": SAMPLE}
    with simulation(bench, s, precision, part=part, more={"thermo": every}) as sim:
        steps = int(LENGTH[units.name] / sim.deck.run.timestep)
        began, done = time.monotonic(), 0
        while done < steps and time.monotonic() - began < bench.patience:
            sim.run(min(SAMPLE * 20, steps - done))
            done += min(SAMPLE * 20, steps - done)
        rows = {row["step"]: row for row in sim.thermo.rows}
    share = 1.0 if units.thermo_normalised else 1.0 / len(s.x)
    t, pe, ke = (np.array([row[key] for row in rows.values()], np.float64)
                 for key in ("time", "pe", "ke"))
    return t, (pe + ke) * share, ke * share


def fitted(t: NDArray[np.float64], e: NDArray[np.float64]) -> tuple[float, float]:
    """Slope of a line and its standard error, correlated samples counted as fewer."""
    if len(t) < 8:
        return 0.0, math.inf
    x = t - t.mean()
    slope = float((x * (e - e.mean())).sum() / (x**2).sum())
    rest = e - e.mean() - slope * x
    variance = float((rest**2).sum() / (len(t) - 2))
    return slope, math.sqrt(variance / float((x**2).sum()) * correlation(rest))


def correlation(rest: NDArray[np.float64]) -> float:
    """1 + 2 sum of the autocorrelation up to its first zero."""
    size = float((rest**2).sum())
    if size == 0.0:
        return 1.0
    total = 1.0
    for lag in range(1, len(rest) // 3):
        rho = float((rest[:-lag] * rest[lag:]).sum()) / size
        if rho <= 0:
            break
        total += 2 * rho
    return total
