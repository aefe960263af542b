"""The second pass: forces and virial, of what the first (density_pass.py) has kept of each pair."""

from __future__ import annotations

import numpy as np
from numba import njit

from potentials import simd
from potentials.base import Want
from potentials.eam.blocks import at_cluster, vectors
from potentials.pair.loop import (
    LANES,
    RANGE_BITS,
    add_to,
    nothing,
    out_of_range,
    row,
    summand,
    take_from,
)
from potentials.static import INLINED, variant
from potentials.sums import real_of


@variant
def pair_slope(mode):
    """The derivative of the energy by r, over r, of the pairs of a block."""
    if mode.many_types:                   # rounds alike, whichever atom of the pair is i
        return lambda mode, n, near, fi, fj, slope_i, slope_j, slope_phi: (
            simd.load_selected(slope_i, n, near) * fi + simd.load_selected(slope_j, n, near) * fj
            + simd.load_selected(slope_phi, n, near))
    return lambda mode, n, near, fi, fj, slope_i, slope_j, slope_phi: simd.fma(
        simd.load_selected(slope_i, n, near), fi + fj, simd.load_selected(slope_phi, n, near))


@variant
def half_virial(mode):
    """Half of a pair's virial, the part of either atom, xx yy zz yz xz xy; g is the force on j."""
    if mode.want == Want.FORCES.value:
        return lambda mode, dx, dy, dz, gx, gy, gz, per_w: None

    def half_virial(mode, dx, dy, dz, gx, gy, gz, per_w):
        half = real_of(mode, -0.5)
        hx, hy, hz = gx * half, gy * half, gz * half
        return (summand(mode, dx * hx, per_w), summand(mode, dy * hy, per_w),
                summand(mode, dz * hz, per_w), summand(mode, dy * hz, per_w),
                summand(mode, dx * hz, per_w), summand(mode, dx * hy, per_w))
    return half_virial


@variant
def no_virial(mode):
    """Six zeros for the sums of a cluster, where they are wanted."""
    if mode.want == Want.FORCES.value:
        return lambda mode: None

    def zeros(mode):
        v = nothing(mode)
        return v, v, v, v, v, v
    return zeros


@variant
def plus(mode):
    """The sum of two virials."""
    if mode.want == Want.FORCES.value:
        return lambda mode, a, b: None
    return lambda mode, a, b: (a[0] + b[0], a[1] + b[1], a[2] + b[2],
                               a[3] + b[3], a[4] + b[4], a[5] + b[5])


@variant
def give_virial(mode):
    """The partner's half: to its atoms, or to the sum of cluster i, which goes to the total."""
    if mode.want == Want.PER_ATOM.value:
        def to_atoms(mode, w, share, w_out, j):
            add_virial(mode, w_out, 24 * j, simd.fold(share[0], 4), simd.fold(share[1], 4),
                       simd.fold(share[2], 4), simd.fold(share[3], 4), simd.fold(share[4], 4),
                       simd.fold(share[5], 4))
            return w
        return to_atoms
    return lambda mode, w, share, w_out, j: plus(mode, w, share)


@variant
def keep_virial(mode):
    """The sum of cluster i to where it is wanted."""
    if mode.want == Want.PER_ATOM.value:
        return lambda mode, w, w_out, i: add_virial(
            mode, w_out, 24 * i, simd.reduce_blocks(w[0], 4), simd.reduce_blocks(w[1], 4),
            simd.reduce_blocks(w[2], 4), simd.reduce_blocks(w[3], 4), simd.reduce_blocks(w[4], 4),
            simd.reduce_blocks(w[5], 4))
    if mode.want == Want.TOTALS.value:
        def to_total(mode, w, w_out, i):
            for d in range(6):
                w_out[d] += simd.total(simd.as_float64(w[d]))
        return to_total
    return lambda mode, w, w_out, i: None


