"""11 restart: a run that goes on from a checkpoint is the run that was never stopped.

A run of 2 k steps writes a checkpoint after k. Runs from that checkpoint end (a) on as many ranks
with the same bits, (b) on another number with a state that has the same hash at the restart and
agrees at the end as other numbers of ranks do, (c) through another engine and layout of files with
the same bits again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mdapp.validate.bench import Bench
from mdapp.validate.checks.decomposition import HOT, MOVED
from mdapp.validate.measure import Finding, Worst, below
from mdapp.validate.real_runs import Case, run_cases, why_no_ranks
from mdapp.validate.runs import tables, write_start

HALF = 50
OTHER_FILES: dict[str, Any] = {"layout": "aggregated", "group": 2, "engine": "h5py"}


def restart(bench: Bench, precision: str) -> Finding:
    """See the head of the module."""
    reason = why_no_ranks(bench)
    if reason:
        return Finding(skipped=reason)
    s = bench.bulk(bench.richest)
    start = write_start(bench, s, "restart")
    several = [p for p in bench.ranks if p > 1]
    few, many = several[0], several[-1] if len(several) > 1 else 1
    name = f"restart-{precision}"
    folder = (bench.folder / name).resolve()

    def case(title: str, ranks: int, source: str = "", **options: Any) -> Case:
        deck = tables(bench, start, precision, steps=2 * HALF, part=HOT, run={
            "deterministic": bench.deterministic}, more={
                "checkpoint": {"every": HALF, "keep_last": 4, **options}})
        place = f"{folder}/{source}/checkpoints/step-{HALF:012d}" if source else None
        return Case(title, deck, ranks, restart=place)

    cases = [case("whole", few), case("same", few, "whole"), case("other", many, "whole"),
             case("one", 1, "whole"), case("whole-files", few, **OTHER_FILES),
             case("files", few, "whole-files", **OTHER_FILES)]
    ended = run_cases(bench, name, cases)
    found = Finding(natoms=len(s.x), ranks=max(c.ranks for c in cases), worst=Worst(
        s, what="the start of the runs"))
    failed = [f"{title}: {end.error}" for title, end in ended.items() if end.error]
    whole = ended["whole"]
    bits, starts, moved = [], set(), 0.0
    for title in ("same", "other", "one", "files"):
        end = ended[title]
        if end.error or whole.error:
            continue
        starts.add(end.hash0)
        moved = max(moved, float(np.abs(end.x - whole.x).max()))
        if title in ("same", "files") and end.hash != whole.hash:
            bits.append(title)
    found.measures = [
        below("restarts on as many ranks with other bits", float(len(bits)), 0.0),
        below("states at the restart, beyond one", float(max(len(starts) - 1, 0)), 0.0),
        below("positions on other ranks", moved, MOVED[precision] * bench.length,
              bench.subject.units.length_label),
        below("runs that failed", float(len(failed)), 0.0)]
    found.message = "; ".join([*failed[:2], *(f"other bits: {title}" for title in bits)])
    return found
