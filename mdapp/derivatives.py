"""Whether forces and virial are the derivatives of the energy: the first test of a new potential.

Central differences over a step h err by h^2 times the third derivative and by rounding over h; the
step is the one for which both are about 1e-9 of a force of order one in double precision. Not all
atoms are moved: some, spread over the structure, tell as much.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mdapp.evaluate import SinglePoint, single_point
from mdapp.model.box import Box
from potentials.base import Potential

STEP = 1e-5                    # of a length unit, and as a strain
TOLERANCE = 1e-6               # of the largest derivative, or of 1
MOVED_ATOMS = 8
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Derivatives:
    """Largest differences between what a potential says and differences of its energy.

    Attributes
    ----------
    forces, virial : largest absolute difference
    components : forces that were compared
    good : whether both are within TOLERANCE
    """

    forces: float
    virial: float
    components: int
    good: bool


def check_derivatives(point: SinglePoint, potential: Potential) -> Derivatives:
    """Compare forces of some atoms, and the virial, with central differences of the energy.

    Raises
    ------
    InputError : a displaced structure cannot be evaluated
    """
    s = point.structure
    kernel = potential.compiled("double", False)

    def energy(box: Box, x: NDArray[np.float64]) -> float:
        moved = replace(s, box=box, x=x)
        return single_point(moved, potential, units=point.units.name, kernel=kernel).energy

    def displaced(atom: int, axis: int, step: float) -> float:
        x = s.x.copy()
        x[atom, axis] += step
        return energy(s.box, x)

    def strained(a: int, b: int, step: float) -> float:
        strain = np.eye(3)
        strain[a, b] += step / 2
        strain[b, a] += step / 2
        return energy(Box(s.box.lo @ strain, s.box.edges @ strain, s.box.periodic), s.x @ strain)

    atoms = sorted({k * len(s.x) // MOVED_ATOMS for k in range(MOVED_ATOMS)}) if len(s.x) else []
    forces = [slope(partial(displaced, i, k)) + point.forces[i, k]
              for i in atoms for k in range(3)]
    virial = [slope(partial(strained, a, b)) + w
              for (a, b), w in zip(VOIGT, point.virial, strict=True)]
    worst_f, worst_w = (float(np.max(np.abs(d), initial=0.0)) for d in (forces, virial))
    good = bool(worst_f <= TOLERANCE * max(1.0, abs(point.forces).max(initial=0.0))
                and worst_w <= TOLERANCE * max(1.0, abs(point.virial).max(initial=0.0)))
    return Derivatives(worst_f, worst_w, len(forces), good)


def slope(function: Callable[[float], float]) -> float:
    """Derivative at 0 by a central difference."""
    return (function(STEP) - function(-STEP)) / (2 * STEP)
