"""Pairs of the last call are taken again if there are as many atoms as then."""

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    last = None

    def vectors(self, x, nlocal):
        d, i, j = super().vectors(x, nlocal)
        if self.last is not None and self.last[0] == x.shape:
            i, j = self.last[1:]
            d = x[j] - x[i]
        self.last = x.shape, i, j
        return d, i, j

    def compiled(self, precision, deterministic=False):
        return type(self)(self.ntypes)
