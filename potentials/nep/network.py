"""From sums over neighbours to energies and back, for eight atoms of one type in eight lanes.

Every atom of a type has the same network, so that nothing has to be gathered: its weights come from
memory one by one and are spread over the lanes. One fetch of them does for eight atoms.
"""

from __future__ import annotations

from numba import njit

from potentials import simd
from potentials.nep.harmonics import LANES, first
from potentials.nep.invariants import QUARTIC
from potentials.nep.mode import narrowed, widened
from potentials.static import INLINED, variant
from potentials.vector_math import like, tanh


@variant
def begins(mode):
    """Where the harmonics of each degree begin, and where they end."""
    places = tuple(first(degree) for degree in range(1, mode.l_max + 2))
    return lambda mode: places


@njit(cache=True, nogil=True, error_model="numpy")
def energies(mode, m, own, s):
    """Energies of eight atoms, and their derivatives by the sums over neighbours."""
    radial_components(mode, m, own, s)
    for n in range(m.nangular if len(m.weights) else 0):
        angular_components(mode, m, n, s)
    hidden_layer(mode, m, own, s)
    output_layer(mode, m, own, s)
    radial_factors(mode, m, own, s)
    for n in range(m.nangular if len(m.weights) else 0):
        adjoint(mode, m, n, s)


@njit(**INLINED)
def radial_components(mode, m, own, s):
    """q_n = sum over types and k of the sums of fc T_k, times the numbers of p_n."""
    ntypes, zero = m.ranges2.shape[0], like(simd.load(s.descriptor, 0, LANES), 0.0)
    for n in range(m.nradial):
        simd.store(s.descriptor, n * LANES, zero)
    for kind in range(ntypes):
        for k in range(m.kradial):
            lanes = simd.turned(s.radial_sums, (kind * m.kradial + k) * LANES,
                                ntypes * m.kradial * LANES)
            total = narrowed(mode, ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + (
                (lanes[4] + lanes[5]) + (lanes[6] + lanes[7])))
            for n in range(m.nradial):
                q = simd.load(s.descriptor, n * LANES, LANES)
                q = simd.fma(like(q, m.radial[own, kind, 0, n, k]), total, q)
                simd.store(s.descriptor, n * LANES, q)


@njit(**INLINED)
def angular_components(mode, m, n, s):
    """The n-th component of each degree and of each product."""
    harmonics, q, sums = len(m.weights), s.descriptor, s.by_atom
    base = n * harmonics
    for b in range(0, harmonics, LANES):
        block = simd.turned(s.sums, base + b, m.nangular * harmonics)
        simd.store_each(sums, (base + b) * LANES, block)
    zero = like(simd.load(q, 0, LANES), 0.0)
    places = begins(mode)
    at = (m.nradial + n) * LANES
    for degree in range(len(places) - 1):
        total = zero
        for k in range(places[degree], places[degree + 1]):
            v = simd.load(sums, (base + k) * LANES, LANES)
            total = simd.fma(m.weights[k] * v, v, total)
        simd.store(q, at, total)
        at += m.nangular * LANES
    if m.quartic >= 0:
        linear = simd.load(q, (m.nradial + n) * LANES, LANES)
        simd.store(q, (m.quartic + n) * LANES, QUARTIC * linear * linear)
    for g in range(len(m.cubic)):
        total = zero
        for t in range(m.groups[g], m.groups[g + 1]):
            u, v, w = three(m, t, sums, base)
            total = simd.fma(m.factors[t] * u, v * w, total)
        simd.store(q, (m.cubic[g] + n) * LANES, total)


@njit(**INLINED)
def three(m, t, sums, base):
    """The three sums of a term."""
    return (simd.load(sums, (base + m.places[t, 0]) * LANES, LANES),
            simd.load(sums, (base + m.places[t, 1]) * LANES, LANES),
            simd.load(sums, (base + m.places[t, 2]) * LANES, LANES))


