"""Rounds: everything once a round, in an order that a seed decides."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpi4py import MPI

from mdapp.perf.statistics import Interval, paired_ratio

Samples = dict[str, list[float]]


@dataclass
class Bench:
    """Where and with what is measured; `samples` are seconds by name, one a round."""

    comm: MPI.Intracomm
    folder: Path
    natoms: int
    rounds: int
    rng: random.Random
    samples: Samples = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, seconds: float) -> None:
        """Add a measurement, the largest of all ranks."""
        self.samples.setdefault(name, []).append(self.comm.allreduce(seconds, MPI.MAX))

    def timed(self, name: str, function: Callable[[], Any]) -> Any:
        """Call on all ranks together, and note how long the slowest took."""
        self.comm.Barrier()
        began = time.perf_counter()
        result = function()
        self.note(name, time.perf_counter() - began)
        return result

    def each_round(self, work: dict[str, Callable[[], None]]) -> None:
        """Do everything once a round, in an order of that round."""
        for _ in range(self.rounds):
            order = list(work)
            self.rng.shuffle(order)
            for name in order:
                work[name]()

    def ratio(self, over: str, under: str) -> Interval | None:
        """Median of one over median of another, if both were measured."""
        if over not in self.samples or under not in self.samples:
            return None
        return paired_ratio(self.samples[over], self.samples[under])
