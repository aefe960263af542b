"""Which store a run has: one folder of checkpoints, or levels of them.

A store of levels is written to like any other. What it wants beside that is little: to be told that
a checkpoint is the last of a run, which goes to the parallel level at once, and to go on with its
drain at poll steps. A drain is no checkpoint of its own, since its set was one already: it neither
moves the schedule nor counts as a failure, and only its entry stands in the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mpi4py import MPI

from mdapp.checkpoint_costs import Costs
from mdapp.storage.levels.store import LevelStore
from mdapp.storage.metrics import Outcome
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.state import State
from mdapp.storage.store import CheckpointStore
from mdapp.storage.triggers import Decision, WriterState

Store = CheckpointStore | LevelStore


def open_store(
    comm: MPI.Intracomm, directory: Path, options: CheckpointOptions, *,
    log: Callable[[str], None], of_run: Callable[[], Mapping[str, Any]],
) -> Store:  # fmt: skip
    """The store that the options ask for; collective, raises as `CheckpointStore`."""
    kind = CheckpointStore if options.levels is None else LevelStore
    return kind(comm, directory, options, log=log, of_run=of_run)


def write_now(store: Store, state: State, last: bool) -> Outcome:
    """Write a checkpoint, which may be the last of a run; raises as `CheckpointStore.write`."""
    if last and isinstance(store, LevelStore):
        return store.write_last(state)
    return store.write(state)


def writer_of(store: Store | None) -> Callable[[], WriterState]:
    """What the schedule asks at poll steps about this rank's writer."""
    if isinstance(store, LevelStore):
        return store.status
    if store is not None and store.background is not None:
        return store.background.status
    return WriterState


def go_on_draining(store: Store | None, decision: Decision, costs: Costs) -> None:
    """At a poll step: go on with the drain, and note what became of it if it has ended."""
    if isinstance(store, LevelStore) and decision.polled:
        outcome = store.poll(decision.writer_busy, decision.writer_failed)
        if outcome is not None:
            costs.entries.append(outcome.summary())
