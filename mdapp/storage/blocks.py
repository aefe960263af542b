"""Blocks: runs of consecutive atoms of one writer, each with a checksum for every field.

A row of the table says where a block's bytes lie in the file, what they must sum to, and which
atoms and which part of space they hold; so a reader needs neither HDF5 nor the writer's number of
ranks to find, verify or hand out atoms.

The CRC is taken on the run's own array just before the bytes go into a write call: what happens to
them later, in HDF5, MPI-IO, the kernel or on the disk, shows. One block of one field is a megabyte
and a half, so that the write finds in the cache what the CRC has just read, and no copy of the
state is ever made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdapp.model.state_hash import hash_atoms, hash_more
from mdapp.storage.crc import crc32
from mdapp.storage.files import raw

Table = NDArray[Any]
LANES = 48
TILE = 4096


def row_dtype(nfields: int) -> np.dtype[Any]:
    """Type of a row, packed and little-endian: 80 bytes and 12 for each field."""
    return np.dtype(
        [
            ("first", "<u8"), ("count", "<u4"), ("writer", "<u4"),
            ("bbox_lo", "<f8", (3,)), ("bbox_hi", "<f8", (3,)),
            ("id_min", "<u8"), ("id_max", "<u8"),
            ("offset", "<u8", (nfields,)), ("crc", "<u4", (nfields,)),
        ]
    )  # fmt: skip


def make_table(arrays: Sequence[NDArray[Any]], writer: int, block_atoms: int) -> Table:
    """Rows of one writer's atoms: everything but `first`, `offset` and `crc`, which come later.

    Parameters
    ----------
    arrays
        The fields, id and x first.
    """
    n = len(arrays[0])
    table = np.zeros(-(-n // block_atoms), row_dtype(len(arrays)))
    table["writer"] = writer
    table["count"] = np.minimum(block_atoms, n - block_atoms * np.arange(len(table)))
    return table


@njit(cache=True, nogil=True, error_model="numpy")
def survey_atoms(  # type: ignore[no-untyped-def]
    arrays, hashes, words, sums, spans, ranges, counts
):
    """Look at the atoms of a block, a few at a time so that they stay in the nearest cache.

    Parameters
    ----------
    arrays
        id, x, v, type, image.
    hashes
        Whether to add the state hash to `sums`, (2,) uint64.
    words
        x and v as uint64.
    spans
        (2, 2, 3), returned: least and greatest x, then v; a NaN anywhere makes both NaN.
    ranges
        (3, 2) int64, returned: least and greatest id, type and image.
    counts
        (ntypes,) int64: the atoms of each type are added; types beyond are in `ranges` only.
    """
    ids, x, v, types, image = arrays
    span = np.empty((2, 3))
    spans[:, 0], spans[:, 1] = np.inf, -np.inf
    ranges[0], ranges[1], ranges[2] = ids[0], types[0], image[0, 0]
    for begin in range(0, len(ids), TILE):
        end = min(begin + TILE, len(ids))
        if hashes:
            hash_atoms(ids[begin:end], words[0][begin:end], words[1][begin:end],
                       types[begin:end], image[begin:end], sums)
        _span(x[begin:end], span)
        _widen(spans[0], span)
        _span(v[begin:end], span)
        _widen(spans[1], span)
        _range(ids[begin:end], ranges[0])
        _range(types[begin:end], ranges[1])
        _range(image[begin:end].reshape(3 * (end - begin)), ranges[2])
        for i in range(begin, end):
            if 0 <= types[i] < len(counts):
                counts[types[i]] += 1


@njit(cache=True, nogil=True)
def _range(values, found):  # type: ignore[no-untyped-def]
    """Widen a range of integers, (2,)."""
    least, most = found[0], found[1]
    for i in range(len(values)):
        least, most = min(least, values[i]), max(most, values[i])
    found[0], found[1] = least, most


@njit(cache=True, nogil=True)
def _widen(spans, span):  # type: ignore[no-untyped-def]
    """Widen ranges (2, 3). Nothing is less than a NaN, so that once it is there it stays."""
    for d in range(3):
        if span[0, d] < spans[0, d] or span[0, d] != span[0, d]:
            spans[0, d] = span[0, d]
        if span[1, d] > spans[1, d] or span[1, d] != span[1, d]:
            spans[1, d] = span[1, d]


@njit(cache=True, nogil=True, error_model="numpy")
def _span(x, span):  # type: ignore[no-untyped-def]
    """Least and greatest of each column of (n, 3); both are NaN if there is one."""
    flat = x.reshape(x.size)
    # Lanes side by side, a multiple of three so that each belongs to one direction: a loop of a
    # fixed count over them becomes vector instructions, a minimum along an array does not.
    low, high, spoilt = np.empty(LANES), np.empty(LANES), np.zeros(LANES)
    for k in range(LANES):
        low[k], high[k] = np.inf, -np.inf
    whole = flat.size - flat.size % LANES
    for begin in range(0, whole, LANES):
        for k in range(LANES):
            value = flat[begin + k]
            low[k] = value if value < low[k] else low[k]
            high[k] = value if value > high[k] else high[k]
            spoilt[k] += value - value
    for i in range(whole, flat.size):
        k = i - whole
        low[k], high[k] = min(low[k], flat[i]), max(high[k], flat[i])
        spoilt[k] += flat[i] - flat[i]
    for d in range(3):
        span[0, d], span[1, d] = low[d::3].min(), high[d::3].max()
        if spoilt[d::3].sum() != 0.0:
            for i in range(len(x)):         # a NaN, or an infinity
                if x[i, d] != x[i, d]:
                    span[0, d] = span[1, d] = x[i, d]


def place_rows(table: Table, first_atom: int, offsets: Sequence[int], sizes: Sequence[int]) -> None:
    """Enter where a writer's blocks begin.

    Parameters
    ----------
    first_atom
        Atoms of the checkpoint before this writer's.
    offsets, sizes
        For each field, the byte in the file where this writer's slab begins, and bytes an atom.
    """
    before = np.cumsum(table["count"], dtype=np.uint64) - table["count"]
    table["first"] = before + np.uint64(first_atom)
    for k, (offset, size) in enumerate(zip(offsets, sizes, strict=True)):
        table["offset"][:, k] = np.uint64(offset) + before * np.uint64(size)


def block_bounds(table: Table) -> list[tuple[int, int]]:
    """Begin and end of each block among its writer's atoms."""
    ends = np.cumsum(table["count"], dtype=np.int64)
    return [(int(e - c), int(e)) for e, c in zip(ends, table["count"], strict=True)]


def block_crc(block: NDArray[Any]) -> int:
    """Checksum of the bytes of a block of one field."""
    return crc32(raw(block))


def add_hash(arrays: Sequence[NDArray[Any]], sums: NDArray[np.uint64]) -> None:
    """Add the state hash of some atoms to sums (2,) uint64; see mdapp.model.state_hash.

    Parameters
    ----------
    arrays
        The fields in storage order. What comes after the five standard ones enters in words of
        eight bytes, each atom's value filled up with zeros.
    """
    ids, x, v, types, image, *others = arrays
    if not len(ids):
        return
    x, v = x.view(np.uint64), v.view(np.uint64)
    if others:
        hash_more(ids, x, v, types, image, _words(others), sums)
    else:
        hash_atoms(ids, x, v, types, image, sums)


def _words(arrays: Sequence[NDArray[Any]]) -> NDArray[np.uint64]:
    """(n, k) words of the values of each atom."""
    columns = []
    for array in arrays:
        flat = array.reshape(len(array), -1).view(np.uint8)
        padded = np.zeros((len(array), -(-flat.shape[1] // 8) * 8), np.uint8)
        padded[:, : flat.shape[1]] = flat
        columns.append(padded.view(np.uint64))
    return np.concatenate(columns, axis=1)
