"""It takes its process along as soon as there is another one."""

import os

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        if int(os.environ.get("OMPI_COMM_WORLD_SIZE", os.environ.get("PMI_SIZE", "1"))) > 1:
            os._exit(9)
        return super().compute(x, type_, nlocal, pairs, f, want, exchange)
