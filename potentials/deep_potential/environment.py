"""From an atom's neighbours to the rows of its environment, and from derivatives by rows to forces.

Neighbours in range are packed without a branch; everything after works on eight of them at a time,
in double precision. What the forces will need again is kept, as fields of an array.

In deterministic mode they are sorted by their vectors, which have the same bits on every rank:
all sums within the energy of an atom are then taken in one order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentials import simd
from potentials.deep_potential.mode import LANES, put
from potentials.order import arrange
from potentials.simd import fma
from potentials.static import variant
from potentials.vector_math import like

X, Y, Z, PER_R, PER_P, FALL, SLOPE, INPUT = range(8)     # vector, 1/r, 1/(r + p), w, dw/dr, and
FIELDS = 8                                               # the row's first component in double


@njit(cache=True, nogil=True, error_model="numpy")
def pack(mode, x, type_, i, neighbors, begin, end, cut2, near, kept, counts):
    """Keep the vectors to the neighbours of atom i in range, and count them by type.

    near : (room,) int32, atoms, out
    kept : (FIELDS, room) float64, X, Y, Z, out; filled up to whole vectors
    counts : (ntypes,) int64, out

    Returns
    -------
    number of neighbours
    """
    xi, yi, zi = x[i, 0], x[i, 1], x[i, 2]
    packed = np.uint64(0)                                  # unsigned: no wrap-around test
    for c in range(np.uint64(begin), np.uint64(end)):
        j = np.uint64(neighbors[c])
        px, py, pz = x[j, 0] - xi, x[j, 1] - yi, x[j, 2] - zi
        near[packed] = np.int32(j)
        packed += np.uint64(px * px + py * py + pz * pz < cut2)
    n = np.int64(packed)
    arrange(mode, n, i, x, type_, near)
    counts[:] = 0
    for q in range(n):
        j = np.uint64(near[q])
        kept[X, q], kept[Y, q], kept[Z, q] = x[j, 0] - xi, x[j, 1] - yi, x[j, 2] - zi
        counts[type_[j]] += 1
    far = np.sqrt(cut2)
    for q in range(n, (n + LANES - 1) // LANES * LANES):
        kept[X, q], kept[Y, q], kept[Z, q] = far, 0.0, 0.0
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def describe(form, env, kind, n, kept, rows):
    """Rows of n neighbours, and what their derivatives need.

    env : see potentials.deep_potential.passes.Environment
    kind : type of the centre
    kept : (FIELDS, room) float64, in and out
    rows : (4, room) real, out; 0 where there is no neighbour. Of a radial descriptor the
        second is 1 where there is one
    """
    mean, per = env.mean[kind], env.per_scale[kind]
    start, width = env.smooth, env.cutoff - env.smooth
    for q in range(0, n, LANES):
        x, y, z = (simd.load(kept[X], q, LANES), simd.load(kept[Y], q, LANES),
                   simd.load(kept[Z], q, LANES))
        r = simd.sqrt(fma(x, x, fma(y, y, z * z)))
        zero, one = like(r, 0.0), like(r, 1.0)
        u = (r - start) * (1.0 / width)
        u = simd.smaller(simd.where(u > 0.0, u, zero), one)
        v = one - u
        w = fma(u * u * u, fma(u, 15.0 - 6.0 * u, like(r, -10.0)), one)
        per_p = one / (r + env.protection)
        simd.store(kept[PER_R], q, one / r)
        simd.store(kept[PER_P], q, per_p)
        simd.store(kept[FALL], q, w)
        simd.store(kept[SLOPE], q, (-30.0 / width) * u * u * v * v)
        given = (w * per_p - mean[0]) * per[0]
        simd.store(kept[INPUT], q, given)
        put(form, rows[0], q, given)
        share = w * per_p * per_p
        put(form, rows[1], q, (share * x - mean[1]) * per[1])
        put(form, rows[2], q, (share * y - mean[2]) * per[2])
        put(form, rows[3], q, (share * z - mean[3]) * per[3])
    finish(form, n, rows)


@variant
def finish(form):
    """Clear what stands where there is no neighbour."""
    if form.radial:
        def ones(form, n, rows):
            rows[1, :n] = 1.0
            rows[1, n:(n + LANES - 1) // LANES * LANES] = 0.0
        return ones

    def clear(form, n, rows):
        rows[:, n:(n + LANES - 1) // LANES * LANES] = 0.0
    return clear


@njit(cache=True, nogil=True, error_model="numpy")
def chain(env, kind, n, kept, slopes):
    """From derivatives by rows to those by the neighbours' positions, in place.

    slopes : (4, room) float64, dE/dR; out: dE/dx, dE/dy, dE/dz in the first three
    """
    per = env.per_scale[kind]
    for q in range(0, n, LANES):
        x, y, z = (simd.load(kept[X], q, LANES), simd.load(kept[Y], q, LANES),
                   simd.load(kept[Z], q, LANES))
        w, dw = simd.load(kept[FALL], q, LANES), simd.load(kept[SLOPE], q, LANES)
        per_r, per_p = simd.load(kept[PER_R], q, LANES), simd.load(kept[PER_P], q, LANES)
        g0, g1, g2, g3 = (simd.load(slopes[0], q, LANES) * per[0],
                          simd.load(slopes[1], q, LANES) * per[1],
                          simd.load(slopes[2], q, LANES) * per[2],
                          simd.load(slopes[3], q, LANES) * per[3])
        square = per_p * per_p
        along = (g0 * (dw * per_p - w * square)
                 + (g1 * x + g2 * y + g3 * z) * square * (dw - 2.0 * w * per_p)) * per_r
        share = w * square
        simd.store(slopes[0], q, fma(along, x, share * g1))
        simd.store(slopes[1], q, fma(along, y, share * g2))
        simd.store(slopes[2], q, fma(along, z, share * g3))
