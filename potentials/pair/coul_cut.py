"""Bare Coulomb forces, cut off: E(r) = k q_i q_j / r, for r < rc.

k = 1 / (4 pi eps0) in the units of the run. The sum over a periodic system does not converge with
the cutoff: what lies within it is not neutral. It is for free ions and for comparisons; of salts
and melts `coul/dsf` is the style. The cutoffs of unlike types are mixed as lengths.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.charged import ChargedPair
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import POSITIVE, Matrix, Parameter
from potentials.simd import sqrt


@pair_formula("coul/cut")
def coulomb(r2, c):
    """(energy, force / r) of unit charges from r^2 and (rc^2,)."""
    ir2 = 1.0 / r2
    energy = sqrt(ir2)
    return energy, energy * ir2


@dataclass(frozen=True)
class Coulomb(ChargedPair):
    """The potential of `pair_style coul/cut`; rc is (ntypes, ntypes)."""

    rc: Matrix

    style = "coul/cut"
    formula = "coul/cut"
    parameters = (Parameter("rc", POSITIVE, "length"),)

    def energy(self, r: Matrix) -> Matrix:
        """Of unit charges."""
        return 1 / r

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `coulomb`."""
        return (self.rc**2)[..., None]
