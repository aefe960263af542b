"""A checkpoint file of its nominal size, terabytes that take megabytes on disk.

The storage library lays the file out for all atoms and makes it, a hole but for its metadata. The
first, a middle and the last block of atoms go where the offsets of their ranks say, are synced, and
are read back and verified by checksums; HDF5 is asked for the same atoms by their number. Then the
file is removed. Where a file system refuses the size, smaller files stand for parts of it.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.storage.blocks import block_crc, make_table, place_rows
from mdapp.storage.container import Container, create_container, plan_container
from mdapp.storage.files import REAL, raw
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.reading import read_back
from mdapp.storage.state import STANDARD
from scaling.model.decomposition import Decomposition

BLOCK = CheckpointOptions().block_atoms
REFUSED = (errno.EFBIG, errno.ENOSPC, errno.EINVAL, errno.EOVERFLOW)
ROOM = 256 << 20
SIZES = [field.atom_bytes for field in STANDARD]


@dataclass(frozen=True)
class Pick:
    """A block of a rank: its first atom among all, and how many it has."""

    rank: int
    first: int
    count: int


@dataclass(frozen=True)
class Written:
    """What came of it.

    Attributes
    ----------
    nominal : bytes of the whole file
    on_disk : bytes that it took
    files : how many files stood for it; one where the file system took the size
    refusal : what the file system said to the whole size; empty if it took it
    fault : what was wrong with a block; empty if nothing was
    blocks : (rank, first atom, atoms, first byte of its positions) of each
    """

    nominal: int
    on_disk: int
    files: int
    refusal: str
    fault: str
    blocks: tuple[tuple[int, int, int, int], ...]


def picks_of(made: Decomposition) -> list[Pick]:
    """The first block of the first rank and of a middle one, and the last block of the last."""
    middle, last = len(made.counts) // 2, len(made.counts) - 1
    found = [Pick(r, int(made.first[r]), min(int(made.counts[r]), BLOCK)) for r in (0, middle)]
    count = int(made.counts[last]) % BLOCK or min(int(made.counts[last]), BLOCK)
    found.append(Pick(last, made.crystal.atoms - count, count))
    return list({pick.first: pick for pick in found}.values())


def rows_of(made: Decomposition) -> int:
    """Rows of the block table of all ranks."""
    return int((-(-made.counts // BLOCK)).sum())


def try_file(made: Decomposition, folder: Path) -> Written:
    """Write, read back, verify, remove.

    Raises
    ------
    InputError
        The folder cannot be written, or has no room for the blocks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    free = REAL.free_bytes(folder)
    if free < ROOM:
        raise InputError(f"--layout-check: {folder} has {free >> 20} MiB left, and the blocks that "
                         f"are written need {ROOM >> 20} MiB: name another folder with --out")
    natoms, picks = made.crystal.atoms, picks_of(made)
    nominal = _planned(natoms, rows_of(made)).size
    refusal, piece = "", natoms
    while True:
        try:
            return _in_pieces(folder, made, picks, piece, nominal, refusal)
        except OSError as error:
            if error.errno not in REFUSED or piece <= 2 * BLOCK:
                raise
            refusal = refusal or f"{error.strerror} for {nominal} bytes"
            piece = -(-piece // 2)


def _planned(natoms: int, rows: int) -> Container:
    return plan_container(natoms, rows, STANDARD, {"step": 0, "shard_index": 0})


def _in_pieces(folder: Path, made: Decomposition, picks: Sequence[Pick], piece: int, nominal: int,
               refusal: str) -> Written:
    """Let files of `piece` atoms stand for the whole; one if that is all of them."""
    on_disk, fault, used, told = 0, "", set(), []
    for pick in picks:
        number = pick.first // piece
        # A block that lies across the end of a file begins earlier, so that it is in one.
        first = min(pick.first - number * piece, max(piece - pick.count, 0))
        used.add(number)
        name = f".layout-check-{number}.h5"
        container = _planned(piece, rows_of(made) if piece == made.crystal.atoms else 1)
        with _new_file(folder / name, container) as path:
            table = _write(path, container, pick, first)
            fault = fault or read_back(REAL, path, STANDARD, table) or _by_hdf5(path, piece, pick,
                                                                               first)
            on_disk = max(on_disk, 512 * path.stat().st_blocks)
            told.append((pick.rank, pick.first, pick.count, int(table["offset"][0, 1])))
    return Written(nominal, on_disk, len(used) if refusal else 1, refusal, fault, tuple(told))


@contextlib.contextmanager
def _new_file(path: Path, container: Container) -> Any:
    """A planned file, removed in the end."""
    path.unlink(missing_ok=True)
    try:
        create_container(REAL, path, container).close()
        yield path
    finally:
        path.unlink(missing_ok=True)


def arrays_of(pick: Pick) -> list[NDArray[Any]]:
    """Fields of the atoms of a block: ids are their numbers, all else follows from these."""
    ids = np.arange(pick.first + 1, pick.first + pick.count + 1, dtype=np.int64)
    x = (ids[:, None] * np.array([3, 5, 7])) / 1024.0
    image = np.stack([ids % 3 - 1, ids % 5 - 2, ids % 7 - 3], axis=1).astype(np.int32)
    return [ids, x, -x, (ids % 2).astype(np.int32), image]


def _write(path: Path, container: Container, pick: Pick, first: int) -> Any:
    """Put a block where it belongs and sync; returns its row of the table."""
    arrays = arrays_of(pick)
    table = make_table(arrays, pick.rank, BLOCK)
    slabs = [begin + first * size for begin, size in zip(container.offsets, SIZES, strict=True)]
    place_rows(table, first, slabs, SIZES)
    table["crc"][0] = [block_crc(array) for array in arrays]
    with REAL.open(path, os.O_RDWR) as file:
        for k, array in enumerate(arrays):
            file.pwrite(raw(array), int(table["offset"][0, k]))
        file.fsync()
    return table


def _by_hdf5(path: Path, natoms: int, pick: Pick, first: int) -> str:
    """What HDF5 finds when it is asked for the block's atoms by number."""
    with h5py.File(path, "r") as file:
        for field, array in zip(STANDARD, arrays_of(pick), strict=True):
            dataset = file["atoms"][field.name]
            if dataset.shape[0] != natoms:
                return f"HDF5 sees {dataset.shape[0]} atoms in {field.name}"
            if not np.array_equal(dataset[first:first + pick.count], array):
                return f"HDF5 reads other values of {field.name} at atom {first}"
    return ""
