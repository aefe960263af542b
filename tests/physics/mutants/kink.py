"""The energy ends at zero, its slope does not."""

import numpy as np

from tests.physics.mutants.sane import EPSILON, SIGMA, Sane


class Mutant(Sane):
    def pair(self, r2, a, b):
        s6, c6 = (SIGMA[a, b] ** 2 / r2) ** 3, (SIGMA[a, b] ** 2 / self.cutoff**2) ** 3
        return (4 * EPSILON[a, b] * (s6 * s6 - s6 - c6 * c6 + c6),
                24 * EPSILON[a, b] * (2 * s6 * s6 - s6) / np.asarray(r2))
