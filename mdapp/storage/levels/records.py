"""What is told of a checkpoint on levels: to the user, and to the log of all attempts.

A line of the log stands for a whole set; what each node saw is in a log of its own, beside its
parts. `time_at_risk_s` is the age of the newest state that the parallel level has (of the run, as
long as it has none): what would be lost with all nodes. In the line of a drain it is the age that
was reached before the drain ended it.

Nodes tell what goes wrong without harm, but only rank 0 has a voice; what others have to say waits
for the next occasion at which all come together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from mdapp.storage.levels.drain import Drained
from mdapp.storage.levels.local import Written
from mdapp.storage.levels.nodes import Nodes
from mdapp.storage.levels.sets import LEVEL
from mdapp.storage.metrics import (
    ROOT_PHASES,
    Outcome,
    gbytes_per_s,
    spread_over_ranks,
)
from mdapp.storage.names import MANIFEST, step_name
from mdapp.storage.restore import Restored
from mdapp.storage.retention import list_committed
from mdapp.storage.store import CheckpointStore, Log


class Records:
    """Every method is collective but `say`.

    Parameters
    ----------
    nodes : of the job
    parallel : the store of the parallel level, whose log this is
    log : the user's ear, on rank 0
    of_run : what the run adds to the line of a set; collective
    """

    def __init__(
        self, nodes: Nodes, parallel: CheckpointStore, log: Log,
        of_run: Callable[[], Mapping[str, Any]],
    ):  # fmt: skip
        self._nodes, self._parallel, self._log = nodes, parallel, log
        self._of_run = of_run
        self._waiting: list[str] = []
        self._captured: dict[int, float] = {}
        self._safe = float(nodes.world.bcast(self._newest(), 0))

    def _newest(self) -> float:
        """When the newest checkpoint of the parallel level was made; now if there is none."""
        fs, directory = self._parallel.fs, self._parallel.directory
        if self._nodes.world.rank == 0:
            try:
                known = list_committed(directory, fs)
                if known:
                    return float(fs.lstat(directory / known[0].name / MANIFEST).st_mtime)
            except OSError:
                pass        # then it counts from now on
        return time.time()

    # --- to the user ----------------------------------------------------------------------------

    def tell(self, message: str) -> None:
        """Tell what all ranks know."""
        if self._nodes.world.rank == 0:
            self._log(message)

    def say(self, message: str) -> None:
        """On the root of a node: tell it now, or when all come together."""
        if self._nodes.world.rank == 0:
            self._log(message)
        else:
            self._waiting.append(f"node {self._nodes.index}: {message}")

    def deliver(self) -> None:
        """Let all nodes be heard."""
        waiting, self._waiting = self._waiting, []
        for messages in self._nodes.share(waiting):
            for message in messages:
                self.tell(message)

    # --- to the log -----------------------------------------------------------------------------

    def safe(self, captured: float) -> None:
        """Note that the parallel level has the state that was captured then."""
        self._safe = max(self._safe, captured)

    def captured(self, step: int) -> None:
        """Note when a set was written that is going to be drained."""
        self._captured[step] = time.time()

    def _at_risk(self) -> float:
        return max(0.0, time.time() - self._safe)

    def _line(self, facts: dict[str, Any]) -> None:
        self._parallel.record(facts)

    def stands(self, written: Written, copies: dict[str, Any], began: float) -> Outcome:
        """Record a set that stands on the nodes, since `began` on `time.perf_counter`."""
        nodes, order, facts = self._nodes, written.order, written.facts
        total = max(nodes.world.allgather(time.perf_counter() - began))
        parts = nodes.share((order.sizes, order.gbytes_per_s, order.retries))
        nbytes, files, blocks, natoms = (sum(sizes[k] for sizes, _, _ in parts) for k in range(4))
        window = max((sizes[0] / rate / 1e9 for sizes, rate, _ in parts if rate), default=0.0)
        result = "present" if written.present else "committed"
        outcome = Outcome(
            written.step, facts.uuid, result, order.outcome.path, facts.state_hash
        )
        outcome.metrics = nodes.world.bcast({
            "step": written.step, "uuid": facts.uuid, "result": result, "level": LEVEL,
            "layout": "sharded", "engine": "pwrite", "mode": "sync",
            "ranks": nodes.world.size, "nodes": nodes.count,
            "files": files, "blocks": blocks, "atoms": natoms, "bytes": nbytes,
            **spread_over_ranks(nodes.world, order.clock.seconds),
            **{k: order.clock.seconds.get(k, 0.0) for k in ROOT_PHASES}, **copies,
            "total_s": total, "stall_s": total, "when": time.time(),
            "perceived_gbytes_per_s": gbytes_per_s(nbytes, total),
            "gbytes_per_s": gbytes_per_s(nbytes, window),
            "time_at_risk_s": self._at_risk(),
            "retries": sum(retries for _, _, retries in parts), "errors": {},
        }, 0)  # fmt: skip
        outcome.metrics |= self._of_run()
        self._line(outcome.metrics)
        return outcome

    def drained(self, drained: Drained) -> Outcome:
        """Record the end of a drain."""
        captured = self._captured.pop(drained.step, time.time())
        result = "undrained" if drained.error else "drained"
        risk = self._at_risk()
        target = self._parallel.directory / step_name(drained.step)
        outcome = Outcome(drained.step, drained.uuid, result, target, "")
        outcome.metrics = self._nodes.world.bcast({
            "step": drained.step, "uuid": drained.uuid, "result": result, "level": "parallel",
            "mode": "drain", "ranks": self._nodes.world.size, "nodes": self._nodes.count,
            **drained.facts, "time_at_risk_s": risk, "when": time.time(),
            "errors": {"drain": drained.error} if drained.error else {},
        }, 0)  # fmt: skip
        self._line(outcome.metrics)
        for warning in drained.warnings:
            self.tell(warning)
        if drained.error:
            self.tell(
                f"step {drained.step} was not drained to {self._parallel.directory}, the run goes "
                f"on: {drained.error}; what is there is {risk:.0f} s old"
            )
        else:
            self.safe(captured)
        return outcome

    def restarted(self, restored: Restored) -> None:
        """Tell what was not used."""
        for name, why in restored.fallbacks.items():
            self.tell(f"{name}: not used: {why}")
