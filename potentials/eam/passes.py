"""Two passes over the pairs in range, with the splines evaluated in the first only.

A pair costs a square root, a division and two or three splines; a candidate that turns out to be
beyond the cutoff should cost none of that. So the candidates of a few atoms are tested first, and
the distances of those in range packed together without a branch: each is written down, and the end
moves on by one if it was near. Short loops over the packed pairs then become vector instructions.
Density and energy are summed at once; derivative of density and pair force, divided by r, are kept
for the second pass, which knows the densities: between the two, the derivative of the embedding
energy is sent to the ghosts.

Pairs between atoms of a chunk are evaluated once and act on both; pairs with a ghost or another
chunk's atom act on one. So nothing has to come back from ghosts, and threads do not meet.

In `mixed`, differences of positions are taken in double and rounded: the same bits on every rank.
Deterministic sums are sums of integers, as in potentials/pair/loop.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, types

from potentials import simd
from potentials.base import Want
from potentials.static import INLINED, Static, variant
from potentials.sums import keep_largest, real_of, summand, zero_sum

BATCH = 16                # atoms whose pairs are packed together


@dataclass(frozen=True)
class Mode(Static):
    """The constants that the passes are compiled for.

    Attributes
    ----------
    single : pair arithmetic in single precision
    single_sums : sums over the pairs of an atom too
    many_types : rows of tables are looked up by the types of a pair
    want : value of a Want
    deterministic : sums of integers
    """

    single: bool
    single_sums: bool
    many_types: bool
    want: int
    deterministic: bool

    @property
    def real(self) -> types.Float:
        """Type of the pair arithmetic."""
        return types.float32 if self.single else types.float64


@variant
def note_types(mode):
    """Note for a candidate the row of the knot table where the splines of its types begin."""
    if mode.many_types:
        def note_types(mode, row, q, type_, i, j, ntypes, knots):
            row[q] = (np.int32(type_[np.uint64(i)]) * ntypes + type_[np.uint64(j)]) * knots
        return note_types
    return lambda mode, row, q, type_, i, j, ntypes, knots: None


@variant
def first_rows(mode):
    """The rows noted for eight candidates: with one type all begin at 0."""
    if mode.many_types:
        return lambda mode, row, q: simd.load(row, q, 8)
    return lambda mode, row, q: simd.splat(np.int32(0), 8)


@variant
def splines(mode):
    """Values and slopes, per knot, of the two or three functions of eight pairs."""
    if mode.many_types:
        def three(mode, table, place, p):
            a0, a1, a2, b0, b1, b2, c0, c1, c2, d0, d1, d2 = simd.columns(table, place, 12)
            return (*cubic(mode, a0, b0, c0, d0, p), *cubic(mode, a1, b1, c1, d1, p),
                    *cubic(mode, a2, b2, c2, d2, p))
        return three

    def two(mode, table, place, p):
        a0, a1, b0, b1, c0, c1, d0, d1 = simd.columns(table, place, 8)
        density, slope = cubic(mode, a0, b0, c0, d0, p)
        return (density, slope, density, slope, *cubic(mode, a1, b1, c1, d1, p))
    return two


@njit(**INLINED)
def cubic(mode, a, b, c, d, p):
    """((a p + b) p + c) p + d, and its derivative."""
    inner = simd.fma(a, p, b)
    middle = simd.fma(inner, p, c)
    return simd.fma(middle, p, d), simd.fma(simd.fma(a, p, inner), p, middle)


@variant
def row_width(mode):
    """Entries in a row of the table of pairs."""
    width = 12 if mode.many_types else 8
    return lambda mode: np.int32(width)


@njit(**INLINED)
def evaluate_pairs(mode, n, r2, row, table, per_r, top, at_i, at_j, phi,
                   slope_i, slope_j, slope_phi, offset):
    """Splines of n packed pairs, given r^2 and the row of their types, eight at a time.

    Writes density at i and at j and the pair energy to the scratch, and from `offset` on what the
    force needs: derivatives of the densities over r, and of the pair energy over r.
    """
    one, per = simd.splat(real_of(mode, 1.0), 8), simd.splat(per_r, 8)
    last = simd.splat(real_of(mode, top), 8)
    for q in range(0, n, 8):
        r = simd.sqrt(simd.load(r2, q, 8))
        inverse, place = one / r, r * per
        cell = simd.truncated(simd.smaller(place, last))
        p = simd.smaller(place - as_real(mode, cell), one)
        rows = (first_rows(mode, row, q) + cell) * row_width(mode)
        di, si, dj, sj, z2, sz = splines(mode, table, rows, p)
        energy, scale = z2 * inverse, per * inverse
        simd.store(at_i, q, di)
        simd.store(at_j, q, dj)
        simd.store(phi, q, energy)
        simd.store(slope_i, offset + q, si * scale)
        simd.store(slope_j, offset + q, sj * scale)
        simd.store(slope_phi, offset + q, (sz * per - energy) * inverse * inverse)


@variant
def as_real(mode):
    """Whole numbers in the precision of the pair arithmetic."""
    if mode.single:
        return lambda mode, v: simd.as_float32(v)
    return lambda mode, v: simd.as_float64(v)


@variant
def of_partner(mode):
    """What a pair does at its partner: with one type the same as at the atom itself."""
    if mode.many_types:
        return lambda mode, at_i, at_j: at_j
    return lambda mode, at_i, at_j: at_i


@variant
def add_energy(mode):
    """Half of a pair energy to either atom, or to the total of all."""
    if mode.want == Want.PER_ATOM.value:
        def to_atoms(mode, e_out, i, value):
            e_out[i] += value
        return to_atoms
    if mode.want == Want.TOTALS.value:
        def to_total(mode, e_out, i, value):
            e_out[0] += value
        return to_total
    return lambda mode, e_out, i, value: None


@njit(cache=True, nogil=True, error_model="numpy")
def density_pass(mode, x, type_, slot_atom, first, start, middle, neighbors, cut2,
                 table, ntypes, knots, per_r, per_rho, per_e, begin, scratch, row,
                 rho, e_out, kept_start, kept_middle, partner, slope_i, slope_j, slope_phi):
    """Densities at the atoms of a chunk, and the pair energy; keeps what the force needs.

    Returns the slot that it got to: short of the last, there is no room for more pairs; with more
    room it goes on from there.

    Parameters
    ----------
    first, start, middle, neighbors : of the chunk, see mdapp.neighbors.atom_lists.Rows
    table, knots, per_r : splines of pairs, rows for each pair of types, and 1 / dr
    per_rho, per_e : deterministic units in one unit of density and energy
    begin : slot to begin with, counted from `first`
    scratch, row : (4, n) real and (n,) int32, n - 8 candidates of BATCH atoms at most
    rho : (natoms,) sums, out
    e_out : sums of the pair energy, of atoms or in all, out
    kept_start, kept_middle : as `start` and `middle`, of the pairs in range, out
    partner, slope_i, slope_j, slope_phi : (capacity,) partner, derivatives over r of the density
        at i, of that at j, of the pair energy, out
    """
    r2, at_i, at_j, phi = scratch[0], scratch[1], scratch[2], scratch[3]
    nslots = len(middle)
    kept = np.uint64(kept_start[begin])             # unsigned: no wrap-around test per access
    half = real_of(mode, 0.5)
    per = real_of(mode, per_r)
    for batch in range(begin, nslots, BATCH):
        end = min(batch + BATCH, nslots)
        offset = kept
        if np.int64(kept) + start[end] - start[batch] + 8 > len(partner):
            kept_start[batch] = np.int64(kept)
            return batch
        for k in range(batch, end):
            i = slot_atom[first + k]
            kept_start[k] = np.int64(kept)
            kept_middle[k] = np.int64(kept)
            if i < 0:
                continue
            xi, yi, zi = x[i, 0], x[i, 1], x[i, 2]
            for part in range(2):
                lo = start[k] if part == 0 else middle[k]
                hi = middle[k] if part == 0 else start[k + 1]
                for c in range(np.uint64(lo), np.uint64(hi)):
                    j = np.uint64(neighbors[c])
                    dx, dy, dz = xi - x[j, 0], yi - x[j, 1], zi - x[j, 2]
                    d2 = dx * dx + dy * dy + dz * dz
                    q = kept - offset
                    r2[q] = d2
                    note_types(mode, row, q, type_, i, j, ntypes, knots)
                    partner[kept] = np.int32(j)
                    kept += np.uint64(d2 < cut2)
                if part == 0:
                    kept_middle[k] = np.int64(kept)
        n = np.int64(kept - offset)
        for lane in range(n, n + 8):                       # lanes that nobody reads
            r2[lane], row[lane] = 1.0, 0
        evaluate_pairs(mode, n, r2, row, table, per, knots - 2, at_i, at_j, phi,
                       slope_i, slope_j, slope_phi, np.int64(offset))
        for k in range(batch, end):
            i = slot_atom[first + k]
            if i < 0:
                continue
            stop = kept_start[k + 1] if k + 1 < end else np.int64(kept)
            own, e = zero_sum(mode), zero_sum(mode)
            for c in range(np.uint64(kept_start[k]), np.uint64(kept_middle[k])):
                q, j = c - offset, np.uint64(partner[c])
                own += summand(mode, at_i[q], per_rho)
                rho[j] += summand(mode, of_partner(mode, at_i, at_j)[q], per_rho)
                share = summand(mode, half * phi[q], per_e)
                e += share
                add_energy(mode, e_out, j, share)
            for c in range(np.uint64(kept_middle[k]), np.uint64(stop)):
                q = c - offset
                own += summand(mode, at_i[q], per_rho)
                e += summand(mode, half * phi[q], per_e)
            rho[i] += own
            add_energy(mode, e_out, i, e)
    kept_start[nslots] = np.int64(kept)
    return nslots


@njit(cache=True, nogil=True, error_model="numpy")
def embed(rho, type_, nlocal, table, knots, per_rho, rho_max, slopes, energies):
    """slopes = dF/drho and energies = F of the first nlocal atoms, beyond rho_max on a line.

    table, knots : (ntypes * knots, 4) splines; slopes, energies : (>= nlocal,) float64, out
    """
    for i in range(nlocal):
        place = max(rho[i], 0.0) * per_rho
        cell = min(np.int64(place), knots - 2)
        p = min(place - cell, 1.0)
        k = type_[i] * knots + cell
        a, b, c, d = table[k, 0], table[k, 1], table[k, 2], table[k, 3]
        slopes[i] = ((3.0 * a * p + 2.0 * b) * p + c) * per_rho
        energies[i] = ((a * p + b) * p + c) * p + d
        if rho[i] > rho_max:
            energies[i] += slopes[i] * (rho[i] - rho_max)


@variant
def pair_slope(mode):
    """The derivative of the energy by r, over r, of one pair."""
    if mode.many_types:
        return lambda mode, c, fi, fj, slope_i, slope_j, slope_phi: (
            slope_i[c] * fi + slope_j[c] * fj + slope_phi[c])
    return lambda mode, c, fi, fj, slope_i, slope_j, slope_phi: (
        slope_i[c] * (fi + fj) + slope_phi[c])


@variant
def add_virial(mode):
    """Half of a pair's virial to either atom, or to the total of all."""
    if mode.want == Want.PER_ATOM.value:
        def to_atoms(mode, w_out, i, w):
            for k in range(6):
                w_out[i, k] += w[k]
        return to_atoms
    if mode.want == Want.TOTALS.value:
        def to_total(mode, w_out, i, w):
            for k in range(6):
                w_out[0, k] += w[k]
        return to_total
    return lambda mode, w_out, i, w: None


