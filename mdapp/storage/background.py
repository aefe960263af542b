"""Checkpoints that are written while the run goes on.

At a checkpoint step the run stands still for the steps that need agreement: directory and files.
The rest is done by one thread of each rank: survey, checksums, positioned writes, fsync. The thread
calls neither MPI nor HDF5, which are not to be trusted with two threads, and holds Python's lock
for microseconds a block, since survey, checksum, write and fsync all give it up.

Nothing is copied for the thread: the run lends its arrays. It must leave them as they are until it
has asked for some of them back (`keep`), which are then copied if they are still needed. Whether
the state is finite is known only when the thread has looked; what is not is refused then.

Ranks must not learn at different steps that the writing is done: one would go into the gathering of
the manifest while its neighbour waits for ghost atoms. So each says at poll steps how its writer
does, all take the sum at the next one (`mdapp.storage.triggers`), and only there the next stage
begins:

    write      all ranks: survey, checksums, data, fsync
    verify     all ranks, where that is asked for: read back
    publish    rank 0: manifest, rename, LATEST, retention

What a poll step reports was true at the one before. The first report after a stage began is
therefore about the time before it, and is not listened to.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.attempt import Attempt, Place
from mdapp.storage.committing import Committer
from mdapp.storage.consensus import settle_worst
from mdapp.storage.errors import CheckpointError, DurabilityError
from mdapp.storage.metrics import Outcome, gbytes_per_s
from mdapp.storage.order import Order
from mdapp.storage.state import State
from mdapp.storage.survey import LocalSurvey
from mdapp.storage.triggers import WriterState
from mdapp.storage.watchdog import Watchdog

ABANDON_S = 5.0
NICENESS = 10


class Cancelled(Exception):
    """The writer was told to stop: what it writes will not be published."""


class Pace:
    """Holds a writer back to a bandwidth, and stops it when it is cancelled.

    Parameters
    ----------
    limit : bytes/s; 0: none
    """

    def __init__(self, limit: float) -> None:
        self._limit, self._cancelled = limit, threading.Event()
        self._began, self._bytes = 0.0, 0

    def __call__(self, nbytes: int) -> None:
        """Note bytes that were written; may wait.

        Raises
        ------
        Cancelled
        """
        if self._limit:
            now = time.monotonic()
            self._began = self._began or now
            self._bytes += nbytes
            self._cancelled.wait(max(0.0, self._began + self._bytes / self._limit - now))
        if self._cancelled.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """Stop the writer at its next block."""
        self._cancelled.set()


class Task:
    """Work in a thread of its own, with a limit in time.

    Attributes
    ----------
    result : what the work returned, once `busy` is false
    failure : why it did not; None while it is busy, if it is well, or if it was cancelled
    """

    def __init__(
        self, work: Callable[[], Any], what: str, limit_s: float, cpus: tuple[int, ...]
    ):
        self.result: Any = None
        self.failure: Exception | None = None
        self._work, self._what, self._limit_s, self._cpus = work, what, limit_s, cpus
        # A daemon: a writer that hangs must not keep a process alive that has ended.
        self._thread = threading.Thread(target=self._run, name="checkpoint", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether it is still at work."""
        return self._thread.is_alive()

    def join(self, seconds: float | None = None) -> None:
        """Wait until it is done."""
        self._thread.join(seconds)

    def _run(self) -> None:
        with suppress(OSError):
            step_back(self._cpus)
        try:
            with Watchdog(self._what, self._limit_s):
                self.result = self._work()
        except Cancelled:
            pass
        except Exception as error:
            self.failure = error
        except BaseException as error:
            self.failure = CheckpointError(f"{self._what}: the writer ended with {error!r}")


def step_back(cpus: tuple[int, ...]) -> None:
    """Let this thread run where the run does not, or after it.

    Raises
    ------
    OSError
        There are no such cpus, or this process may not use them.
    """
    if cpus and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)
    elif hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def check_cpus(comm: MPI.Comm, cpus: tuple[int, ...]) -> None:
    """Try whether writers may run on these cpus; collective.

    Raises
    ------
    InputError
        They may not.
    """
    refusals: list[Exception] = []

    def attempt() -> None:
        try:
            step_back(cpus)
        except OSError as error:
            refusals.append(InputError(
                f"checkpoint.writer_cpus = {list(cpus)}: {error.strerror}; this machine has the "
                f"cpus 0 to {(os.cpu_count() or 1) - 1}"
            ))  # fmt: skip

    if cpus:
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    settle_worst(comm, refusals[0] if refusals else None, "checkpoint")


