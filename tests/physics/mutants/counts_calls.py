"""The well gets deeper with each call: a state that no checkpoint holds."""

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    calls = 0

    def compiled(self, precision, deterministic=False):
        return type(self)(self.ntypes)

    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        self.calls += 1
        return super().compute(x, type_, nlocal, pairs, f, want, exchange)

    def pair(self, r2, a, b):
        energy, force = super().pair(r2, a, b)
        return energy * (1 + 1e-6 * self.calls), force * (1 + 1e-6 * self.calls)
