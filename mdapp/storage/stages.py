"""Work beside the run in stages, from one of which all ranks go to the next at the same step.

Ranks must not learn at different steps that a stage is done: one would go into the gathering of
the manifest while its neighbour waits for ghost atoms. So each says at poll steps how its writer
does, all take the sum at the next one (`mdapp.storage.triggers`), and only there the next stage
begins. What a poll step reports was true at the one before. The first report after a stage began is
therefore about the time before it, and is not listened to.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from mdapp.storage.attempt import Place
from mdapp.storage.triggers import WriterState
from mdapp.storage.writer_thread import Pace, Task

ABANDON_S = 5.0


@dataclass(kw_only=True)
class Flight:
    """Something on its way, and the stage that it is in.

    Attributes
    ----------
    pace : of the writer
    then : what follows the stage, on all ranks; returns the result if that was the last one
    task : of this rank in this stage, None if it has none
    fresh : whether the stage began after the last poll step
    """

    pace: Pace
    then: Callable[[Any], Any] | None = None
    task: Task | None = None
    fresh: bool = True


F = TypeVar("F", bound=Flight)
R = TypeVar("R")


class Stages(ABC, Generic[F, R]):
    """One flight at a time; every method is collective but `status` and `abandon`."""

    def __init__(self, place: Place):
        self._place = place
        self._flight: F | None = None

    def status(self) -> WriterState:
        """What the writer of this rank does."""
        task = None if self._flight is None else self._flight.task
        if task is None:
            return WriterState()
        # In this order: a task that ends in between is reported as it ended.
        busy = task.busy
        return WriterState(busy, task.failure is not None)

    def poll(self, busy: bool, failed: bool) -> R | None:
        """Go on, if all ranks are through with a stage; the result of the last one.

        Parameters
        ----------
        busy, failed
            Of any rank, as the last poll step found them.
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

    def finish(self) -> R:
        """Wait for what is in flight; its result."""
        while True:
            flight = self._flight
            assert flight is not None
            self._wait(flight)
            result = self._advance(flight)
            if result is not None:
                return result

    def abandon(self) -> None:
        """Leave what is in flight as a draft, which the next start removes."""
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.pace.cancel()
            if flight.task is not None:
                flight.task.join(ABANDON_S)

    def _wait(self, flight: F) -> None:
        """Wait for the task of this rank; it has a watchdog."""
        if flight.task is not None:
            flight.task.join()

    def _launch(
        self, flight: F, work: Callable[[], Any] | None, doing: str,
        then: Callable[[F], R | None],
    ) -> None:  # fmt: skip
        """Begin a stage; with no work for this rank if `work` is None."""
        options = self._place.options
        what = f"{self._what(flight)}: {doing}"
        flight.task = work and Task(work, what, options.io_timeout_s, options.writer_cpus)
        flight.then, flight.fresh = then, True

    @staticmethod
    @abstractmethod
    def _what(flight: F) -> str:
        """What messages call it."""

    @abstractmethod
    def _advance(self, flight: F) -> R | None:
        """Take what the writers did, all ranks, and begin the next stage."""
