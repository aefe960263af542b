"""Lennard-Jones whose force goes smoothly to zero between rin and rc.

Up to rin it is the 12-6 potential. Beyond, with t = r - rin and T = rc - rin, the force is the
cubic f0 + f1 t + f2 t^2 + f3 t^3 that has the value and slope of the potential's at rin and neither
at rc:

    f2 = -(3 f0 + 2 f1 T) / T^2,     f3 = (2 f0 + f1 T) / T^3

and the energy its integral, continuous at rin. Without `shift` that ends at a constant at rc, as in
LAMMPS's style `lj/smooth`; with it, at zero, and then nothing jumps.

https://docs.lammps.org/pair_lj_smooth.html.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.lj import LJ_PARAMETERS, slope, well
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import POSITIVE, Matrix, Parameter
from potentials.simd import fma, sqrt, where
from potentials.vector_math import positive_part


@pair_formula("lj/smooth")
def lj_smooth(r2, c):
    """(energy, force / r) from r^2 and coefficients.

    These are rc^2, 48 eps sigma^12, 24 eps sigma^6, rin, f0, f1, f2, f3, energy at rin, shift.
    """
    _, c48, c24, rin, f0, f1, f2, f3, start, shift = c
    r = sqrt(r2)
    ir2 = 1.0 / r2
    ir4 = ir2 * ir2
    ir6 = ir4 * ir2
    inner = ir6 * (c48 * ir6 * (1 / 12) - c24 * (1 / 6))
    inner_push = fma(c48, ir6, -c24) * (ir4 * ir4)
    t = positive_part(r - rin)
    outer = start - t * (f0 + t * (0.5 * f1 + t * ((1 / 3) * f2 + t * (0.25 * f3))))
    outer_push = (f0 + t * (f1 + t * (f2 + t * f3))) / r
    near = r < rin
    return where(near, inner, outer) - shift, where(near, inner_push, outer_push)


@dataclass(frozen=True)
class LJSmooth(PairPotential):
    """The potential of `pair_style lj/smooth`; fields are (ntypes, ntypes)."""

    epsilon: Matrix
    sigma: Matrix
    rin: Matrix
    rc: Matrix
    shift: bool = False

    style = "lj/smooth"
    parameters = (*LJ_PARAMETERS[:2], Parameter("rin", POSITIVE, "length"), LJ_PARAMETERS[2])

    @property
    def known(self) -> dict[str, str]:
        """The force is continuous, the energy if it is shifted."""
        return {} if self.shift else {"continuous_energy": "not shifted at the cutoff"}

    def __post_init__(self) -> None:
        bad = (self.rin >= self.rc) & (self.rc > 0)
        if bad.any():
            raise ValueError(f"rin = {self.rin[bad][0]:g}: must be less than rc = "
                             f"{self.rc[bad][0]:g}")

    def energy(self, r: Matrix) -> Matrix:
        """Of the 12-6 potential, which it is up to rin."""
        return well(self.epsilon, self.sigma, r)

    def strength(self) -> Matrix:
        """A well's depth over its width."""
        return self.epsilon / self.sigma

    def cubic(self) -> tuple[Matrix, Matrix, Matrix, Matrix]:
        """f0 .. f3."""
        s6, span = (self.sigma / self.rin) ** 6, self.rc - self.rin
        f0 = -slope(self.epsilon, self.sigma, self.rin)
        f1 = 24 * self.epsilon * s6 * (7 - 26 * s6) / self.rin**2
        return (f0, f1, -(3 * f0 + 2 * f1 * span) / span**2, (2 * f0 + f1 * span) / span**3)

    def offset(self) -> Matrix:
        """The energy at the cutoff, if `shift`."""
        if not self.shift:
            return np.zeros_like(self.rc)
        t, (f0, f1, f2, f3) = self.rc - self.rin, self.cubic()
        return self.energy(self.rin) - t * (f0 + t * (f1 / 2 + t * (f2 / 3 + t * f3 / 4)))

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `lj_smooth`."""
        return np.stack([self.rc**2,
                         48 * self.epsilon * self.sigma**12,
                         24 * self.epsilon * self.sigma**6,
                         self.rin, *self.cubic(), self.energy(self.rin), self.offset()], axis=-1)
