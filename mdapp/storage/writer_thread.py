"""A thread that writes: held back to a bandwidth, limited in time, beside the run or after it.

It calls neither MPI nor HDF5, which are not to be trusted with two threads.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.consensus import settle_worst
from mdapp.storage.errors import CheckpointError
from mdapp.storage.watchdog import Watchdog

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
