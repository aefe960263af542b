"""A term of three bonds changes its sign in a mirror."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def shares(self, x, type_, nlocal):
        energies, forces, virials = super().shares(x, type_, nlocal)
        d, i, _ = self.vectors(x, nlocal)
        sums = np.zeros((3, nlocal, 3))
        for k in range(3):
            np.add.at(sums[k], i, d * ((1 - (d**2).sum(-1) / self.cutoff**2) ** (k + 2))[:, None])
        hand = np.einsum("ni,ni->n", sums[0], np.cross(sums[1], sums[2]))
        return energies + hand, forces, virials
