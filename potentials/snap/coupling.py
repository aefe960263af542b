"""From the summed matrices of some atoms to the derivative of their energies by them.

Every atom has the same couplings, so that as many atoms as there are lanes go side by side: sums
over pairs of matrix elements become streams of multiplications whose coefficients are the same in
all lanes, without any gathering. The energy is of third order in the matrices: it is a third of
sum conj(Y) U, and no component of the bispectrum has to be computed unless it is multiplied by
another.

Which pairs of elements are multiplied, and once for which products, is in products.py. It halves
the number of operations against making each element of a product by itself.

Arrays are flat, element k of channel e and lane l at lanes (e size + k) + l.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentials import simd
from potentials.snap.mode import load, splat, width
from potentials.static import INLINED


@njit(**INLINED)
def multiply(reg, c, group, ur, ui, pr, pi):
    """Products of the pairs of elements of a group, to pr and pi."""
    lanes, to = width(reg), np.uint64(0)
    for k in range(np.uint64(c.pairs[group]), np.uint64(c.pairs[group + 1])):
        p, q = np.uint64(c.left[k]) * np.uint64(lanes), np.uint64(c.right[k]) * np.uint64(lanes)
        ar, ai, br, bi = load(reg, ur, p), load(reg, ui, p), load(reg, ur, q), load(reg, ui, q)
        simd.store(pr, to, simd.fma(ar, br, -(ai * bi)))
        simd.store(pi, to, simd.fma(ar, bi, ai * br))
        to += np.uint64(lanes)


@njit(**INLINED)
def contract(reg, c, first, n, pr, pi):
    """An element of Z: the sum of n products, an even number, with coefficients from `first` on."""
    zr, zi, xr, xi = splat(reg, 0.0), splat(reg, 0.0), splat(reg, 0.0), splat(reg, 0.0)
    at, step, k = np.uint64(0), np.uint64(width(reg)), np.uint64(first)
    for _ in range(n // 2):
        one, two = splat(reg, c.cg[k]), splat(reg, c.cg[k + np.uint64(1)])
        zr, zi = simd.fma(one, load(reg, pr, at), zr), simd.fma(one, load(reg, pi, at), zi)
        at += step
        xr, xi = simd.fma(two, load(reg, pr, at), xr), simd.fma(two, load(reg, pi, at), xi)
        at += step
        k += np.uint64(2)
    return zr + xr, zi + xi


@njit(cache=True, nogil=True, error_model="numpy")
def weigh(reg, c, beta, weights):
    """Weight of each product in Y of each channel.

    beta : (nterms * lanes,) dE/dB; weights : (nz * channels * lanes,) out
    """
    lanes = width(reg)
    weights[:] = 0.0
    for k in range(len(c.factor)):
        w, b = c.to[k, 0] * lanes, c.to[k, 1] * lanes
        for lane in range(lanes):
            weights[w + lane] += c.factor[k] * beta[b + lane]


@njit(cache=True, nogil=True, error_model="numpy")
def adjoint(reg, c, ur, ui, weights, pr, pi, yr, yi):
    """Y = dE/dU, of the elements that stand for themselves or two; the rest is 0."""
    lanes = width(reg)
    yr[:], yi[:] = 0.0, 0.0
    for group in range(len(c.pairs) - 1):
        multiply(reg, c, group, ur, ui, pr, pi)
        n = c.pairs[group + 1] - c.pairs[group]
        for use in range(c.uses[group], c.uses[group + 1]):
            z, place, first = c.use[use]
            zr, zi = contract(reg, c, first, n, pr, pi)
            for e in range(c.channels):
                weight = load(reg, weights, (z * c.channels + e) * lanes)
                k = (e * c.size + place) * lanes
                simd.store(yr, k, simd.fma(weight, zr, load(reg, yr, k)))
                simd.store(yi, k, simd.fma(weight, zi, load(reg, yi, k)))


@njit(cache=True, nogil=True, error_model="numpy")
def bispectrum(reg, c, ur, ui, pr, pi, dots, b):
    """Components of the bispectrum.

    dots : (nz * channels * lanes,) scratch; b : (nterms * lanes,) out
    """
    lanes = width(reg)
    dots[:] = 0.0
    for group in range(len(c.pairs) - 1):
        multiply(reg, c, group, ur, ui, pr, pi)
        n = c.pairs[group + 1] - c.pairs[group]
        for use in range(c.uses[group], c.uses[group + 1]):
            z, place, first = c.use[use]
            if not c.needed[z]:
                continue
            zr, zi = contract(reg, c, first, n, pr, pi)
            for e in range(c.channels):
                k, at = (e * c.size + place) * lanes, (z * c.channels + e) * lanes
                dot = simd.fma(load(reg, ur, k), zr, load(reg, ui, k) * zi)
                simd.store(dots, at, load(reg, dots, at) + c.share[place] * dot)
    for t in range(len(c.norm)):
        at = (c.made_of[t, 0] * c.channels + c.made_of[t, 1]) * lanes
        for lane in range(lanes):
            b[t * lanes + lane] = c.norm[t] * dots[at + lane]
