"""A pair with a ghost counts half: the share that was meant to come from the ghost's owner."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def shares(self, x, type_, nlocal):
        d, i, j = self.vectors(x, nlocal)
        e, f = self.pair((d**2).sum(-1), type_[i], type_[j])
        part = np.where(j < nlocal, 1.0, 0.999)
        return self.added(i, d, e * part, f * part, nlocal)
