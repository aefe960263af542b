"""What the checkpoints of a run came to, and what they cost it.

The store measures what it does. What only the run knows is kept here: how long it took to bring the
state into order, how its steps fared while a writer was at work, how often a checkpoint fell due
while the last was still in flight. The store takes that into its line of the log, so that the log
and the report of the run say the same in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.perf.step_times import StepTimes
from mdapp.storage.errors import CheckpointError
from mdapp.storage.metrics import Outcome, totals

SKIPPED, COALESCED = "skipped", "coalesced"
NOT_BEGUN = (SKIPPED, COALESCED)


class Costs:
    """The account of a run's checkpoints.

    Attributes
    ----------
    entries : for the report, one a checkpoint, begun or not
    step_times : of this rank
    canonical_s : seconds that it took to bring the state of the last checkpoint into order
    overruns : checkpoints that fell due while another was in flight
    interval : says what the automatic interval rests on
    """

    def __init__(self, comm: MPI.Intracomm):
        self._comm = comm
        self.entries: list[dict[str, Any]] = []
        self.step_times = StepTimes()
        self.canonical_s, self.overruns = 0.0, 0
        self.interval: Callable[[], Mapping[str, Any]] = dict
        self._began = self.step_times.last

    def begin(self) -> None:
        """Start the clock of the run."""
        self.step_times.resume()
        self._began = self.step_times.last

    def of_run(self) -> dict[str, Any]:
        """What the log should say of the run at the end of an attempt; collective."""
        self.step_times.close()
        mine = np.array([self.canonical_s, self.step_times.slow_down_s])
        self._comm.Allreduce(MPI.IN_PLACE, mine, MPI.MAX)
        interval = self.interval()
        return {"canonical_s": float(mine[0]), "slow_down_s": float(mine[1]),
                "step_s": self.step_times.facts(), "overruns": self.overruns,
                **({"interval": interval} if interval else {})}

    def not_begun(self, step: int, result: str, in_flight: int | None) -> dict[str, Any]:
        """Note a checkpoint that is skipped or put off; returns the line for the log."""
        entry = {"step": step, "result": result, "in_flight": in_flight,
                 "overruns": self.overruns}
        self.entries.append(entry)
        return entry

    def failed(self, step: int, error: CheckpointError) -> None:
        """Note one that came to nothing."""
        self.entries.append({"step": step, "result": "failed", "error": str(error)})

    def committed(self, outcome: Outcome) -> dict[str, Any]:
        """Note one that is written; returns its entry."""
        self.entries.append(outcome.summary())
        return self.entries[-1]

    def has(self, step: int) -> bool:
        """Whether a checkpoint of this step was begun where it outlasts the job's nodes."""
        return any(e["step"] == step and e["result"] not in NOT_BEGUN
                   and e.get("level", "parallel") == "parallel" for e in self.entries)

    def totals(self) -> dict[str, Any]:
        """Sums over the checkpoints so far, for the report."""
        return totals(self.entries, self.step_times.last - self._began)
