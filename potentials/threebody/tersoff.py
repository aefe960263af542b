"""Tersoff: E = 1/2 sum_i sum_j fc(r_ij) [A exp(-l1 r_ij) - b_ij B exp(-l2 r_ij)],

    b_ij    = (1 + (beta zeta_ij)^n)^(-1 / 2n)
    zeta_ij = sum_k fc(r_ik) g(theta_jik) exp((l3 (r_ij - r_ik))^m)
    g       = gamma (1 + c^2/d^2 - c^2 / (d^2 + (cos theta - cos theta0)^2))

with fc falling from 1 at R - D to 0 at R + D as half a sine wave. The bond order b depends on all
other neighbours, so each bond needs zeta before its force: the terms of zeta and their derivatives
are kept for a second loop, in which nothing is evaluated again. g is written as
gamma (1 + c^2/d^2 h^2 / (d^2 + h^2)), h = cos theta - cos theta0, without a difference of large
numbers: c^2/d^2 is often beyond 1e5. Parameters of the bond i j stand in
the entry i j j; those of a term of zeta, its range included, in i j k.

J. Tersoff, Phys. Rev. B 37, 6991 (1988), doi 10.1103/PhysRevB.37.6991; 38, 9902 (1988), doi
10.1103/PhysRevB.38.9902; several elements: 39, 5566 (1989), doi 10.1103/PhysRevB.39.5566.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials.static import INLINED, variant
from potentials.sums import real_of
from potentials.threebody.entries import Entries, read_entries
from potentials.threebody.kernel import AtomEnergyKernel, Formula
from potentials.threebody.loop import GEOMETRY, atom_formula, entry
from potentials.threebody.potential import OfTriples

FIELDS = ("m", "gamma", "lambda3", "c", "d", "costheta0", "n", "beta", "lambda2", "B", "R", "D",
          "lambda1", "A")
NO_LENGTHS = "lambda3=0"
LARGEST = 69.0776         # ln 1e30: where LAMMPS holds the exponential of lengths
INNER, OUTER, WAVE, CUBE, C2, D2, COSINE, SCALE, N, BETA, LAMBDA2, B, LAMBDA1, A = range(14)
LINEAR, RATIO = 14, 15     # lambda3 where m is 1, and 0 where it is 3; c^2 / d^2


@atom_formula("tersoff")
def tersoff(mode, n, kind, kinds, space, table, ntypes):
    """The half of its bonds' energies that is one atom's; see the head of the file."""
    dx, dy, dz, r = space[0], space[1], space[2], space[3]
    gx, gy, gz = space[4], space[5], space[6]
    inverse, fade, fall = space[GEOMETRY], space[GEOMETRY + 1], space[GEOMETRY + 2]
    cosines, by_j, by_k, by_angle = (space[GEOMETRY + 3], space[GEOMETRY + 4], space[GEOMETRY + 5],
                                     space[GEOMETRY + 6])
    zero, half, one = real_of(mode, 0.0), real_of(mode, 0.5), real_of(mode, 1.0)
    energy = 0.0
    for q in range(n):
        inverse[q] = one / r[q]
        dx[q], dy[q], dz[q] = dx[q] * inverse[q], dy[q] * inverse[q], dz[q] * inverse[q]
        fade[q], fall[q] = switch(
            mode, r[q], table[entry(mode, ntypes, kind, kinds[q], kinds[q])])
    for j in range(n):
        p = table[entry(mode, ntypes, kind, kinds[j], kinds[j])]
        if r[j] >= p[OUTER]:
            continue
        ux, uy, uz = dx[j], dy[j], dz[j]
        zeta = zero
        for k in range(n):
            cosines[k], by_j[k], by_k[k], by_angle[k] = zero, zero, zero, zero
            if k == j:
                continue
            c = table[entry(mode, ntypes, kind, kinds[j], kinds[k])]
            within, slope = switch_of(mode, r[k], c, fade[k], fall[k])
            cosine = ux * dx[k] + uy * dy[k] + uz * dz[k]
            away = cosine - c[COSINE]
            part = one / (c[D2] + away * away)
            bend = c[SCALE] * (one + c[RATIO] * away * away * part)
            turn = c[SCALE] * (c[C2] + c[C2]) * away * part * part
            stretch, longer = lengths(mode, r[j] - r[k], c)
            zeta += within * bend * stretch
            cosines[k] = cosine
            by_j[k] = within * bend * longer
            by_k[k] = slope * bend * stretch - by_j[k]
            by_angle[k] = within * turn * stretch
        order, weaker = bond_order(np.float64(zeta), np.float64(p[BETA]), np.float64(p[N]))
        repulsion = half * p[A] * math.exp(-p[LAMBDA1] * r[j])
        attraction = half * p[B] * math.exp(-p[LAMBDA2] * r[j])
        b = real_of(mode, order)
        pair = repulsion - b * attraction
        energy += fade[j] * pair
        along = fall[j] * pair + fade[j] * (b * p[LAMBDA2] * attraction - p[LAMBDA1] * repulsion)
        rate = -fade[j] * attraction * real_of(mode, weaker)
        sx, sy, sz = zero, zero, zero
        for k in range(n):
            angle = rate * by_angle[k]
            along += rate * by_j[k] - angle * cosines[k] * inverse[j]
            at_j, at_k = angle * inverse[j], angle * inverse[k]
            out = rate * by_k[k] - at_k * cosines[k]
            sx += at_j * dx[k]
            sy += at_j * dy[k]
            sz += at_j * dz[k]
            gx[k] += out * dx[k] + at_k * ux
            gy[k] += out * dy[k] + at_k * uy
            gz[k] += out * dz[k] + at_k * uz
        gx[j] += along * ux + sx
        gy[j] += along * uy + sy
        gz[j] += along * uz + sz
    for q in range(n):
        dx[q], dy[q], dz[q] = dx[q] * r[q], dy[q] * r[q], dz[q] * r[q]
    return energy


@njit(**INLINED)
def switch(mode, r, c):
    """fc and its derivative."""
    zero, half, one = real_of(mode, 0.0), real_of(mode, 0.5), real_of(mode, 1.0)
    if r < c[INNER]:
        return one, zero
    if r >= c[OUTER]:
        return zero, zero
    phase = c[WAVE] * (r - half * (c[INNER] + c[OUTER]))
    return half * (one - math.sin(phase)), -half * c[WAVE] * math.cos(phase)


@variant
def switch_of(mode):
    """fc of a third atom: with one type what it is as a partner, with several of its entry."""
    if mode.many_types:
        return lambda mode, r, c, fade, fall: switch(mode, r, c)
    return lambda mode, r, c, fade, fall: (fade, fall)


@variant
def lengths(mode):
    """The exponential of the difference of two lengths, and its derivative."""
    if NO_LENGTHS in mode.options:
        return lambda mode, difference, c: (real_of(mode, 1.0), real_of(mode, 0.0))

    def lengths(mode, difference, c):
        zero, three = real_of(mode, 0.0), real_of(mode, 3.0)
        most = real_of(mode, LARGEST)
        square = c[CUBE] * difference * difference
        power = (square + c[LINEAR]) * difference
        if power < -most:
            return zero, zero
        value = math.exp(min(power, most))
        return value, value * (three * square + c[LINEAR])
    return lengths


@njit(**INLINED)
def bond_order(zeta, beta, n):
    """b and db / dzeta, without a power that could overflow."""
    t = beta * zeta
    if not t > 0.0:
        return 1.0, 0.0
    logarithm = n * math.log(t)
    small = math.exp(-abs(logarithm))              # t^n or t^-n, whichever is below 1
    b = math.exp(-0.5 / n * (math.log1p(small) + max(logarithm, 0.0)))
    share = (1.0 if logarithm > 0.0 else small) / (1.0 + small)
    return b, -0.5 * b * share / zeta


@dataclass(frozen=True)
class Tersoff(OfTriples):
    """The potential of `pair_style tersoff`."""

    style: str = "tersoff"

    @property
    def cutoff(self) -> float:
        """The largest of all triples."""
        return float((self.entries["R"] + self.entries["D"]).max())

    @staticmethod
    def read(path: Path, elements: Sequence[str]) -> Entries:
        """See `read_tersoff`."""
        return read_tersoff(path, elements)

    def compiled(self, precision: str, deterministic: bool = False) -> AtomEnergyKernel:
        """The kernel for one of `precisions`."""
        options = () if self.entries["lambda3"].any() else (NO_LENGTHS,)
        formula = Formula("tersoff", table_of(self.entries), self.ntypes, self.cutoff, 7, options)
        return AtomEnergyKernel(formula, precision, deterministic)


def read_tersoff(path: Path, elements: Sequence[str]) -> Entries:
    """Read a file of entries and check that they make sense.

    Raises
    ------
    FileError : see read_entries; a parameter is out of range
    """
    entries = read_entries(path, elements, FIELDS)
    m = entries["m"]
    entries.require((m == 1) | (m == 3), "m", "must be 1 or 3")
    for name in ("n", "R"):
        good = entries.of_pairs(name) > 0
        entries.require(good, name, "must be greater than 0", pairs=True)
    for name in ("c", "beta", "lambda1", "lambda2", "A", "B", "R", "gamma"):
        entries.require(entries[name] >= 0, name, "must not be negative")
    entries.require(entries["d"] != 0, "d", "must not be 0: it divides")
    inside = (entries["D"] >= 0) & (entries["D"] <= entries["R"])
    entries.require(inside, "D", "must be from 0 to R")
    return entries


def table_of(entries: Entries) -> NDArray[np.float64]:
    """(ntypes^3, 16) parameters as the formula wants them."""
    n = len(entries.elements)
    middle, width, cube = entries["R"], entries["D"], entries["m"] == 3
    wave = np.divide(np.pi / 2, width, out=np.zeros_like(width), where=width > 0)
    columns = {
        INNER: middle - width, OUTER: middle + width, WAVE: wave, C2: entries["c"]**2,
        D2: entries["d"]**2, RATIO: (entries["c"] / entries["d"])**2,
        COSINE: entries["costheta0"], SCALE: entries["gamma"],
        CUBE: np.where(cube, entries["lambda3"]**3, 0.0),
        LINEAR: np.where(cube, 0.0, entries["lambda3"]),
        N: entries["n"], BETA: entries["beta"], LAMBDA1: entries["lambda1"],
        LAMBDA2: entries["lambda2"], A: entries["A"], B: entries["B"]}
    table = np.zeros((n, n, n, 16))
    for column, values in columns.items():
        table[..., column] = values
    return table.reshape(n**3, -1)
