"""It declares a cutoff that is 8 % short of what it reads: the halo will be too thin."""

from tests.physics.mutants.sane import Sane


class Wide(Sane):
    cutoff = 1.9


class Mutant(Sane):
    cutoff = 1.75
    force_range = 1.75

    def vectors(self, x, nlocal):
        return Wide(self.ntypes).vectors(x, nlocal)

    def pair(self, r2, a, b):
        return Wide(self.ntypes).pair(r2, a, b)
