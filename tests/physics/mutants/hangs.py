"""It iterates until something converges that does not."""

import time

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        while True:
            time.sleep(0.01)