@njit(**INLINED)
def hidden_layer(mode, m, own, s):
    """Energies, and their derivatives by what goes into the neurons."""
    net, at = m.network[own], 0
    energy = simd.splat(-m.bias[own], LANES)
    blocks = (m.neurons + LANES - 1) // LANES
    at = net * blocks * m.dim * LANES
    for b in range(blocks):
        total = simd.zeros(simd.load(s.descriptor, 0, LANES), LANES)
        for d in range(m.dim):
            total = simd.add_outer(total, m.forward, at, 1,
                                   simd.load(s.descriptor, d * LANES, LANES))
            at += LANES
        simd.store_each(s.hidden, b * LANES * LANES, total)
    for k in range(m.neurons):
        v = simd.load(s.hidden, k * LANES, LANES)
        h = tanh(v - m.b0[net, k])
        energy = simd.fma(simd.splat(m.w1[net, k], LANES), widened(mode, h), energy)
        simd.store(s.hidden, k * LANES, like(h, m.w1[net, k]) * (1.0 - h * h))
    simd.store(s.energy, 0, energy)


@njit(**INLINED)
def output_layer(mode, m, own, s):
    """Derivatives of the energies by the descriptors."""
    blocks = (m.dim + LANES - 1) // LANES
    at = m.network[own] * blocks * m.neurons * LANES
    for b in range(blocks):
        total = simd.zeros(simd.load(s.hidden, 0, LANES), LANES)
        for k in range(m.neurons):
            total = simd.add_outer(total, m.backward, at, 1, simd.load(s.hidden, k * LANES, LANES))
            at += LANES
        simd.store_each(s.slope, b * LANES * LANES, total)


@njit(**INLINED)
def radial_factors(mode, m, own, s):
    """Factors of T_k in sum_n dU/dq_n p_n and in its derivative, for each type of neighbours."""
    at = 0
    for kind in range(m.ranges2.shape[0]):
        for k in range(m.kradial):
            value = like(simd.load(s.slope, 0, LANES), 0.0)
            slope = value
            for n in range(m.nradial):
                v = simd.load(s.slope, n * LANES, LANES)
                value = simd.fma(like(v, m.radial[own, kind, 0, n, k]), v, value)
                slope = simd.fma(like(v, m.radial[own, kind, 1, n, k]), v, slope)
            simd.store(s.beta, at, value)
            simd.store(s.beta, at + LANES, slope)
            at += 2 * LANES


@njit(**INLINED)
def adjoint(mode, m, n, s):
    """Derivatives of the energies by the sums of the n-th angular function."""
    base, q = n * len(m.weights), s.descriptor
    places = begins(mode)
    at = (m.nradial + n) * LANES
    for degree in range(len(places) - 1):
        pulls = simd.load(s.slope, at, LANES)
        if degree == 0 and m.quartic >= 0:
            both = simd.load(s.slope, (m.quartic + n) * LANES, LANES) * simd.load(q, at, LANES)
            pulls = simd.fma(like(both, 2.0 * QUARTIC), both, pulls)
        pulls = pulls + pulls
        for k in range(places[degree], places[degree + 1]):
            v = simd.load(s.by_atom, (base + k) * LANES, LANES)
            simd.store(s.adjoint, (base + k) * LANES, m.weights[k] * v * pulls)
        at += m.nangular * LANES
    for g in range(len(m.cubic)):
        pulls = simd.load(s.slope, (m.cubic[g] + n) * LANES, LANES)
        for t in range(m.groups[g], m.groups[g + 1]):
            u, v, w = three(m, t, s.by_atom, base)
            scaled = m.factors[t] * pulls
            add_to(s.adjoint, base + m.places[t, 0], scaled * (v * w))
            add_to(s.adjoint, base + m.places[t, 1], scaled * (u * w))
            add_to(s.adjoint, base + m.places[t, 2], scaled * (u * v))


@njit(**INLINED)
def add_to(adjoint, place, v):
    """Add to one row of derivatives."""
    at = place * LANES
    simd.store(adjoint, at, simd.load(adjoint, at, LANES) + v)
