"""The first of two passes over blocks of four atoms against four: densities and pair energy.

    rho_i = sum_j f(r_ij)        f_i = -sum_j (F'(rho_i) f'_ji + F'(rho_j) f'_ij + phi') r_ij / r

Distances and sums cost least where sixteen pairs fill sixteen lanes, as in pair/loop.py; splines
are dear, and should see only the fifth of these pairs that is within the cutoff. So the squared
distances of a cluster's blocks are packed together, the splines are evaluated for full registers,
and their values are spread over the lanes again to be added up: nothing is ever gathered from
atoms or scattered to them. A list of single atoms has half as many candidates, but three loads for
each and a scattered sum for each pair: it was slower by a third (README.md).

Derivatives of densities and pair energy, divided by r, are kept for the second pass, which needs
the densities of all; so is which lanes of which blocks they belong to. Between the two, the
derivative of the embedding energy is sent to the ghosts.

Pairs between clusters of a chunk are evaluated once and act on both; pairs with a ghost or another
chunk's cluster act on one. So nothing has to come back from ghosts, and threads do not meet.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentials import simd
from potentials.base import Want
from potentials.eam.blocks import at_cluster, vectors
from potentials.eam.pair_splines import evaluate_pairs
from potentials.pair.loop import (
    LANES,
    RANGE_BITS,
    add_to,
    listed,
    listed_own,
    out_of_range,
    row,
    squared_length,
    summand,
)
from potentials.static import INLINED, variant
from potentials.sums import real_of

UPPER = 0x08CE            # lanes 4 a + b with a < b: each pair of a cluster with itself once


@variant
def note_types(mode):
    """Pack for the pairs in range the row of the table where the functions of their types begin."""
    if mode.many_types:
        return lambda mode, first_row, n, types_i, slot_types, j, ntypes, knots, near: (
            simd.store_selected(
                first_row, n, (types_i * ntypes + simd.tile(row(slot_types, 4 * j), 4)) * knots,
                near))
    return lambda mode, first_row, n, types_i, slot_types, j, ntypes, knots, near: None


@variant
def term(mode):
    """A contribution as densities and energies add it up: in double precision unless all is single.

    Atoms of a crystal are rounded alike, and the total must not show it.
    """
    if mode.single and not (mode.single_sums or mode.deterministic):
        return lambda mode, v, per_unit: simd.as_float64(v)
    return lambda mode, v, per_unit: summand(mode, v, per_unit)


@variant
def at_partner(mode):
    """The density at the partner: with one type the same as at the atom itself."""
    if mode.many_types:
        return lambda mode, at_j, n, near, density: simd.load_selected(at_j, n, near)
    return lambda mode, at_j, n, near, density: density


@variant
def half_energy(mode):
    """Half of the pair energies, the part of either atom, where it is wanted."""
    if mode.want == Want.FORCES.value:
        return lambda mode, phi, n, near, per_e: term(
            mode, simd.splat(real_of(mode, 0.0), LANES), per_e)

    def half_energy(mode, phi, n, near, per_e):
        half = real_of(mode, 0.5)
        return term(mode, simd.load_selected(phi, n, near) * half, per_e)
    return half_energy


@variant
def give_energy(mode):
    """The partner's half: to its atoms, or to the sum of cluster i, which goes to the total."""
    if mode.want == Want.PER_ATOM.value:
        def to_atoms(mode, e, share, e_out, j):
            add_to(mode, e_out, 4 * j, simd.fold(share, 4))
            return e
        return to_atoms
    return lambda mode, e, share, e_out, j: e + share


@variant
def keep_energy(mode):
    """The sum of cluster i to where it is wanted."""
    if mode.want == Want.PER_ATOM.value:
        return lambda mode, e, e_out, i: add_to(mode, e_out, 4 * i, simd.reduce_blocks(e, 4))
    if mode.want == Want.TOTALS.value:
        def to_total(mode, e, e_out, i):
            e_out[0] += simd.total(simd.as_float64(e))
        return to_total
    return lambda mode, e, e_out, i: None


@variant
def no_types(mode):
    """Table rows for the lanes behind the last pair, which nobody reads."""
    if mode.many_types:
        return lambda mode, first_row, n: simd.store(first_row, n, simd.splat(np.int32(0), 8))
    return lambda mode, first_row, n: None


@njit(**INLINED)
def pack_block(mode, x_i, kind_i, allowed, packed, slots, slot_types, j, unit2, limit2,
               ntypes, knots, r2, rows, n, kept_partners, kept_masks, blocks):
    """Append the pairs in range of a cluster and j, and the block if there are any.

    Returns how many pairs and blocks there are then. Both are written first and counted
    afterwards: what a branch would cost in mispredictions is more.
    """
    dx, dy, dz = vectors(mode, x_i, packed, j)
    d2 = squared_length(mode, simd.fma(dz, dz, simd.fma(dy, dy, dx * dx)), unit2)
    near = (d2 < limit2) & allowed & (simd.tile(row(slots, 4 * j), 4) >= 0)
    simd.store_selected(r2, n, d2, near)
    note_types(mode, rows, n, kind_i, slot_types, j, ntypes, knots, near)
    bits = simd.bits_of_mask(near)
    kept_partners[blocks], kept_masks[blocks] = j, bits
    return n + simd.count(bits), blocks + np.uint64(bits != 0)


