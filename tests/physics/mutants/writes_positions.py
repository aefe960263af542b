"""It centres the positions that it was given to read."""

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        x += 1e-3
        return super().compute(x, type_, nlocal, pairs, f, want, exchange)
