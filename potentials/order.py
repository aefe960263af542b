"""Neighbours in an order that their vectors alone decide.

Vectors have the same bits on every rank, whatever the order of atoms in memory: sums over an atom's
neighbours, taken in this order, are the same everywhere.
"""

from __future__ import annotations

from numba import njit

from potentials.static import INLINED, variant


@variant
def arrange(mode):
    """Sort the first n neighbours of atom i in deterministic mode; else leave them as they are."""
    if not mode.deterministic:
        return lambda mode, n, i, x, type_, near: None
    return lambda mode, n, i, x, type_, near: put_in_order(n, i, x, type_, near)


@njit(cache=True, nogil=True, error_model="numpy")
def put_in_order(n, i, x, type_, near):
    """Sort the first n of near, neighbours of atom i; x (n, 3), type_ (n,)."""
    for last in range(1, n):
        moving, place = near[last], last
        while place > 0 and before(i, moving, near[place - 1], x, type_):
            near[place] = near[place - 1]
            place -= 1
        near[place] = moving


@njit(**INLINED)
def before(i, a, b, x, type_):
    """Whether neighbour a of i comes before b: by distance, vector and type."""
    ax, ay, az = x[a, 0] - x[i, 0], x[a, 1] - x[i, 1], x[a, 2] - x[i, 2]
    bx, by, bz = x[b, 0] - x[i, 0], x[b, 1] - x[i, 1], x[b, 2] - x[i, 2]
    ar, br = ax * ax + ay * ay + az * az, bx * bx + by * by + bz * bz
    return (ar, ax, ay, az, type_[a]) < (br, bx, by, bz, type_[b])