@variant
def half_virial(mode):
    """Half of r x f of a pair, xx yy zz yz xz xy."""
    if mode.want == Want.FORCES.value:
        return lambda mode, dx, dy, dz, fx, fy, fz, per_w: None

    def half_virial(mode, dx, dy, dz, fx, fy, fz, per_w):
        hx, hy, hz = 0.5 * fx, 0.5 * fy, 0.5 * fz
        return (summand(mode, dx * hx, per_w), summand(mode, dy * hy, per_w),
                summand(mode, dz * hz, per_w), summand(mode, dy * hz, per_w),
                summand(mode, dx * hz, per_w), summand(mode, dx * hy, per_w))

    return half_virial


@njit(cache=True, nogil=True, error_model="numpy")
def force_pass(mode, x, slot_atom, first, kept_start, kept_middle, partner, slope_i, slope_j,
               slope_phi, slopes, per_f, per_w, f, w_out):
    """Add the forces of a chunk's pairs to f, and the virial where it is wanted to w_out.

    Returns the largest component of a pair force.

    slopes : (natoms,) float64, dF/drho of atoms and ghosts
    f : (natoms, 3) sums, of the atoms of the chunk, out
    """
    largest = 0.0
    for k in range(len(kept_middle)):
        i = slot_atom[first + k]
        if i < 0:
            continue
        xi, yi, zi, fi = x[i, 0], x[i, 1], x[i, 2], real_of(mode, slopes[i])
        sx, sy, sz = zero_sum(mode), zero_sum(mode), zero_sum(mode)
        for c in range(np.uint64(kept_start[k]), np.uint64(kept_start[k + 1])):
            j = np.uint64(partner[c])
            fj = real_of(mode, slopes[j])
            slope = pair_slope(mode, c, fi, fj, slope_i, slope_j, slope_phi)
            dx, dy, dz = (real_of(mode, xi - x[j, 0]), real_of(mode, yi - x[j, 1]),
                          real_of(mode, zi - x[j, 2]))
            fx, fy, fz = -slope * dx, -slope * dy, -slope * dz
            largest = keep_largest(mode, largest, fx, fy, fz)
            gx, gy, gz = (summand(mode, fx, per_f), summand(mode, fy, per_f),
                          summand(mode, fz, per_f))
            sx, sy, sz = sx + gx, sy + gy, sz + gz
            w = half_virial(mode, dx, dy, dz, fx, fy, fz, per_w)
            add_virial(mode, w_out, i, w)
            if c < np.uint64(kept_middle[k]):
                f[j, 0] -= gx
                f[j, 1] -= gy
                f[j, 2] -= gz
                add_virial(mode, w_out, j, w)
        f[i, 0] += sx
        f[i, 1] += sy
        f[i, 2] += sz
    return largest
