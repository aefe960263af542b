"""The atoms of a chunk, a batch at a time: environments, descriptors, networks, forces.

A batch is of one type, because each type has its own fitting network, and as large as the caches
allow: its networks are products of matrices, in which weights are read once for all its atoms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials import simd
from potentials.deep_potential.dense import Dense, embed, fit, rows_of
from potentials.deep_potential.descriptor import contract, expand, from_lane, to_lane
from potentials.deep_potential.embedding import accumulate, give_back
from potentials.deep_potential.environment import INPUT, X, Y, Z, chain, describe, pack
from potentials.deep_potential.mode import LANES, add_virial, lanes_of, outputs_of, put
from potentials.static import INLINED, variant
from potentials.sums import keep_largest, summand, zero_sum
from potentials.vector_math import like

BLOCK = 256                 # neighbours whose embeddings are evaluated at a time


class Environment(NamedTuple):
    """Numbers of the rows, as in the model; mean and per_scale are (ntypes, 4)."""

    cutoff: float
    smooth: float
    protection: float
    mean: NDArray[np.float64]
    per_scale: NDArray[np.float64]


class Embedding(NamedTuple):
    """How a neighbour's outputs are found.

    Attributes
    ----------
    network : (ntypes, ntypes) int64, number of the network of a centre and a neighbour
    blocks : of the outputs that fill a register
    lower, per_stride : where the table begins, and intervals in one unit of its argument
    intervals : number of the last, which is a straight line without an end
    values : flat real, see potentials.deep_potential.embedding
    nets : the networks, where they are evaluated
    """

    network: NDArray[np.int64]
    blocks: int
    lower: float
    per_stride: float
    intervals: int
    values: NDArray[np.float64]
    nets: Dense


class Fitting(NamedTuple):
    """Networks by the type of the centre.

    Attributes
    ----------
    outputs, axis : of the descriptor
    sel : (ntypes,) int64
    empty : (ntypes, ntypes, 4, outputs) float64, what an empty slot adds to n T, by centre and slot
    nets : hidden layers
    last : (ntypes, m) real, of the linear layer
    constant : (ntypes,) float64
    """

    outputs: int
    axis: int
    sel: NDArray[np.int64]
    empty: NDArray[np.float64]
    nets: Dense
    last: NDArray[np.float64]
    constant: NDArray[np.float64]


class Scratch(NamedTuple):
    """Memory for a batch of B atoms with room for so many neighbours each.

    Attributes
    ----------
    found : (B,) int64, how many neighbours each has
    counts : (ntypes,) int64
    near : (B, room) int32
    at : (B, room) int64
    kept : (B, FIELDS, room) float64
    fraction : (B, room) real
    whole : (room,) int32
    rows : (B, 4, room) real
    total : (B, 4, blocks * outputs) float64, sums over neighbours
    t, q : (panels, 4 outputs lanes) and (4 outputs lanes,) real, sums and derivatives by them
    d, outs, work, words, energy : descriptors and networks, see potentials.deep_potential.dense
    seed : (4, blocks * outputs) real, derivatives by the sums of an atom
    slopes : (4, room) float64
    inputs, values, by_input : flat real, of embeddings that are evaluated; empty if tabulated
    """

    found: NDArray[np.int64]
    counts: NDArray[np.int64]
    near: NDArray[np.int32]
    at: NDArray[np.int64]
    kept: NDArray[np.float64]
    fraction: NDArray[np.float64]
    whole: NDArray[np.int32]
    rows: NDArray[np.float64]
    total: NDArray[np.float64]
    t: NDArray[np.float64]
    q: NDArray[np.float64]
    d: NDArray[np.float64]
    outs: NDArray[np.float64]
    work: NDArray[np.float64]
    words: NDArray[np.int32]
    energy: NDArray[np.float64]
    seed: NDArray[np.float64]
    slopes: NDArray[np.float64]
    inputs: NDArray[np.float64]
    values: NDArray[np.float64]
    by_input: NDArray[np.float64]


@variant
def embeddings(form):
    """Say of each neighbour of a batch where its embedding is.

    Returns
    -------
    how many are nearer than the end of the table
    """
    return _locate if form.tabulated else _evaluate


def _locate(form, e, kind, n, type_, s):
    beyond, size = 0, e.blocks * 6 * outputs_of(form)
    last = np.float64(e.intervals)
    for b in range(n):
        kept, fraction, at, near = s.kept[b, INPUT], s.fraction[b], s.at[b], s.near[b]
        many = s.found[b]
        for q in range(0, many, LANES):
            v = (simd.load(kept, q, LANES) - e.lower) * e.per_stride
            v = simd.smaller(simd.where(v > 0.0, v, like(v, 0.0)), like(v, last + 1e6))
            k = simd.truncated(simd.smaller(v, like(v, last)))
            put(form, fraction, q, v - simd.converted(k, v))
            simd.store(s.whole, q, k)
        for q in range(many):
            k = np.int64(s.whole[q])
            beyond += k == e.intervals
            net = e.network[kind, type_[near[q]]]
            at[q] = (net * (e.intervals + 1) + k) * size
        for q in range(many, (many + LANES - 1) // LANES * LANES):
            at[q] = 0
    return beyond


def _evaluate(form, e, kind, n, type_, s):
    """Neighbours of one network stand behind each other, and are evaluated BLOCK at a time."""
    width, ntypes = e.blocks * outputs_of(form), len(s.counts)
    fill = s.counts
    fill[:] = 0
    for b in range(n):
        for q in range(s.found[b]):
            fill[type_[s.near[b, q]]] += 1
    end = 0
    for t in range(ntypes):
        begin = end
        end = begin + (fill[t] + BLOCK - 1) // BLOCK * BLOCK
        fill[t] = begin
    for b in range(n):
        many = s.found[b]
        for q in range(many):
            t = type_[s.near[b, q]]
            s.inputs[fill[t]] = s.kept[b, INPUT, q]
            s.at[b, q] = fill[t] * width
            fill[t] += 1
        for q in range(many, (many + LANES - 1) // LANES * LANES):
            s.at[b, q] = 0
    first = 0
    for t in range(ntypes):
        while first < fill[t]:
            embed(form, e.nets, e.network[kind, t], BLOCK // lanes_of(form), s.inputs[first:],
                  s.work, s.values[first * width:], s.by_input[first * width:], width)
            first += BLOCK
    return 0


@njit(cache=True, nogil=True, error_model="numpy")
def batch_pass(mode, form, env, e, fits, kind, atoms, slots, x, type_, start, neighbors, values,
               slopes, per_unit, s, f, e_out, w_out, trouble):
    """Energies of some atoms of one type, and their forces on all atoms and ghosts.

    Parameters
    ----------
    atoms, slots : (n,) int64, the atoms, and which of the rows are theirs
    start, neighbors : of a chunk, see mdapp.neighbors.atom_lists.Rows
    values, slopes : of the embedding: the table, twice, or those of the scratch
    per_unit : deterministic units in one unit of force and virial
    f : (ntotal, 3) sums, out
    e_out : (nlocal,) float64, out
    w_out : (ntotal, 6) or (1, 6) sums, out
    trouble : (4,) int64, out: the first atom with more neighbours of a type than `sel` has slots,
        or -1; the type, and their number; and how many neighbours are nearer than the table's end

    Returns
    -------
    largest component of a force on a neighbour, in deterministic mode
    """
    n = len(atoms)
    cut2, per_slot = env.cutoff * env.cutoff, 1.0 / fits.sel.sum()
    ng, axis, inputs = fits.outputs, fits.axis, fits.nets.shape[0, 0]
    for b in range(n):
        i, k = atoms[b], slots[b]
        many = pack(mode, x, type_, i, neighbors, start[k], start[k + 1], cut2, s.near[b],
                    s.kept[b], s.counts)
        s.found[b] = many
        total = s.total[b]
        total[:] = 0.0
        for t in range(len(fits.sel)):
            left = fits.sel[t] - s.counts[t]
            if left < 0 and trouble[0] < 0:
                trouble[0], trouble[1], trouble[2] = i, t, s.counts[t]
            for c in range(4):
                for g in range(ng):
                    total[c, g] += left * fits.empty[kind, t, c, g]
        describe(form, env, kind, many, s.kept[b], s.rows[b])
    trouble[3] += embeddings(form, e, kind, n, type_, s)
    lanes = lanes_of(form)
    panels, deep = (n + lanes - 1) // lanes, rows_of(inputs) * lanes
    for b in range(n):
        accumulate(form, s.found[b], e.blocks, s.at[b], s.fraction[b], s.rows[b], values,
                   s.total[b])
        to_lane(form, ng, s.total[b], per_slot, b % lanes, s.t[b // lanes])
    for p in range(panels):
        contract(form, ng, axis, s.t[p], s.d[p * deep:])
    fit(form, fits.nets, kind, fits.last[kind], fits.constant[kind], panels, s.d, s.outs, s.work,
        s.words, s.energy)
    largest = 0.0
    for b in range(n):
        i, many = atoms[b], s.found[b]
        e_out[i] = s.energy[b]
        if b % lanes == 0:
            expand(form, ng, axis, s.t[b // lanes], s.d[b // lanes * deep:], per_slot, s.q)
        from_lane(form, ng, s.q, b % lanes, s.seed)
        give_back(form, many, e.blocks, s.at[b], s.fraction[b], s.rows[b], values, slopes, s.seed,
                  e.per_stride, s.slopes)
        chain(env, kind, many, s.kept[b], s.slopes)
        largest = max(largest, push(mode, i, many, s.near[b], s.kept[b], s.slopes, per_unit, f,
                                    w_out))
    return largest


@njit(**INLINED)
def push(mode, i, many, near, kept, slopes, per_unit, f, w_out):
    """Add the forces of an atom's energy to it and to its neighbours; the largest component."""
    largest = 0.0
    sx, sy, sz = zero_sum(mode), zero_sum(mode), zero_sum(mode)
    for q in range(many):
        gx, gy, gz = slopes[0, q], slopes[1, q], slopes[2, q]
        largest = keep_largest(mode, largest, gx, gy, gz)
        hx, hy, hz = (summand(mode, gx, per_unit), summand(mode, gy, per_unit),
                      summand(mode, gz, per_unit))
        j = np.uint64(near[q])
        f[j, 0] -= hx
        f[j, 1] -= hy
        f[j, 2] -= hz
        sx, sy, sz = sx + hx, sy + hy, sz + hz
        dx, dy, dz = -kept[X, q], -kept[Y, q], -kept[Z, q]
        add_virial(mode, w_out, j, (dx * gx, dy * gy, dz * gz, dy * gz, dx * gz, dx * gy), per_unit)
    f[i, 0] += sx
    f[i, 1] += sy
    f[i, 2] += sz
    return largest
