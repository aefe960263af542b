"""It claims two species and knows the parameters of one."""

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def pair(self, r2, a, b):
        if a.any():
            raise KeyError("no parameters of B")
        return super().pair(r2, a, b)

    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        if type_[:nlocal].any():
            raise KeyError("no parameters of B")
        return super().compute(x, type_, nlocal, pairs, f, want, exchange)
