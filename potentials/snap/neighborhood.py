"""The neighbours of one atom, a vector at a time: their matrices, and derivatives by position.

A neighbour at r is a point of the 3-sphere, at an angle theta = pi rfac0 (r - rmin0) / (rc - rmin0)
from its pole, written as two complex numbers

    a = cos theta - i z h,     b = (y - i x) h,      h = sin theta / r

of which all matrix elements are polynomials (see potentials.snap.indices). A matrix is never
differentiated: what is wanted is the derivative of one number, E = s Re sum conj(Y) V, and that is
had by going back through the recursion, from the largest j to the smallest, with the derivatives
by V in the place of V. This costs about twice the recursion itself, where carrying the three
derivatives of V along would cost six times as much.

Distances and angles are calculated in double precision, whatever the rest is.

Vectors hold one number of as many neighbours as there are lanes; arrays are flat, element k of
lane l at lanes k + l.
"""

from __future__ import annotations

from math import pi

import numpy as np
from numba import njit

from potentials import simd
from potentials.snap.mode import add_scaled, load, splat, store, width
from potentials.static import INLINED
from potentials.vector_math import like, nearest, positive_part, sine_cosine

# What is kept of a neighbour: difference vector and distance, a and b, weight times switching
# function and its derivative, h and the derivatives of cos theta and h by r.
X, Y, Z, PER_R, A_R, A_I, B_R, B_I, SCALE, SLOPE, H, COS_SLOPE, H_SLOPE = range(13)
FIELDS = 13
# What it is made of, in double precision: X, Y, Z, the squared distance, the cutoff and the weight.
D2, CUTOFF, WEIGHT = 3, 4, 5
SOURCES = 6
TOO_CLOSE = 1e-20             # squared distance of atoms that do not see each other


@njit(**INLINED)
def note(near, q, dx, dy, dz, d2, cutoff, weight):
    """Write down a neighbour at place q."""
    near[X, q], near[Y, q], near[Z, q] = dx, dy, dz
    near[D2, q], near[CUTOFF, q], near[WEIGHT, q] = d2, cutoff, weight


