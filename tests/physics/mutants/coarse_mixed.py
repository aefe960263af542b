"""Its mixed precision rounds the wells to three digits."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Rough(Sane):
    def pair(self, r2, a, b):
        return super().pair(r2.astype(np.float16).astype(np.float64), a, b)


class Mutant(Sane):
    precisions = ("double", "mixed")

    def compiled(self, precision, deterministic=False):
        return self if precision == "double" else Rough(self.ntypes)
