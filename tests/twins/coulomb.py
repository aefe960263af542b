"""Forces between charges by the definition: every atom with every image, u and u' as printed."""

from __future__ import annotations

from math import erfc, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from tests.twins.images import shifts
from tests.twins.lj import VOIGT
from tests.twins.pairs import Energies

Array = NDArray[np.float64]


def u(alpha: float, r: Array) -> Array:
    return np.vectorize(erfc)(alpha * r) / r


def slope(alpha: float, r: Array) -> Array:
    return -u(alpha, r) / r - 2 * alpha / sqrt(pi) * np.exp(-((alpha * r) ** 2)) / r


def own_energy(style: str, alpha: float, rc: float) -> float:
    """Of a unit charge with itself."""
    surface = {"coul/cut": 0.0, "coul/wolf": u(alpha, rc) / 2,
               "coul/dsf": (u(alpha, rc) - rc * slope(alpha, rc)) / 2}  # fmt: skip
    return -surface[style] - alpha / sqrt(pi)


def charge_sums(style: str, x: Array, q: Array, box: Box, alpha: float, rc: float) -> Energies:
    """Sum over all pairs closer than rc; x (n, 3), q (n,) times the root of the constant."""
    n = len(x)
    result = Energies(own_energy(style, alpha, rc) * q**2, np.zeros((n, 3)), np.zeros((n, 6)),
                      np.zeros(n))  # fmt: skip
    end, fall = (0.0, 0.0) if style == "coul/cut" else (u(alpha, rc), slope(alpha, rc))
    for vector in shifts(box, rc):
        d = x[:, None] - (x + vector)
        r = np.sqrt((d**2).sum(axis=2))
        near = r < rc
        if not vector.any():
            np.fill_diagonal(near, False)
        for i, j in np.argwhere(near):
            product, distance = q[i] * q[j], r[i, j]
            energy = u(alpha, distance) - end
            energy -= (distance - rc) * fall if style == "coul/dsf" else 0.0
            push = -product * (slope(alpha, distance) - fall)
            force = push / distance * d[i, j]
            result.energies[i] += product * energy / 2
            result.forces[i] += force
            result.strength[i] += abs(push)
            for k, (a, b) in enumerate(VOIGT):
                result.virials[i, k] += d[i, j, a] * force[b] / 2
    return result
