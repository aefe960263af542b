"""Born-Mayer-Huggins: E(r) = a e^((sigma - r)/rho) - c / r^6 + d / r^8 - shift, for r < rc.

With the sign of d that LAMMPS's style `born` has: the Tosi-Fumi salts have d < 0 there. Unlike
pairs are not mixed.

F. G. Fumi and M. P. Tosi, J. Phys. Chem. Solids 25, 31 (1964), doi 10.1016/0022-3697(64)90159-3.
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


@pair_formula("born")
def born_mayer_huggins(r2, k):
    """(energy, force / r) from r^2 and (rc^2, a, 1/rho, sigma/rho, c, d, shift)."""
    _, a, per_rho, start, c, d, shift = k
    ir2 = 1.0 / r2
    ir6 = ir2 * ir2 * ir2
    r = sqrt(r2)
    push = a * exp(fma(-per_rho, r, start))
    six, eight = c * ir6, d * (ir6 * ir2)
    return push - six + eight - shift, (push * per_rho * r - 6.0 * six + 8.0 * eight) * ir2


@dataclass(frozen=True)
class BornMayerHuggins(PairPotential):
    """The potential of `pair_style born`; fields are (ntypes, ntypes)."""

    a: Matrix
    rho: Matrix
    sigma: Matrix
    c: Matrix
    d: Matrix
    rc: Matrix
    shift: bool = False

    style = "born"
    parameters = (Parameter("a"), Parameter("rho", POSITIVE), Parameter("sigma"),
                  Parameter("c"), Parameter("d"), Parameter("rc", POSITIVE))

    def energy(self, r: Matrix) -> Matrix:
        """Not shifted."""
        return self.a * np.exp((self.sigma - r) / self.rho) - self.c / r**6 + self.d / r**8

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `born_mayer_huggins`."""
        return np.stack([self.rc**2, self.a, 1 / self.rho, self.sigma / self.rho, self.c, self.d,
                         self.offset()], axis=-1)
