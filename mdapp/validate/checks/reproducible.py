"""10 reproducible: the same run twice has the same bits; threads change the order of sums only.

Runs of 100 steps, twice on each of several layouts of ranks and threads: the hash over ids,
positions, velocities, types and images must be the same. Other layouts agree as other numbers of
ranks do. Twenty evaluations with four threads must have the same bits: a race between threads would
be seen here sooner than in a run.
"""

from __future__ import annotations

import numpy as np

from mdapp.validate.bench import Bench
from mdapp.validate.checks.decomposition import HOT, MOVED
from mdapp.validate.measure import Finding, Worst, below
from mdapp.validate.real_runs import Case, run_cases, why_no_ranks
from mdapp.validate.runs import tables, write_start

STEPS, REPEATS, THREADS = 100, 20, 4


def reproducible(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    s = bench.bulk(bench.richest)
    found = Finding(natoms=len(s.x))
    races = 0
    if not bench.subject.serial:
        first = bench.evaluate(s, precision, threads=THREADS)
        for _ in range(REPEATS - 1):
            again = bench.evaluate(s, precision, threads=THREADS)
            races += (first.forces.tobytes() != again.forces.tobytes()
                      or first.energies.tobytes() != again.energies.tobytes())
    found.measures.append(below(f"of {REPEATS} evaluations, with other bits", float(races), 0.0))
    found.note_worst(float(races), Worst(s, what=f"{races} evaluations have other bits"))
    reason = why_no_ranks(bench)
    several = [p for p in bench.ranks if p > 1] if not reason else []
    layouts = [(1, 1), (1, 2), (1, 4), *((p, 1) for p in several[:1] + several[1:][-1:]),
               *((p, 2) for p in several[:1])]
    if bench.subject.serial:
        layouts = [(1, 1)]
    start = write_start(bench, s, "again")
    cases = [Case(f"r{p}-t{t}-{turn}", tables(bench, start, precision, steps=STEPS, part=HOT, run={
        "threads": t, "deterministic": bench.deterministic}), p)
        for p, t in layouts for turn in (1, 2)]
    if not launcher_or_one(cases):
        found.message = "runs: there is no mpirun on the PATH"
        return found
    ended = run_cases(bench, f"reproducible-{precision}", cases)
    failed = [f"{name}: {end.error}" for name, end in ended.items() if end.error]
    other, moved = [], 0.0
    for p, t in layouts:
        one, two = ended[f"r{p}-t{t}-1"], ended[f"r{p}-t{t}-2"]
        if one.error or two.error:
            continue
        if one.hash != two.hash:
            other.append(f"{p} ranks, {t} threads")
        base = ended["r1-t1-1"]
        if not base.error:
            moved = max(moved, float(np.abs(one.x - base.x).max()))
    found.ranks = max(case.ranks for case in cases)
    found.measures += [
        below("layouts whose second run has other bits", float(len(other)), 0.0),
        below("positions of other layouts", moved, MOVED[precision] * bench.length,
              bench.subject.units.length_label),
        below("runs that failed", float(len(failed)), 0.0)]
    found.message = "; ".join([*failed[:2], *(f"other bits on {name}" for name in other[:3])])
    if reason and not found.message:
        found.message = f"on one rank: {reason}"
    return found


def launcher_or_one(cases: list[Case]) -> bool:
    """Whether the runs can be started."""
    from mdapp.validate.real_runs import launcher

    return bool(cases) and bool(launcher())
