"""Buckingham: E(r) = a e^(-r/rho) - c / r^6 - shift, for r < rc.

Repulsion of closed shells and dispersion; the equation of the style `buck` of LAMMPS. Unlike pairs
are not mixed. Near r = 0 dispersion wins and the energy falls without bound: nothing here guards
atoms that come too near.

R. A. Buckingham, Proc. R. Soc. A 168, 264 (1938), doi 10.1098/rspa.1938.0173.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import POSITIVE, Matrix, Parameter
from potentials.simd import fma, sqrt
from potentials.vector_math import exp


@pair_formula("buck")
def buckingham(r2, k):
    """(energy, force / r) from r^2 and (rc^2, a, 1/rho, c, shift)."""
    _, a, per_rho, c, shift = k
    ir2 = 1.0 / r2
    r = sqrt(r2)
    push = a * exp(-per_rho * r)
    pull = c * (ir2 * ir2 * ir2)
    return push - pull - shift, fma(push * per_rho, r, -6.0 * pull) * ir2


@dataclass(frozen=True)
class Buckingham(PairPotential):
    """The potential of `pair_style buck`; fields are (ntypes, ntypes)."""

    a: Matrix
    rho: Matrix
    c: Matrix
    rc: Matrix
    shift: bool = False

    style = "buck"
    parameters = (Parameter("a"), Parameter("rho", POSITIVE), Parameter("c"),
                  Parameter("rc", POSITIVE))

    def energy(self, r: Matrix) -> Matrix:
        """Not shifted."""
        return self.a * np.exp(-r / self.rho) - self.c / r**6

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `buckingham`."""
        return np.stack([self.rc**2, self.a, 1 / self.rho, self.c, self.offset()], axis=-1)
