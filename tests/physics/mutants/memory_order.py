"""The well of a pair depends on where its atoms lie in memory, not on their types."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def shares(self, x, type_, nlocal):
        return super().shares(x, (np.arange(len(x)) % 2).astype(np.int32), nlocal)
