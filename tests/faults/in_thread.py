"""A file system that is slow, full or broken for background writers only."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable

from mdapp.storage.files import FileSystem


class ForWriters(FileSystem):
    """Real files; what is set here befalls the calls of background writers.

    Attributes
    ----------
    fails : {kind of call: errno}, from now on
    once : the same, for one call
    raises : {kind of call: exception}
    delays : {kind of call: seconds}
    gate : calls of writers wait until it is set
    calls : how often each kind was called by a writer
    """

    def __init__(self) -> None:
        self.fails: dict[str, int] = {}
        self.once: dict[str, int] = {}
        self.raises: dict[str, BaseException] = {}
        self.delays: dict[str, float] = {}
        self.gate = threading.Event()
        self.gate.set()
        self.calls: Counter[str] = Counter()

    def call(self, kind: str, function: Callable, *args, **kwargs):
        if threading.current_thread().name == "checkpoint":
            self.calls[kind] += 1
            assert self.gate.wait(60.0)
            time.sleep(self.delays.get(kind, 0.0))
            if kind in self.raises:
                raise self.raises.pop(kind)
            number = self.once.pop(kind, 0) or self.fails.get(kind, 0)
            if number:
                raise OSError(number, os.strerror(number))
        return function(*args, **kwargs)
