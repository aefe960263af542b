"""Shares of atoms of the second species are counted twice; the total is right."""

from dataclasses import replace

import numpy as np

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        result = super().compute(x, type_, nlocal, pairs, f, want, exchange)
        if result.energies is None:
            return result
        return replace(result, energies=result.energies * np.where(type_[:nlocal] == 1, 2, 1))
