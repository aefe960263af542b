"""Pair potentials by the definition: every atom with every image of every atom, E(r) as printed.

Forces are derivatives of the energy by complex steps, so that no second formula is written down: an
imaginary part of 1e-30 in r gives dE/dr to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from tests.twins.images import shifts
from tests.twins.lj import VOIGT

Matrix = NDArray[np.float64]
STEP = 1e-30


@dataclass(frozen=True)
class Energies:
    """energies (n,), forces (n, 3), virials (n, 6) of each atom.

    strength (n,) : sum of |force| over pairs, which cancel to `forces`
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]
    strength: NDArray[np.float64]


def lj(r, epsilon, sigma, rc):
    return 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6)


def slope_of(formula: Callable, r, *values):
    return np.imag(formula(r + 1j * STEP, *values)) / STEP


def lj_smooth_linear(r, epsilon, sigma, rc):
    slope = slope_of(lj, rc, epsilon, sigma, rc)
    return lj(r, epsilon, sigma, rc) - lj(rc, epsilon, sigma, rc) - (r - rc) * slope


def lj_smooth(r, epsilon, sigma, rin, rc):
    if np.real(r) < rin:
        return lj(r, epsilon, sigma, rc)
    f0 = -slope_of(lj, rin, epsilon, sigma, rc)
    f1 = -4 * epsilon * (156 * (sigma / rin) ** 12 - 42 * (sigma / rin) ** 6) / rin**2
    span, t = rc - rin, r - rin
    matrix = [[span**2, span**3], [2 * span, 3 * span**2]]
    f2, f3 = np.linalg.solve(matrix, [-f0 - f1 * span, -f1])
    work = t * f0 + t**2 * f1 / 2 + t**3 * f2 / 3 + t**4 * f3 / 4
    return lj(rin, epsilon, sigma, rc) - work


def morse(r, d0, alpha, r0, rc):
    return d0 * (np.exp(-2 * alpha * (r - r0)) - 2 * np.exp(-alpha * (r - r0)))


def buckingham(r, a, rho, c, rc):
    return a * np.exp(-r / rho) - c / r**6


def born(r, a, rho, sigma, c, d, rc):
    return a * np.exp((sigma - r) / rho) - c / r**6 + d / r**8


def yukawa(r, a, rc, kappa):
    return a * np.exp(-kappa * r) / r


def soft(r, a, rc):
    return a * (1 + np.cos(np.pi * r / rc))


def gaussian(r, a, b, rc):
    return -a * np.exp(-b * r**2)


def zbl(r, z_i, z_j, inner, outer, coulomb):
    def bare(r):
        x = r * (z_i**0.23 + z_j**0.23) / 0.46850
        terms = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
        return coulomb * z_i * z_j / r * sum(w * np.exp(-d * x) for w, d in terms)

    h, t = 1e-3, outer - inner
    first = np.imag(bare(outer + 1j * STEP)) / STEP
    slopes = [np.imag(bare(outer + k * h + 1j * STEP)) / STEP for k in (-3, -2, -1, 1, 2, 3)]
    second = np.dot([-1, 9, -45, 45, -9, 1], slopes) / (60 * h)
    # conditions at `outer`: C + A t^3/3 + B t^4/4 = -E, A t^2 + B t^3 = -E', 2 A t + 3 B t^2 = -E''
    a, b = np.linalg.solve([[t**2, t**3], [2 * t, 3 * t**2]], [-first, -second])
    c = -bare(outer) - a * t**3 / 3 - b * t**4 / 4
    s = r - inner
    return bare(r) + c + (a * s**3 / 3 + b * s**4 / 4 if np.real(s) > 0 else 0.0)


FORMULAS: Mapping[str, Callable] = {
    "lj/cut": lj, "lj/smooth/linear": lj_smooth_linear, "lj/smooth": lj_smooth, "morse": morse,
    "buck": buckingham, "born": born, "yukawa": yukawa, "soft": soft, "gauss": gaussian,
    "zbl": zbl,
}  # fmt: skip


def pair_sums(
    x: NDArray[np.float64],
    types: NDArray[np.int32],
    box: Box,
    energy: Callable[[complex, int, int], complex],
    rc: Matrix,
) -> Energies:
    """Sum over all pairs closer than rc; `energy` of a distance and two types, not shifted.

    x (n, 3), types (n,) from 0, rc (ntypes, ntypes)
    """
    n = len(x)
    result = Energies(np.zeros(n), np.zeros((n, 3)), np.zeros((n, 6)), np.zeros(n))
    for vector in shifts(box, float(rc.max())):
        d = x[:, None] - (x + vector)
        r = np.sqrt((d**2).sum(axis=2))
        near = r < rc[types[:, None], types]
        if not vector.any():
            np.fill_diagonal(near, False)
        for i, j in np.argwhere(near):
            value = energy(r[i, j] + 1j * STEP, types[i], types[j])
            push = -np.imag(value) / STEP
            force = push / r[i, j] * d[i, j]
            result.energies[i] += np.real(value) / 2
            result.forces[i] += force
            result.strength[i] += abs(push)
            for k, (a, b) in enumerate(VOIGT):
                result.virials[i, k] += d[i, j, a] * force[b] / 2
    return result
