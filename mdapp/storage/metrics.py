"""What a checkpoint cost: one JSON line for each attempt, committed or not.

Seconds of each phase are given as least, mean and largest over the ranks. Two bandwidths matter and
differ: `gbytes_per_s`, raw, from the first write to the last fsync, says what the storage can do;
`perceived_gbytes_per_s` divides by the time the simulation stood still. The run adds what only it
knows: `canonical_s`, the wall times of its steps, `slow_down_s` (`mdapp.perf.step_times`).

A checkpoint that was not begun, since another was in flight, has a line as well. So has a restart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.storage.files import FileSystem

SCHEMA = "mdapp-checkpoint-metrics"
VERSION = 1
# Spent on every rank; the order is that of the reduction.
PHASES = (
    "agree_s", "snapshot_s", "create_s", "crc_s", "write_s", "flush_s", "fsync_s", "verify_s",
)  # fmt: skip
ROOT_PHASES = ("manifest_s", "publish_s", "retention_s")


@dataclass
class Outcome:
    """What became of one checkpoint.

    Attributes
    ----------
    step, uuid : which
    result : committed, present (the same state was there), undurable (published, but the fsync of
        the folder failed), or failed
    path : of the committed checkpoint
    state_hash : 32 hexadecimal digits
    metrics : the line of the log
    warnings : what went wrong without harm
    """

    step: int
    uuid: str
    result: str
    path: Path
    state_hash: str
    metrics: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Entry of `checkpoints` in the report of a run: the line of the log, shortened.

        Of phases the largest of all ranks is left.
        """
        line = {"step": self.step, "result": self.result, **self.metrics}
        return {k: v["max"] if k in PHASES else v for k, v in line.items() if k != "when"}


def totals(entries: Sequence[Mapping[str, Any]], run_s: float) -> dict[str, Any]:
    """Sums over the checkpoints of a run.

    Parameters
    ----------
    entries
        As `Outcome.summary`, and of those that were not written `step` and `result`.
    run_s
        Wall time of the run, s.
    """
    def count(*results: str) -> int:
        return sum(e["result"] in results for e in entries)

    def total(name: str) -> float:
        return float(sum(e.get(name, 0.0) for e in entries))

    written = [e for e in entries if e.get("gbytes_per_s")]
    nbytes = sum(e["bytes"] for e in written)
    stall_s = total("stall_s")
    return {
        "committed": count("committed", "undurable"), "failed": count("failed"),
        "skipped": count("skipped", "coalesced"), "bytes": nbytes,
        "stall_s": stall_s, "canonical_s": total("canonical_s"),
        "slow_down_s": total("slow_down_s"),
        "stalled_share": stall_s / run_s if run_s > 0 else 0.0,
        "gbytes_per_s": gbytes_per_s(
            nbytes, sum(e["bytes"] / e["gbytes_per_s"] for e in written) / 1e9),
        "perceived_gbytes_per_s": gbytes_per_s(nbytes, stall_s),
    }  # fmt: skip


def spread_over_ranks(comm: MPI.Comm, seconds: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Least, mean and largest of each phase over the ranks; collective."""
    mine = np.array([seconds.get(name, 0.0) for name in PHASES])
    both, total = np.concatenate([mine, -mine]), mine.copy()
    comm.Allreduce(MPI.IN_PLACE, both, MPI.MAX)
    comm.Allreduce(MPI.IN_PLACE, total, MPI.SUM)
    n = len(PHASES)
    return {
        name: {"min": float(-both[n + k]), "mean": float(total[k] / comm.size),
               "max": float(both[k])}
        for k, name in enumerate(PHASES)
    }  # fmt: skip


def gbytes_per_s(nbytes: int, seconds: float) -> float:
    """Bandwidth in units of 1e9 bytes/s."""
    return nbytes / seconds / 1e9 if seconds > 0 else 0.0


def append_line(fs: FileSystem, path: Path, line: Mapping[str, Any]) -> str:
    """Add a line to a log; returns why it could not, empty if it could."""
    text = json.dumps({"schema": SCHEMA, "version": VERSION, **line}, sort_keys=True)
    try:
        fs.append(path, text.encode() + b"\n")
    except OSError as error:
        return f"{path}: no metrics written: {error}"
    return ""
