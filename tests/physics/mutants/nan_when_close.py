"""Beyond a force that nobody has tried, the numbers run over."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def pair(self, r2, a, b):
        energy, force = super().pair(r2, a, b)
        return np.where(r2 < 0.4, np.nan, energy), force
