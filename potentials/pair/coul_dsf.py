"""Damped shifted Coulomb forces: both energy and force go to zero at the cutoff.

With u(r) = erfc(alpha r) / r, for r < rc,

    E(r)  = k q_i q_j [u(r) - u(rc) - (r - rc) u'(rc)]
    E_i   = -k q_i^2 [(u(rc) - rc u'(rc)) / 2 + alpha / sqrt(pi)]       of each charge with itself

The charges within the cutoff are neutralised by charges on its surface, and damped so that what is
beyond matters little: 1/r forces in a time that is proportional to the number of atoms, without an
Ewald sum. k = 1 / (4 pi eps0) in the units of the run. With alpha rc near 2 it is as good as the
method can be: larger screens the ions from each other, smaller feels the cutoff.

C. J. Fennell and J. D. Gezelter, J. Chem. Phys. 124, 234104 (2006), doi 10.1063/1.2206581; the
energy of a charge with itself as in https://docs.lammps.org/pair_coul.html. LAMMPS's coul/dsf takes
erfc from a fit that is good to 1.5e-7; here it is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc as erfc_of
from math import exp, pi, sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from potentials import simd
from potentials.pair.charged import ChargedPair
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import (
    NOT_NEGATIVE,
    ONLY,
    POSITIVE,
    Matrix,
    Option,
    acting,
    option_value,
)
from potentials.vector_math import erfc


@pair_formula("coul/damped")
def damped(r2, c):
    """(energy, force / r) of unit charges.

    From r^2 and (rc^2, alpha, 2 alpha / sqrt(pi), shift of the force, shift and slope of the
    energy).
    """
    _, alpha, bell_factor, force_shift, shift, slope = c
    r = simd.sqrt(r2)
    ir = 1.0 / r
    tail, bell = erfc(alpha * r)
    energy = tail * ir
    return (energy - shift - slope * r,
            ((energy + bell_factor * bell) * ir - force_shift) * ir)


@dataclass(frozen=True)
class DampedShiftedForce(ChargedPair):
    """The potential of `pair_style coul/dsf`; rc is (ntypes, ntypes), one number or 0."""

    rc: Matrix
    alpha: float

    style = "coul/dsf"
    formula = "coul/damped"
    known = {}    # noqa: RUF012
    parameters = ()
    options = (Option("alpha", NOT_NEGATIVE), Option("rc", POSITIVE))

    @classmethod
    def keys(cls) -> dict[str, Any]:
        """The keys that a deck may give, with their defaults."""
        return {**{o.name: o.default for o in cls.options}, ONLY: None}

    @classmethod
    def from_options(cls, ntypes: int, **given: Any) -> Self:
        """From the damping and the cutoff, which are the same for all pairs.

        Raises
        ------
        ValueError : a value is missing or not in its range
        """
        alpha, rc = (option_value(o, given.get(o.name)) for o in cls.options)
        return cls(np.where(acting(given.get(ONLY), ntypes), rc, 0.0), alpha)

    def at_cutoff(self) -> tuple[float, float]:
        """u(rc) and u'(rc)."""
        rc, alpha = self.cutoff, self.alpha
        u = erfc_of(alpha * rc) / rc
        return u, -(u + 2 * alpha / sqrt(pi) * exp(-((alpha * rc) ** 2))) / rc

    def shifts_of_energy(self) -> tuple[float, float]:
        """A and B of the energy u(r) - A - B r."""
        u, slope = self.at_cutoff()
        return u - self.cutoff * slope, slope

    def own(self) -> float:
        """Energy of a unit charge with itself."""
        return -self.shifts_of_energy()[0] / 2 - self.alpha / sqrt(pi)

    def energy(self, r: Matrix) -> Matrix:
        """Of unit charges."""
        shift, slope = self.shifts_of_energy()
        tail = np.vectorize(erfc_of, otypes=[np.float64])(self.alpha * r)
        energy: Matrix = tail / r - shift - slope * r
        return energy

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `damped`."""
        row = [self.alpha, 2 * self.alpha / sqrt(pi), -self.at_cutoff()[1],
               *self.shifts_of_energy()]
        ones = np.ones_like(self.rc)
        return np.stack([self.rc**2, *(ones * value for value in row)], axis=-1)
