"""No mutant: its mixed precision is what it should be."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Rough(Sane):
    def pair(self, r2, a, b):
        return super().pair(r2.astype(np.float32).astype(np.float64), a, b)


class Mutant(Sane):
    precisions = ("double", "mixed")

    def compiled(self, precision, deterministic=False):
        return self if precision == "double" else Rough(self.ntypes)
