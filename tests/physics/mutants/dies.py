"""Compiled code of it writes where it may not: the process is gone."""

import os
import signal

from tests.physics.mutants.sane import Sane


class Mutant(Sane):
    def compute(self, x, type_, nlocal, pairs, f, want, exchange):
        os.kill(os.getpid(), signal.SIGSEGV)
