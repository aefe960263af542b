"""The neighbours of an atom in range: their vectors, radial sums, angular functions and sums.

Neighbours are put in bins first: those within the angular cutoff, type by type, then the others of
the radial one. From there on eight of a bin are worked on at a time, of one type and with the same
numbers for all. What the forces will need of them is kept. A bin is filled up with neighbours so
far away that all their functions are exactly 0, because t = 1 - r / rc is never taken below 0.

For the radial part the sums of fc T_k are enough, 2 operations each for eight neighbours; they are
contracted with c_nk once an atom. Angular functions are contracted before they are multiplied by
the harmonics: there are 24 of these, and usually fewer functions than basis functions.
"""

from __future__ import annotations

from math import pi
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials import simd
from potentials.nep.harmonics import LANES
from potentials.nep.mode import (
    BLOCK,
    add_product,
    add_products,
    harmonics_of,
    in_real,
)
from potentials.static import INLINED, variant
from potentials.sums import real_of
from potentials.vector_math import like, polynomial

FIELDS = 8                # kept of a neighbour: direction, r, 1/r, t, fc, fc'
FAR = 1e3                 # Angstrom
SIN = (1.5707963267948966, -0.6459640975062462, 0.07969262624616565, -0.004681754135304255,
       0.0001604411847130916, -3.5988430204672576e-06, 5.6921364280986254e-08,
       -6.684416831856085e-10, 5.87297574479995e-12)
COS = (1.0, -1.233700550136169, 0.25366950790103104, -0.02086348076317886, 0.0009192602739434877,
       -2.5202039782228713e-05, 4.7108307433635577e-07, -6.382235924529259e-09,
       6.3317327178079e-11)
SIN_SINGLE = (1.5707963200386017, -0.6459637595835394, 0.0796899183290285, -0.0046741438381517775,
              0.0001516717036640896)
COS_SINGLE = (0.999999999779154, -1.2337005342322365, 0.2536693221726959, -0.02086268670922735,
              0.0009177229241995567, -2.3824152439014107e-05)


class Scratch(NamedTuple):
    """Memory for eight atoms of one type, `real` as the mode has it; flat where not said.

    Attributes
    ----------
    near : (2T, room) int32, atoms in their bins
    lanes : (8,) float64, 0 to 7
    filled : (8, 2T) int64, of each bin of each of the eight
    begin : (8, 2T + 1) int64, registers at which bins begin
    partner : (8, registers * 8) int32, atoms
    kept : (8, registers * FIELDS * 8) real
    angular : (8, registers * depth * 8) real, g_n, g_n' and harmonics of the angular bins
    chebyshev : (k * 8) real, T_k of eight neighbours
    radial_sums : (8 * T * kradial * 8,) sums of fc T_k, of each lane
    sums : (8 * nangular * harmonics,) sums of g_n y
    by_atom : (nangular * harmonics * 8,) real, the same as real, an atom a lane
    adjoint : (nangular * harmonics * 8,) real, derivatives of energies by them
    descriptor, slope : (dim * 8,) real, q and dU/dq
    hidden : (neurons * 8,) real
    beta : (T * kradial * 2 * 8,) real, factors of T_k in sum_n dU/dq_n p_n, and in its derivative
    pulled : (harmonics * 8,) real
    energy, repulsion : (8,) float64
    push : (24,) float64
    virial : (48,) float64
    """

    near: NDArray[np.int32]
    lanes: NDArray[np.float64]
    filled: NDArray[np.int64]
    begin: NDArray[np.int64]
    partner: NDArray[np.int32]
    kept: NDArray[Any]
    angular: NDArray[Any]
    chebyshev: NDArray[Any]
    radial_sums: NDArray[Any]
    sums: NDArray[Any]
    by_atom: NDArray[Any]
    adjoint: NDArray[Any]
    descriptor: NDArray[Any]
    slope: NDArray[Any]
    hidden: NDArray[Any]
    beta: NDArray[Any]
    pulled: NDArray[Any]
    energy: NDArray[np.float64]
    repulsion: NDArray[np.float64]
    push: NDArray[np.float64]
    virial: NDArray[np.float64]