@njit(cache=True, nogil=True, error_model="numpy")
def density_pass(mode, unit, cut2, packed, slots, slot_types, first, start, middle, partners,
                 masks, own_masks, table, ntypes, knots, per_r, per_rho, per_e,
                 scratch, rows, begin, block_start, block_middle, pair_start,
                 kept_partners, kept_masks, slope_i, slope_j, slope_phi, rho, e_out):
    """Densities at the atoms of a chunk, and the pair energy; keeps what the force needs.

    Returns the cluster that it got to, counted from `first`, and whether a sum left the range of
    the deterministic grid: short of the last cluster there is no room for more pairs; with more
    room it goes on from there.

    Parameters
    ----------
    unit : length of one unit of the packed coordinates
    first, start, middle, partners, masks, own_masks : of the chunk, see
        mdapp.neighbors.clusters.Chunk
    table, knots, per_r : functions of pairs, rows for each pair of types, and 1 / dr
    per_rho, per_e : deterministic units in one unit of density and energy
    scratch, rows : (5, n) real and (n,) int32, room for all pairs of a cluster
    begin : cluster to begin with
    block_start, block_middle : as `start` and `middle`, of the blocks with a pair in range, out
    pair_start : (clusters + 1,) int64, where the pairs of each cluster begin, out
    kept_partners, kept_masks : (capacity,) int32 and uint16, of these blocks, out
    slope_i, slope_j, slope_phi : (capacity,) derivatives over r of the density at i, of that at j,
        of the pair energy, of the pairs in range, out
    rho : (4 * nowned,) sums, out
    e_out : sums of the pair energy, of slots or in all, out
    """
    r2, p, at_i, at_j, phi = scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]
    unit2, limit2 = real_of(mode, unit) * real_of(mode, unit), real_of(mode, cut2)
    overflow = simd.splat(False, LANES)
    limit = simd.splat(real_of(mode, 2.0**RANGE_BITS / per_rho), LANES)
    none = term(mode, simd.splat(real_of(mode, 0.0), LANES), 1.0)
    for c in range(begin, len(middle)):
        i, blocks, pairs = first + c, np.uint64(block_start[c]), pair_start[c]
        if pairs + LANES * (start[c + 1] - start[c] + 2) > len(slope_phi):
            return c, simd.any_lane(overflow)

        x_i = at_cluster(packed, i)                            # pairs in range, packed
        kind_i = simd.spread(row(slot_types, 4 * i), 4, 0, 4)
        atoms_i = simd.spread(row(slots, 4 * i), 4, 0, 4) >= 0
        once = listed_own(mode, own_masks, c) & simd.mask_of_bits(np.uint16(UPPER))
        n, blocks = pack_block(mode, x_i, kind_i, atoms_i & once, packed, slots, slot_types,
                               i, unit2, limit2, ntypes, knots, r2, rows, np.uint64(0),
                               kept_partners, kept_masks, blocks)
        for k in range(start[c], middle[c]):
            j = np.int64(partners[np.uint64(k)])
            n, blocks = pack_block(mode, x_i, kind_i, atoms_i & listed(mode, masks, k), packed,
                                   slots, slot_types, j, unit2, limit2, ntypes, knots,
                                   r2, rows, n, kept_partners, kept_masks, blocks)
        block_middle[c] = blocks
        for k in range(middle[c], start[c + 1]):
            j = np.int64(partners[np.uint64(k)])
            n, blocks = pack_block(mode, x_i, kind_i, atoms_i & listed(mode, masks, k), packed,
                                   slots, slot_types, j, unit2, limit2, ntypes, knots,
                                   r2, rows, n, kept_partners, kept_masks, blocks)
        block_start[c + 1] = blocks
        pair_start[c + 1] = pairs + ((np.int64(n) + 7) & -8)   # the next begin a cache line

        simd.store(r2, n, simd.splat(real_of(mode, 1.0), 8))   # lanes that nobody reads
        no_types(mode, rows, n)
        evaluate_pairs(mode, np.int64(n), r2, rows, p, table, per_r, knots - 2, at_i, at_j, phi,
                       slope_i, slope_j, slope_phi, pairs)

        own_rho, e, n = none, none, np.uint64(0)               # spread over their lanes, and summed
        for b in range(block_start[c], block_middle[c]):
            j, bits = np.int64(kept_partners[np.uint64(b)]), kept_masks[np.uint64(b)]
            near = simd.mask_of_bits(bits)
            density = simd.load_selected(at_i, n, near)
            other = at_partner(mode, at_j, n, near, density)
            overflow = out_of_range(mode, overflow, density, other, other, limit)
            own_rho = own_rho + term(mode, density, per_rho)
            add_to(mode, rho, 4 * j, simd.fold(term(mode, other, per_rho), 4))
            share = half_energy(mode, phi, n, near, per_e)
            e = give_energy(mode, e + share, share, e_out, j)
            n += simd.count(bits)
        for b in range(block_middle[c], block_start[c + 1]):
            bits = kept_masks[np.uint64(b)]
            near = simd.mask_of_bits(bits)
            density = simd.load_selected(at_i, n, near)
            overflow = out_of_range(mode, overflow, density, density, density, limit)
            own_rho = own_rho + term(mode, density, per_rho)
            e = e + half_energy(mode, phi, n, near, per_e)
            n += simd.count(bits)
        add_to(mode, rho, 4 * i, simd.reduce_blocks(own_rho, 4))
        keep_energy(mode, e, e_out, i)
    return len(middle), simd.any_lane(overflow)
