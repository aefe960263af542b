"""How many neighbours atoms have within a distance, from the lists of a run."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdapp.neighbors.clusters import ClusterList


def count_within(x: NDArray[np.float64], clusters: ClusterList, distance: float) -> int:
    """Neighbours within a distance of all owned atoms of this rank, each pair from either side.

    Parameters
    ----------
    x : (n, 3) float64, of the atoms that the lists were built for, where they are now
    distance : no longer than the reach of the lists
    """
    return sum(_count(x, clusters.slot_atom, chunk.first, chunk.start, chunk.middle,
                      chunk.partners, distance**2) for chunk in clusters.chunks)


@njit(cache=True, nogil=True, error_model="numpy")
def _count(x, slot_atom, first, start, middle, partners, range2):
    found = 0
    for k in range(len(middle)):
        i = first + k
        found += 2 * _near(x, slot_atom, i, i, range2)
        for p in range(start[k], start[k + 1]):     # those before the middle are in one row only
            pairs = _near(x, slot_atom, i, np.int64(partners[p]), range2)
            found += 2 * pairs if p < middle[k] else pairs
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _near(x, slot_atom, i, j, range2):
    """Pairs of atoms of two clusters, or of one, each once."""
    found = 0
    for s in range(4):
        for t in range(s + 1 if i == j else 0, 4):
            a, b = slot_atom[4 * i + s], slot_atom[4 * j + t]
            if a >= 0 and b >= 0:
                dx, dy, dz = x[a, 0] - x[b, 0], x[a, 1] - x[b, 1], x[a, 2] - x[b, 2]
                found += dx * dx + dy * dy + dz * dz < range2
    return found
