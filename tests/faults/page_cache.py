"""A power cut, modelled: what the device keeps of the system calls of a recorded run.

`Recording` does the real calls and notes them. `Device.after(moment, fate)` makes the folder that
a machine would find after losing its power at that moment. What it must find is what POSIX promises
and no more:

    content    writes to a file that were followed by an fsync of that file
    names      changes of a directory that were followed by an fsync of that directory

All other calls before the moment share the fate that the test chooses: lost, kept, or each for
itself, by a seed, with writes torn in the middle. This is harsher than any journaling file system,
which keeps the order at least; a kill -9, which loses nothing of the page cache, tests none of it.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from mdapp.storage.files import FileSystem

# Given the length of a change, how much of it the device has: 0 nothing, the length all.
Fate = Callable[[int], int]


def lost(length: int) -> int:
    """Nothing that was not synced is there."""
    return 0


def kept(length: int) -> int:
    """Everything happens to be there."""
    return length


def mixed(seed: int) -> Fate:
    """Each change for itself: lost, there, or torn."""
    random = Random(seed)
    return lambda length: random.choice((0, length, random.randint(0, length)))


@dataclass
class Node:
    """A file or a directory: its changes and its syncs, each with the moment it was done.

    A change of a file is (offset, data), or (size, None) for a truncation; one of a directory says
    what its names mean from then on, None being gone. `live` and `size` are what the running
    machine sees.
    """

    directory: bool = False
    changes: list[tuple[int, Any]] = field(default_factory=list)
    syncs: list[int] = field(default_factory=list)
    live: dict[str, "Node"] = field(default_factory=dict)
    size: int = 0

    def survivors(self, moment: int, fate: Fate) -> Iterator[tuple[Any, int | None]]:
        """Changes that the device has at a moment; with their length if it has them in part."""
        synced = max((s for s in self.syncs if s <= moment), default=-1)
        for when, change in self.changes:
            if when > moment:
                return
            if when < synced:
                yield change, None
                continue
            torn = isinstance(change, tuple) and change[1] is not None
            length = len(change[1]) if torn else 1
            having = fate(length)
            if having:
                yield change, having if torn else None

    def content(self, moment: int, fate: Fate) -> bytes:
        data = bytearray()
        for (place, piece), having in self.survivors(moment, fate):
            if piece is None:
                data = data[:place].ljust(place, b"\0")
                continue
            piece = piece[:having]
            data = data.ljust(place, b"\0")
            data[place : place + len(piece)] = piece
        return bytes(data)

    def names(self, moment: int, fate: Fate) -> dict[str, "Node"]:
        found: dict[str, Node | None] = {}
        for change, _ in self.survivors(moment, fate):
            found |= change
        return {name: node for name, node in found.items() if node is not None}


class Device:
    """All that a recorded run did below a folder, which was empty and is there whatever happens."""

    def __init__(self) -> None:
        self.root = Node(directory=True)
        self.now = 0

    def after(self, moment: int, fate: Fate, folder: Path) -> None:
        """Make in an empty folder what is left of the run after a power cut."""
        self._make(self.root, folder, moment, fate)

    def _make(self, node: Node, folder: Path, moment: int, fate: Fate) -> None:
        for name, inner in node.names(moment, fate).items():
            if inner.directory:
                (folder / name).mkdir()
                self._make(inner, folder / name, moment, fate)
            else:
                (folder / name).write_bytes(inner.content(moment, fate))


class Recording(FileSystem):
    """Real files below a folder, and a device that remembers what was done to them.

    Attributes
    ----------
    device : Device
    skip : numbers (from 0) of the fsyncs that the device is not told of
    syncs : paths of all fsyncs
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.device = folder, Device()
        self.skip: set[int] = set()
        self.syncs: list[Path] = []
        self._open: dict[int, tuple[Node, Path]] = {}
        self._notes = {
            "open": self._note_open, "close": lambda _, fd: self._open.pop(fd, None),
            "pwrite": self._note_pwrite, "write": self._note_append,
            "ftruncate": lambda _, fd, size: self._note_change(fd, size, None),
            "fsync": self._note_fsync, "mkdir": self._note_mkdir, "rename": self._note_rename,
            "unlink": self._note_removal, "rmdir": self._note_removal,
        }  # fmt: skip

    def call(self, kind: str, function: Callable, *args, **kwargs):
        result = function(*args, **kwargs)
        if kind in self._notes:
            self.device.now += 1
            self._notes[kind](result, *args)
        return result

    def _find(self, path: Path) -> Node:
        node = self.device.root
        for part in path.relative_to(self.folder).parts:
            node = node.live[part]
        return node

    def _note_names(self, folder: Path, changes: dict[str, Node | None]) -> None:
        parent = self._find(folder)
        now = {**parent.live, **changes}
        parent.live = {name: node for name, node in now.items() if node is not None}
        parent.changes.append((self.device.now, changes))

    def _note_change(self, fd: int, place: int, data: bytes | None) -> None:
        node, _ = self._open[fd]
        node.changes.append((self.device.now, (place, data)))
        node.size = place if data is None else max(node.size, place + len(data))

    def _note_open(self, fd: int, path: Path, flags: int, mode: int) -> None:
        if not path.is_relative_to(self.folder):
            return
        if flags & os.O_CREAT and path.name not in self._find(path.parent).live:
            self._note_names(path.parent, {path.name: Node()})
        self._open[fd] = self._find(path), path
        if flags & os.O_TRUNC:
            self._note_change(fd, 0, None)

    def _note_pwrite(self, done: int, fd: int, data: memoryview, offset: int) -> None:
        self._note_change(fd, offset, bytes(data[:done]))

    def _note_append(self, done: int, fd: int, data: memoryview) -> None:
        self._note_change(fd, self._open[fd][0].size, bytes(data[:done]))

    def _note_fsync(self, _: None, fd: int) -> None:
        node, path = self._open[fd]
        if len(self.syncs) not in self.skip:
            node.syncs.append(self.device.now)
        self.syncs.append(path)

    def _note_mkdir(self, _: None, path: Path) -> None:
        self._note_names(path.parent, {path.name: Node(directory=True)})

    def _note_rename(self, _: None, old: Path, new: Path) -> None:
        assert old.parent == new.parent, "the model knows renames within one directory only"
        self._note_names(old.parent, {old.name: None, new.name: self._find(old)})

    def _note_removal(self, _: None, path: Path) -> None:
        self._note_names(path.parent, {path.name: None})
