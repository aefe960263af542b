"""The path for forces alone has been forgotten when the formula was mended."""

from potentials.base import Want
from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        result = super().compute(x, type_, nlocal, pairs, f, want, exchange)
        if want is Want.FORCES:
            f[:nlocal] *= 1 + 1e-7
        return result
