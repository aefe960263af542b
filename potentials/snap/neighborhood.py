"""The neighbours of one atom, eight at a time: their matrices, and derivatives by position.

A neighbour at r is a point of the 3-sphere, at an angle theta = pi rfac0 (r - rmin0) / (rc - rmin0)
from its pole, written as two complex numbers

    a = cos theta - i z h,     b = (y - i x) h,      h = sin theta / r

of which all matrix elements are polynomials (see potentials.snap.indices). A matrix is never
differentiated: what is wanted is the derivative of one number, E = s Re sum conj(Y) V, and that is
had by going back through the recursion, from the largest j to the smallest, with the derivatives
by V in the place of V. This costs about twice the recursion itself, where carrying the three
derivatives of V along would cost six times as much.

Vectors hold one number of eight neighbours; arrays are flat, element k of lane l at 8 k + l.
"""

from __future__ import annotations

from math import cos, pi, sin, sqrt

import numpy as np
from numba import njit

from potentials import simd
from potentials.snap.mode import LANES, add_scaled
from potentials.static import INLINED

# What is kept of a neighbour: difference vector and distance, a and b, weight times switching
# function and its derivative, h and the derivatives of cos theta and h by r.
X, Y, Z, PER_R, A_R, A_I, B_R, B_I, SCALE, SLOPE, H, COS_SLOPE, H_SLOPE = range(13)
FIELDS = 13
TOO_CLOSE = 1e-20             # squared distance of atoms that do not see each other


@njit(**INLINED)
def describe(kept, q, dx, dy, dz, d2, cutoff, weight, rfac0, rmin0, switched):
    """Write what is kept of one neighbour to place q."""
    r = sqrt(d2)
    per_r, span = 1.0 / r, cutoff - rmin0
    rate = rfac0 * pi / span
    theta = (r - rmin0) * rate
    c, s = cos(theta), sin(theta)
    if s < 0.0:                      # closer than rmin0
        c, s = -c, -s
    h, c_slope = s * per_r, -s * rate
    kept[X, q], kept[Y, q], kept[Z, q], kept[PER_R, q] = dx, dy, dz, per_r
    kept[A_R, q], kept[A_I, q] = c, -dz * h
    kept[B_R, q], kept[B_I, q] = dy * h, -dx * h
    kept[H, q], kept[COS_SLOPE, q], kept[H_SLOPE, q] = h, c_slope, (c * rate - h) * per_r
    kept[SCALE, q], kept[SLOPE, q] = weight, 0.0
    if switched and r > rmin0:
        phase = (r - rmin0) * pi / span
        kept[SCALE, q] = weight * 0.5 * (cos(phase) + 1.0)
        kept[SLOPE, q] = -weight * 0.5 * sin(phase) * pi / span


