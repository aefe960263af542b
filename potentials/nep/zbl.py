"""Repulsion of nuclei at short distances, half of each pair to either centre.

    U = f(r) K z_i z_j / r phi(r / a),   phi(x) = sum_m w_m exp(-d_m x),   1 / a = (z_i^0.23 +
    z_j^0.23) 2.134563,   f = 1 up to r1, (1 + cos(pi (r - r1) / (r2 - r1))) / 2 up to r2

Atoms come that near in collisions only, so that it is computed for one pair at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import pi

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials.nep.elements import ATOMIC_NUMBER, RADII
from potentials.nep.model import NEPModel
from potentials.static import INLINED

COULOMB = 14.399645                     # eV Angstrom, as all programs of these models have it
PER_LENGTH = 2.134563                   # 1 / Angstrom
UNIVERSAL = (0.18175, 3.1998, 0.50986, 0.94229, 0.28022, 0.4029, 0.02817, 0.20162)
COLUMNS = 12                            # r1, r2, K z z, 1 / a, four weights with their decays


def zbl_table(model: NEPModel, rows: Sequence[int]) -> NDArray[np.float64]:
    """Parameters of each pair of types, (ntypes, ntypes, COLUMNS); all 0 without ZBL.

    rows : elements of the types, as places in the model's
    """
    n = len(rows)
    table = np.zeros((n, n, COLUMNS))
    if model.zbl is None:
        return table
    for a, first in enumerate(rows):
        for b, second in enumerate(rows):
            z = [ATOMIC_NUMBER[model.elements[e]] for e in (first, second)]
            per_length = PER_LENGTH * (z[0]**0.23 + z[1]**0.23)
            inner, outer, screening = _radii(model, first, second)
            table[a, b] = inner, outer, COULOMB * z[0] * z[1], per_length, *screening
    return table


def _radii(model: NEPModel, first: int, second: int) -> tuple[float, float, Sequence[float]]:
    """The two radii of the switch, weights and decays of a pair of elements."""
    zbl = model.zbl
    assert zbl is not None
    if zbl.rows is not None:
        low, high, t = min(first, second), max(first, second), len(model.elements)
        row = zbl.rows[low * t - low * (low - 1) // 2 + high - low].tolist()
        return row[0], row[1], row[2:]
    if zbl.factor is None:
        return zbl.inner, zbl.outer, UNIVERSAL
    radii = [RADII[ATOMIC_NUMBER[model.elements[e]] - 1] for e in (first, second)]
    return 0.0, min(zbl.factor * sum(radii), zbl.outer), UNIVERSAL


@njit(**INLINED)
def repulsion(c, r):
    """Energy of a pair and its derivative by r, from a row of the table."""
    phi, slope = 0.0, 0.0
    for m in range(4, COLUMNS, 2):
        e = c[m] * np.exp(-c[m + 1] * c[3] * r)
        phi += e
        slope -= c[m + 1] * c[3] * e
    energy = c[2] / r * phi
    slope = c[2] / r * slope - energy / r
    if r < c[0]:
        return energy, slope
    turn = pi / (c[1] - c[0])
    f = 0.5 + 0.5 * np.cos(turn * (r - c[0]))
    falls = -0.5 * turn * np.sin(turn * (r - c[0]))
    return f * energy, f * slope + falls * energy
