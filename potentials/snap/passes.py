"""The atoms of a chunk, a vector at a time: matrices of each, their couplings, forces of each.

Two of the three steps have the neighbours of one atom in the lanes of a vector, the one between
has atoms there. Neighbours in range are packed, those of one channel together and filled up to
whole vectors, and kept for the forces; their matrices are made again then, which is cheaper than
keeping them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials import simd
from potentials.snap.coupling import adjoint, bispectrum, weigh
from potentials.snap.mode import add_virial, load, splat, width
from potentials.snap.neighborhood import (
    TOO_CLOSE,
    accumulate,
    backward,
    describe,
    fill_up,
    forward,
    note,
)
from potentials.static import INLINED, variant
from potentials.sums import keep_largest, summand, zero_sum


class Model(NamedTuple):
    """Numbers of a potential, by atom type.

    Attributes
    ----------
    channel : (ntypes,) int64, to whose matrices a neighbour of the type adds
    weight : (ntypes,) float64
    cutoff : (ntypes, ntypes) float64
    own : (ntypes, channels) float64, what an atom adds to its own matrices
    constant : (ntypes,) float64, energy of an atom without neighbours, and of the shift of B
    beta : (ntypes, nterms) float64, linear coefficients
    shift : (ntypes, nterms) float64, taken from the components
    alpha : (ntypes, nterms, nterms) float64, symmetric, or empty
    rfac0, rmin0, switched : as in the file
    """

    channel: NDArray[np.int64]
    weight: NDArray[np.float64]
    cutoff: NDArray[np.float64]
    own: NDArray[np.float64]
    constant: NDArray[np.float64]
    beta: NDArray[np.float64]
    shift: NDArray[np.float64]
    alpha: NDArray[np.float64]
    rfac0: float
    rmin0: float
    switched: bool


class Scratch(NamedTuple):
    """Memory for a vector of atoms; flat arrays but for `kept` and what is about neighbours.

    Attributes
    ----------
    near : (SOURCES, room) float64, of the neighbours of one atom
    kept : (lanes, FIELDS, room) real, see potentials.snap.neighborhood
    partner : (lanes, room) int32, atoms, -1 where a lane is empty
    groups : (lanes, channels + 1) int64, where the neighbours of each channel begin
    total_r, total_i : (halves * lanes,) float64
    vr, vi, wr, wi : (halves * lanes,) real
    seed_r, seed_i : (halves,) real
    ur, ui, yr, yi : (channels * size * lanes,) real
    pr, pi : (most pairs of a group * lanes,) real
    weights, dots : (nz * channels * lanes,) real
    beta, b : (nterms * lanes,) real
    gradient : (3, lanes) real
    energy : (lanes,) float64
    """

    near: NDArray[np.float64]
    kept: NDArray[Any]
    partner: NDArray[np.int32]
    groups: NDArray[np.int64]
    total_r: NDArray[np.float64]
    total_i: NDArray[np.float64]
    vr: NDArray[Any]
    vi: NDArray[Any]
    wr: NDArray[Any]
    wi: NDArray[Any]
    seed_r: NDArray[Any]
    seed_i: NDArray[Any]
    ur: NDArray[Any]
    ui: NDArray[Any]
    yr: NDArray[Any]
    yi: NDArray[Any]
    pr: NDArray[Any]
    pi: NDArray[Any]
    weights: NDArray[Any]
    dots: NDArray[Any]
    beta: NDArray[Any]
    b: NDArray[Any]
    gradient: NDArray[Any]
    energy: NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def pack(reg, model, x, type_, i, lane, neighbors, begin, end, s):
    """Keep the neighbours of atom i in range, channel by channel; returns their number."""
    channels, own, found, n, lanes = s.groups.shape[1] - 1, type_[i], 0, 0, width(reg)
    near, partner = s.near, s.partner[lane]
    for e in range(channels):
        s.groups[lane, e] = n
        for c in range(begin, end):
            j = neighbors[c]
            kind = type_[j]
            if model.channel[kind] != e:
                continue
            dx, dy, dz = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
            d2, cutoff = dx * dx + dy * dy + dz * dz, model.cutoff[own, kind]
            if d2 >= cutoff * cutoff or d2 <= TOO_CLOSE:
                continue
            note(near, n, dx, dy, dz, d2, cutoff, model.weight[kind])
            partner[n] = j
            n += 1
            found += 1
        whole = (n + lanes - 1) // lanes * lanes
        fill_up(near, n, whole, model.rmin0)
        partner[n:whole] = -1
        n = whole
    s.groups[lane, channels] = n
    describe(reg, near, n, model.rfac0, model.rmin0, model.switched, s.kept[lane])
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def matrices(mode, reg, model, halves, c, own, lane, magic, s):
    """The matrices of one atom, as a lane of those of a vector of atoms; its type is `own`."""
    lanes = width(reg)
    for e in range(c.channels):
        s.total_r[:], s.total_i[:] = 0.0, 0.0
        for q in range(s.groups[lane, e], s.groups[lane, e + 1], lanes):
            forward(reg, halves.twojmax, halves.start, s.kept[lane], q, s.vr, s.vi)
            accumulate(mode, reg, halves.size, s.kept[lane], q, s.vr, s.vi, magic, s.total_r,
                       s.total_i)
        base = e * c.size
        for k in range(halves.size):
            if halves.share[k] == 0.0:
                continue
            re = halves.scale[k] * simd.total(load(reg, s.total_r, k * lanes))
            im = halves.scale[k] * simd.total(load(reg, s.total_i, k * lanes))
            if halves.share[k] == 2.0:
                place = (base + halves.mirror[k]) * lanes + lane
                s.ur[place], s.ui[place] = halves.sign[k] * re, -halves.sign[k] * im
            place = (base + halves.place[k]) * lanes + lane
            s.ur[place], s.ui[place] = re, im
        for k in c.diagonal:
            s.ur[(base + k) * lanes + lane] += model.own[own, e]


@variant
def energies(mode):
    """Energies of a vector of atoms, and dE/dU; by way of B where E is not linear in it."""
    if mode.quadratic:
        return _quadratic
    return _linear


def _linear(mode, reg, model, halves, c, types, s):
    lanes = width(reg)
    for t in range(len(c.norm)):
        for lane in range(lanes):
            s.beta[t * lanes + lane] = model.beta[types[lane], t]
    weigh(reg, c, s.beta, s.weights)
    adjoint(reg, c, s.ur, s.ui, s.weights, s.pr, s.pi, s.yr, s.yi)
    total = simd.as_float64(splat(reg, 0.0))
    for e in range(c.channels):
        for k in range(halves.size):
            if halves.share[k] > 0.0:
                at = np.uint64((e * c.size + halves.place[k]) * lanes)
                dot = simd.fma(load(reg, s.ur, at), load(reg, s.yr, at),
                               load(reg, s.ui, at) * load(reg, s.yi, at))
                total = total + halves.share[k] * simd.as_float64(dot)
    simd.store(s.energy, 0, total)
    for lane in range(lanes):
        s.energy[lane] = s.energy[lane] / 3.0 + model.constant[types[lane]]


def _quadratic(mode, reg, model, halves, c, types, s):
    bispectrum(reg, c, s.ur, s.ui, s.pr, s.pi, s.dots, s.b)
    n, lanes = len(c.norm), width(reg)
    for lane in range(lanes):
        kind = types[lane]
        energy = model.constant[kind]
        for t in range(n):
            s.b[t * lanes + lane] -= model.shift[kind, t]
        for t in range(n):
            slope = 0.0
            for m in range(n):
                slope += model.alpha[kind, t, m] * s.b[m * lanes + lane]
            linear = model.beta[kind, t]
            energy += s.b[t * lanes + lane] * (linear + 0.5 * slope)
            s.beta[t * lanes + lane] = linear + slope
        s.energy[lane] = energy
    weigh(reg, c, s.beta, s.weights)
    adjoint(reg, c, s.ur, s.ui, s.weights, s.pr, s.pi, s.yr, s.yi)


@njit(cache=True, nogil=True, error_model="numpy")
def forces(mode, reg, halves, c, i, lane, s, per_unit, f, w_out):
    """Add the forces of the energy of atom i to it and its neighbours; the largest component."""
    largest, lanes = 0.0, width(reg)
    sx, sy, sz = zero_sum(mode), zero_sum(mode), zero_sum(mode)
    kept, partner = s.kept[lane], s.partner[lane]
    for e in range(c.channels):
        first, last = s.groups[lane, e], s.groups[lane, e + 1]
        if first == last:
            continue
        for k in range(halves.size):
            at = (e * c.size + halves.place[k]) * lanes + lane
            scale = halves.share[k] * halves.scale[k]
            s.seed_r[k] = scale * s.yr[at] if scale > 0.0 else 0.0
            s.seed_i[k] = scale * s.yi[at] if scale > 0.0 else 0.0
        for q in range(first, last, lanes):
            forward(reg, halves.twojmax, halves.start, kept, q, s.vr, s.vi)
            backward(reg, halves.twojmax, halves.size, halves.start, kept, q, s.vr, s.vi, s.seed_r,
                     s.seed_i, s.wr, s.wi, s.gradient)
            for k in range(lanes):
                j = partner[q + k]
                if j < 0:
                    break
                gx, gy, gz = s.gradient[0, k], s.gradient[1, k], s.gradient[2, k]
                largest = keep_largest(mode, largest, gx, gy, gz)
                hx, hy, hz = (summand(mode, gx, per_unit), summand(mode, gy, per_unit),
                              summand(mode, gz, per_unit))
                sx, sy, sz = sx + hx, sy + hy, sz + hz
                f[j, 0] -= hx
                f[j, 1] -= hy
                f[j, 2] -= hz
                push_virial(mode, w_out, i, j, kept, q + k, gx, gy, gz, per_unit)
    f[i, 0] += sx
    f[i, 1] += sy
    f[i, 2] += sz
    return largest


@njit(**INLINED)
def push_virial(mode, w_out, i, j, kept, q, gx, gy, gz, per_unit):
    """Virial of one neighbour: minus its position times the derivative by it."""
    dx, dy, dz = -kept[0, q], -kept[1, q], -kept[2, q]
    add_virial(mode, w_out, i, j, (dx * gx, dy * gy, dz * gz, dy * gz, dx * gz, dx * gy), per_unit)


@njit(cache=True, nogil=True, error_model="numpy")
def chunk_pass(mode, reg, model, halves, c, x, type_, slot_atom, first, start, neighbors, magic,
               per_unit, s, f, e_out, w_out):
    """Energies of the atoms of a chunk, and their forces on all atoms and ghosts.

    Parameters
    ----------
    halves, c : Halves and Couplings of potentials.snap
    first, start, neighbors : of the chunk, see mdapp.neighbors.atom_lists.Rows
    magic : (halves,) float64, 1.5 * 2^52 units of the grid of each element's deterministic sum
    per_unit : deterministic units in one unit of force and virial
    f : (ntotal, 3) sums, out
    e_out : (nlocal,) float64, out
    w_out : (ntotal, 6) or (1, 6) sums, out

    Returns
    -------
    largest component of a force on a neighbour, most neighbours of an atom
    """
    largest, most, nslots, k, lanes = 0.0, 0, len(start) - 1, 0, width(reg)
    atoms, types = np.zeros(lanes, np.int64), np.zeros(lanes, np.int64)
    while k < nslots:
        n = 0
        s.ur[:], s.ui[:] = 0.0, 0.0
        while k < nslots and n < lanes:
            i = slot_atom[first + k]
            if i >= 0:
                atoms[n], types[n] = i, type_[i]
                found = pack(reg, model, x, type_, i, n, neighbors, start[k], start[k + 1], s)
                most = max(most, found)
                matrices(mode, reg, model, halves, c, types[n], n, magic, s)
                n += 1
            k += 1
        if n == 0:
            break
        energies(mode, reg, model, halves, c, types, s)
        for lane in range(n):
            e_out[atoms[lane]] = s.energy[lane]
            largest = max(largest, forces(mode, reg, halves, c, atoms[lane], lane, s, per_unit, f,
                                          w_out))
    return largest, most
