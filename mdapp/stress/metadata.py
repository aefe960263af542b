"""Many files: made, looked at, read, found and removed.

    easy   empty files, a directory for each rank                            (mdtest-easy)
    hard   files of 3901 bytes, one directory for all ranks                  (mdtest-hard)

The file systems' lists of names and inodes are what is measured. The end of a phase that makes or
removes files waits for a sync of the whole file system, inside the window. Ranks look at, read and
remove what a rank of another node made.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from time import perf_counter

from mdapp.storage.files import REAL
from mdapp.stress.decode import Finding, Known, decode, short_file
from mdapp.stress.pattern import Buffer, key_of
from mdapp.stress.phase import Work
from mdapp.stress.system import sync_file_system

SMALL = 3901


class Tree:
    """Files of one kind.

    Attributes
    ----------
    kind : "easy" or "hard"
    nbytes : of a file
    field : of the pattern; file numbers are rank and file in one
    """

    def __init__(self, folder: Path, kind: str, ranks: int):
        self.folder, self.kind, self.ranks = folder, kind, ranks
        self.nbytes = SMALL if kind == "hard" else 0
        self.field = f"meta-{kind}"

    def directory(self, rank: int) -> Path:
        """Where the files of a rank lie."""
        top = self.folder / self.field
        return top if self.kind == "hard" else top / f"{rank:08d}"

    def name(self, rank: int, i: int) -> str:
        """Of file i of a rank."""
        return f"file.{rank}.{i}"

    def path(self, rank: int, i: int) -> Path:
        """Of file i of a rank."""
        return self.directory(rank) / self.name(rank, i)

    def number(self, rank: int, i: int) -> int:
        """Of a file in the pattern."""
        return i * self.ranks + rank

    def extent(self, count: int) -> tuple[int, int]:
        """Files and bytes of each."""
        return count * self.ranks, self.nbytes


class OnFiles(Work):
    """A phase of one operation for each file of a rank.

    Attributes
    ----------
    tree, rank : whose files
    """

    verb = ""

    def __init__(self, tree: Tree, rank: int):
        super().__init__()
        self.tree, self.rank = tree, rank
        self.name = f"{tree.field}-{self.verb}"
        twin = "write" if self.verb == "create" else self.verb
        self.twin = f"mdtest-{tree.kind}-{twin}"
        self.directory = f"{tree.directory(rank)}/"

    def path(self, i: int) -> str:
        """Text, because a Path costs more than some of these calls."""
        return self.directory + self.tree.name(self.rank, i)

    def note(self, kind: str, i: int, detail: str) -> None:
        """Note a file that is not what it should be."""
        path = str(self.tree.path(self.rank, i).relative_to(self.tree.folder))
        number = self.tree.number(self.rank, i)
        self.wrong([Finding(kind, path, self.tree.field, number, 0, 0, detail=detail)])


class Create(OnFiles):
    """Make files, with their bytes; then sync the file system."""

    verb, writes, durable = "create", True, "sync of the file system"

    def __init__(self, tree: Tree, run: int, rank: int):
        super().__init__(tree, rank)
        self.key, self.buffer = key_of(run, tree.field), Buffer(max(tree.nbytes, 8))

    def begin(self) -> None:
        """A rank's directory; the shared one was made before."""
        if self.tree.kind == "easy":
            REAL.mkdir(self.tree.directory(self.rank))

    def step(self, i: int) -> None:
        """Make one file."""
        with REAL.open(Path(self.path(i)), os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
            if self.tree.nbytes:
                began = perf_counter()
                self.buffer.fill(self.key, self.tree.number(self.rank, i), 0)
                self.own_s += perf_counter() - began
                file.pwrite(self.buffer.data[: self.tree.nbytes], 0)

    def end(self, count: int) -> None:
        """Wait for the device."""
        sync_file_system(self.tree.directory(self.rank))


class Stat(OnFiles):
    """Ask for the attributes of files, and compare their sizes."""

    verb, durable = "stat", "checked"

    def step(self, i: int) -> None:
        """Look at one file."""
        try:
            found = os.stat(self.path(i))  # noqa: PTH116
        except FileNotFoundError:
            self.note("missing", i, "the file is not there")
            return
        if found.st_size != self.tree.nbytes or not stat.S_ISREG(found.st_mode):
            self.note("short file", i, f"{found.st_size} bytes instead of {self.tree.nbytes}")


class ReadSmall(OnFiles):
    """Read and check files."""

    verb, durable = "read", "checked"

    def __init__(self, tree: Tree, known: Known, rank: int):
        super().__init__(tree, rank)
        self.known, self.key = known, key_of(known.run, tree.field)
        self.buffer = Buffer(tree.nbytes)
        self.buffer.poison()

    def paths(self) -> list[Path]:
        """A few of the files."""
        return [self.tree.path(self.rank, i) for i in range(16)]

    def step(self, i: int) -> None:
        """Read one file."""
        tree, buffer = self.tree, self.buffer
        try:
            with REAL.open(Path(self.path(i))) as file:
                got = file.pread_into(buffer.data, 0)
        except FileNotFoundError:
            self.note("missing", i, "the file is not there")
            return
        number, began = tree.number(self.rank, i), perf_counter()
        if got < tree.nbytes or not buffer.is_right(self.key, number, 0):
            self.wrong(self.explained(i, got))
            buffer.poison()
        self.own_s += perf_counter() - began

    def explained(self, i: int, got: int) -> list[Finding]:
        """What is wrong with the file in the buffer."""
        tree, buffer, number = self.tree, self.buffer, self.tree.number(self.rank, i)
        path = str(tree.path(self.rank, i).relative_to(tree.folder))
        whole = -(-got // 8) if got == tree.nbytes else got // 8
        right = buffer.expected(self.key, number, 0)
        found = decode(buffer.words[:whole], right[:whole], self.known, tree.field, number, 0, path)
        if got < tree.nbytes:
            found.append(short_file(path, tree.field, number, got, tree.nbytes - got))
        return found


class Delete(OnFiles):
    """Remove files; then sync the file system."""

    verb, durable = "delete", "sync of the file system"

    def step(self, i: int) -> None:
        """Remove one file."""
        try:
            os.unlink(self.path(i))  # noqa: PTH108
        except FileNotFoundError:
            self.note("missing", i, "the file is not there")

    def end(self, count: int) -> None:
        """Remove the rank's directory, and wait for the device."""
        if self.tree.kind == "easy":
            REAL.rmdir(self.tree.directory(self.rank))
        sync_file_system(self.tree.folder)
