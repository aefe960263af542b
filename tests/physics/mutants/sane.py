"""A sound potential in plain NumPy, not fast and easy to break: the original of all mutants.

Pairs of two species, E = w(r) 4 eps (s^12 / r^12 - s^6 / r^6) with w = (1 - r^2 / rc^2)^3, whose
energy, force and stiffness end smoothly at rc. Every owned atom looks at all others, so that
nothing depends on lists. A mutant changes one method.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from potentials.base import Result, Want
from tests.physics.mutants.search import partners

EPSILON = np.array([[1.0, 0.8], [0.8, 0.6]])
SIGMA = np.array([[1.0, 0.95], [0.95, 0.9]])
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


class Sane:
    """Description and kernel in one: it has no state."""

    style = "sane"
    cutoff = 1.9
    lists = "clusters"
    precisions = ("double",)
    known: ClassVar[dict[str, str]] = {"deterministic": "sums in the order of the pairs"}
    units = "lj"
    species = ("A", "B")
    force_range = 1.9

    def __init__(self, ntypes: int) -> None:
        self.ntypes = ntypes

    def compiled(self, precision: str, deterministic: bool = False) -> Sane:
        return self

    def pair(self, r2, a, b):
        """Energies and forces over r of pairs at the squared distances r2 of types a and b."""
        rc2 = self.cutoff**2
        s6 = (SIGMA[a, b] ** 2 / r2) ** 3
        well, slope = 4 * EPSILON[a, b] * (s6 * s6 - s6), 24 * EPSILON[a, b] * (2 * s6 * s6 - s6)
        t = 1 - r2 / rc2
        return t**3 * well, t**3 * slope / r2 + 6 * t**2 / rc2 * well

    def vectors(self, x, nlocal):
        """(pairs, 3) vectors to partners within the cutoff, and the two atoms of each."""
        count = partners(x, nlocal, self.cutoff**2, np.empty((0, 2), np.int64))
        found = np.empty((count, 2), np.int64)
        partners(x, nlocal, self.cutoff**2, found)
        i, j = found.T
        return x[j] - x[i], i, j

    def shares(self, x, type_, nlocal):
        """Energies (n,), forces (n, 3), virials (n, 6)."""
        d, i, j = self.vectors(x, nlocal)
        e, f = self.pair((d**2).sum(-1), type_[i], type_[j])
        return self.added(i, d, e, f, nlocal)

    def added(self, i, d, e, f, nlocal):
        """The shares of atoms from pairs: energies e and forces over r of vectors d."""
        virials = [np.bincount(i, f * d[:, a] * d[:, b] / 2, nlocal) for a, b in VOIGT]
        forces = [np.bincount(i, -f * d[:, k], nlocal) for k in range(3)]
        energies = np.bincount(i, e / 2, nlocal) * 1.0              # integers where i is empty
        return energies, np.stack(forces, -1) * 1.0, np.stack(virials, -1) * 1.0

    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        energies, forces, virials = self.shares(x, type_, nlocal)
        f[:nlocal] = forces
        if want is Want.FORCES:
            return Result()
        each = (energies, virials) if want is Want.PER_ATOM else (None, None)
        return Result(float(energies.sum()), virials.sum(axis=0), *each)
