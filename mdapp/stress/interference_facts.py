"""What the runs of the experiment say, as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.perf.overlap import noise_of, overlap
from mdapp.perf.statistics import paired_ratio
from mdapp.stress.interference import KINDS, Cadence, Run

PERCENTS = (50, 95, 99)
A_PER_ROUND = 3


def facts_of(cadence: Cadence, runs: Sequence[Run]) -> dict[str, Any]:
    """One cadence: times, eta, stalls, bandwidths, step times.

    Parameters
    ----------
    runs : in the order in which they were made
    """
    of = {kind: [r for r in runs if r.kind == kind] for kind in KINDS}
    alone = [r.seconds for r in of["A"]]
    rounds = [alone[k : k + A_PER_ROUND] for k in range(0, len(alone), A_PER_ROUND)]
    a = [float(np.median(one)) for one in rounds]
    b, c = ([r.seconds for r in of[k]] for k in "BC")
    noise = noise_of([pair for one in rounds for pair in pairwise(one)])
    eta = overlap(a, b, c, noise)
    hashes = {r.state_hash for k in "ABC" for r in of[k]}
    return {
        "load": cadence.load, "every": cadence.every, "count": cadence.count,
        "steps": cadence.steps, "trial_step_s": cadence.step_s, "trial_write_s": cadence.write_s,
        "seconds": {k: [r.seconds for r in of[k]] for k in KINDS}, "noise_s": noise,
        "eta": None if eta is None else eta.as_json(),
        "speed": {k: paired_ratio(a, t).as_json() for k, t in (("B", b), ("C", c))},
        "same_state": len(hashes) == 1, "state_hashes": sorted(hashes),
        "all_good": all(r.good for r in runs),
        "checkpoints": {k: checkpoint_facts(of[k]) for k in "BCD"},
        "loss": {k: bandwidth_loss(of[k], of["D"]) for k in "BC"},
        "step_s": step_facts(of),
        "peak_bytes": {k: max(r.peak_bytes for r in of[k]) for k in KINDS},
        "timeline": {k: {"step_s": of[k][0].steps.tolist(), "inside": of[k][0].inside.tolist()}
                     for k in "ABC"},
    }  # fmt: skip


def checkpoint_facts(runs: Sequence[Run]) -> dict[str, Any]:
    """Medians over all checkpoints of a kind, and the worst stall."""
    entries = [e for r in runs for e in r.checkpoints]

    def middle(key: str) -> float:
        return float(np.median([e[key] for e in entries])) if entries else float("nan")

    return {
        "number": len(entries), "bytes": entries[0]["bytes"] if entries else 0,
        "stall_s": middle("stall_s"), "worst_stall_s": max((e["stall_s"] for e in entries),
                                                           default=float("nan")),
        "total_s": middle("total_s"), "raw_gbytes_per_s": middle("gbytes_per_s"),
        "perceived_gbytes_per_s": middle("perceived_gbytes_per_s"),
    }  # fmt: skip


def bandwidth_loss(runs: Sequence[Run], alone: Sequence[Run]) -> Mapping[str, float]:
    """Raw bandwidth beside the forces over that without them, by rounds."""
    def each(of: Sequence[Run]) -> list[float]:
        return [float(np.median([e["gbytes_per_s"] for e in r.checkpoints])) for r in of]

    return paired_ratio(each(runs), each(alone)).as_json()


def step_facts(of: Mapping[str, Sequence[Run]]) -> list[dict[str, Any]]:
    """Percentiles of step times by kind, in and out of the windows in which is written."""
    rows = []
    for kind in "ABC":
        steps = np.concatenate([r.steps for r in of[kind]])
        inside = np.concatenate([r.inside for r in of[kind]])
        for where, chosen in (("outside", steps[~inside]), ("inside", steps[inside])):
            if len(chosen):
                rows.append({"run": kind, "where": where, "steps": len(chosen),
                             **percentiles(chosen)})
        outside = np.median(steps[~inside]) if (~inside).any() else float("nan")
        rows[-1]["slow_down_s"] = float((steps[inside] - outside).sum()) / len(of[kind])
    return rows


def percentiles(seconds: NDArray[np.float64]) -> dict[str, float]:
    """In s."""
    found = {f"p{p}": float(np.percentile(seconds, p)) for p in PERCENTS}
    return {**found, "max": float(seconds.max())}
