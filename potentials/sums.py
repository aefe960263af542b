"""Arithmetic and sums of scalar kernels, in the variants that a mode chooses.

A mode (potentials/static.py) has `real`, the type of arithmetic, `single_sums` and
`deterministic`. Deterministic sums are sums of integers: each contribution is rounded to a whole
number of units, so that neither order nor ranks nor threads can show.
"""

from __future__ import annotations

import numpy as np
from numba import types

from potentials.static import variant


@variant
def real_of(mode):
    """A scalar in the precision of the pair arithmetic."""
    real = mode.real
    return lambda mode, value: real(value)


@variant
def zero_sum(mode):
    """A zero of the type of sums."""
    kind = types.int64 if mode.deterministic else (
        types.float32 if mode.single_sums else types.float64)
    return lambda mode: kind(0)


@variant
def summand(mode):
    """A contribution as it is added up: itself, or a whole number of deterministic units."""
    if mode.deterministic:
        return lambda mode, v, per_unit: np.int64(np.rint(np.float64(v) * per_unit))
    return lambda mode, v, per_unit: v


@variant
def keep_largest(mode):
    """The largest component so far, where it matters."""
    if mode.deterministic:
        return lambda mode, largest, fx, fy, fz: max(
            largest, max(abs(np.float64(fx)), max(abs(np.float64(fy)), abs(np.float64(fz)))))
    return lambda mode, largest, fx, fy, fz: largest
