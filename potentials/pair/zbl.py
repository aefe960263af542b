"""Ziegler-Biersack-Littmark: screened repulsion of nuclei, switched off between two radii.

    E(r) = k z_i z_j / r phi(r / a) + S(r),   a = 0.4685 / (z_i^0.23 + z_j^0.23)
    phi(x) = 0.18175 e^(-3.1998 x) + 0.50986 e^(-0.94229 x) + 0.28022 e^(-0.4029 x)
             + 0.02817 e^(-0.20162 x)

With t = r - inner, S is a constant C for t < 0 and C + A t^3 / 3 + B t^4 / 4 beyond; A, B and C
make the energy and its first two derivatives vanish at `outer`. `coulomb` is k = e^2 / (4 pi eps0),
by default in eV Angstrom with the value of LAMMPS's metal units. Lengths are Angstrom always.

J. F. Ziegler, J. P. Biersack, U. Littmark, The Stopping and Range of Ions in Matter (1985),
doi 10.1007/978-1-4615-8103-1_3; the switching as in https://docs.lammps.org/pair_zbl.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import (
    ONLY,
    POSITIVE,
    Matrix,
    Option,
    acting,
    in_range,
    option_value,
    per_type,
)
from potentials.simd import sqrt
from potentials.vector_math import exp, positive_part

COULOMB = 14.399645                                       # eV Angstrom, LAMMPS's
WEIGHTS = (0.18175, 0.50986, 0.28022, 0.02817)
RATES = (3.19980, 0.94229, 0.40290, 0.20162)


@pair_formula("zbl")
def zbl(r2, c):
    """(energy, force / r) from r^2 and (outer^2, inner, k z_i z_j, 1/a, A, B, C)."""
    _, inner, strength, per_a, third, fourth, constant = c
    r = sqrt(r2)
    ir = 1.0 / r
    x = r * per_a
    e0 = 0.18175 * exp(-3.19980 * x)
    e1 = 0.50986 * exp(-0.94229 * x)
    e2 = 0.28022 * exp(-0.40290 * x)
    e3 = 0.02817 * exp(-0.20162 * x)
    phi = e0 + e1 + e2 + e3
    fall = (3.19980 * e0 + 0.94229 * e1 + 0.40290 * e2 + 0.20162 * e3) * per_a
    t = positive_part(r - inner)
    switch = constant + t * t * t * (third * (1 / 3) + 0.25 * fourth * t)
    push = strength * ir * (phi * ir + fall) - t * t * (third + fourth * t)
    return strength * ir * phi + switch, push * ir


@dataclass(frozen=True)
class ZBL(PairPotential):
    """The potential of `pair_style zbl`.

    Attributes
    ----------
    z : (ntypes,) atomic numbers
    rc : (ntypes, ntypes), `outer`, or 0 where it does not act
    """

    z: NDArray[np.float64]
    rc: Matrix
    inner: float
    coulomb: float = COULOMB

    style = "zbl"
    shifts = False
    known = {}    # noqa: RUF012
    units = "metal"
    options = (Option("inner", POSITIVE), Option("outer", POSITIVE),
               Option("coulomb", POSITIVE, COULOMB))

    @classmethod
    def keys(cls) -> dict[str, Any]:
        """The keys that a deck may give, with their defaults."""
        return {"z": None, **{o.name: o.default for o in cls.options}, ONLY: None}

    @classmethod
    def from_options(cls, ntypes: int, **given: Any) -> Self:
        """From atomic numbers, one or one a type, and the radii of the switch.

        Raises
        ------
        ValueError : a value is missing, of the wrong number or not in its range
        """
        z = per_type("z", given.get("z"), ntypes)
        if np.isnan(z).any():
            raise ValueError("z is missing: give the atomic numbers of the types")
        for value in z:
            in_range("z", float(value), POSITIVE)
        inner, outer, coulomb = (option_value(o, given.get(o.name)) for o in cls.options)
        if inner >= outer:
            raise ValueError(f"inner = {inner:g}: must be less than outer = {outer:g}")
        return cls(z, np.where(acting(given.get(ONLY), ntypes), outer, 0.0), inner, coulomb)

    def derivatives(self, r: Matrix) -> tuple[Matrix, Matrix, Matrix]:
        """Energy without the switch, and its first two derivatives."""
        per_a = self.per_length()
        terms = [w * np.exp(-d * per_a * r) for w, d in zip(WEIGHTS, RATES, strict=True)]
        phi, first, second = (sum(t * (-d * per_a) ** k for t, d in zip(terms, RATES, strict=True))
                              for k in range(3))
        strength = self.coulomb * self.z[:, None] * self.z
        return (strength * phi / r, strength * (first / r - phi / r**2),
                strength * (second / r - 2 * first / r**2 + 2 * phi / r**3))

    def per_length(self) -> Matrix:
        """1 / a."""
        power = self.z**0.23
        return (power[:, None] + power) / 0.46850

    def energy(self, r: Matrix) -> Matrix:
        """Without the switch."""
        return self.derivatives(r)[0]

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `zbl`."""
        e, first, second = self.derivatives(self.rc)
        t = self.rc - self.inner
        third = (-3 * first + t * second) / t**2
        fourth = (2 * first - t * second) / t**3
        constant = -e + t * first / 2 - t**2 * second / 12
        strength = self.coulomb * self.z[:, None] * self.z
        return np.stack([self.rc**2, np.full_like(e, self.inner), strength, self.per_length(),
                         third, fourth, constant], axis=-1)