@njit(**INLINED)
def fill_up(kept, begin, end):
    """Lanes that stand for nobody: the pole, with no weight."""
    for q in range(begin, end):
        for k in range(FIELDS):
            kept[k, q] = 0.0
        kept[A_R, q] = 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def forward(twojmax, start, kept, q, vr, vi):
    """Matrices V of the eight neighbours from q on; vr, vi (size * 8,) out."""
    ar, ai = simd.load(kept[A_R], q, LANES), simd.load(kept[A_I], q, LANES)
    br, bi = simd.load(kept[B_R], q, LANES), simd.load(kept[B_I], q, LANES)
    zero, one = simd.splat(0.0, LANES), simd.splat(1.0, LANES)
    nai, nbr, nbi = zero - ai, zero - br, zero - bi
    simd.store(vr, np.uint64(0), one)
    simd.store(vi, np.uint64(0), zero)
    for j in range(1, twojmax + 1):
        for mb in range(j // 2 + 1):
            source = np.uint64((start[j - 1] + mb * j) * LANES)
            place = np.uint64((start[j] + mb * (j + 1)) * LANES)
            cr, ci = zero, zero
            for _ in range(j):
                ur, ui = simd.load(vr, source, LANES), simd.load(vi, source, LANES)
                simd.store(vr, place, simd.fma(ai, ui, simd.fma(ar, ur, cr)))
                simd.store(vi, place, simd.fma(nai, ur, simd.fma(ar, ui, ci)))
                cr = simd.fma(nbi, ui, nbr * ur)
                ci = simd.fma(bi, ur, nbr * ui)
                source += np.uint64(LANES)
                place += np.uint64(LANES)
            simd.store(vr, place, cr)
            simd.store(vi, place, ci)
        if j % 2:
            mirror_row(j, start[j], vr, vi)


@njit(**INLINED)
def mirror_row(j, first, vr, vi):
    """Row (j + 1) / 2 of an odd j from the row before it."""
    low = j // 2
    for ma in range(j + 1):
        source = np.uint64((first + low * (j + 1) + j - ma) * LANES)
        place = np.uint64((first + (low + 1) * (j + 1) + ma) * LANES)
        sign = 1.0 if (j - ma - low) % 2 == 0 else -1.0
        simd.store(vr, place, sign * simd.load(vr, source, LANES))
        simd.store(vi, place, -sign * simd.load(vi, source, LANES))


@njit(cache=True, nogil=True, error_model="numpy")
def accumulate(mode, size, kept, q, vr, vi, magic, total_r, total_i):
    """Add the V of eight neighbours, with their weights, to sums in as many lanes.

    magic : (size,) float64, what rounds each element to the grid of deterministic sums
    """
    scale = simd.load(kept[SCALE], q, LANES)
    for k in range(np.uint64(size)):
        at, big = k * np.uint64(LANES), simd.splat(magic[k], LANES)
        old_r, old_i = simd.load(total_r, at, LANES), simd.load(total_i, at, LANES)
        simd.store(total_r, at, add_scaled(mode, old_r, scale, simd.load(vr, at, LANES), big))
        simd.store(total_i, at, add_scaled(mode, old_i, scale, simd.load(vi, at, LANES), big))


@njit(cache=True, nogil=True, error_model="numpy")
def backward(twojmax, size, start, kept, q, vr, vi, seed_r, seed_i, wr, wi, gradient):
    """Derivatives of the energy by the positions of the eight neighbours from q on.

    Parameters
    ----------
    vr, vi : their matrices V
    seed_r, seed_i : (size,) float64, dE/dV of a neighbour of weight 1; 0 in mirror images
    wr, wi : (size * 8,) float64, scratch
    gradient : (3, 8) float64, dE/dx, dE/dy, dE/dz, out
    """
    ar, ai = simd.load(kept[A_R], q, LANES), simd.load(kept[A_I], q, LANES)
    br, bi = simd.load(kept[B_R], q, LANES), simd.load(kept[B_I], q, LANES)
    zero = simd.splat(0.0, LANES)
    nai, nbr, nbi = zero - ai, zero - br, zero - bi
    gar, gai, gbr, gbi, inner, other = zero, zero, zero, zero, zero, zero
    for k in range(np.uint64(size)):
        at = k * np.uint64(LANES)
        sr, si = simd.splat(seed_r[k], LANES), simd.splat(seed_i[k], LANES)
        simd.store(wr, at, sr)
        simd.store(wi, at, si)
        inner = simd.fma(sr, simd.load(vr, at, LANES), inner)
        other = simd.fma(si, simd.load(vi, at, LANES), other)
    inner = inner + other
    for j in range(twojmax, 0, -1):
        for mb in range(j // 2 + 1):
            source = np.uint64((start[j - 1] + mb * j) * LANES)
            place = np.uint64((start[j] + mb * (j + 1)) * LANES)
            lr, li = simd.load(wr, place, LANES), simd.load(wi, place, LANES)
            for _ in range(j):
                place += np.uint64(LANES)
                hr, hi = simd.load(wr, place, LANES), simd.load(wi, place, LANES)
                ur, ui = simd.load(vr, source, LANES), simd.load(vi, source, LANES)
                tr, ti = simd.load(wr, source, LANES), simd.load(wi, source, LANES)
                # V was carried by conj(a) and -conj(b); its derivatives go back by a and -b.
                tr = simd.fma(nai, li, simd.fma(ar, lr, tr))
                ti = simd.fma(ai, lr, simd.fma(ar, li, ti))
                simd.store(wr, source, simd.fma(bi, hi, simd.fma(nbr, hr, tr)))
                simd.store(wi, source, simd.fma(nbi, hr, simd.fma(nbr, hi, ti)))
                gar = simd.fma(li, ui, simd.fma(lr, ur, gar))
                gai = simd.fma(lr, ui, gai - li * ur)
                gbr = simd.fma(hi, ui, simd.fma(hr, ur, gbr))
                gbi = simd.fma(hr, ui, gbi - hi * ur)
                lr, li = hr, hi
                source += np.uint64(LANES)
        if j % 2 == 0:
            return_mirror_row(j - 1, start[j - 1], wr, wi)
    # gb has been summed without its sign.
    chain(kept, q, gar, gai, zero - gbr, zero - gbi, inner, gradient)


@njit(**INLINED)
def return_mirror_row(j, first, wr, wi):
    """Add derivatives by the row (j + 1) / 2 to those by the row that it is an image of."""
    low = j // 2
    for ma in range(j + 1):
        place = np.uint64((first + low * (j + 1) + j - ma) * LANES)
        image = np.uint64((first + (low + 1) * (j + 1) + ma) * LANES)
        sign = 1.0 if (j - ma - low) % 2 == 0 else -1.0
        simd.store(wr, place, simd.load(wr, place, LANES) + sign * simd.load(wr, image, LANES))
        simd.store(wi, place, simd.load(wi, place, LANES) - sign * simd.load(wi, image, LANES))


@njit(**INLINED)
def chain(kept, q, gar, gai, gbr, gbi, inner, gradient):
    """From derivatives by a, b and the weight to those by the position."""
    x, y, z = (simd.load(kept[X], q, LANES), simd.load(kept[Y], q, LANES),
               simd.load(kept[Z], q, LANES))
    h, scale = simd.load(kept[H], q, LANES), simd.load(kept[SCALE], q, LANES)
    turned = gbr * y - gai * z - gbi * x
    slope, per_r = simd.load(kept[SLOPE], q, LANES), simd.load(kept[PER_R], q, LANES)
    cos_slope, h_slope = simd.load(kept[COS_SLOPE], q, LANES), simd.load(kept[H_SLOPE], q, LANES)
    radial = (scale * (gar * cos_slope + turned * h_slope) + inner * slope) * per_r
    direct = scale * h
    simd.store(gradient[0], 0, radial * x - direct * gbi)
    simd.store(gradient[1], 0, radial * y + direct * gbr)
    simd.store(gradient[2], 0, radial * z - direct * gai)
