"""What the kernel is compiled for, and how contributions are added up in it.

Deterministic sums must not depend on order. Those of forces and virials are sums of integers, as
in potentials/eam/passes.py. Those of the matrices U are sums of numbers that have been rounded to
a grid coarse enough for every partial sum to be exact: adding and taking away a large number
(`magic`) rounds, and everything stays in vectors of floating-point numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import types

from potentials import simd
from potentials.base import Want
from potentials.static import Static, variant

LANES = 8                 # neighbours, or atoms, that are worked on at a time


@dataclass(frozen=True)
class Mode(Static):
    """The constants that the passes are compiled for.

    Attributes
    ----------
    want : value of a Want
    deterministic : sums do not depend on their order
    quadratic : the energy has products of bispectrum components
    """

    want: int
    deterministic: bool
    quadratic: bool


@variant
def zero_sum(mode):
    """A zero of the type of sums."""
    kind = types.int64 if mode.deterministic else types.float64
    return lambda mode: kind(0)


@variant
def summand(mode):
    """A contribution as it is added up: itself, or a whole number of deterministic units."""
    if mode.deterministic:
        return lambda mode, v, per_unit: np.int64(np.rint(v * per_unit))
    return lambda mode, v, per_unit: v


@variant
def add_scaled(mode):
    """total + scale * v, of vectors."""
    if mode.deterministic:
        return lambda mode, total, scale, v, magic: total + ((scale * v + magic) - magic)
    return lambda mode, total, scale, v, magic: simd.fma(scale, v, total)


@variant
def keep_largest(mode):
    """The largest component so far, where it matters."""
    if mode.deterministic:
        return lambda mode, largest, fx, fy, fz: max(largest, max(abs(fx), max(abs(fy), abs(fz))))
    return lambda mode, largest, fx, fy, fz: largest


@variant
def add_virial(mode):
    """Half of a pair's virial r x f to either atom, or all of it to the total."""
    if mode.want == Want.PER_ATOM.value:
        def to_atoms(mode, w_out, i, j, w, per_unit):
            for k in range(6):
                share = summand(mode, 0.5 * w[k], per_unit)
                w_out[i, k] += share
                w_out[j, k] += share
        return to_atoms
    if mode.want == Want.TOTALS.value:
        def to_total(mode, w_out, i, j, w, per_unit):
            for k in range(6):
                w_out[0, k] += w[k]
        return to_total
    return lambda mode, w_out, i, j, w, per_unit: None
