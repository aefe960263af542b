"""What both passes over blocks of four atoms against four share.

Precisions, masks and deterministic sums are those of pair/loop.py.
"""

from __future__ import annotations

from numba import njit

from potentials import simd
from potentials.pair.loop import difference, row
from potentials.static import INLINED


@njit(**INLINED)
def at_cluster(packed, i):
    """The coordinates of the four atoms of i, each on the four lanes of its pairs with a block."""
    return (simd.spread(row(packed, 12 * i), 4, 0, 4),
            simd.spread(row(packed, 12 * i + 4), 4, 0, 4),
            simd.spread(row(packed, 12 * i + 8), 4, 0, 4))


@njit(**INLINED)
def vectors(mode, x_i, packed, j):
    """The vectors from the four atoms of j to the four of i, in units of the coordinates."""
    return (difference(mode, x_i[0], packed, 12 * j), difference(mode, x_i[1], packed, 12 * j + 4),
            difference(mode, x_i[2], packed, 12 * j + 8))
