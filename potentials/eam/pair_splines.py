"""The functions of r of packed pairs, eight at a time.

A pair costs a square root, a division and two or three splines, all at once from one row of a
table (tables.py): with one type a cache line in double precision.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentials import simd
from potentials.static import INLINED, variant
from potentials.sums import real_of


@variant
def table_rows(mode):
    """Where in the table of pairs the rows of eight pairs begin; one type has one function."""
    if mode.many_types:
        return lambda mode, rows, q, cell: (simd.load(rows, q, 8) + cell) * np.int32(12)
    return lambda mode, rows, q, cell: cell * np.int32(8)


@variant
def splines(mode):
    """Values and slopes, per knot, of the two or three functions of eight pairs."""
    if mode.many_types:
        def three(mode, table, rows, q, p):
            a0, a1, a2, b0, b1, b2, c0, c1, c2, d0, d1, d2 = simd.columns(table, rows, q, 12)
            return (*cubic(mode, a0, b0, c0, d0, p), *cubic(mode, a1, b1, c1, d1, p),
                    *cubic(mode, a2, b2, c2, d2, p))
        return three

    def two(mode, table, rows, q, p):
        a0, a1, b0, b1, c0, c1, d0, d1 = simd.columns(table, rows, q, 8)
        density, slope = cubic(mode, a0, b0, c0, d0, p)
        return (density, slope, density, slope, *cubic(mode, a1, b1, c1, d1, p))
    return two


@njit(**INLINED)
def cubic(mode, a, b, c, d, p):
    """((a p + b) p + c) p + d, and its derivative."""
    inner = simd.fma(a, p, b)
    middle = simd.fma(inner, p, c)
    return simd.fma(middle, p, d), simd.fma(simd.fma(a, p, inner), p, middle)


@variant
def as_real(mode):
    """Whole numbers in the precision of the pair arithmetic."""
    if mode.single:
        return lambda mode, v: simd.as_float32(v)
    return lambda mode, v: simd.as_float64(v)


@variant
def store_partner(mode):
    """The density at j and its slope, which with one type are those at i."""
    if mode.many_types:
        def store_partner(mode, at_j, q, density, slope_j, place, slope):
            simd.store(at_j, q, density)
            simd.store(slope_j, place, slope)
        return store_partner
    return lambda mode, at_j, q, density, slope_j, place, slope: None


@variant
def store_energy(mode):
    """The pair energy, where it is wanted."""
    if mode.want:
        return lambda mode, phi, q, energy: simd.store(phi, q, energy)
    return lambda mode, phi, q, energy: None


@njit(**INLINED)
def evaluate_pairs(mode, n, r2, rows, p, table, per_r, top, at_i, at_j, phi,
                   slope_i, slope_j, slope_phi, offset):
    """Functions of n packed pairs, given r^2 and the first row of their types; room for n + 8.

    Writes density at i and at j and the pair energy from the begin of at_i, at_j, phi, and from
    `offset` on what the force needs: derivatives of the densities over r, and of the pair energy
    over r. Leaves 1 / r in r2, places in the table in rows, and in p the way from knot to knot.

    per_r, top : 1 / dr, and the last interval of the table
    """
    one, per = simd.splat(real_of(mode, 1.0), 8), simd.splat(real_of(mode, per_r), 8)
    last = simd.splat(real_of(mode, top), 8)
    for q in range(0, n, 8):               # apart, so that roots of the next pairs need not wait
        r, inverse = simd.root_and_inverse(simd.load(r2, q, 8))
        place = r * per
        cell = simd.truncated(simd.smaller(place, last))
        simd.store(r2, q, inverse)
        simd.store(p, q, simd.smaller(place - as_real(mode, cell), one))
        simd.store(rows, q, table_rows(mode, rows, q, cell))
    for q in range(0, n, 8):
        inverse = simd.load(r2, q, 8)
        di, si, dj, sj, z2, sz = splines(mode, table, rows, q, simd.load(p, q, 8))
        energy, scale = z2 * inverse, per * inverse
        simd.store(at_i, q, di)
        simd.store(slope_i, offset + q, si * scale)
        store_partner(mode, at_j, q, dj, slope_j, offset + q, sj * scale)
        store_energy(mode, phi, q, energy)
        simd.store(slope_phi, offset + q, (sz * per - energy) * inverse * inverse)
