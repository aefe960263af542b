"""Stillinger-Weber: E = sum_pairs phi2(r_ij) + sum_i sum_{j<k} phi3(r_ij, r_ik, theta_jik).

    phi2 = A eps [B (s/r)^p - (s/r)^q] exp(s / (r - a s))
    phi3 = lambda eps (cos theta - cos theta0)^2 exp(g s / (r_ij - a s)) exp(g s / (r_ik - a s))

for r < a s, where both vanish with all derivatives. The parameters of a pair i j stand in the entry
i j j, also those that a pair brings into phi3; lambda, eps and theta0 of an angle in i j k. The
exponentials of phi3 are functions of one distance, so each neighbour has one, and an angle costs no
transcendental function.

Neighbours lie in the lanes of vectors, eight at a time. An angle is met twice, from each of its
arms: so every lane adds up its own gradient, and nothing goes from lane to lane.

F. H. Stillinger and T. A. Weber, Phys. Rev. B 31, 5262 (1985), doi 10.1103/PhysRevB.31.5262.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials import simd
from potentials.static import INLINED, variant
from potentials.sums import real_of
from potentials.threebody.entries import Entries, read_entries
from potentials.threebody.kernel import AtomEnergyKernel, Formula
from potentials.threebody.loop import GEOMETRY, atom_formula, entry
from potentials.threebody.potential import OfTriples
from potentials.vector_math import exp

LANES = 8                 # neighbours that are worked on at a time
FIELDS = ("epsilon", "sigma", "a", "lambda", "gamma", "costheta0", "A", "B", "p", "q", "tol")
PAIR_FIELDS = ("epsilon", "sigma", "a", "A", "B", "p", "q", "tol")
COARSEST = 0.01           # the largest tolerance that LAMMPS accepts
# Beyond exp(-FADED) there is nothing, in double and single precision: far below rounding, and a
# product of two would be subnormal, which some processors take a hundred cycles for.
FADED = 300.0, 30.0
FOUR_ZERO = "p=4, q=0"
CUT, TOP, SIGMA, RANGE, REPULSION, ATTRACTION, P, Q, STRENGTH, COSINE = range(10)


@atom_formula("sw")
def stillinger_weber(mode, n, kind, kinds, space, table, ntypes):
    """Half the pair energies and all angles of one atom; see the head of the file."""
    dx, dy, dz, r = space[0], space[1], space[2], space[3]
    gx, gy, gz = space[4], space[5], space[6]
    decay, slope, inverse = space[GEOMETRY], space[GEOMETRY + 1], space[GEOMETRY + 2]
    number, share = space[GEOMETRY + 3], space[GEOMETRY + 4]
    repelling, attracting = space[GEOMETRY + 5], space[GEOMETRY + 6]
    zero = simd.splat(real_of(mode, 0.0), LANES)
    inside = simd.splat(real_of(mode, -1.0), LANES)             # of lanes whose values are dropped
    write_powers(mode, n, kind, kinds, r, table, ntypes, repelling, attracting)
    for q in range(0, n, LANES):
        c = of_pairs(mode, table, ntypes, kind, kinds, q)
        distance = simd.load(r, q, LANES)
        within, over = distance < c[CUT], 1.0 / distance
        gap = 1.0 / simd.where(within, distance - c[TOP], inside)
        fade = 0.5 * exp(c[SIGMA] * gap)
        repulsion, attraction = powers(mode, c[SIGMA] * over, c, repelling, attracting, q)
        pair = (repulsion - attraction) * fade
        along = simd.where(within, -((c[P] * repulsion - c[Q] * attraction) * fade * over
                                     + pair * c[SIGMA] * gap * gap), zero)
        alone = simd.where(within, exp(c[RANGE] * gap), zero)
        simd.store(decay, q, alone)
        simd.store(slope, q, -c[RANGE] * gap * gap * alone)
        simd.store(inverse, q, over)
        simd.store(share, q, simd.where(within, pair, zero))
        ux, uy, uz = (simd.load(dx, q, LANES) * over, simd.load(dy, q, LANES) * over,
                      simd.load(dz, q, LANES) * over)
        simd.store(dx, q, ux)
        simd.store(dy, q, uy)
        simd.store(dz, q, uz)
        simd.store(gx, q, along * ux)
        simd.store(gy, q, along * uy)
        simd.store(gz, q, along * uz)
    for q in range(n):
        number[q] = real_of(mode, q)
    for q in range(0, n, LANES):
        ux, uy, uz = simd.load(dx, q, LANES), simd.load(dy, q, LANES), simd.load(dz, q, LANES)
        sx, sy, sz = simd.load(gx, q, LANES), simd.load(gy, q, LANES), simd.load(gz, q, LANES)
        alone, steep = simd.load(decay, q, LANES), simd.load(slope, q, LANES)
        over, energy = simd.load(inverse, q, LANES), simd.load(share, q, LANES)
        for k in range(n):
            strength, at_rest = of_angles(mode, table, ntypes, kind, kinds, q, k)
            cosine = ux * dx[k] + uy * dy[k] + uz * dz[k]
            bent = cosine - at_rest
            stiff = simd.where(simd.load(number, q, LANES) != number[k], strength * bent, zero)
            both = stiff * alone * decay[k]
            energy += 0.5 * both * bent
            turn = 2.0 * both * over
            along = stiff * bent * steep * decay[k] - turn * cosine
            sx += along * ux + turn * dx[k]
            sy += along * uy + turn * dy[k]
            sz += along * uz + turn * dz[k]
        simd.store(gx, q, sx)
        simd.store(gy, q, sy)
        simd.store(gz, q, sz)
        simd.store(share, q, energy)
    energy = 0.0
    for q in range(n):
        energy += share[q]
        dx[q], dy[q], dz[q] = dx[q] * r[q], dy[q] * r[q], dz[q] * r[q]
    return energy


@variant
def of_pairs(mode):
    """The parameters of the pairs with eight neighbours, a vector each."""
    if not mode.many_types:
        return lambda mode, table, ntypes, kind, kinds, q: simd.splat_row(table[0], 10, LANES)

    def of_pairs(mode, table, ntypes, kind, kinds, q):
        others = simd.load(kinds, q, LANES)
        rows = (others * ntypes + others) + kind * ntypes * ntypes
        return simd.lookup(table.reshape(-1), rows * 10, 10)
    return of_pairs


@variant
def of_angles(mode):
    """Strength and cosine at rest of the angles of eight neighbours with neighbour k."""
    if not mode.many_types:
        return lambda mode, table, ntypes, kind, kinds, q, k: (
            simd.splat(table[0, STRENGTH], LANES), simd.splat(table[0, COSINE], LANES))

    def of_angles(mode, table, ntypes, kind, kinds, q, k):
        rows = simd.load(kinds, q, LANES) * ntypes + (kind * ntypes * ntypes + kinds[k])
        return simd.lookup(table.reshape(-1), rows * 10 + STRENGTH, 2)
    return of_angles


@variant
def write_powers(mode):
    """A eps B (s/r)^p and A eps (s/r)^q of all neighbours to rows, unless `powers` makes them."""
    if FOUR_ZERO in mode.options:
        return lambda mode, n, kind, kinds, r, table, ntypes, repelling, attracting: None

    def write_powers(mode, n, kind, kinds, r, table, ntypes, repelling, attracting):
        for q in range(n):
            c = table[entry(mode, ntypes, kind, kinds[q], kinds[q])]
            ratio = c[SIGMA] / r[q]
            repelling[q] = c[REPULSION] * power(ratio, c[P])
            attracting[q] = c[ATTRACTION] * power(ratio, c[Q])
    return write_powers


@variant
def powers(mode):
    """A eps B (s/r)^p and A eps (s/r)^q of eight neighbours, given s/r."""
    if FOUR_ZERO in mode.options:
        def published(mode, ratio, c, repelling, attracting, q):
            square = ratio * ratio
            return c[REPULSION] * (square * square), c[ATTRACTION]
        return published
    return lambda mode, ratio, c, repelling, attracting, q: (
        simd.load(repelling, q, LANES), simd.load(attracting, q, LANES))


@njit(**INLINED)
def power(base, exponent):
    """base^exponent, in the type of the base."""
    return math.exp(exponent * math.log(base))


@dataclass(frozen=True)
class StillingerWeber(OfTriples):
    """The potential of `pair_style sw`."""

    style: str = "sw"

    @property
    def cutoff(self) -> float:
        """The largest of all pairs."""
        return float(cutoffs(self.entries).max())

    @staticmethod
    def read(path: Path, elements: Sequence[str]) -> Entries:
        """See `read_sw`."""
        return read_sw(path, elements)

    def compiled(self, precision: str, deterministic: bool = False) -> AtomEnergyKernel:
        """The kernel for one of `precisions`."""
        e = self.entries
        published = (e.of_pairs("p") == 4).all() and (e.of_pairs("q") == 0).all()
        formula = Formula("sw", table_of(e, precision != "double"), self.ntypes, self.cutoff, 7,
                          (FOUR_ZERO,) if published else ())
        return AtomEnergyKernel(formula, precision, deterministic)


def read_sw(path: Path, elements: Sequence[str]) -> Entries:
    """Read a file of entries and check that they make sense.

    Raises
    ------
    FileError : see read_entries; a parameter is out of range, or two entries disagree
    """
    entries = read_entries(path, elements, FIELDS)
    for name in ("sigma", "a"):
        entries.require(entries.of_pairs(name) > 0, name, "must be greater than 0", pairs=True)
    for name in ("epsilon", "lambda", "gamma", "A", "B", "p", "q", "tol"):
        entries.require(entries[name] >= 0, name, "must not be negative")
    entries.require(abs(entries["costheta0"]) <= 1, "costheta0", "must be from -1 to 1")
    entries.require_same_pairs(PAIR_FIELDS)
    entries.require_same_angles("lambda epsilon", entries["lambda"] * entries["epsilon"])
    entries.require_same_angles("costheta0", entries["costheta0"])
    short = cutoffs(entries) > 0
    entries.require(short, "tol", "leaves no range: the cutoff is not positive", pairs=True)
    return entries


def cutoffs(entries: Entries) -> NDArray[np.float64]:
    """(ntypes, ntypes) cutoff: a sigma, or where exp(s / (r - a s)) falls to the tolerance."""
    sigma, gamma = entries.of_pairs("sigma"), entries.of_pairs("gamma")
    tolerance = np.minimum(entries.of_pairs("tol"), COARSEST)
    shorter = np.zeros_like(sigma)
    some = tolerance > 0
    shorter[some] = (np.minimum(gamma, 1.0) * sigma)[some] / np.log(tolerance[some])
    return entries.of_pairs("a") * sigma + shorter


def table_of(entries: Entries, single: bool) -> NDArray[np.float64]:
    """(ntypes^3, 10) parameters as the formula wants them."""
    n = len(entries.elements)
    table = np.zeros((n, n, n, 10))
    pair = {name: entries.of_pairs(name) for name in FIELDS}
    sigma, strength = pair["sigma"], pair["A"] * pair["epsilon"]
    faded = pair["a"] * sigma - np.minimum(1.0, pair["gamma"]) * sigma / FADED[single]
    columns = {CUT: np.minimum(cutoffs(entries), faded), TOP: pair["a"] * sigma, SIGMA: sigma,
               RANGE: pair["gamma"] * sigma, REPULSION: strength * pair["B"],
               ATTRACTION: strength, P: pair["p"], Q: pair["q"]}
    for column, values in columns.items():
        for j in range(n):
            table[:, j, j, column] = values[:, j]
    for column, angle in ((STRENGTH, entries["lambda"] * entries["epsilon"]),
                          (COSINE, entries["costheta0"])):
        table[..., column] = (angle + angle.swapaxes(1, 2)) / 2      # the same but for rounding
    return table.reshape(n**3, -1)