@njit(**INLINED)
def add_virial(mode, w_out, place, xx, yy, zz, yz, xz, xy):
    """Add the virials of a cluster's atoms where they are kept."""
    add_to(mode, w_out, place, xx)
    add_to(mode, w_out, place + 4, yy)
    add_to(mode, w_out, place + 8, zz)
    add_to(mode, w_out, place + 12, yz)
    add_to(mode, w_out, place + 16, xz)
    add_to(mode, w_out, place + 20, xy)


@njit(cache=True, nogil=True, error_model="numpy")
def force_pass(mode, packed, first, clusters, block_start, block_middle, pair_start, kept_partners,
               kept_masks, slope_i, slope_j, slope_phi, slopes, per_f, per_w, f, w_out):
    """Add the forces of a chunk's pairs to f, and the virial where it is wanted to w_out.

    Returns whether a force left the range of the deterministic grid.

    slopes : (4 * nclusters,) real, dF/drho of the atoms and ghosts in slots
    f : (12 * nowned,) sums per unit of the packed coordinates, out
    """
    overflow = simd.splat(False, LANES)
    limit = simd.splat(real_of(mode, 2.0**RANGE_BITS / per_f), LANES)
    none = nothing(mode)
    for c in range(clusters):
        i, n = first + c, np.uint64(pair_start[c])
        x_i = at_cluster(packed, i)
        fi = simd.spread(row(slopes, 4 * i), 4, 0, 4)
        fx, fy, fz, w = none, none, none, no_virial(mode)
        for b in range(block_start[c], block_middle[c]):       # pairs that act on both
            j, bits = np.int64(kept_partners[np.uint64(b)]), kept_masks[np.uint64(b)]
            near, fj = simd.mask_of_bits(bits), simd.tile(row(slopes, 4 * j), 4)
            slope = pair_slope(mode, n, near, fi, fj, slope_i, slope_j, slope_phi)
            n += simd.count(bits)
            dx, dy, dz = vectors(mode, x_i, packed, j)
            gx, gy, gz = slope * dx, slope * dy, slope * dz    # on j
            overflow = out_of_range(mode, overflow, gx, gy, gz, limit)
            qx, qy = summand(mode, gx, per_f), summand(mode, gy, per_f)
            qz = summand(mode, gz, per_f)
            fx, fy, fz = fx + qx, fy + qy, fz + qz
            add_to(mode, f, 12 * j, simd.fold_two(qx, qy))
            add_to(mode, f, 12 * j + 8, simd.fold(qz, 4))
            share = half_virial(mode, dx, dy, dz, gx, gy, gz, per_w)
            w = give_virial(mode, plus(mode, w, share), share, w_out, j)
        for b in range(block_middle[c], block_start[c + 1]):   # pairs that act on i
            j, bits = np.int64(kept_partners[np.uint64(b)]), kept_masks[np.uint64(b)]
            near, fj = simd.mask_of_bits(bits), simd.tile(row(slopes, 4 * j), 4)
            slope = pair_slope(mode, n, near, fi, fj, slope_i, slope_j, slope_phi)
            n += simd.count(bits)
            dx, dy, dz = vectors(mode, x_i, packed, j)
            gx, gy, gz = slope * dx, slope * dy, slope * dz
            overflow = out_of_range(mode, overflow, gx, gy, gz, limit)
            fx, fy, fz = (fx + summand(mode, gx, per_f), fy + summand(mode, gy, per_f),
                          fz + summand(mode, gz, per_f))
            w = plus(mode, w, half_virial(mode, dx, dy, dz, gx, gy, gz, per_w))
        take_from(mode, f, 12 * i, simd.reduce_blocks(fx, 4))
        take_from(mode, f, 12 * i + 4, simd.reduce_blocks(fy, 4))
        take_from(mode, f, 12 * i + 8, simd.reduce_blocks(fz, 4))
        keep_virial(mode, w, w_out, i)
    return simd.any_lane(overflow)