@dataclass
class Flight:
    """A checkpoint on its way, and the stage that it is in.

    Attributes
    ----------
    order, attempt : what is written, and where
    pace : of the writer
    then : what follows the stage, on all ranks; returns the outcome if that was the last one
    task : of this rank in this stage, None if it has none
    fresh : whether the stage began after the last poll step
    writing : whether the first stage is not over
    window_s : from the first write to the last fsync
    """

    order: Order
    attempt: Attempt
    pace: Pace
    then: Callable[[Flight], Outcome | None]
    task: Task | None = None
    fresh: bool = True
    writing: bool = True
    window_s: float = 0.0


class Background:
    """Writes the checkpoints of a store beside the run, one at a time.

    Every method is collective but `status`, `keep` and `abandon`.

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
        self._committer, self._place, self._comm = committer, place, place.comm
        self._flight: Flight | None = None
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

    def status(self) -> WriterState:
        """What the writer of this rank does."""
        task = None if self._flight is None else self._flight.task
        if task is None:
            return WriterState()
        # In this order: a task that ends in between is reported as it ended.
        busy = task.busy
        return WriterState(busy, task.failure is not None)

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

    def poll(self, busy: bool, failed: bool) -> Outcome | None:
        """Go on, if all ranks are through with a stage; the outcome of the last one.

        Parameters
        ----------
        busy, failed
            Of any rank, as the last poll step found them.

        Raises
        ------
        CheckpointError
            It could not be written; the attempt is removed, and the run may go on.
        """
        flight = self._flight
        if flight is None:
            return None
        if flight.fresh:
            flight.fresh = False
            return None
        if failed:
            flight.pace.cancel()
        return None if busy else self._advance(flight)

    def finish(self) -> Outcome:
        """Wait for the checkpoint in flight, and commit it.

        Raises
        ------
        CheckpointError
            As `poll`.
        """
        while True:
            flight = self._flight
            assert flight is not None
            with standing(flight.order):
                if flight.task is not None:
                    flight.task.join()      # it has a watchdog
            outcome = self._advance(flight)
            if outcome is not None:
                return outcome

    def abandon(self) -> None:
        """Leave the checkpoint in flight as a draft, which the next start removes."""
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.pace.cancel()
            if flight.task is not None:
                flight.task.join(ABANDON_S)

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
        flight = Flight(order, attempt, pace, self._written)

        def write() -> LocalSurvey:
            with order.clock("snapshot_s"):
                seen = self._committer.survey_local(order)
            began = time.perf_counter()
            attempt.write_local()
            attempt.sync_local()
            flight.window_s = time.perf_counter() - began
            return seen

        self._launch(flight, write, "writing", self._written)
        return flight

    def _launch(
        self, flight: Flight, work: Callable[[], Any] | None, doing: str,
        then: Callable[[Flight], Outcome | None],
    ) -> None:  # fmt: skip
        """Begin a stage; with no work for this rank if `work` is None."""
        options = self._place.options
        what = f"{self._what(flight)}: {doing} in the background"
        flight.task = work and Task(work, what, options.io_timeout_s, options.writer_cpus)
        flight.then, flight.fresh = then, True

    @staticmethod
    def _what(flight: Flight) -> str:
        return f"checkpoint of step {flight.order.state.step}"

    def _advance(self, flight: Flight) -> Outcome | None:
        """Take what the writers did, all ranks, and begin the next stage."""
        order, committer = flight.order, self._committer
        try:
            with standing(order):
                try:
                    failure = None if flight.task is None else flight.task.failure
                    settle_worst(self._comm, failure, self._what(flight))
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
            flight, lambda: flight.attempt.verify_local(path, table), "reading back", self._publish
        )

    def _publish(self, flight: Flight) -> None:
        """All data is as it should be: give it its name."""
        committer, order, attempt = self._committer, flight.order, flight.attempt
        files = attempt.gather_files()
        work = None
        if self._comm.rank == 0:
            manifest = replace(committer.manifest(order), files=files)

            def work() -> Any:
                return committer.publish_local(order, attempt, manifest)

        self._launch(flight, work, "publishing", self._published)

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