@variant
def quarter_wave(mode):
    """Sine and cosine of pi t / 2 for t from 0 to 1; the sine of 0 is 0."""
    sin, cos = (SIN_SINGLE, COS_SINGLE) if mode.single else (SIN, COS)

    def quarter_wave(mode, t):
        t2 = t * t
        return t * polynomial(t2, sin), polynomial(t2, cos)
    return quarter_wave


@njit(cache=True, nogil=True, error_model="numpy")
def pack(m, x, type_, i, own, a, neighbors, begin, end, s):
    """Put the neighbours of atom i, the a-th of eight, into bins.

    Only their numbers: three more stores for each cost more than fetching positions once again.
    """
    ntypes, count, near = np.uint64(m.ranges2.shape[0]), s.filled[a], s.near
    ranges2 = m.ranges2[own]
    count[:] = 0
    xi, yi, zi = x[i, 0], x[i, 1], x[i, 2]
    for c in range(np.uint64(begin), np.uint64(end)):
        j = np.uint64(neighbors[c])
        dx, dy, dz = x[j, 0] - xi, x[j, 1] - yi, x[j, 2] - zi
        d2 = dx * dx + dy * dy + dz * dz
        kind = np.uint64(type_[j])
        b = kind + np.uint64(d2 >= ranges2[kind, 1]) * ntypes
        near[b, np.uint64(count[b])] = np.int32(j)
        count[b] += np.int64(d2 < ranges2[kind, 0])


@njit(cache=True, nogil=True, error_model="numpy")
def describe(mode, m, x, i, own, a, s):
    """Sums over the neighbours of atom i, the a-th of eight, which have been put in bins."""
    ntypes, nsums = m.ranges2.shape[0], len(s.sums) // LANES
    s.radial_sums[a * ntypes * m.kradial * LANES:(a + 1) * ntypes * m.kradial * LANES] = 0.0
    s.sums[a * nsums:(a + 1) * nsums] = 0.0
    partner, group = s.partner[a], np.int64(0)
    for b in range(2 * ntypes):
        s.begin[a, b] = group
        near, n, kind = s.near[b], s.filled[a, b], b % ntypes
        near[n:n + LANES] = i                             # any atom that is there
        for q in range(0, n, LANES):
            atoms = simd.load(near, q, LANES)
            simd.store(partner, group * LANES, atoms)
            ux, uy, uz, r = place(mode, x, i, atoms, n - q, a, group, s)
            radial_terms(mode, m, own, kind, a, group, r, s)
            if b < ntypes:
                angular_terms(mode, m, own, kind, a, group, ux, uy, uz, r, s)
            group += 1
    s.begin[a, 2 * ntypes] = group


@njit(**INLINED)
def place(mode, x, i, atoms, left, a, group, s):
    """Directions and distances of eight neighbours, kept for the forces; FAR beyond the `left`."""
    px, py, pz = simd.lookup(x, atoms * 3, 3)
    is_there = simd.load(s.lanes, 0, LANES) < np.float64(left)
    px, py, pz = (simd.where(is_there, px - x[i, 0], like(px, FAR)),
                  simd.where(is_there, py - x[i, 1], like(py, 0.0)),
                  simd.where(is_there, pz - x[i, 2], like(pz, 0.0)))
    ux, uy, uz = in_real(mode, px), in_real(mode, py), in_real(mode, pz)
    r = simd.sqrt(simd.fma(ux, ux, simd.fma(uy, uy, uz * uz)))
    ir = 1.0 / r
    ux, uy, uz = ux * ir, uy * ir, uz * ir
    kept, k = s.kept[a], group * FIELDS * LANES
    simd.store(kept, k, ux)
    simd.store(kept, k + LANES, uy)
    simd.store(kept, k + 2 * LANES, uz)
    simd.store(kept, k + 3 * LANES, r)
    simd.store(kept, k + 4 * LANES, ir)
    return ux, uy, uz, r


