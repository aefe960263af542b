"""A limit for each phase of a commit, because storage that hangs cannot be asked to stop.

A process in an uninterruptible wait for a dead file server answers no signal and runs no Python.
A second thread still can: after the limit it says where each thread stands and ends the process,
upon which the launcher ends the job. Older checkpoints are intact, as after any crash.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import NoReturn

EXIT_CODE = 70


def end_process(message: str) -> NoReturn:
    """Say what hangs and where, and leave without any further call that might hang too."""
    sys.stderr.write(f"mdapp: error: {message}\n")
    sys.stderr.flush()
    faulthandler.dump_traceback(all_threads=True)
    os._exit(EXIT_CODE)


class Watchdog:
    """`with Watchdog("fsync of ...", seconds):` ends the process if the block takes longer.

    Parameters
    ----------
    what : the phase, for the message
    seconds : the limit
    expire : what to do at the limit
    """

    def __init__(
        self, what: str, seconds: float, expire: Callable[[str], object] = end_process
    ):
        message = (
            f"{what} takes longer than {seconds:g} s: the storage hangs, or another rank does; "
            "the job is ended, older checkpoints are intact (longer: checkpoint.io_timeout_s)"
        )
        self._timer = threading.Timer(seconds, expire, (message,))
        self._timer.daemon = True

    def __enter__(self) -> Watchdog:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
