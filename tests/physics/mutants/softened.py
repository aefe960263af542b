"""All energies and forces are a tenth too small, and consistent in themselves."""

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def pair(self, r2, a, b):
        energy, force = super().pair(r2, a, b)
        return 0.9 * energy, 0.9 * force
