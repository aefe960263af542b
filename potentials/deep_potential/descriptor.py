"""From the sums over neighbours to the descriptor, and from its derivatives back.

    D_gh = sum_k T_gk T_hk,   g < ng,  h < axis

is symmetric in its first axis x axis block. Each pair is made once, in rows h of g = h .. ng - 1,
and the first layer of the fitting network gets the sum of the two weights: with ng = 100 and
axis = 16 that leaves 1480 inputs of 1600. Atoms lie in the lanes, as in potentials.gemm.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials import simd
from potentials.deep_potential.mode import lanes_of, load
from potentials.deep_potential.model import RADIAL_SCALE, Model
from potentials.simd import fma
from potentials.static import variant


def folded(model: Model, weight: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (inputs, m) of a first layer as those of the descriptor that is made here."""
    if model.radial:
        return weight
    ng, axis = model.outputs, model.axis
    w = weight.reshape(ng, axis, -1)
    rows = []
    for h in range(axis):
        row = w[h:, h].copy()
        row[1:axis - h] += w[h, h + 1:]
        rows.append(row)
    return np.concatenate(rows)


def descriptor_length(model: Model) -> int:
    """How many inputs that layer then has."""
    return model.inputs if model.radial else model.inputs - model.axis * (model.axis - 1) // 2


@njit(cache=True, nogil=True, error_model="numpy")
def to_lane(form, ng, total, scale, lane, t):
    """Sums of an atom (4, room) float64, times a scale, as a lane of a panel (4 ng, lanes)."""
    lanes = np.uint64(lanes_of(form))
    for k in range(np.uint64(4)):
        at = k * np.uint64(ng) * lanes + np.uint64(lane)
        row = total[k]
        for g in range(np.uint64(ng)):
            t[at + g * lanes] = row[g] * scale


@njit(cache=True, nogil=True, error_model="numpy")
def from_lane(form, ng, q, lane, seed):
    """A lane of a panel (4 ng, lanes) as rows (4, room)."""
    lanes = np.uint64(lanes_of(form))
    for k in range(np.uint64(4)):
        at = k * np.uint64(ng) * lanes + np.uint64(lane)
        row = seed[k]
        for g in range(np.uint64(ng)):
            row[g] = q[at + g * lanes]


@variant
def contract(form):
    """Descriptors of a panel.

    t : flat real, (4 ng, lanes), sums T divided by the slots
    d : flat real, (inputs, lanes), out
    """
    return _contract_radial if form.radial else _contract


def _contract(form, ng, axis, t, d):
    lanes, next_k = np.uint64(lanes_of(form)), np.uint64(ng * lanes_of(form))
    out = np.uint64(0)
    for h in range(np.uint64(axis)):
        at = h * lanes
        a0, a1 = load(form, t, at), load(form, t, at + next_k)
        a2, a3 = load(form, t, at + 2 * next_k), load(form, t, at + 3 * next_k)
        for g in range(h, np.uint64(ng)):
            at = g * lanes
            v = fma(a0, load(form, t, at), a1 * load(form, t, at + next_k))
            v = fma(a2, load(form, t, at + np.uint64(2) * next_k), v)
            simd.store(d, out, fma(a3, load(form, t, at + np.uint64(3) * next_k), v))
            out += lanes


def _contract_radial(form, ng, axis, t, d):
    lanes = np.uint64(lanes_of(form))
    for g in range(np.uint64(ng)):
        simd.store(d, g * lanes, RADIAL_SCALE * load(form, t, g * lanes))


@variant
def expand(form):
    """dE/dT of a panel from dE/dD.

    t, d : of `contract`
    scale : of the result
    q : flat real, (4 ng, lanes), out
    """
    return _expand_radial if form.radial else _expand


def _expand(form, ng, axis, t, d, scale, q):
    lanes, next_k = np.uint64(lanes_of(form)), np.uint64(ng * lanes_of(form))
    two, three = np.uint64(2) * next_k, np.uint64(3) * next_k
    q[:4 * next_k] = 0
    of = np.uint64(0)
    for h in range(np.uint64(axis)):
        at = h * lanes
        a0, a1 = load(form, t, at), load(form, t, at + next_k)
        a2, a3 = load(form, t, at + two), load(form, t, at + three)
        zero = a0 * 0.0
        s0, s1, s2, s3 = zero, zero, zero, zero
        for g in range(h, np.uint64(ng)):
            e, at = scale * load(form, d, of), g * lanes
            s0 = fma(e, load(form, t, at), s0)
            s1 = fma(e, load(form, t, at + next_k), s1)
            s2 = fma(e, load(form, t, at + two), s2)
            s3 = fma(e, load(form, t, at + three), s3)
            simd.store(q, at, fma(e, a0, load(form, q, at)))
            simd.store(q, at + next_k, fma(e, a1, load(form, q, at + next_k)))
            simd.store(q, at + two, fma(e, a2, load(form, q, at + two)))
            simd.store(q, at + three, fma(e, a3, load(form, q, at + three)))
            of += lanes
        at = h * lanes
        simd.store(q, at, s0 + load(form, q, at))
        simd.store(q, at + next_k, s1 + load(form, q, at + next_k))
        simd.store(q, at + two, s2 + load(form, q, at + two))
        simd.store(q, at + three, s3 + load(form, q, at + three))


def _expand_radial(form, ng, axis, t, d, scale, q):
    lanes = np.uint64(lanes_of(form))
    for g in range(np.uint64(ng)):
        simd.store(q, g * lanes, (scale * RADIAL_SCALE) * load(form, d, g * lanes))
