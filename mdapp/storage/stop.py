"""What asks a run from outside to write a checkpoint or to stop: signals, a file, the wall time.

None of these acts by itself. A signal may reach one rank of a thousand, in the middle of a message;
so its handler does nothing but set a flag, and `mdapp.storage.triggers` carries it to all ranks.

One request may arrive twice: at Ctrl-C the terminal signals all processes of a job and the launcher
signals its ranks once more. Signals within a tenth of a second are therefore one request; only a
later one means that the user has lost patience. From then on the system's own handlers are back, so
that a third signal ends even a process that never comes to look at its flags.
"""

from __future__ import annotations

import enum
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from mdapp.errors import InputError
from mdapp.storage.files import REAL, FileSystem

DEADLINE_VARIABLE = "MDAPP_DEADLINE"
STOP_NAME = "STOP"
DONE_NAME = "STOP.done"
SAME_REQUEST_S = 0.1
STOP_FILE_LIMIT = 4096


class Wish(enum.IntEnum):
    """What was asked for; of several wishes the greatest counts."""

    NOTHING = 0
    CHECKPOINT = 1
    STOP_AT = 2
    STOP = 3
    STOP_NOW = 4


class Signals:
    """Handlers of SIGUSR1, SIGTERM and SIGINT while the block lasts; afterwards the former ones.

    Outside the main thread Python takes no handlers; then the block does nothing. A signal that
    the process was started to ignore (`nohup`, a background job of a shell) stays ignored.

    Parameters
    ----------
    clock
        Seconds.
    interrupts
        Whether SIGINT is among them.

    Attributes
    ----------
    wish : Wish
        NOTHING, STOP after the first SIGTERM or SIGINT, STOP_NOW after the second.
    number : int
        The signal that asked to stop.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, interrupts: bool = True):
        self.wish, self.number = Wish.NOTHING, 0
        self._clock, self._first, self._interrupts = clock, 0.0, interrupts
        self._checkpoint = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._install(signal.SIGUSR1, self._on_checkpoint)
            self._install(signal.SIGTERM, self._on_stop)
            if self._interrupts:
                self._install(signal.SIGINT, self._on_stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        self._former.clear()

    def take_checkpoint_wish(self) -> bool:
        """Whether SIGUSR1 came since the last call."""
        asked, self._checkpoint = self._checkpoint, False
        return asked

    def _install(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        former = signal.getsignal(number)
        if former != signal.SIG_IGN:
            # A handler that Python did not install (None) cannot be put back.
            self._former[number] = signal.SIG_DFL if former is None else former
            signal.signal(number, handler)

    def _on_checkpoint(self, number: int, frame: FrameType | None) -> None:
        self._checkpoint = True

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        now = self._clock()
        if self.wish is Wish.NOTHING:
            self.wish, self.number, self._first = Wish.STOP, number, now
        elif now - self._first >= SAME_REQUEST_S:
            self.wish, self.number = Wish.STOP_NOW, number
            for each in (signal.SIGTERM, signal.SIGINT):
                signal.signal(each, signal.SIG_DFL)


@dataclass(frozen=True)
class StopRequest:
    """What the stop file says: the wish, the step of STOP_AT, a remark for the user."""

    wish: Wish = Wish.NOTHING
    step: int = 0
    remark: str = ""


class StopFile:
    """`STOP` in the folder of a run; rank 0 looks for it.

    Its content is `checkpoint` or nothing (write a checkpoint and stop), `now` (stop without one)
    or a step number (stop with a checkpoint at that step). It is read anew at each look, so that it
    may be changed or taken away as long as it has not been obeyed; then it becomes `STOP.done`.
    A file that cannot be read asks for nothing: an outage of the storage must not stop a run.
    """

    def __init__(self, folder: Path, fs: FileSystem = REAL):
        self._file, self._done, self._fs = folder / STOP_NAME, folder / DONE_NAME, fs
        self._was_empty = False
        self._trouble = ""

    def look(self) -> StopRequest:
        """Read the file, if there is one."""
        try:
            text = self._read()
        except OSError as error:
            trouble = f"{self._file}: cannot be read ({error.strerror}); the run goes on"
            told, self._trouble = self._trouble, trouble
            return StopRequest(remark="" if told == trouble else trouble)
        self._trouble = ""
        if text is None:
            self._was_empty = False
            return StopRequest()
        if not text:
            # A shell makes the file first and writes afterwards: believe it the second time.
            seen, self._was_empty = self._was_empty, True
            return StopRequest(Wish.STOP if seen else Wish.NOTHING)
        return self._meaning(text)

    def obeyed(self) -> str:
        """Rename the file, so that the next run does not stop too; returns a remark on failure."""
        try:
            self._fs.rename(self._file, self._done)
        except FileNotFoundError:
            return ""
        except OSError as error:
            return f"{self._file}: cannot be renamed ({error.strerror}); remove it before a restart"
        return ""

    def _read(self) -> str | None:
        if not self._fs.exists(self._file):
            return None
        try:
            data = self._fs.read_small(self._file, STOP_FILE_LIMIT)
        except FileNotFoundError:
            return None
        return data.decode("utf-8", "replace").strip().lower()

    def _meaning(self, text: str) -> StopRequest:
        if text == "now":
            return StopRequest(Wish.STOP_NOW)
        if text == "checkpoint":
            return StopRequest(Wish.STOP)
        if re.fullmatch(r"[0-9]{1,18}", text):
            return StopRequest(Wish.STOP_AT, int(text))
        return StopRequest(
            Wish.STOP,
            remark=f"{self._file}: {text[:40]!r} is none of now, checkpoint or a step number; "
            "taken as checkpoint",
        )


def walltime_seconds(text: str) -> float:
    """Seconds of a wall time `hh:mm:ss`.

    Raises
    ------
    InputError
        Not of this form.
    """
    found = re.fullmatch(r"([0-9]{1,6}):([0-5]?[0-9]):([0-5]?[0-9])", text.strip())
    hours, minutes, rest = map(int, found.groups()) if found else (0, 0, 0)
    seconds = 3600 * hours + 60 * minutes + rest
    if not seconds:
        raise InputError(f"--walltime {text}: must be hh:mm:ss and more than 0, such as 01:30:00")
    return float(seconds)


def seconds_left(
    walltime: str | None,
    age_s: float = 0.0,
    environ: Mapping[str, str] = os.environ,
    now: float | None = None,
) -> float | None:
    """Seconds until the earlier of `--walltime` and MDAPP_DEADLINE; None where neither is given.

    Parameters
    ----------
    walltime
        `hh:mm:ss` from the start of the process.
    age_s
        Seconds since that start; not a number counts as 0.
    environ
        Where MDAPP_DEADLINE, seconds since 1970, may stand.
    now
        The time in seconds since 1970.

    Raises
    ------
    InputError
        One of them is not of its form.
    """
    ends = []
    if walltime is not None:
        ends.append(walltime_seconds(walltime) - (age_s if age_s == age_s else 0.0))
    text = environ.get(DEADLINE_VARIABLE, "").strip()
    if text:
        if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]*)?", text):
            raise InputError(
                f"{DEADLINE_VARIABLE}={text}: must be a time in seconds since 1970, "
                "such as the output of `date +%s -d '+2 hours'`"
            )
        ends.append(float(text) - (time.time() if now is None else now))
    return min(ends) if ends else None
