"""The embedded-atom method by the definition: every atom with every image of every atom.

The functions are splines as the specification of the file format has them, evaluated one value at
a time with plain Python; slopes are their derivatives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from potentials.eam.tables import Tables
from tests.twins.images import shifts
from tests.twins.lj import VOIGT


@dataclass(frozen=True)
class Energies:
    """energies (n,), forces (n, 3), virials (n, 6) of each atom, and densities (n,)."""

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]
    densities: NDArray[np.float64]


def spline(values: NDArray[np.float64], spacing: float, x: float) -> tuple[float, float]:
    """Value and derivative at x of the Hermite cubic with five-point slopes."""
    n = len(values)

    def slope(k: int) -> float:
        if k == 0:
            return values[1] - values[0]
        if k == n - 1:
            return values[-1] - values[-2]
        if k in (1, n - 2):
            return (values[k + 1] - values[k - 1]) / 2
        return (values[k - 2] - values[k + 2] + 8 * (values[k + 1] - values[k - 1])) / 12

    k = min(int(x / spacing), n - 2)
    t = min(x / spacing - k, 1.0)
    a, b, m, w = values[k], values[k + 1], slope(k), slope(k + 1)
    value = ((2 * t**3 - 3 * t**2 + 1) * a + (t**3 - 2 * t**2 + t) * m
             + (3 * t**2 - 2 * t**3) * b + (t**3 - t**2) * w)  # fmt: skip
    rate = (6 * t**2 - 6 * t) * (a - b) + (3 * t**2 - 4 * t + 1) * m + (3 * t**2 - 2 * t) * w
    return value, rate / spacing


def embedded_atom(x: NDArray[np.float64], types: NDArray[np.int32], box: Box, tables: Tables
                  ) -> Energies:
    """Sum over all pairs closer than the cutoff; x (n, 3), types (n,) from 0."""
    n = len(x)
    result = Energies(np.zeros(n), np.zeros((n, 3)), np.zeros((n, 6)), np.zeros(n))
    pairs = []
    for i in range(n):
        for vector in shifts(box, tables.cutoff):
            d = x[i] - (x + vector)
            r = np.sqrt((d**2).sum(axis=1))
            for j in np.flatnonzero(r < tables.cutoff):
                if i == j and not vector.any():
                    continue
                a, b = types[i], types[j]
                at_i, slope_i = spline(tables.density[b, a], tables.dr, r[j])
                _, slope_j = spline(tables.density[a, b], tables.dr, r[j])
                z2, z2_slope = spline(tables.z2[a, b], tables.dr, r[j])
                phi = z2 / r[j]
                result.densities[i] += at_i
                result.energies[i] += phi / 2
                pairs.append((i, j, d[j], r[j], slope_i, slope_j, (z2_slope - phi) / r[j]))
    rates = np.zeros(n)
    for i in range(n):
        top = tables.drho * (tables.embedding.shape[1] - 1)
        value, rates[i] = spline(tables.embedding[types[i]], tables.drho,
                                 min(result.densities[i], top))  # fmt: skip
        result.energies[i] += value + rates[i] * max(result.densities[i] - top, 0.0)
    for i, j, d, r, slope_i, slope_j, phi_slope in pairs:
        force = -(rates[i] * slope_i + rates[j] * slope_j + phi_slope) / r * d
        result.forces[i] += force
        for k, (a, b) in enumerate(VOIGT):
            result.virials[i, k] += d[a] * force[b] / 2
    return result


def invented(ntypes: int, finnis_sinclair: bool = False, seed: int = 1) -> Tables:
    """Smooth functions of no element in particular, over a cutoff of 2.5."""
    rng = np.random.default_rng(seed)
    nrho, nr, cutoff = 60, 90, 2.5
    dr, drho = cutoff / (nr - 1), 0.4
    r, rho = dr * np.arange(nr), drho * np.arange(nrho)
    fade = (1 - np.minimum(r / cutoff, 1) ** 2) ** 3
    s = rng.uniform(0.8, 1.2, (4, ntypes))
    density = np.stack([s[0, a] * np.exp(-1.5 * s[1, a] * (r - 1)) * fade for a in range(ntypes)])
    of_pair = np.repeat(density[:, None], ntypes, axis=1)
    if finnis_sinclair:
        of_pair = of_pair * rng.uniform(0.7, 1.3, (ntypes, ntypes, 1))
    embedding = np.stack([-s[2, a] * np.sqrt(rho) + 0.01 * rho**2 / nrho for a in range(ntypes)])
    strength = np.sqrt(s[3, :, None] * s[3])[:, :, None]
    z2 = r * strength * np.exp(-2.5 * (r - 1)) * fade
    return Tables(drho, dr, cutoff, embedding, of_pair, z2, np.full(ntypes, 50.0))