@njit(**INLINED)
def fill_up(near, begin, end, rmin0):
    """Places that stand for nobody: some distance, in no direction and with no weight."""
    for q in range(begin, end):
        note(near, q, 0.0, 0.0, 0.0, 1.0, rmin0 + 1.0, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def describe(reg, near, end, rfac0, rmin0, switched, kept):
    """From what is noted of the neighbours before `end` to what is kept of them."""
    for q in range(0, end, width(reg)):
        x, y, z = load(reg, near[X], q), load(reg, near[Y], q), load(reg, near[Z], q)
        weight, r = load(reg, near[WEIGHT], q), simd.sqrt(load(reg, near[D2], q))
        per_r, per_span = 1.0 / r, 1.0 / (load(reg, near[CUTOFF], q) - rmin0)
        share = (r - rmin0) * per_span
        turns = share * rfac0
        s, c = sine_cosine((turns - nearest(turns)) * pi)
        up = s >= 0.0                # half a turn more, beyond the pole or closer than rmin0
        s, c = simd.where(up, s, -s), simd.where(up, c, -c)
        h, rate = s * per_r, per_span * (rfac0 * pi)
        store(reg, kept[X], q, x)
        store(reg, kept[Y], q, y)
        store(reg, kept[Z], q, z)
        store(reg, kept[PER_R], q, per_r)
        store(reg, kept[A_R], q, c)
        store(reg, kept[A_I], q, -(z * h))
        store(reg, kept[B_R], q, y * h)
        store(reg, kept[B_I], q, -(x * h))
        store(reg, kept[H], q, h)
        store(reg, kept[COS_SLOPE], q, -(s * rate))
        store(reg, kept[H_SLOPE], q, (c * rate - h) * per_r)
        s, c = sine_cosine(positive_part(share) * (0.5 * pi))
        if not switched:
            s, c = like(s, 0.0), like(c, 1.0)
        store(reg, kept[SCALE], q, weight * c * c)          # (1 + cos pi share) / 2
        store(reg, kept[SLOPE], q, -(weight * c * s * per_span * pi))


@njit(cache=True, nogil=True, error_model="numpy")
def forward(reg, twojmax, start, kept, q, vr, vi):
    """Matrices V of a vector of neighbours, those from q on; vr, vi (size * lanes,) out."""
    lanes = width(reg)
    ar, ai = load(reg, kept[A_R], q), load(reg, kept[A_I], q)
    br, bi = load(reg, kept[B_R], q), load(reg, kept[B_I], q)
    zero, one = splat(reg, 0.0), splat(reg, 1.0)
    nai, nbr, nbi = zero - ai, zero - br, zero - bi
    simd.store(vr, np.uint64(0), one)
    simd.store(vi, np.uint64(0), zero)
    for j in range(1, twojmax + 1):
        for mb in range(j // 2 + 1):
            source = np.uint64((start[j - 1] + mb * j) * lanes)
            place = np.uint64((start[j] + mb * (j + 1)) * lanes)
            cr, ci = zero, zero
            for _ in range(j):
                ur, ui = load(reg, vr, source), load(reg, vi, source)
                simd.store(vr, place, simd.fma(ai, ui, simd.fma(ar, ur, cr)))
                simd.store(vi, place, simd.fma(nai, ur, simd.fma(ar, ui, ci)))
                cr = simd.fma(nbi, ui, nbr * ur)
                ci = simd.fma(bi, ur, nbr * ui)
                source += np.uint64(lanes)
                place += np.uint64(lanes)
            simd.store(vr, place, cr)
            simd.store(vi, place, ci)
        if j % 2:
            mirror_row(reg, j, start[j], vr, vi)


@njit(**INLINED)
def mirror_row(reg, j, first, vr, vi):
    """Row (j + 1) / 2 of an odd j from the row before it."""
    low, lanes = j // 2, width(reg)
    for ma in range(j + 1):
        source = np.uint64((first + low * (j + 1) + j - ma) * lanes)
        place = np.uint64((first + (low + 1) * (j + 1) + ma) * lanes)
        sign = 1.0 if (j - ma - low) % 2 == 0 else -1.0
        simd.store(vr, place, sign * load(reg, vr, source))
        simd.store(vi, place, -sign * load(reg, vi, source))


@njit(cache=True, nogil=True, error_model="numpy")
def accumulate(mode, reg, size, kept, q, vr, vi, magic, total_r, total_i):
    """Add the V of the neighbours from q on, with their weights, to sums in as many lanes.

    magic : (size,) float64, what rounds each element to the grid of deterministic sums
    """
    scale, lanes = simd.as_float64(load(reg, kept[SCALE], q)), width(reg)
    for k in range(np.uint64(size)):
        at, big = k * np.uint64(lanes), magic[k]
        old_r, old_i = load(reg, total_r, at), load(reg, total_i, at)
        simd.store(total_r, at, add_scaled(mode, old_r, scale, load(reg, vr, at), big))
        simd.store(total_i, at, add_scaled(mode, old_i, scale, load(reg, vi, at), big))


@njit(cache=True, nogil=True, error_model="numpy")
def backward(reg, twojmax, size, start, kept, q, vr, vi, seed_r, seed_i, wr, wi, gradient):
    """Derivatives of the energy by the positions of the neighbours from q on.

    Parameters
    ----------
    vr, vi : their matrices V
    seed_r, seed_i : (size,) dE/dV of a neighbour of weight 1; 0 in mirror images
    wr, wi : (size * lanes,) scratch
    gradient : (3, lanes) dE/dx, dE/dy, dE/dz, out
    """
    lanes = width(reg)
    ar, ai = load(reg, kept[A_R], q), load(reg, kept[A_I], q)
    br, bi = load(reg, kept[B_R], q), load(reg, kept[B_I], q)
    zero = splat(reg, 0.0)
    nai, nbr, nbi = zero - ai, zero - br, zero - bi
    gar, gai, gbr, gbi, inner, other = zero, zero, zero, zero, zero, zero
    for k in range(np.uint64(start[twojmax]), np.uint64(size)):
        at = k * np.uint64(lanes)
        sr, si = splat(reg, seed_r[k]), splat(reg, seed_i[k])
        simd.store(wr, at, sr)
        simd.store(wi, at, si)
        inner = simd.fma(sr, load(reg, vr, at), inner)
        other = simd.fma(si, load(reg, vi, at), other)
    for j in range(twojmax, 0, -1):
        for mb in range(j // 2 + 1):
            seed = np.uint64(start[j - 1] + mb * j)
            source = seed * np.uint64(lanes)
            place = np.uint64((start[j] + mb * (j + 1)) * lanes)
            lr, li = load(reg, wr, place), load(reg, wi, place)
            for _ in range(j):
                place += np.uint64(lanes)
                hr, hi = load(reg, wr, place), load(reg, wi, place)
                ur, ui = load(reg, vr, source), load(reg, vi, source)
                sr, si = splat(reg, seed_r[seed]), splat(reg, seed_i[seed])
                inner, other = simd.fma(sr, ur, inner), simd.fma(si, ui, other)
                # V was carried by conj(a) and -conj(b); its derivatives go back by a and -b.
                tr = simd.fma(nai, li, simd.fma(ar, lr, sr))
                ti = simd.fma(ai, lr, simd.fma(ar, li, si))
                simd.store(wr, source, simd.fma(bi, hi, simd.fma(nbr, hr, tr)))
                simd.store(wi, source, simd.fma(nbi, hr, simd.fma(nbr, hi, ti)))
                gar = simd.fma(li, ui, simd.fma(lr, ur, gar))
                gai = simd.fma(lr, ui, simd.fma(-li, ur, gai))
                gbr = simd.fma(hi, ui, simd.fma(hr, ur, gbr))
                gbi = simd.fma(hr, ui, simd.fma(-hi, ur, gbi))
                lr, li = hr, hi
                source += np.uint64(lanes)
                seed += np.uint64(1)
        if j % 2 == 0:
            return_mirror_row(reg, j - 1, start[j - 1], wr, wi)
    # gb has been summed without its sign.
    chain(reg, kept, q, gar, gai, zero - gbr, zero - gbi, inner + other, gradient)


@njit(**INLINED)
def return_mirror_row(reg, j, first, wr, wi):
    """Add derivatives by the row (j + 1) / 2 to those by the row that it is an image of."""
    low, lanes = j // 2, width(reg)
    for ma in range(j + 1):
        place = np.uint64((first + low * (j + 1) + j - ma) * lanes)
        image = np.uint64((first + (low + 1) * (j + 1) + ma) * lanes)
        sign = 1.0 if (j - ma - low) % 2 == 0 else -1.0
        simd.store(wr, place, load(reg, wr, place) + sign * load(reg, wr, image))
        simd.store(wi, place, load(reg, wi, place) - sign * load(reg, wi, image))


@njit(**INLINED)
def chain(reg, kept, q, gar, gai, gbr, gbi, inner, gradient):
    """From derivatives by a, b and the weight to those by the position."""
    x, y, z = (load(reg, kept[X], q), load(reg, kept[Y], q),
               load(reg, kept[Z], q))
    h, scale = load(reg, kept[H], q), load(reg, kept[SCALE], q)
    turned = gbr * y - gai * z - gbi * x
    slope, per_r = load(reg, kept[SLOPE], q), load(reg, kept[PER_R], q)
    cos_slope, h_slope = load(reg, kept[COS_SLOPE], q), load(reg, kept[H_SLOPE], q)
    radial = (scale * (gar * cos_slope + turned * h_slope) + inner * slope) * per_r
    direct = scale * h
    simd.store(gradient[0], 0, radial * x - direct * gbi)
    simd.store(gradient[1], 0, radial * y + direct * gbr)
    simd.store(gradient[2], 0, radial * z - direct * gai)
