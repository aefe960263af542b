"""The loop over the atoms of a chunk: eight of a type at a time, from neighbours to forces.

Nothing is stored an atom. Eight atoms of a type go through three stages: their neighbours are
described and summed (neighborhood.py), their energies are computed and differentiated
(network.py), and their neighbours get forces:

    dU_i/dr_j = u [ dR/dr + sum_m Y_m sum_n g_n' A_nm ] + (1 - u u) / r grad sum_m Y_m P_m,

where R is the radial part, A = dU_i/ds the adjoint of the sums, P_m = sum_n g_n A_nm, and the
gradient is that of the harmonics as polynomials. Forces go to neighbours, ghosts among them.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentials import simd
from potentials.nep.harmonics import LANES
from potentials.nep.mode import BLOCK, add_virial, pull_of, rounded, widened
from potentials.nep.neighborhood import FIELDS, describe, pack
from potentials.nep.network import energies
from potentials.nep.zbl import repulsion
from potentials.static import INLINED
from potentials.sums import keep_largest, real_of, summand, zero_sum
from potentials.vector_math import like


@njit(**INLINED)
def radial_slope(mode, m, own, kind, lane, t, fc, dfc, s):
    """d/dr of the radial part of eight neighbours of one type, of the atom in a lane."""
    x = 2.0 * t * t - 1.0
    x2 = x + x
    older, newer = x, like(x, 1.0)                    # T_-1 and T_0
    value = like(x, 0.0)
    slope = value
    at = kind * m.kradial * 2 * LANES + lane
    for _ in range(m.kradial):
        value = simd.fma(like(x, s.beta[at]), newer, value)
        slope = simd.fma(like(x, s.beta[at + LANES]), newer, slope)
        older, newer = newer, simd.fma(x2, newer, -older)
        at += 2 * LANES
    along = fc * t * real_of(mode, -4.0 / m.cutoffs[own, kind, 0])
    return simd.fma(dfc, value, along * slope)


@njit(**INLINED)
def angular_slope(mode, m, lane, group, x, y, z, ir, s):
    """Radial derivative of the angular part of eight neighbours, and the force across."""
    harmonics, angular = len(m.weights), s.angular[lane]
    width = (m.nangular + BLOCK - 1) // BLOCK * BLOCK * LANES
    first = group * (2 * width + harmonics * LANES)
    along = like(x, 0.0)
    for b in range(0, harmonics, BLOCK):
        p, d = simd.zeros(x, BLOCK), simd.zeros(x, BLOCK)
        at, a = first, b * LANES + lane
        for _ in range(m.nangular):
            p = simd.add_outer(p, s.adjoint, a, LANES, simd.load(angular, at, LANES))
            d = simd.add_outer(d, s.adjoint, a, LANES, simd.load(angular, at + width, LANES))
            at += LANES
            a += harmonics * LANES
        simd.store_each(s.pulled, b * LANES, p)
        at = first + 2 * width + b * LANES
        along = simd.fma(d[0], simd.load(angular, at, LANES), simd.fma(
            d[1], simd.load(angular, at + LANES, LANES), simd.fma(
                d[2], simd.load(angular, at + 2 * LANES, LANES), simd.fma(
                    d[3], simd.load(angular, at + 3 * LANES, LANES), along))))
    gx, gy, gz = pull_of(mode, x, y, z, s.pulled)
    inward = simd.fma(x, gx, simd.fma(y, gy, z * gz))
    return along, ir * (gx - x * inward), ir * (gy - y * inward), ir * (gz - z * inward)


@njit(cache=True, nogil=True, error_model="numpy")
def forces(mode, asked, m, own, i, lane, s, per_unit, f, w_out):
    """Add the forces of the energy of atom i, in a lane, to it and its neighbours.

    Returns the largest component.
    """
    ntypes, largest = m.ranges2.shape[0], 0.0
    sx, sy, sz = zero_sum(mode), zero_sum(mode), zero_sum(mode)
    kept, partner, push = s.kept[lane], s.partner[lane], s.push
    for b in range(2 * ntypes):
        kind, left = b % ntypes, s.filled[lane, b]
        for group in range(s.begin[lane, b], s.begin[lane, b + 1]):
            k = group * FIELDS * LANES
            x, y, z = (simd.load(kept, k, LANES), simd.load(kept, k + LANES, LANES),
                       simd.load(kept, k + 2 * LANES, LANES))
            slope = radial_slope(mode, m, own, kind, lane, simd.load(kept, k + 5 * LANES, LANES),
                                 simd.load(kept, k + 6 * LANES, LANES),
                                 simd.load(kept, k + 7 * LANES, LANES), s)
            if b < ntypes and len(m.weights):
                along, gx, gy, gz = angular_slope(mode, m, lane, group, x, y, z,
                                                  simd.load(kept, k + 4 * LANES, LANES), s)
                slope += along
                gx, gy, gz = simd.fma(slope, x, gx), simd.fma(slope, y, gy), simd.fma(slope, z, gz)
            else:
                gx, gy, gz = slope * x, slope * y, slope * z
            simd.store(push, 0, widened(mode, gx))
            simd.store(push, LANES, widened(mode, gy))
            simd.store(push, 2 * LANES, widened(mode, gz))
            for q in range(min(left, LANES)):
                j = np.uint64(partner[group * LANES + q])
                fx, fy, fz = push[q], push[LANES + q], push[2 * LANES + q]
                largest = keep_largest(mode, largest, fx, fy, fz)
                hx, hy, hz = (summand(mode, fx, per_unit), summand(mode, fy, per_unit),
                              summand(mode, fz, per_unit))
                sx, sy, sz = sx + hx, sy + hy, sz + hz
                f[j, 0] -= hx
                f[j, 1] -= hy
                f[j, 2] -= hz
                push_virial(asked, w_out, j, kept, k + q, fx, fy, fz, per_unit)
            left -= LANES
    f[i, 0] += sx
    f[i, 1] += sy
    f[i, 2] += sz
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def push_apart(mode, asked, m, own, i, lane, s, per_unit, f, w_out):
    """Add ZBL's forces on atom i, in a lane, and its neighbours, and keep its energy.

    Returns the largest component.
    """
    ntypes, energy, largest = m.ranges2.shape[0], 0.0, 0.0
    kept, partner = s.kept[lane], s.partner[lane]
    for b in range(2 * ntypes):
        c = m.zbl[own, b % ntypes]
        if c[1] == 0.0:
            continue
        for group in range(s.begin[lane, b], s.begin[lane, b + 1]):
            k = group * FIELDS * LANES
            if not simd.any_lane(simd.load(kept, k + 3 * LANES, LANES) < real_of(mode, c[1])):
                continue
            for q in range(LANES):
                r = np.float64(kept[k + 3 * LANES + q])
                if r >= c[1]:
                    continue
                share, slope = repulsion(c, r)
                energy += rounded(mode, 0.5 * share)
                j = np.uint64(partner[group * LANES + q])
                fx, fy, fz = (0.5 * slope * kept[k + q], 0.5 * slope * kept[k + LANES + q],
                              0.5 * slope * kept[k + 2 * LANES + q])
                largest = keep_largest(mode, largest, fx, fy, fz)
                hx, hy, hz = (summand(mode, fx, per_unit), summand(mode, fy, per_unit),
                              summand(mode, fz, per_unit))
                f[i, 0] += hx
                f[i, 1] += hy
                f[i, 2] += hz
                f[j, 0] -= hx
                f[j, 1] -= hy
                f[j, 2] -= hz
                push_virial(asked, w_out, j, kept, k + q, fx, fy, fz, per_unit)
    s.repulsion[lane] = energy
    return largest


@njit(**INLINED)
def push_virial(asked, w_out, j, kept, at, fx, fy, fz, per_unit):
    """What the force on a neighbour does to the virial."""
    r = np.float64(kept[at + 3 * LANES])
    x, y, z = r * kept[at], r * kept[at + LANES], r * kept[at + 2 * LANES]
    add_virial(asked, w_out, j, x, y, z, fx, fy, fz, per_unit)


@njit(cache=True, nogil=True, error_model="numpy")
def chunk_pass(mode, asked, m, x, type_, slot_atom, first, start, neighbors, per_unit, s, f, e_out,
               w_out):
    """Energies of the atoms of a chunk, and their forces on all atoms and ghosts.

    Parameters
    ----------
    m, s : Tables and Scratch
    first, start, neighbors : of the chunk, see mdapp.neighbors.atom_lists.Rows
    per_unit : deterministic units in one unit of force and virial
    f : (ntotal, 3) sums, out
    e_out : (nlocal,) float64, out
    w_out : (ntotal, 6) or (1, 6) sums, out

    Returns
    -------
    largest component of a force on a neighbour, most neighbours of an atom
    """
    largest, most, atoms = 0.0, 0, np.zeros(LANES, np.int64)
    for own in range(m.ranges2.shape[0]):
        n = np.int64(0)
        for k in range(len(start) - 1):
            i = slot_atom[first + k]
            if i >= 0 and type_[i] == own:
                atoms[n] = i
                pack(m, x, type_, i, own, n, neighbors, start[k], start[k + 1], s)
                most = max(most, s.filled[n].sum())
                describe(mode, m, x, i, own, n, s)
                largest = max(largest, push_apart(mode, asked, m, own, i, n, s, per_unit, f, w_out))
                n += 1
            if n == LANES or (n and k == len(start) - 2):
                energies(mode, m, own, s)
                for lane in range(n):
                    e_out[atoms[lane]] = s.energy[lane] + s.repulsion[lane]
                    largest = max(largest, forces(mode, asked, m, own, atoms[lane], lane, s,
                                                  per_unit, f, w_out))
                n = np.int64(0)
    return largest, most
