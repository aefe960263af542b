"""A file system that fails on purpose, at one chosen system call of the n that a commit makes.

    errno      the call fails with this error, once or from then on
    "lose"     a write reports success and writes nothing
    "short"    a write or read does half of what it was asked to
    "die"      the process is dead from this call on: nothing reaches the disk any more, not even
               what `finally` blocks would do; the test then closes what a dead process would have
"""

import contextlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mdapp.storage.files import FileSystem

WRITES = ("pwrite", "write")


class Dead(BaseException):
    """The process was killed; no `except Exception` can catch this."""


@dataclass(frozen=True)
class Fault:
    """The n-th call (from 1) of a kind, "*" being any, does `what`; all later ones if `onwards`."""

    kind: str
    n: int
    what: int | str
    onwards: bool = False
    path: str = ""

    def __str__(self) -> str:
        name = self.what if isinstance(self.what, str) else os.strerror(self.what)
        return f"{self.kind} #{self.n}{'+' if self.onwards else ''}: {name}"


class FaultyFileSystem(FileSystem):
    """Real files, with faults."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.made: list[Path] = []
        self.slept = 0.0
        self.struck = False
        self._faults: list[Fault] = []
        self._counts: Counter[str] = Counter()
        self._dead = False
        self._open: set[int] = set()

    def arm(self, *faults: Fault) -> None:
        """Count calls from here on."""
        self._faults, self._counts, self.calls, self.struck = list(faults), Counter(), [], False

    def disarm(self) -> None:
        self._faults = []

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def call(self, kind: str, function: Callable, *args, **kwargs):
        if self._dead:
            raise Dead
        self.calls.append(kind)
        self._counts[kind] += 1
        self._counts["*"] += 1
        for fault in self._faults:
            count = self._counts[fault.kind]
            if fault.kind in (kind, "*") and (
                count == fault.n or (fault.onwards and count > fault.n)
            ):
                return self._strike(fault, kind, function, args, kwargs)
        return self._do(kind, function, args, kwargs)

    def _do(self, kind: str, function: Callable, args, kwargs):
        result = function(*args, **kwargs)
        if kind == "open":
            self._open.add(result)
        elif kind == "close":
            self._open.discard(args[0])
        elif kind == "mkdir":
            self.made.append(args[0])
        return result

    def _strike(self, fault: Fault, kind: str, function: Callable, args, kwargs):
        self.struck = True
        if fault.what == "die":
            self._dead = True
            raise Dead
        if fault.what == "lose" and kind in WRITES:
            return len(args[1])
        if fault.what == "short" and kind in WRITES and len(args[1]) > 1:
            return self._do(kind, function, (args[0], args[1][: len(args[1]) // 2], *args[2:]), {})
        if fault.what == "short" and kind == "pread" and len(args[1][0]) > 1:
            half = args[1][0][: len(args[1][0]) // 2]
            return self._do(kind, function, (args[0], [half], args[2]), {})
        if isinstance(fault.what, str):
            return self._do(kind, function, args, kwargs)
        if kind == "close":  # a close that fails has closed all the same
            self._do(kind, function, args, kwargs)
        raise OSError(fault.what, os.strerror(fault.what))

    def bury(self) -> None:
        """Close what the dead process had open, as the kernel would."""
        for fd in self._open:
            with contextlib.suppress(OSError):
                os.close(fd)
        self._open = set()
