"""Morse: E(r) = d0 [e^(-2 alpha (r - r0)) - 2 e^(-alpha (r - r0))] - shift, for r < rc.

A well of depth d0 at r0. Unlike pairs are not mixed.

P. M. Morse, Phys. Rev. 34, 57 (1929), doi 10.1103/PhysRev.34.57.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import NOT_NEGATIVE, POSITIVE, Matrix, Parameter
from potentials.simd import fma, sqrt
from potentials.vector_math import exp


@pair_formula("morse")
def morse(r2, c):
    """(energy, force / r) from r^2 and (rc^2, -alpha, alpha r0, d0, shift)."""
    _, slope, start, d0, shift = c
    r = sqrt(r2)
    w = exp(fma(slope, r, start))
    deep = d0 * w
    return deep * (w - 2.0) - shift, -2.0 * slope * deep * (w - 1.0) / r


@dataclass(frozen=True)
class Morse(PairPotential):
    """The potential of `pair_style morse`; fields are (ntypes, ntypes)."""

    d0: Matrix
    alpha: Matrix
    r0: Matrix
    rc: Matrix
    shift: bool = False

    style = "morse"
    parameters = (Parameter("d0", NOT_NEGATIVE), Parameter("alpha", POSITIVE),
                  Parameter("r0", NOT_NEGATIVE), Parameter("rc", POSITIVE))

    def energy(self, r: Matrix) -> Matrix:
        """Not shifted."""
        w: Matrix = np.exp(-self.alpha * (r - self.r0))
        return self.d0 * (w * w - 2.0 * w)

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `morse`."""
        return np.stack([self.rc**2, -self.alpha, self.alpha * self.r0, self.d0, self.offset()],
                        axis=-1)
