"""Lists of single atoms, written out from the pairs of clusters.

Potentials whose pair terms are dear (splines) or that look at several neighbours at once want the
neighbours of an atom one by one. The clusters have found them already: the bits that an exact list
keeps say which of the sixteen pairs of a block are in reach, so that no distance is computed again.

Each atom's row has all its neighbours. (Half rows, each pair once, were written for potentials of
dear pair terms; blocks of clusters serve these better, see potentials/eam/README.md.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials import simd

CLUSTERS, FULL = "clusters", "full"


@dataclass
class Rows:
    """The neighbours of the atoms of one chunk, those in the slots first..last-1.

    Attributes
    ----------
    first, last : slots, four a cluster
    start : (last - first + 1,) int64, neighbours[start[k]:start[k + 1]] belong to slot first + k
    neighbors : (n,) int32, atoms
    """

    first: int
    last: int
    start: NDArray[np.int64]
    neighbors: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """Memory of the rows."""
        return self.start.nbytes + self.neighbors.nbytes


def expand(chunk, slot_atom: NDArray[np.int32]) -> Rows:
    """Rows of a chunk of an exact list; see mdapp.neighbors.clusters.Chunk."""
    first, last = 4 * chunk.first, 4 * chunk.last
    start = np.zeros(last - first + 1, np.int64)
    pairs = (chunk.first, chunk.last, chunk.start, chunk.middle, chunk.partners, chunk.masks,
             chunk.own_masks, slot_atom, present_slots(slot_atom))
    count_rows(*pairs, start)
    np.cumsum(start, out=start)
    neighbors = np.empty(start[-1], np.int32)
    fill_rows(*pairs, start[:-1].copy(), neighbors)
    return Rows(first, last, start, neighbors)


@njit(cache=True, nogil=True, error_model="numpy")
def present_slots(slot_atom):
    """(nclusters,) int64, bit s of which is set if slot s of the cluster has an atom."""
    present = np.zeros(len(slot_atom) // 4, np.int64)
    for slot in range(len(slot_atom)):
        if slot_atom[slot] >= 0:
            present[slot >> 2] |= 1 << (slot & 3)
    return present


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _of_atoms(mask, mine, others):
    """The bits of a block that are of two atoms: dummies all lie at one place.

    mine, others : the slots of the two clusters that have one
    """
    rows = ((mine & 1) | (mine & 2) << 3 | (mine & 4) << 6 | (mine & 8) << 9) * 0xF
    return np.int64(mask) & rows & (others * 0x1111)


@njit(cache=True, nogil=True, error_model="numpy")
def count_rows(first, last, start, middle, partners, masks, own_masks, slot_atom, present, counts):
    """counts[k + 1] = neighbours that slot 4 * first + k will list; counts (slots + 1,), out."""
    for i in range(first, last):
        k = i - first
        _count(_of_atoms(own_masks[k], present[i], present[i]), counts, 4 * k + 1)
        for p in range(start[k], start[k + 1]):
            j = np.int64(partners[p])
            bits = _of_atoms(masks[p], present[i], present[j])
            _count(bits, counts, 4 * k + 1)
            if p < middle[k]:
                _count(transposed(bits), counts, 4 * (j - first) + 1)


@njit(cache=True, nogil=True, error_model="numpy")
def fill_rows(first, last, start, middle, partners, masks, own_masks, slot_atom, present,
              place, neighbors):
    """Write the rows that `count_rows` has counted.

    place : (slots,) int64, where each row begins; afterwards where it ends
    """
    for i in range(first, last):
        k = i - first
        bits = _of_atoms(own_masks[k], present[i], present[i])
        _fill(bits, 4 * i, slot_atom, place, 4 * k, neighbors)
        for p in range(start[k], middle[k]):
            j = np.int64(partners[p])
            bits = _of_atoms(masks[p], present[i], present[j])
            _fill(bits, 4 * j, slot_atom, place, 4 * k, neighbors)
            _fill(transposed(bits), 4 * i, slot_atom, place, 4 * (j - first), neighbors)
        for p in range(middle[k], start[k + 1]):
            j = np.int64(partners[p])
            bits = _of_atoms(masks[p], present[i], present[j])
            _fill(bits, 4 * j, slot_atom, place, 4 * k, neighbors)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _count(bits, counts, row):
    """Count the bits of each of the four rows of a block."""
    for a in range(4):
        four = (bits >> (4 * a)) & 15
        four = (four & 5) + ((four >> 1) & 5)
        counts[row + a] += (four & 3) + (four >> 2)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _fill(bits, other, slot_atom, place, row, neighbors):
    """Write the neighbours that `_count` counts, from the four slots from `other` on."""
    left = np.uint64(bits)
    while left:
        t = np.uint64(simd.lowest_bit(left))
        left &= left - np.uint64(1)
        at = np.uint64(row) + (t >> np.uint64(2))
        neighbors[np.uint64(place[at])] = slot_atom[np.uint64(other) + (t & np.uint64(3))]
        place[at] += 1


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def transposed(mask):
    """The bits of a block seen from the other side: bit 4 a + b becomes bit 4 b + a."""
    m = np.int64(mask)
    return ((m & 0x8421) | ((m & 0x0842) << 3) | ((m & 0x0084) << 6) | ((m & 0x0008) << 9)
            | ((m >> 3) & 0x0842) | ((m >> 6) & 0x0084) | ((m >> 9) & 0x0008))
