"""Reading a checkpoint back: positioned reads at the places that the block tables name.

The manifest vouches for heads and tables, the tables for the data; HDF5 is not needed, so that
damage to its metadata alone loses nothing. Buffers are spoilt before each read: bytes that never
arrived cannot pass for data that did. What is wrong is collected as `Damage`, named by file, block
and field, and told apart from what could not be read, which is an OSError.

Each field is read through a descriptor of its own: to the kernel these are sequential streams, and
it reads ahead while the cpu checks. (Measured on a local disk: announcing blocks oneself, reading
in a second thread and reading past the page cache are all slower, by a third and more.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.storage.blocks import Table, block_crc, row_dtype
from mdapp.storage.crc import crc32
from mdapp.storage.engines import Clock
from mdapp.storage.files import File, FileSystem, raw
from mdapp.storage.manifest import FileEntry, Manifest, Writer
from mdapp.storage.state import Field

POISON = 0xA5
SECTOR = 512
Buffers = Sequence[NDArray[Any]]


@dataclass(frozen=True)
class Damage:
    """Something in a checkpoint that is not what was written.

    Attributes
    ----------
    file : relative to the checkpoint
    reason : what is wrong
    block : number of the block among its writer's, None where no block is meant
    field : name of the field, empty where none is meant
    """

    file: str
    reason: str
    block: int | None = None
    field: str = ""

    def __str__(self) -> str:
        place = "" if self.block is None else f", block {self.block}"
        place += f", field {self.field}" if self.field else ""
        return f"{self.file}{place}: {self.reason}"


@dataclass(frozen=True)
class Part:
    """Blocks of one writer that a rank is to read: rows `begin` to `end` of its table."""

    entry: FileEntry
    writer: Writer
    begin: int
    end: int


@dataclass(frozen=True)
class Share:
    """What one of several ranks reads of a checkpoint.

    Attributes
    ----------
    parts : its blocks
    heads : files whose heads it checks
    natoms : atoms in the blocks
    """

    parts: tuple[Part, ...]
    heads: tuple[FileEntry, ...]
    natoms: int


def share_of(manifest: Manifest, rank: int, ranks: int) -> Share:
    """Blocks for one of `ranks` readers: equal shares of atoms, each block read once.

    A block goes to the rank in whose share its middle falls, so that shares differ from equal ones
    by less than a block.
    """
    parts, total = [], 0
    for entry in manifest.files:
        for writer in entry.writers:
            if not _touches(writer, manifest, rank, ranks):
                continue
            rows = [r for r in range(writer.rows) if _reader(writer, r, manifest, ranks) == rank]
            if rows:
                parts.append(Part(entry, writer, rows[0], rows[-1] + 1))
                last = min((rows[-1] + 1) * manifest.block_atoms, writer.natoms)
                total += last - rows[0] * manifest.block_atoms
    heads = tuple(e for k, e in enumerate(manifest.files) if k % ranks == rank)
    return Share(tuple(parts), heads, total)


def _touches(writer: Writer, manifest: Manifest, rank: int, ranks: int) -> bool:
    """Whether any of a writer's atoms can be in a rank's share."""
    low, high = rank * manifest.natoms, (rank + 1) * manifest.natoms
    slack = manifest.block_atoms * ranks
    first = writer.first_atom * ranks
    return first + writer.natoms * ranks + slack > low and first - slack < high


def _reader(writer: Writer, row: int, manifest: Manifest, ranks: int) -> int:
    start = row * manifest.block_atoms
    count = min(manifest.block_atoms, writer.natoms - start)
    return (2 * (writer.first_atom + start) + count) * ranks // (2 * manifest.natoms)


def check_sizes(fs: FileSystem, path: Path, manifest: Manifest) -> list[Damage]:
    """Compare the files of a checkpoint with the sizes in its manifest.

    Raises
    ------
    OSError
        A size cannot be asked for.
    """
    found = []
    for entry in manifest.files:
        try:
            size = fs.lstat(path / entry.path).st_size
        except (FileNotFoundError, NotADirectoryError):
            found.append(Damage(entry.path, "missing"))
            continue
        if size != entry.size:
            found.append(Damage(entry.path, f"has {size} bytes instead of {entry.size}"))
    return found


def check_head(fs: FileSystem, path: Path, entry: FileEntry) -> list[Damage]:
    """Compare the head of a file, its HDF5 metadata, with its checksum."""
    buffer = np.full(entry.head_len, POISON, np.uint8)
    with fs.open_patiently(path / entry.path) as file:
        got = file.pread_into(raw(buffer), 0)
    if got < entry.head_len or crc32(raw(buffer)) != entry.head_crc:
        return [Damage(entry.path, "the HDF5 metadata at its begin does not fit its checksum")]
    return []


def read_table(file: File, manifest: Manifest, part: Part) -> tuple[Table | None, list[Damage]]:
    """Read the rows of a part, checked against checksum and manifest; None if they are wrong."""
    writer, entry = part.writer, part.entry
    table = np.empty(writer.rows, row_dtype(len(manifest.fields)))
    bytes_of_table = raw(table)
    bytes_of_table[:] = bytes([POISON]) * len(bytes_of_table)
    got = file.pread_into(bytes_of_table, writer.table_offset)
    if got < len(bytes_of_table) or crc32(bytes_of_table) != writer.table_crc:
        reason = f"the block table of rank {writer.rank} does not fit its checksum"
        return None, [Damage(entry.path, reason)]
    starts = manifest.block_atoms * np.arange(writer.rows)
    counts = np.minimum(manifest.block_atoms, writer.natoms - starts)
    ends = table["offset"] + counts[:, None].astype(np.uint64) * np.array(
        [f.atom_bytes for f in manifest.fields], np.uint64
    )
    fits = (
        (table["count"] == counts).all()
        and (table["first"] == (starts + writer.first_atom).astype(np.uint64)).all()
        and (table["writer"] == writer.rank).all()
        and (table["offset"] >= entry.head_len).all()
        and (ends <= entry.size).all()
    )
    if not fits:
        reason = f"the block table of rank {writer.rank} does not fit the manifest"
        return None, [Damage(entry.path, reason)]
    return table[part.begin : part.end], []


def read_blocks(
    fs: FileSystem,
    path: Path,
    manifest: Manifest,
    share: Share,
    place: Callable[[int], Buffers],
    clock: Clock,
) -> Generator[tuple[Buffers, list[Damage]], None, None]:
    """Read and check the blocks of a share, one after the other.

    Parameters
    ----------
    place
        Gives arrays for a block of n atoms, one a field; they may be used again once the next
        block is asked for.

    Yields
    ------
    (arrays, damages)
        An intact block, or damages of one or of a whole part, and then no arrays.

    Raises
    ------
    OSError
        Something cannot be read.
    """
    for part in share.parts:
        with _opened(fs, path / part.entry.path, len(manifest.fields)) as files:
            table, damages = read_table(files[0], manifest, part)
            if table is None:
                yield (), damages
                continue
            for k, row in enumerate(table):
                buffers = place(int(row["count"]))
                found = _read_block(files, manifest.fields, row, buffers, clock)
                damages = [
                    Damage(part.entry.path, reason, part.begin + k, name) for name, reason in found
                ]
                yield (() if damages else buffers), damages


@contextmanager
def _opened(fs: FileSystem, path: Path, times: int) -> Iterator[list[File]]:
    """Open a file once for each field, since the kernel's read-ahead follows descriptors."""
    with ExitStack() as stack:
        files = [stack.enter_context(fs.open_patiently(path)) for _ in range(times)]
        for file in files:
            file.advise(0, 0, _SEQUENTIAL)
        yield files


