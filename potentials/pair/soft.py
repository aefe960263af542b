"""Soft cosine: E(r) = a [1 + cos(pi r / rc)], for r < rc.

Pushes overlapping atoms apart. With u = (r / rc)^2 both the energy and force / r are entire
functions of u, a cosine and a cardinal sine of sqrt(u), so that they are polynomials here: no root,
no division, and no singularity where two atoms lie upon each other. The polynomials interpolate at
Chebyshev nodes of 0 <= u <= 1; errors are below 1e-15 a. Energy and force vanish at the cutoff.

As in LAMMPS, https://docs.lammps.org/pair_soft.html.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.pair.formula import PairPotential
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import POSITIVE, Matrix, Parameter
from potentials.vector_math import polynomial

COSINE = (1.0, -4.934802200544679, 4.058712126416766, -1.335262768854551, 0.2353306303585224,
          -0.025806891387902237, 0.0019295743017766537, -0.00010463808678038646,
          4.303040765123949e-06, -1.387592329536526e-07, 3.5844712842086354e-09,
          -6.91557050207351e-11)
CARDINAL_SINE = (1.0, -1.6449340668482264, 0.8117424252833536, -0.19075182412208266,
                 0.026147847817639867, -0.002346081035370793, 0.00014842879272400122,
                 -6.9758729312921516e-06, 2.531205805359924e-07, -7.303493256488547e-09,
                 1.7083937395848889e-10, -3.0328984563448146e-12)


@pair_formula("soft")
def soft(r2, c):
    """(energy, force / r) from r^2 and (rc^2, 1 / rc^2, a, a pi^2 / rc^2)."""
    _, per_square, a, push = c
    u = r2 * per_square
    return a + a * polynomial(u, COSINE), push * polynomial(u, CARDINAL_SINE)


@dataclass(frozen=True)
class Soft(PairPotential):
    """The potential of `pair_style soft`; fields are (ntypes, ntypes)."""

    a: Matrix
    rc: Matrix

    style = "soft"
    shifts = False
    known = {}    # noqa: RUF012
    parameters = (Parameter("a", mixes="energy", size="rc"), Parameter("rc", POSITIVE, "length"))

    def energy(self, r: Matrix) -> Matrix:
        """a [1 + cos(pi r / rc)]."""
        wave: Matrix = np.cos(np.pi * r / self.rc)
        return self.a * (1 + wave)

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `soft`."""
        per_square = 1 / self.rc**2
        return np.stack([self.rc**2, per_square, self.a, self.a * np.pi**2 * per_square], axis=-1)
