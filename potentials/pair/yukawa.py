"""Yukawa: E(r) = a e^(-kappa r) / r - shift, for r < rc.

A screened charge; kappa is one for all pairs, a (energy times length) of unlike pairs is mixed as
an energy and their cutoff as a length.

H. Yukawa, Proc. Phys.-Math. Soc. Jpn. 17, 48 (1935), doi 10.11429/ppmsj1919.17.0_48.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import NOT_NEGATIVE, POSITIVE, Matrix, Option, Parameter
from potentials.simd import sqrt
from potentials.vector_math import exp


@pair_formula("yukawa")
def yukawa(r2, c):
    """(energy, force / r) from r^2 and (rc^2, a, kappa, shift)."""
    _, a, kappa, shift = c
    r = sqrt(r2)
    ir = 1.0 / r
    energy = a * exp(-kappa * r) * ir
    return energy - shift, energy * (kappa + ir) * ir


@dataclass(frozen=True)
class Yukawa(PairPotential):
    """The potential of `pair_style yukawa`; a and rc are (ntypes, ntypes)."""

    a: Matrix
    rc: Matrix
    kappa: float
    shift: bool = False

    style = "yukawa"
    parameters = (Parameter("a", mixes="energy"), Parameter("rc", POSITIVE, "length"))
    options = (Option("kappa", NOT_NEGATIVE),)

    def energy(self, r: Matrix) -> Matrix:
        """Not shifted."""
        return self.a * np.exp(-self.kappa * r) / r

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `yukawa`."""
        return np.stack([self.rc**2, self.a, np.full_like(self.a, self.kappa), self.offset()],
                        axis=-1)
