"""Gaussian well: E(r) = -a e^(-b r^2) - shift, for r < rc.

a > 0 attracts. LAMMPS's style `gauss`, whose mixing of unlike pairs is not taken over: they are
set by pair tables. The force / r has no division, so that atoms may lie upon each other.

F. H. Stillinger, J. Chem. Phys. 65, 3968 (1976), doi 10.1063/1.432891.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import NOT_NEGATIVE, POSITIVE, Matrix, Parameter
from potentials.vector_math import exp


@pair_formula("gauss")
def gaussian(r2, c):
    """(energy, force / r) from r^2 and (rc^2, a, b, shift)."""
    _, a, b, shift = c
    well = a * exp(-b * r2)
    return -well - shift, -2.0 * b * well


@dataclass(frozen=True)
class Gaussian(PairPotential):
    """The potential of `pair_style gauss`; fields are (ntypes, ntypes)."""

    a: Matrix
    b: Matrix
    rc: Matrix
    shift: bool = False

    style = "gauss"
    parameters = (Parameter("a"), Parameter("b", NOT_NEGATIVE), Parameter("rc", POSITIVE))

    def energy(self, r: Matrix) -> Matrix:
        """Not shifted."""
        return -self.a * np.exp(-self.b * r * r)

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `gaussian`."""
        return np.stack([self.rc**2, self.a, self.b, self.offset()], axis=-1)
