"""Lennard-Jones with a line taken off: E(r) = phi(r) - phi(rc) - (r - rc) phi'(rc), for r < rc.

phi is the 12-6 potential. Energy and force vanish at the cutoff, so that runs conserve their energy
as far as the integrator does; the well is a little less deep. LAMMPS's style `lj/smooth/linear`.

S. Toxvaerd and J. C. Dyre, J. Chem. Phys. 134, 081102 (2011), doi 10.1063/1.3558787.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.lj import LJ_PARAMETERS, slope, well
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import Matrix
from potentials.simd import fma, sqrt


@pair_formula("lj/smooth/linear")
def lj_smooth_linear(r2, c):
    """(energy, force / r) from r^2 and (rc^2, 48 eps sigma^12, 24 eps sigma^6, offset, line).

    E = phi - offset - line r, where line is phi'(rc) and offset phi(rc) - rc line.
    """
    _, c48, c24, offset, line = c
    r = sqrt(r2)
    ir2 = 1.0 / r2
    ir4 = ir2 * ir2
    ir6 = ir4 * ir2
    phi = ir6 * (c48 * ir6 * (1 / 12) - c24 * (1 / 6))
    return phi - offset - line * r, fma(c48, ir6, -c24) * (ir4 * ir4) + line / r


@dataclass(frozen=True)
class LJSmoothLinear(PairPotential):
    """The potential of `pair_style lj/smooth/linear`; fields are (ntypes, ntypes)."""

    epsilon: Matrix
    sigma: Matrix
    rc: Matrix

    style = "lj/smooth/linear"
    shifts = False
    known = {}    # noqa: RUF012
    parameters = LJ_PARAMETERS

    def energy(self, r: Matrix) -> Matrix:
        """At the distances r."""
        pair = self.epsilon, self.sigma
        return well(*pair, r) - well(*pair, self.rc) - (r - self.rc) * slope(*pair, self.rc)

    def strength(self) -> Matrix:
        """A well's depth over its width."""
        return self.epsilon / self.sigma

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `lj_smooth_linear`."""
        line = slope(self.epsilon, self.sigma, self.rc)
        return np.stack([self.rc**2,
                         48 * self.epsilon * self.sigma**12,
                         24 * self.epsilon * self.sigma**6,
                         well(self.epsilon, self.sigma, self.rc) - self.rc * line, line], axis=-1)
