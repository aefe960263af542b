"""Inside of 0.7 the energy comes down again: nothing keeps atoms apart."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def pair(self, r2, a, b):
        inner = 0.49 + 0 * r2
        e0, f0 = super().pair(inner, a, b)
        energy, force = super().pair(np.maximum(r2, 0.49), a, b)
        close = r2 < 0.49
        return (np.where(close, e0 + f0 / 2 * (r2 - inner), energy), np.where(close, -f0, force))
