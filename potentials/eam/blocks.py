"""What both passes over blocks of four atoms against four share.

Precisions, masks and deterministic sums are those of pair/loop.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from numba import njit, types

from potentials import simd
from potentials.pair.loop import difference, row
from potentials.static import INLINED, Static


@dataclass(frozen=True)
class Mode(Static):
    """The constants that the passes are compiled for.

    Attributes
    ----------
    single : coordinates in fixed point, pair arithmetic in single precision
    single_sums : sums over the pairs of an atom too
    many_types : rows of tables are looked up by the types of a pair
    want : value of a Want
    deterministic : sums of integers
    exact : only pairs that the list's masks allow
    """

    single: bool
    single_sums: bool
    many_types: bool
    want: int
    deterministic: bool
    exact: bool

    @property
    def real(self) -> types.Float:
        """Type of the pair arithmetic."""
        return types.float32 if self.single else types.float64


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
