"""Checkpoints that are written while the run goes on.

At a checkpoint step the run stands still for the steps that need agreement: directory and files.
The rest is done by one thread of each rank: survey, checksums, positioned writes, fsync. The thread
calls neither MPI nor HDF5, which are not to be trusted with two threads, and holds Python's lock
for microseconds a block, since survey, checksum, write and fsync all give it up.

Nothing is copied for the thread: the run lends its arrays. It must leave them as they are until it
has asked for some of them back (`keep`), which are then copied if they are still needed. Whether
the state is finite is known only when the thread has looked; what is not is refused then.

All ranks go from one stage to the next at the same step (`mdapp.storage.stages`):

    write      all ranks: survey, checksums, data, fsync
    verify     all ranks, where that is asked for: read back
    publish    rank 0: manifest, rename, LATEST, retention
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.storage import stages
from mdapp.storage.attempt import Attempt, Place
from mdapp.storage.committing import Committer
from mdapp.storage.consensus import settle_worst
from mdapp.storage.errors import CheckpointError, DurabilityError
from mdapp.storage.metrics import Outcome, gbytes_per_s
from mdapp.storage.order import Order
from mdapp.storage.state import State
from mdapp.storage.survey import LocalSurvey
from mdapp.storage.writer_thread import Pace, check_cpus


@dataclass
class Flight(stages.Flight):
    """A checkpoint on its way.

    Attributes
    ----------
    order, attempt : what is written, and where
    writing : whether the first stage is not over
    window_s : from the first write to the last fsync
    """

    order: Order
    attempt: Attempt
    writing: bool = True
    window_s: float = 0.0


class Background(stages.Stages[Flight, Outcome]):
    """Writes the checkpoints of a store beside the run, one at a time.

    Every method is collective but `status`, `keep` and `abandon`; `poll` and `finish` raise
    `CheckpointError` if it could not be written: the attempt is removed, and the run may go on.

    Parameters
    ----------
    committer : does what is common to both modes
    place : where and how

    Raises
    ------
    InputError
        A writer may not run on the cpus that it shall run on.
    """

    def __init__(self, committer: Committer, place: Place):
        super().__init__(place)
        self._committer, self._comm = committer, place.comm
        check_cpus(place.comm, place.options.writer_cpus)

    @property
    def step(self) -> int | None:
        """Step of the checkpoint in flight; None if there is none."""
        return None if self._flight is None else self._flight.order.state.step

    def keep(self, names: Collection[str]) -> None:
        """The run is about to change some fields: copy them if this rank has not written all."""
        flight = self._flight
        if flight is None:
            return
        if flight.writing and flight.task is not None and flight.task.busy:
            flight.order.cargo.keep(names)
        else:
            flight.order.cargo.changed = True

    def begin(self, state: State) -> Outcome | None:
        """Let a state be written; the outcome at once if it is committed already.

        The arrays of the state are read until it is committed: before one of them is changed,
        `keep` must be called with its name.

        Raises
        ------
        CheckpointError
            As `CheckpointStore.write`, for what goes wrong before the first byte is written.
        """
        assert self._flight is None
        order = self._committer.order(state, "async")
        order.stall_s = 0.0
        try:
            with standing(order):
                needed = self._committer.prepare(order, look=False)
                if needed:
                    self._flight = self._take_off(order)
        except CheckpointError as error:
            raise self._committer.failed(order, error) from None
        return None if needed else self._committer.succeeded(order)

    # --- stages ---------------------------------------------------------------------------------

    def _take_off(self, order: Order) -> Flight:
        """Steps 1 and 2; then the writers begin."""
        pace = Pace(self._place.options.max_write_bandwidth)
        attempt = self._committer.attempt(order, pace)
        try:
            self._committer.start(attempt)
        except CheckpointError:
            self._committer.discard(attempt)
            raise
        flight = Flight(order, attempt, pace=pace)

        def write() -> LocalSurvey:
            with order.clock("snapshot_s"):
                seen = self._committer.survey_local(order)
            began = time.perf_counter()
            attempt.write_local()
            attempt.sync_local()
            flight.window_s = time.perf_counter() - began
            return seen

        self._launch(flight, write, "writing in the background", self._written)
        return flight

    @staticmethod
    def _what(flight: Flight) -> str:
        return f"checkpoint of step {flight.order.state.step}"

    def _wait(self, flight: Flight) -> None:
        """As time that the run stands still."""
        with standing(flight.order):
            super()._wait(flight)

    def _advance(self, flight: Flight) -> Outcome | None:
        """Take what the writers did, all ranks, and begin the next stage."""
        order, committer = flight.order, self._committer
        try:
            with standing(order):
                try:
                    failure = None if flight.task is None else flight.task.failure
                    settle_worst(self._comm, failure, self._what(flight))
                    assert flight.then is not None
                    outcome = flight.then(flight)
                except CheckpointError as error:
                    self._flight, outcome = None, None
                    committer.discard(flight.attempt)
                    if not isinstance(error, DurabilityError) or order.retries:
                        raise
                    # fsync is never to be asked twice: all is written again, if it is still there.
                    if order.cargo.has_changed(self._comm):
                        raise
                    committer.once_more(order, error)
                    self._flight = self._take_off(order)
        except CheckpointError as error:
            raise committer.failed(order, error) from None
        if outcome is None:
            return None
        self._flight = None
        return committer.succeeded(order)

    def _written(self, flight: Flight) -> None:
        """All data is on the device, and each rank has seen its part of the state."""
        assert flight.task is not None
        flight.writing = False
        self._committer.assess(flight.order, flight.task.result)
        window = np.array([flight.window_s])
        self._comm.Allreduce(MPI.IN_PLACE, window, MPI.MAX)
        flight.order.gbytes_per_s = gbytes_per_s(flight.order.cargo.bytes, float(window[0]))
        if not self._place.verify:
            self._publish(flight)
            return
        path, table = flight.attempt.neighbours_blocks()
        self._launch(
            flight, lambda: flight.attempt.verify_local(path, table),
            "reading back in the background", self._publish,
        )  # fmt: skip

    def _publish(self, flight: Flight) -> None:
        """All data is as it should be: give it its name."""
        committer, order, attempt = self._committer, flight.order, flight.attempt
        files = attempt.gather_files()
        work = None
        if self._comm.rank == 0:
            manifest = replace(committer.manifest(order), files=files)

            def work() -> Any:
                return committer.publish_local(order, attempt, manifest)

        self._launch(flight, work, "publishing in the background", self._published)

    def _published(self, flight: Flight) -> Outcome:
        """It has its name: tell all ranks."""
        told = self._comm.bcast(flight.task.result if flight.task else None, 0)
        self._committer.published(flight.order, *told)
        return flight.order.outcome


@contextmanager
def standing(order: Order) -> Iterator[None]:
    """Count the time of a block as time that the run stands still for a checkpoint."""
    began = time.perf_counter()
    try:
        yield
    finally:
        order.stall_s = (order.stall_s or 0.0) + time.perf_counter() - began
