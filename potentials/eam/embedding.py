"""Between the passes: the embedding energy of each atom and its derivative."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def embed(rho, per_unit, slot_atom, type_, table, knots, per_rho, rho_max, slopes, energies):
    """slopes = dF/drho and energies = F of owned atoms, beyond rho_max on a line.

    rho : (4 * nowned,) sums, per_unit in one unit of density
    table, knots : (ntypes * knots, 4) splines; slopes, energies : (>= nlocal,) float64, out
    """
    for slot in range(len(rho)):
        i = slot_atom[slot]
        if i < 0:
            continue
        density = rho[slot] / per_unit
        place = max(density, 0.0) * per_rho
        cell = min(np.int64(place), knots - 2)
        p = min(place - cell, 1.0)
        k = type_[i] * knots + cell
        a, b, c, d = table[k, 0], table[k, 1], table[k, 2], table[k, 3]
        slopes[i] = ((3.0 * a * p + 2.0 * b) * p + c) * per_rho
        energies[i] = ((a * p + b) * p + c) * p + d
        if density > rho_max:
            energies[i] += slopes[i] * (density - rho_max)


@njit(cache=True, nogil=True, error_model="numpy")
def by_slots(values, slot_atom, out):
    """out[slot] = values[atom in it], 0 where there is none; out may round."""
    for slot in range(len(slot_atom)):
        i = slot_atom[slot]
        out[slot] = values[i] if i >= 0 else 0.0
