"""Stillinger-Weber: E = sum_pairs phi2(r_ij) + sum_i sum_{j<k} phi3(r_ij, r_ik, theta_jik).

    phi2 = A eps [B (s/r)^p - (s/r)^q] exp(s / (r - a s))
    phi3 = lambda eps (cos theta - cos theta0)^2 exp(g s / (r_ij - a s)) exp(g s / (r_ik - a s))

for r < a s, where both vanish with all derivatives. The parameters of a pair i j stand in the entry
i j j, also those that a pair brings into phi3; lambda, eps and theta0 of an angle in i j k. The
exponentials of phi3 are functions of one distance, so each neighbour has one, and an angle costs no
transcendental function.

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

from potentials.static import INLINED, variant
from potentials.sums import real_of
from potentials.threebody.entries import Entries, read_entries
from potentials.threebody.kernel import AtomEnergyKernel, Formula
from potentials.threebody.loop import GEOMETRY, atom_formula, entry
from potentials.threebody.potential import OfTriples

FIELDS = ("epsilon", "sigma", "a", "lambda", "gamma", "costheta0", "A", "B", "p", "q", "tol")
PAIR_FIELDS = ("epsilon", "sigma", "a", "A", "B", "p", "q", "tol")
COARSEST = 0.01           # the largest tolerance that LAMMPS accepts
NEAREST = 1e-6            # to the cutoff in single precision, where r may be rounded beyond it
FOUR_ZERO = "p=4, q=0"
CUT, TOP, SIGMA, RANGE, REPULSION, ATTRACTION, P, Q, STRENGTH, COSINE = range(10)


@atom_formula("sw")
def stillinger_weber(mode, n, kind, kinds, space, table, ntypes):
    """Half the pair energies and all angles of one atom; see the head of the file."""
    dx, dy, dz, r = space[0], space[1], space[2], space[3]
    gx, gy, gz = space[4], space[5], space[6]
    decay, slope, inverse = space[GEOMETRY], space[GEOMETRY + 1], space[GEOMETRY + 2]
    zero, half = real_of(mode, 0.0), real_of(mode, 0.5)
    one, two = real_of(mode, 1.0), real_of(mode, 2.0)
    energy = 0.0
    for q in range(n):
        c = table[entry(mode, ntypes, kind, kinds[q], kinds[q])]
        decay[q], slope[q], inverse[q], along = zero, zero, one / r[q], zero
        if r[q] < c[CUT]:
            gap = one / min(r[q] - c[TOP], real_of(mode, -NEAREST))
            fade = half * math.exp(c[SIGMA] * gap)
            repulsion, attraction = powers(mode, c[SIGMA] * inverse[q], c)
            pair = (repulsion - attraction) * fade
            energy += pair
            along = -((c[P] * repulsion - c[Q] * attraction) * fade * inverse[q]
                      + pair * c[SIGMA] * gap * gap)
            decay[q] = math.exp(c[RANGE] * gap)
            slope[q] = -c[RANGE] * gap * gap * decay[q]
        dx[q], dy[q], dz[q] = dx[q] * inverse[q], dy[q] * inverse[q], dz[q] * inverse[q]
        gx[q], gy[q], gz[q] = along * dx[q], along * dy[q], along * dz[q]
    for j in range(n - 1):
        ux, uy, uz = dx[j], dy[j], dz[j]
        sx, sy, sz = gx[j], gy[j], gz[j]
        for k in range(j + 1, n):
            c = table[entry(mode, ntypes, kind, kinds[j], kinds[k])]
            cosine = ux * dx[k] + uy * dy[k] + uz * dz[k]
            bent = cosine - c[COSINE]
            stiff = c[STRENGTH] * bent
            both = stiff * decay[j] * decay[k]
            energy += both * bent
            turn_j, turn_k = two * both * inverse[j], two * both * inverse[k]
            along_j = stiff * bent * slope[j] * decay[k] - turn_j * cosine
            along_k = stiff * bent * slope[k] * decay[j] - turn_k * cosine
            sx += along_j * ux + turn_j * dx[k]
            sy += along_j * uy + turn_j * dy[k]
            sz += along_j * uz + turn_j * dz[k]
            gx[k] += along_k * dx[k] + turn_k * ux
            gy[k] += along_k * dy[k] + turn_k * uy
            gz[k] += along_k * dz[k] + turn_k * uz
        gx[j], gy[j], gz[j] = sx, sy, sz
    for q in range(n):
        dx[q], dy[q], dz[q] = dx[q] * r[q], dy[q] * r[q], dz[q] * r[q]
    return energy


@variant
def powers(mode):
    """A eps B (s/r)^p and A eps (s/r)^q, given s/r."""
    if FOUR_ZERO in mode.options:
        def published(mode, ratio, c):
            square = ratio * ratio
            return c[REPULSION] * (square * square), c[ATTRACTION]
        return published
    return lambda mode, ratio, c: (c[REPULSION] * power(ratio, c[P]),
                                   c[ATTRACTION] * power(ratio, c[Q]))


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
        formula = Formula("sw", table_of(e), self.ntypes, self.cutoff, 3,
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


def table_of(entries: Entries) -> NDArray[np.float64]:
    """(ntypes^3, 10) parameters as the formula wants them."""
    n = len(entries.elements)
    table = np.zeros((n, n, n, 10))
    pair = {name: entries.of_pairs(name) for name in FIELDS}
    sigma, strength = pair["sigma"], pair["A"] * pair["epsilon"]
    columns = {CUT: cutoffs(entries), TOP: pair["a"] * sigma, SIGMA: sigma,
               RANGE: pair["gamma"] * sigma, REPULSION: strength * pair["B"],
               ATTRACTION: strength, P: pair["p"], Q: pair["q"]}
    for column, values in columns.items():
        for j in range(n):
            table[:, j, j, column] = values[:, j]
    for column, angle in ((STRENGTH, entries["lambda"] * entries["epsilon"]),
                          (COSINE, entries["costheta0"])):
        table[..., column] = (angle + angle.swapaxes(1, 2)) / 2      # the same but for rounding
    return table.reshape(n**3, -1)
