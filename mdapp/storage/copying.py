"""A file of a checkpoint made anew from its blocks, each checked on the way.

The new file gets a fresh head, and its block table new places; the blocks are those of the old one,
checksums included. That mends a damaged head, and it lets files of several checkpoints become files
of one: the number of the first atom and of the writer are all that changes.

Planning the head needs HDF5 and belongs to the main thread; copying the blocks does not, and any
thread may do it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mdapp.storage.blocks import place_rows, row_dtype
from mdapp.storage.container import ALIGNMENT, Container, plan_container
from mdapp.storage.crc import crc32
from mdapp.storage.engines import Clock, Pace, unhurried
from mdapp.storage.errors import DamagedError
from mdapp.storage.files import File, FileSystem, raw
from mdapp.storage.manifest import FileEntry, Manifest, Writer
from mdapp.storage.reading import Part, Share, read_blocks, read_table


def plan_copy(
    manifest: Manifest, entry: FileEntry, attributes: Mapping[str, Any],
    alignment: int = ALIGNMENT,
) -> Container:  # fmt: skip
    """Lay out a file for the blocks of an old one; the last two as in `plan_container`."""
    natoms, rows = sum(w.natoms for w in entry.writers), sum(w.rows for w in entry.writers)
    return plan_container(natoms, rows, manifest.fields, attributes, alignment)


def copy_blocks(
    fs: FileSystem,
    path: Path,
    manifest: Manifest,
    entry: FileEntry,
    file: File,
    container: Container,
    *,
    atoms_before: int = 0,
    ranks_before: int = 0,
    pace: Pace = unhurried,
) -> FileEntry:
    """Copy all blocks and tables of a file, and leave syncing and closing to the caller.

    Parameters
    ----------
    path, manifest, entry
        The old checkpoint, and its file.
    file, container
        The new one, made by `create_container`.
    atoms_before, ranks_before
        Added to the numbers of first atoms and of writers.
    pace
        As in `mdapp.storage.engines`.

    Returns
    -------
    FileEntry
        Of the new file, under the old path.

    Raises
    ------
    DamagedError
        A block or a table is not what was written.
    OSError
        The system's.
    """
    sizes = [f.atom_bytes for f in manifest.fields]
    row_bytes = row_dtype(len(sizes)).itemsize
    writers: list[Writer] = []
    done, table_offset = 0, container.table
    for old in entry.writers:
        new = replace(
            old, rank=old.rank + ranks_before, first_atom=old.first_atom + atoms_before,
            table_offset=table_offset,
        )  # fmt: skip
        offsets = [o + done * s for o, s in zip(container.offsets, sizes, strict=True)]
        writers.append(_copy_writer(fs, path, manifest, Part(entry, old, 0, old.rows), file, new,
                                    offsets, pace))  # fmt: skip
        done += old.natoms
        table_offset += old.rows * row_bytes
    return replace(
        entry, size=container.size, head_len=len(container.head), head_crc=container.head_crc,
        writers=tuple(writers),
    )  # fmt: skip


def _copy_writer(
    fs: FileSystem, path: Path, manifest: Manifest, part: Part, file: File, new: Writer,
    offsets: list[int], pace: Pace,
) -> Writer:  # fmt: skip
    with fs.open(path / part.entry.path) as source:
        table, damages = read_table(source, manifest, part)
    if table is None:
        raise DamagedError(f"{path}: {damages[0]}")
    table = table.copy()
    table["writer"] = new.rank
    place_rows(table, new.first_atom, offsets, [f.atom_bytes for f in manifest.fields])
    buffers = [f.empty(min(manifest.block_atoms, new.natoms)) for f in manifest.fields]
    blocks = read_blocks(
        fs, path, manifest, Share((part,), (), new.natoms),
        lambda n: [b[:n] for b in buffers], Clock(),
    )  # fmt: skip
    for row, (block, damages) in zip(table, blocks, strict=new.rows > 0):
        if damages:
            raise DamagedError(f"{path}: {damages[0]}")
        for k, values in enumerate(block):
            file.pwrite(raw(values), int(row["offset"][k]))
            pace(values.nbytes)
    file.pwrite(raw(table), new.table_offset)
    return replace(new, table_crc=crc32(raw(table)))