def _read_block(
    files: Sequence[File], fields: Sequence[Field], row: Any, buffers: Buffers, clock: Clock
) -> list[tuple[str, str]]:
    """Fill buffers with a block; returns (field, reason) of what is wrong with it."""
    wrong = []
    for k, (file, item, buffer) in enumerate(zip(files, fields, buffers, strict=True)):
        view = raw(buffer)
        with clock("read_s"):
            # What does not arrive must not pass for what was there before: every sector is spoilt.
            buffer.reshape(-1).view(np.uint8)[::SECTOR] ^= POISON
            got = file.pread_into(view, int(row["offset"][k]))
        with clock("crc_s"):
            crc = block_crc(buffer)
        if got < len(view):
            wrong.append((item.name, "the file ends in it"))
        elif crc != row["crc"][k]:
            wrong.append((item.name, f"its checksum is {crc:08x} instead of {row['crc'][k]:08x}"))
    return wrong


_SEQUENTIAL = getattr(os, "POSIX_FADV_SEQUENTIAL", 0)
_DONTNEED = getattr(os, "POSIX_FADV_DONTNEED", 0)


def read_back(fs: FileSystem, path: Path, fields: Sequence[Field], table: Table) -> str:
    """Compare a file that was just written with a writer's table; returns what differs, or "".

    Raises
    ------
    OSError
        The file cannot be read.
    """
    count = int(table["count"].max(initial=0))
    buffers = [f.empty(count) for f in fields]
    with _opened(fs, path, len(fields)) as files:
        files[0].advise(0, 0, _DONTNEED)
        for k, row in enumerate(table):
            some = [b[: row["count"]] for b in buffers]
            for name, reason in _read_block(files, fields, row, some, Clock()):
                return str(Damage(str(path), reason, k, name))
    return ""