@njit(**INLINED)
def switched(mode, r, cutoff):
    """t, fc and fc' of eight distances."""
    t = 1.0 - r / cutoff
    t = simd.where(t > 0.0, t, like(t, 0.0))
    sin, cos = quarter_wave(mode, t)
    return t, sin * sin, sin * cos * real_of(mode, -pi / cutoff)


@njit(**INLINED)
def radial_terms(mode, m, own, kind, a, group, r, s):
    """Add fc T_k of eight neighbours to the radial sums."""
    t, fc, dfc = switched(mode, r, m.cutoffs[own, kind, 0])
    kept, k = s.kept[a], group * FIELDS * LANES
    simd.store(kept, k + 5 * LANES, t)
    simd.store(kept, k + 6 * LANES, fc)
    simd.store(kept, k + 7 * LANES, dfc)
    x = 2.0 * t * t - 1.0
    x2 = x + x
    older, newer = x, like(x, 1.0)                    # T_-1 and T_0
    at = (a * m.ranges2.shape[0] + kind) * m.kradial * LANES
    for _ in range(m.kradial):
        total = simd.load(s.radial_sums, at, LANES)
        simd.store(s.radial_sums, at, add_product(mode, total, fc, newer, m.magic_radial))
        older, newer = newer, simd.fma(x2, newer, -older)
        at += LANES


@njit(**INLINED)
def angular_terms(mode, m, own, kind, a, group, x, y, z, r, s):
    """Angular functions and harmonics of eight neighbours, and their sums."""
    cutoff = m.cutoffs[own, kind, 1]
    t, fc, dfc = switched(mode, r, cutoff)
    along = 2.0 * t * t - 1.0
    slope = fc * t * real_of(mode, -4.0 / cutoff)
    older, newer = along, like(along, 1.0)
    for k in range(m.kangular):
        simd.store(s.chebyshev, k * LANES, newer)
        older, newer = newer, simd.fma(along + along, newer, -older)
    nblocks = (m.nangular + BLOCK - 1) // BLOCK
    width = nblocks * BLOCK * LANES                   # numbers of all g_n, and of all g_n'
    angular = s.angular[a]
    harmonics = len(m.weights)
    first = group * (2 * width + harmonics * LANES)
    c = (own * m.ranges2.shape[0] + kind) * nblocks * m.kangular * 2 * BLOCK
    at = first
    for _ in range(nblocks):
        p, d = simd.zeros(t, BLOCK), simd.zeros(t, BLOCK)
        for k in range(m.kangular):
            basis = simd.load(s.chebyshev, k * LANES, LANES)
            p = simd.add_outer(p, m.angular, c, 1, basis)
            d = simd.add_outer(d, m.angular, c + BLOCK, 1, basis)
            c += 2 * BLOCK
        keep_functions(angular, at, width, p[0], d[0], fc, dfc, slope)
        keep_functions(angular, at + LANES, width, p[1], d[1], fc, dfc, slope)
        keep_functions(angular, at + 2 * LANES, width, p[2], d[2], fc, dfc, slope)
        keep_functions(angular, at + 3 * LANES, width, p[3], d[3], fc, dfc, slope)
        at += BLOCK * LANES
    first_y = first + 2 * width
    harmonics_of(mode, x, y, z, angular, first_y)
    for b in range(0, harmonics, LANES):
        ys = simd.turned(angular, first_y + b * LANES, LANES)
        for n in range(m.nangular):
            at = (a * m.nangular + n) * harmonics + b
            grid = (own * m.nangular + n) * harmonics + b
            total = add_products(mode, simd.load(s.sums, at, LANES), ys, angular,
                                 first + n * LANES, m.magic, grid)
            simd.store(s.sums, at, total)


@njit(**INLINED)
def keep_functions(angular, at, width, p, d, fc, dfc, slope):
    """g_n and g_n' of eight neighbours."""
    simd.store(angular, at, fc * p)
    simd.store(angular, at + width, simd.fma(dfc, p, slope * d))
