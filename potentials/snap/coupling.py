"""From the summed matrices of eight atoms to the derivative of their energies by them.

Every atom has the same couplings, so eight atoms go in eight lanes: the sums over pairs of matrix
elements become streams of multiplications whose coefficients are the same in all lanes, without
any gathering. The energy is of third order in the matrices: it is a third of sum conj(Y) U, and
no component of the bispectrum has to be computed unless it is multiplied by another.

Arrays are flat, element k of channel e and lane l at 8 (e size + k) + l.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentials import simd
from potentials.snap.mode import LANES
from potentials.static import INLINED


@njit(**INLINED)
def product(c, z, ma, mb, ur, ui):
    """Element mb, ma of the product z, of eight atoms: its real and imaginary part.

    c : the Couplings; ur, ui : matrices of all channels
    """
    j1, j2 = c.z[z, 0], c.z[z, 1]
    row_a, row_b = c.row[z] + ma, c.row[z] + mb
    both = (j1 + j2 - c.z[z, 2]) // 2
    cg_a, low_a, count_a = c.terms[row_a, 0], c.terms[row_a, 1], c.terms[row_a, 2]
    cg_b, low_b, count_b = c.terms[row_b, 0], c.terms[row_b, 1], c.terms[row_b, 2]
    one = c.z[z, 3] * c.size + c.first[j1] + low_b * (j1 + 1) + low_a
    two = (c.z[z, 4] * c.size + c.first[j2] + (mb + both - low_b) * (j2 + 1) + ma + both - low_a)
    zr, zi = simd.splat(0.0, LANES), simd.splat(0.0, LANES)
    for kb in range(count_b):
        p, q = np.uint64(one * LANES), np.uint64(two * LANES)
        sr, si = simd.splat(0.0, LANES), simd.splat(0.0, LANES)
        tr, ti = simd.splat(0.0, LANES), simd.splat(0.0, LANES)
        for ka in range(np.uint64(cg_a), np.uint64(cg_a + count_a)):
            factor = simd.splat(c.cg[ka], LANES)
            pr, pi = simd.load(ur, p, LANES), simd.load(ui, p, LANES)
            qr, qi = factor * simd.load(ur, q, LANES), factor * simd.load(ui, q, LANES)
            sr, tr = simd.fma(pr, qr, sr), simd.fma(pi, qi, tr)
            si, ti = simd.fma(pr, qi, si), simd.fma(pi, qr, ti)
            p += np.uint64(LANES)
            q -= np.uint64(LANES)
        factor = simd.splat(c.cg[np.uint64(cg_b + kb)], LANES)
        zr, zi = simd.fma(factor, sr - tr, zr), simd.fma(factor, si + ti, zi)
        one += j1 + 1
        two -= j2 + 1
    return zr, zi


@njit(cache=True, nogil=True, error_model="numpy")
def weigh(c, beta, weights):
    """Weight of each product in Y of each channel.

    beta : (nterms * 8,) dE/dB; weights : (nz * channels * 8,) out
    """
    weights[:] = 0.0
    for k in range(len(c.factor)):
        w, b = c.to[k, 0] * LANES, c.to[k, 1] * LANES
        for lane in range(LANES):
            weights[w + lane] += c.factor[k] * beta[b + lane]


@njit(cache=True, nogil=True, error_model="numpy")
def adjoint(c, ur, ui, weights, yr, yi):
    """Y = dE/dU, of the elements that stand for themselves or two; the rest is 0."""
    yr[:], yi[:] = 0.0, 0.0
    for z in range(len(c.z)):
        j = c.z[z, 2]
        for mb in range(j // 2 + 1):
            last = mb if 2 * mb == j else j
            for ma in range(last + 1):
                zr, zi = product(c, z, ma, mb, ur, ui)
                for e in range(c.channels):
                    weight = simd.load(weights, np.uint64((z * c.channels + e) * LANES), LANES)
                    k = np.uint64((e * c.size + c.first[j] + mb * (j + 1) + ma) * LANES)
                    simd.store(yr, k, simd.fma(weight, zr, simd.load(yr, k, LANES)))
                    simd.store(yi, k, simd.fma(weight, zi, simd.load(yi, k, LANES)))


@njit(cache=True, nogil=True, error_model="numpy")
def bispectrum(c, needed, ur, ui, dots, b):
    """Components of the bispectrum.

    Parameters
    ----------
    needed : (nz,) whether a product is the one of a component
    dots : (nz * channels * 8,) scratch
    b : (nterms * 8,) out
    """
    dots[:] = 0.0
    for z in range(len(c.z)):
        j = c.z[z, 2]
        if not needed[z]:
            continue
        for mb in range(j // 2 + 1):
            last = mb if 2 * mb == j else j
            for ma in range(last + 1):
                share = 1.0 if 2 * mb == j and ma == mb else 2.0
                zr, zi = product(c, z, ma, mb, ur, ui)
                for e in range(c.channels):
                    k = np.uint64((e * c.size + c.first[j] + mb * (j + 1) + ma) * LANES)
                    at = np.uint64((z * c.channels + e) * LANES)
                    dot = simd.fma(simd.load(ur, k, LANES), zr, simd.load(ui, k, LANES) * zi)
                    simd.store(dots, at, simd.load(dots, at, LANES) + share * dot)
    for t in range(len(c.norm)):
        at = (c.made_of[t, 0] * c.channels + c.made_of[t, 1]) * LANES
        for lane in range(LANES):
            b[t * LANES + lane] = c.norm[t] * dots[at + lane]
