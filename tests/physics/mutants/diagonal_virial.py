"""The virial has its diagonal only."""

import numpy as np

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def shares(self, x, type_, nlocal):
        energies, forces, virials = super().shares(x, type_, nlocal)
        return energies, forces, virials * np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
