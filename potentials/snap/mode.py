"""What the kernel is compiled for, and how contributions are added up in it.

Deterministic sums must not depend on order. Those of forces and virials are sums of integers, as
in potentials/pair/loop.py. Those of the matrices U are sums of numbers that have been rounded to
a grid coarse enough for every partial sum to be exact: adding and taking away a large number
(`magic`) rounds, and everything stays in vectors of floating-point numbers.

In `mixed`, distances and angles are those of `double`, rounded; all that follows is single, in
twice as many lanes, but for the sums: matrices over neighbours, energies, forces and virials.
These are a few percent of the work, so that `single` is the same. In tungsten with twojmax 8 it
takes 12 us an atom instead of 20, with errors of 2e-6 eV/A (rms) of forces of 1.3 eV/A, and of
4e-7 eV an atom.
"""

from __future__ import annotations

from dataclasses import dataclass

from numba import types

from potentials import simd
from potentials.base import Want
from potentials.static import Static, variant
from potentials.sums import summand


@dataclass(frozen=True)
class Mode(Static):
    """What sums and requests are compiled for.

    Attributes
    ----------
    want : value of a Want
    deterministic : sums do not depend on their order
    quadratic : the energy has products of bispectrum components
    single_sums : never, see potentials.sums
    """

    want: int
    deterministic: bool
    quadratic: bool
    single_sums: bool = False


@dataclass(frozen=True)
class Registers(Static):
    """What the arithmetic is compiled for: vectors of 64 bytes, of double or single precision."""

    single: bool

    @property
    def real(self) -> types.Float:
        """Type of a lane."""
        return types.float32 if self.single else types.float64

    @property
    def lanes(self) -> int:
        """Neighbours, or atoms, that are worked on at a time."""
        return 16 if self.single else 8


@variant
def width(reg):
    """Lanes of a vector."""
    n = reg.lanes
    return lambda reg: n


@variant
def load(reg):
    """A vector from an array of any type."""
    n = reg.lanes
    return lambda reg, array, at: simd.load(array, at, n)


@variant
def store(reg):
    """A vector of double precision to an array of numbers as they are calculated with."""
    if reg.single:
        return lambda reg, array, at, v: simd.store(array, at, simd.as_float32(v))
    return lambda reg, array, at, v: simd.store(array, at, v)


@variant
def splat(reg):
    """A number on all lanes."""
    n, real = reg.lanes, reg.real
    return lambda reg, value: simd.splat(real(value), n)


@variant
def add_scaled(mode):
    """total + scale * v, of vectors; total and scale are double."""
    if mode.deterministic:
        return lambda mode, total, scale, v, magic: total + (
            (scale * simd.as_float64(v) + magic) - magic)
    return lambda mode, total, scale, v, magic: simd.fma(scale, simd.as_float64(v), total)


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
