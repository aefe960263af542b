"""Lennard-Jones 12-6, cut off: E(r) = 4 epsilon [(sigma/r)^12 - (sigma/r)^6] - shift, for r < rc.

Without `shift` the energy jumps at the cutoff, so that the total energy of a run steps whenever a
pair crosses it; with it only the force does.  Unlike pairs are mixed as LAMMPS mixes them: by
default both parameters and the cutoff geometrically.

J. E. Jones, Proc. R. Soc. A 106, 463 (1924), doi 10.1098/rspa.1924.0082.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import NOT_NEGATIVE, POSITIVE, Matrix, Parameter
from potentials.simd import fma


@pair_formula("lj/cut")
def lennard_jones(r2, c):
    """(energy, force / r) from r^2 and (rc^2, 48 eps sigma^12, 24 eps sigma^6, shift)."""
    _, c48, c24, shift = c
    ir2 = 1.0 / r2
    ir4 = ir2 * ir2
    ir6 = ir4 * ir2
    energy = ir6 * (c48 * ir6 * (1 / 12) - c24 * (1 / 6)) - shift
    return energy, fma(c48, ir6, -c24) * (ir4 * ir4)


LJ_PARAMETERS = (Parameter("epsilon", NOT_NEGATIVE, "energy", size="sigma"),
                 Parameter("sigma", POSITIVE, "length"),
                 Parameter("rc", POSITIVE, "length"))


def well(epsilon: Matrix, sigma: Matrix, r: Matrix) -> Matrix:
    """The energy at r, elementwise."""
    s6 = (sigma / r) ** 6
    return 4 * epsilon * (s6 * s6 - s6)


def slope(epsilon: Matrix, sigma: Matrix, r: Matrix) -> Matrix:
    """Its derivative."""
    s6 = (sigma / r) ** 6
    return -24 * epsilon * (2 * s6 * s6 - s6) / r


@dataclass(frozen=True)
class LennardJones(PairPotential):
    """The potential of `pair_style lj/cut`; fields are (ntypes, ntypes)."""

    epsilon: Matrix
    sigma: Matrix
    rc: Matrix
    shift: bool = False

    style = "lj/cut"
    parameters = LJ_PARAMETERS

    def energy(self, r: Matrix) -> Matrix:
        """Not shifted."""
        return well(self.epsilon, self.sigma, r)

    def strength(self) -> Matrix:
        """A well's depth over its width."""
        return self.epsilon / self.sigma

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `lennard_jones`."""
        return np.stack([self.rc**2,
                         48 * self.epsilon * self.sigma**12,
                         24 * self.epsilon * self.sigma**6,
                         self.offset()], axis=-1)
