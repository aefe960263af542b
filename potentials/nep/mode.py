"""What the kernel is compiled for, and how contributions are added up in it.

Deterministic sums must not depend on order. Those of forces are sums of integers (potentials.sums).
Those over the neighbours of an atom are sums of numbers that have been rounded to a grid so coarse
that every partial sum is exact: adding and taking away a large number (`magic`) rounds, and all
stays in registers. For numbers in single precision the sums are then in double.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from potentials import simd
from potentials.base import Want
from potentials.nep.harmonics import LANES, pull, store_harmonics
from potentials.simd.functions import call_llvm
from potentials.simd.registers import convert_value, element_pointer, splat_value
from potentials.static import Static, variant
from potentials.sums import summand

ENERGY_MAGIC = 1.5 * 2.0**22      # rounds to 2^-30 eV
BLOCK = 4                 # angular functions that are made at a time


@dataclass(frozen=True)
class Mode(Static):
    """The constants that the passes are compiled for.

    Attributes
    ----------
    l_max : largest degree of the harmonics
    single : descriptors and networks in single precision
    deterministic : sums do not depend on their order
    """

    l_max: int
    single: bool
    deterministic: bool
    single_sums: bool = False

    @property
    def real(self) -> types.Float:
        """Type of the arithmetic."""
        return types.float32 if self.single else types.float64


@dataclass(frozen=True)
class Asked(Static):
    """What else the passes are compiled for that write forces and virials.

    Attributes
    ----------
    want : value of a Want
    deterministic : as in Mode
    """

    want: int
    deterministic: bool


@intrinsic
def _add_rounded(typingctx, total, vectors, table, index, magic):
    """total + the sum of vectors[k] * table[index + k], each product rounded by magic."""
    narrow = vectors.dtype

    def codegen(context, builder, sig, args):
        found = args[0]
        pointer = element_pointer(context, builder, sig.args[2], args[2], sig.args[3], args[3])
        for k in range(len(vectors)):
            number = builder.load(builder.gep(pointer, [ir.IntType(64)(k)]))
            product = builder.fmul(builder.extract_value(args[1], k),
                                   splat_value(builder, number, narrow))
            wide = convert_value(builder, product, narrow, total)
            rounded = builder.fsub(builder.fadd(wide, args[4]), args[4])
            found = builder.fadd(found, rounded)
        return found

    return total(total, vectors, table, index, magic), codegen


@variant
def add_products(mode):
    """total + the sum of vectors[k] * table[index + k]."""
    if mode.deterministic:
        return lambda mode, total, vectors, table, index, magic, at: _add_rounded(
            total, vectors, table, index, simd.load(magic, at, LANES))
    return lambda mode, total, vectors, table, index, magic, at: simd.add_inner(
        total, vectors, table, index)


@intrinsic
def _fma_rounded(typingctx, total, a, b, magic):
    def codegen(context, builder, sig, args):
        wide = convert_value(builder, builder.fmul(args[1], args[2]), a, total)
        spread = splat_value(builder, args[3], total)
        return builder.fadd(args[0], builder.fsub(builder.fadd(wide, spread), spread))
    return total(total, a, b, magic), codegen


@intrinsic
def _fma(typingctx, total, a, b, magic):
    def codegen(context, builder, sig, args):
        return call_llvm(builder, "fma", total, [args[1], args[2], args[0]])
    return total(total, a, b, magic), codegen


@variant
def add_product(mode):
    """total + a * b."""
    if mode.deterministic:
        return lambda mode, total, a, b, magic: _fma_rounded(total, a, b, magic)
    return lambda mode, total, a, b, magic: simd.fma(a, b, total)


@variant
def narrowed(mode):
    """Sums as numbers of the arithmetic."""
    if mode.single and mode.deterministic:
        return lambda mode, v: simd.as_float32(v)
    return lambda mode, v: v


@variant
def in_real(mode):
    """Numbers in double precision as those of the arithmetic."""
    if mode.single:
        return lambda mode, v: simd.as_float32(v)
    return lambda mode, v: v


@variant
def widened(mode):
    """Numbers of the arithmetic in double precision."""
    if mode.single:
        return lambda mode, v: simd.as_float64(v)
    return lambda mode, v: v


@variant
def harmonics_of(mode):
    """The harmonics of eight directions; see potentials.nep.harmonics.store_harmonics."""
    degree = mode.l_max
    if degree == 0:
        return lambda mode, x, y, z, out, index: None
    return lambda mode, x, y, z, out, index: store_harmonics(degree, x, y, z, out, index)


@variant
def pull_of(mode):
    """What pulls on them; see potentials.nep.harmonics.pull."""
    degree = mode.l_max
    if degree == 0:
        return lambda mode, x, y, z, weights: (x - x, y - y, z - z)
    return lambda mode, x, y, z, weights: pull(degree, x, y, z, weights)


@variant
def add_virial(asked):
    """What a force on a neighbour does to its virial, or to that of all: -r f, made symmetric."""
    if asked.want == Want.FORCES.value:
        return lambda asked, w_out, j, x, y, z, fx, fy, fz, per_unit: None
    per_atom = asked.want == Want.PER_ATOM.value

    def add_virial(asked, w_out, j, x, y, z, fx, fy, fz, per_unit):
        at = j if per_atom else np.uint64(0)
        w_out[at, 0] -= summand(asked, x * fx, per_unit)
        w_out[at, 1] -= summand(asked, y * fy, per_unit)
        w_out[at, 2] -= summand(asked, z * fz, per_unit)
        w_out[at, 3] -= summand(asked, 0.5 * (y * fz + z * fy), per_unit)
        w_out[at, 4] -= summand(asked, 0.5 * (x * fz + z * fx), per_unit)
        w_out[at, 5] -= summand(asked, 0.5 * (x * fy + y * fx), per_unit)
    return add_virial


@variant
def rounded(mode):
    """An energy in eV as it is added to others of an atom."""
    if mode.deterministic:
        return lambda mode, energy: (energy + ENERGY_MAGIC) - ENERGY_MAGIC
    return lambda mode, energy: energy
