"""Sums over neighbours of embedding times row, and derivatives of the energy by the rows.

The embedding of a neighbour is either interpolated here, from a table of potentials.deep_potential
.table, or has been evaluated before. Nothing of a tabulated one is kept: the sums are

    T_gk = sum_j G_g(s_j) R_jk,

a register of outputs g while the loop goes over the neighbours; for the forces the table is read
again, which costs no more than keeping values and slopes would. `at` of a neighbour is where its
interval begins, or its values:

    table    (intervals, blocks of outputs, 6 powers, outputs) flat; `fraction` the place in it
    values   (neighbours, outputs) flat, and slopes likewise
"""

from __future__ import annotations

import numpy as np

from potentials import simd
from potentials.deep_potential.mode import outputs_of
from potentials.simd import fma
from potentials.static import variant

POWERS = 6
GROUP = 8                   # neighbours summed up before they go to the sums in double


@variant
def stride_of(form):
    """Elements from one block of outputs to the next."""
    stride = POWERS * form.outputs if form.tabulated else form.outputs
    return lambda form: np.uint64(stride)


@variant
def load(form):
    """A block of outputs of an array."""
    lanes = form.outputs
    return lambda form, values, at: simd.load(values, at, lanes)


@variant
def splat(form):
    """A number on all outputs of a block."""
    lanes = form.outputs
    return lambda form, number: simd.splat(number, lanes)


@variant
def value_at(form):
    """A block of outputs."""
    if not form.tabulated:
        return lambda form, values, at, t: load(form, values, at)
    lanes = form.outputs

    def interpolated(form, values, at, t):
        v = load(form, values, at + np.uint64(5 * lanes))
        v = fma(v, t, load(form, values, at + np.uint64(4 * lanes)))
        v = fma(v, t, load(form, values, at + np.uint64(3 * lanes)))
        v = fma(v, t, load(form, values, at + np.uint64(2 * lanes)))
        v = fma(v, t, load(form, values, at + np.uint64(lanes)))
        return fma(v, t, load(form, values, at))
    return interpolated


@variant
def both_at(form):
    """A block of outputs and their slopes: by the row's first component, or by the fraction."""
    if not form.tabulated:
        return lambda form, values, slopes, at, t: (load(form, values, at), load(form, slopes, at))
    lanes = form.outputs

    def interpolated(form, values, slopes, at, t):
        v = load(form, values, at + np.uint64(5 * lanes))
        d = v
        v = fma(v, t, load(form, values, at + np.uint64(4 * lanes)))
        d = fma(d, t, v)
        v = fma(v, t, load(form, values, at + np.uint64(3 * lanes)))
        d = fma(d, t, v)
        v = fma(v, t, load(form, values, at + np.uint64(2 * lanes)))
        d = fma(d, t, v)
        v = fma(v, t, load(form, values, at + np.uint64(lanes)))
        d = fma(d, t, v)
        return fma(v, t, load(form, values, at)), d
    return interpolated


@variant
def accumulate(form):
    """Add to the sums of an atom what its neighbours give.

    blocks : of eight outputs
    at, fraction : (room,) int64 and real, of each neighbour
    rows : (4, room) real
    total : (4, outputs) float64, in and out; one row of a radial descriptor
    """
    return _accumulate_radial if form.radial else _accumulate


def _accumulate(form, n, blocks, at, fraction, rows, values, total):
    r0, r1, r2, r3 = rows[0], rows[1], rows[2], rows[3]
    t0, t1, t2, t3 = total[0], total[1], total[2], total[3]
    for block in range(np.uint64(blocks)):
        here, g = block * stride_of(form), block * np.uint64(outputs_of(form))
        a0, a1, a2, a3 = (load(form, t0, g), load(form, t1, g),
                          load(form, t2, g), load(form, t3, g))
        for first in range(np.uint64(0), np.uint64(n), np.uint64(GROUP)):
            zero = splat(form, r0[0]) * 0.0
            s0, s1, s2, s3 = zero, zero, zero, zero
            for k in range(GROUP):
                q = first + np.uint64(k)
                v = value_at(form, values, np.uint64(at[q]) + here, splat(form, fraction[q]))
                s0 = fma(v, splat(form, r0[q]), s0)
                s1 = fma(v, splat(form, r1[q]), s1)
                s2 = fma(v, splat(form, r2[q]), s2)
                s3 = fma(v, splat(form, r3[q]), s3)
            a0, a1, a2, a3 = (a0 + simd.as_float64(s0), a1 + simd.as_float64(s1),
                              a2 + simd.as_float64(s2), a3 + simd.as_float64(s3))
        simd.store(t0, g, a0)
        simd.store(t1, g, a1)
        simd.store(t2, g, a2)
        simd.store(t3, g, a3)


def _accumulate_radial(form, n, blocks, at, fraction, rows, values, total):
    present, t0 = rows[1], total[0]
    for block in range(np.uint64(blocks)):
        here, g = block * stride_of(form), block * np.uint64(outputs_of(form))
        sums = load(form, t0, g)
        for q in range(np.uint64(n)):
            v = value_at(form, values, np.uint64(at[q]) + here, splat(form, fraction[q]))
            sums = sums + simd.as_float64(v * splat(form, present[q]))
        simd.store(t0, g, sums)


@variant
def give_back(form):
    """Derivatives of the energy by the rows of an atom's neighbours.

    seed : (4, outputs) real, dE/dT; one row of a radial descriptor
    per_stride : from slopes by the fraction to those by the row's first component
    out : (4, room) float64
    """
    return _give_back_radial if form.radial else _give_back


def _give_back(form, n, blocks, at, fraction, rows, values, slopes, seed, per_stride, out):
    q0, q1, q2, q3 = seed[0], seed[1], seed[2], seed[3]
    for q in range(np.uint64(n)):
        begin, t = np.uint64(at[q]), splat(form, fraction[q])
        r0, r1, r2, r3 = (splat(form, rows[0, q]), splat(form, rows[1, q]),
                          splat(form, rows[2, q]), splat(form, rows[3, q]))
        zero = r0 * 0.0
        s0, s1, s2, s3, e = zero, zero, zero, zero, zero
        for block in range(np.uint64(blocks)):
            g = block * np.uint64(outputs_of(form))
            v, d = both_at(form, values, slopes, begin + block * stride_of(form), t)
            b0, b1, b2, b3 = (load(form, q0, g), load(form, q1, g),
                              load(form, q2, g), load(form, q3, g))
            s0, s1, s2, s3 = fma(b0, v, s0), fma(b1, v, s1), fma(b2, v, s2), fma(b3, v, s3)
            e = fma(d, fma(b0, r0, fma(b1, r1, fma(b2, r2, b3 * r3))), e)
        out[0, q] = np.float64(simd.total(s0)) + per_stride * np.float64(simd.total(e))
        out[1, q], out[2, q], out[3, q] = simd.total(s1), simd.total(s2), simd.total(s3)


def _give_back_radial(form, n, blocks, at, fraction, rows, values, slopes, seed, per_stride,
                      out):
    for q in range(np.uint64(n)):
        begin, t = np.uint64(at[q]), splat(form, fraction[q])
        e = t * 0.0
        for block in range(np.uint64(blocks)):
            _, d = both_at(form, values, slopes, begin + block * stride_of(form), t)
            e = fma(d, load(form, seed[0], block * np.uint64(outputs_of(form))), e)
        out[0, q] = per_stride * np.float64(simd.total(e))
        out[1, q], out[2, q], out[3, q] = 0.0, 0.0, 0.0
