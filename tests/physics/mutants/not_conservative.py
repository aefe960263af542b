"""Forces are scaled by what is around each atom: equivariant, and no gradient of anything."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def shares(self, x, type_, nlocal):
        energies, forces, virials = super().shares(x, type_, nlocal)
        d, i, _ = self.vectors(x, nlocal)
        near = np.zeros(nlocal)
        np.add.at(near, i, (1 - (d**2).sum(-1) / self.cutoff**2) ** 2)
        return energies, forces * (1 + 0.05 * near[:, None]), virials
