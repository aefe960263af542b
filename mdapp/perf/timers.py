"""Named timers of the phases of a run, and their statistics over ranks."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from time import clock_gettime, perf_counter

import numpy as np
from mpi4py import MPI

PHASES = ("force", "neighbor", "halo", "integrate", "output", "checkpoint", "other")


class Span:
    """What `with timers(phase)` enters: adds the time inside to a phase."""

    __slots__ = ("phase", "seconds", "start")

    def __init__(self, seconds: dict[str, float], phase: str):
        self.seconds, self.phase, self.start = seconds, phase, 0.0

    def __enter__(self) -> None:
        self.start = perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds[self.phase] += perf_counter() - self.start


@dataclass
class Timers:
    """Seconds spent in each phase; `with timers("force"): ...` adds to one."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PHASES, 0.0))

    def __call__(self, phase: str) -> Span:
        """Context that adds its time to a phase; six are entered a step, so it is kept light."""
        return Span(self.seconds, phase)

    def reset(self) -> None:
        """Start again from zero."""
        self.seconds = dict.fromkeys(PHASES, 0.0)

    def over_ranks(self, comm: MPI.Comm, loop_s: float) -> dict[str, dict[str, float]]:
        """Minimum, mean and maximum of each phase over all ranks; collective.

        The phase `other` is what the loop took, `loop_s`, beyond the timed phases.
        """
        timed = sum(self.seconds[p] for p in PHASES if p != "other")
        self.seconds["other"] = max(0.0, loop_s - timed)
        mine = np.array([self.seconds[p] for p in PHASES])
        low, high, total = mine.copy(), mine.copy(), mine.copy()
        comm.Allreduce(MPI.IN_PLACE, low, MPI.MIN)
        comm.Allreduce(MPI.IN_PLACE, high, MPI.MAX)
        comm.Allreduce(MPI.IN_PLACE, total, MPI.SUM)
        return {p: {"min": float(low[k]), "avg": float(total[k]) / comm.size, "max": float(high[k])}
                for k, p in enumerate(PHASES)}


def process_age() -> float:
    """Seconds since the system started this process, imports included; NaN where not known."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        return clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, AttributeError, IndexError):
        return float("nan")
