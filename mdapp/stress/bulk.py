"""Large transfers through POSIX: a file per rank, and one file that all ranks share.

    easy   rank r writes `easy/<r>` from its beginning, 2 MiB at a time      (ior-easy)
    hard   record i of rank r lies at (i P + r) 47008 of one file            (ior-hard)

47008 bytes are no multiple of a sector, a page or an atom of 72 bytes, as in IO500. Each writer
syncs before it closes, inside the window, and then asks the kernel to forget the file. Readers take
what another rank wrote.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from time import perf_counter

from mdapp.storage.files import REAL, File
from mdapp.stress.decode import Finding, Known, decode, short_file
from mdapp.stress.pattern import Buffer, key_of
from mdapp.stress.phase import Work

TRANSFER = 2 << 20
RECORD = 47008
RANDOM = 4096


class Layout(ABC):
    """Where operation i of a rank lies.

    Attributes
    ----------
    kind : "easy" or "hard"
    nbytes : of an operation
    folder : the API's own, below that of the run
    field : of the pattern
    limit : most operations of a rank
    """

    kind: str
    nbytes: int

    def __init__(self, folder: Path, ranks: int, limit: int):
        self.folder, self.ranks, self.limit = folder, ranks, limit
        self.field = f"{folder.name}/{self.kind}"

    @abstractmethod
    def file(self, rank: int) -> int:
        """Number of the rank's file in the pattern."""

    @abstractmethod
    def path(self, rank: int) -> Path:
        """The rank's file."""

    @abstractmethod
    def offset(self, rank: int, i: int) -> int:
        """Byte at which operation i begins."""

    @abstractmethod
    def extent(self, count: int) -> tuple[int, int]:
        """Files, and bytes of each, after `count` operations of each rank."""


class Easy(Layout):
    """A file for each rank."""

    kind, nbytes = "easy", TRANSFER

    def file(self, rank: int) -> int:
        """One each."""
        return rank

    def path(self, rank: int) -> Path:
        """By the rank's number."""
        return self.folder / "easy" / f"{rank:08d}"

    def offset(self, rank: int, i: int) -> int:
        """One behind the other."""
        return i * TRANSFER

    def extent(self, count: int) -> tuple[int, int]:
        """All of one size."""
        return self.ranks, count * TRANSFER


class Hard(Layout):
    """One file for all ranks."""

    kind, nbytes = "hard", RECORD

    def file(self, rank: int) -> int:
        """The same for all."""
        return 0

    def path(self, rank: int) -> Path:
        """The same for all."""
        return self.folder / "hard" / "shared"

    def offset(self, rank: int, i: int) -> int:
        """In turns."""
        return (i * self.ranks + rank) * RECORD

    def extent(self, count: int) -> tuple[int, int]:
        """One file."""
        return 1, count * self.ranks * RECORD


class Write(Work):
    """All ranks write their part of a layout."""

    writes, api, unit = True, "posix", "B"
    durable = "fsync"

    def __init__(self, layout: Layout, run: int, rank: int):
        super().__init__()
        self.layout, self.rank, self.key = layout, rank, key_of(run, layout.field)
        self.name, self.twin = f"{layout.kind}-write", f"ior-{layout.kind}-write"
        self.per_step = layout.nbytes
        self.buffer = Buffer(layout.nbytes)
        self.number = layout.file(rank)
        self.out: File | None = None

    def begin(self) -> None:
        """Open the file."""
        self.out = REAL.open(self.layout.path(self.rank), os.O_WRONLY | os.O_CREAT)

    def step(self, i: int) -> None:
        """Write one transfer."""
        offset = self.layout.offset(self.rank, i)
        began = perf_counter()
        self.buffer.fill(self.key, self.number, offset)
        self.own_s += perf_counter() - began
        self.put(offset)

    def put(self, offset: int) -> None:
        """Write the buffer."""
        assert self.out is not None
        self.out.pwrite(self.buffer.data, offset)

    def end(self, count: int) -> None:
        """Sync and close."""
        assert self.out is not None
        self.out.fsync()
        self.out.close()

    def written(self) -> list[Path]:
        """The rank's file."""
        return [self.layout.path(self.rank)]

    def abandon(self) -> None:
        """Close."""
        if self.out is not None:
            self.out.abandon()


class Read(Work):
    """Each rank reads and checks what another one wrote."""

    api, unit = "posix", "B"
    durable = "checked"

    def __init__(self, layout: Layout, known: Known, writer: int):
        super().__init__()
        self.layout, self.known, self.writer = layout, known, writer
        self.name, self.twin = f"{layout.kind}-read", f"ior-{layout.kind}-read"
        self.per_step = self.nbytes = layout.nbytes
        self.key, self.number = key_of(known.run, layout.field), layout.file(writer)
        self.buffer = Buffer(self.nbytes)
        self.source: File | None = None

    def paths(self) -> list[Path]:
        """The file of the other rank."""
        return [self.layout.path(self.writer)]

    def begin(self) -> None:
        """Open the file."""
        self.buffer.poison()
        self.source = REAL.open(self.layout.path(self.writer))

    def offset(self, i: int) -> int:
        """Where operation i reads."""
        return self.layout.offset(self.writer, i)

    def step(self, i: int) -> None:
        """Read one transfer and check it."""
        buffer, offset = self.buffer, self.offset(i)
        got = self.get(offset)
        began = perf_counter()
        if got < self.nbytes or not buffer.is_right(self.key, self.number, offset):
            self.wrong(self.explained(offset, got))
            buffer.poison()
        self.own_s += perf_counter() - began

    def get(self, offset: int) -> int:
        """Fill the buffer; returns how many bytes there were."""
        assert self.source is not None
        return self.source.pread_into(self.buffer.data, offset)

    def explained(self, offset: int, got: int) -> list[Finding]:
        """What is wrong with the transfer in the buffer."""
        layout, number = self.layout, self.number
        path = str(layout.path(self.writer).relative_to(layout.folder.parent))
        right = self.buffer.expected(self.key, number, offset)
        whole = got // 8
        found = decode(self.buffer.words[:whole], right[:whole], self.known, layout.field, number,
                       offset, path)  # fmt: skip
        if got < self.nbytes:
            found.append(short_file(path, layout.field, number, offset + got, self.nbytes - got))
        elif whole < len(right):
            found += decode(self.buffer.words[whole:], right[whole:], self.known, layout.field,
                            number, offset + 8 * whole, path)  # fmt: skip
        return found

    def end(self, count: int) -> None:
        """Close."""
        assert self.source is not None
        self.source.close()

    def written(self) -> list[Path]:
        """The file that was read: a later phase shall find it on the device again."""
        return self.paths()

    def abandon(self) -> None:
        """Close."""
        if self.source is not None:
            self.source.abandon()


class RandomRead(Read):
    """4096 bytes at random places of another rank's easy file."""

    def __init__(self, layout: Easy, known: Known, writer: int, size: int):
        super().__init__(layout, known, writer)
        self.name, self.twin = "random-read", "ior-rnd4K-easy-read"
        self.per_step = self.nbytes = RANDOM
        self.places = size // RANDOM
        self.buffer = Buffer(RANDOM)

    def begin(self) -> None:
        """Open the file; reading ahead would only be in the way."""
        super().begin()
        assert self.source is not None
        self.source.advise(0, 0, os.POSIX_FADV_RANDOM)

    def offset(self, i: int) -> int:
        """A place that a counter-based generator gives: no two ranks share a sequence."""
        from mdapp.stress.pattern import mix_int

        return mix_int(int(self.key) ^ (self.writer << 40) ^ i) % self.places * RANDOM
