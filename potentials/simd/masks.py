"""Registers of booleans, and their bits in integers."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from potentials.simd.registers import Vector, constant_int, mask_of


@intrinsic
def where(typingctx, mask, a, b):
    """Lane by lane a where the mask is set, else b."""
    return a(mask, a, b), lambda context, builder, sig, args: builder.select(*args)


@intrinsic
def any_lane(typingctx, mask):
    """Whether a lane of the mask is set."""

    def codegen(context, builder, sig, args):
        bits = builder.bitcast(args[0], ir.IntType(mask.lanes))
        return builder.icmp_unsigned("!=", bits, ir.IntType(mask.lanes)(0))

    return types.boolean(mask), codegen


@intrinsic
def bits_of_mask(typingctx, mask):
    """The lanes of a mask of sixteen as the bits of a uint16, lane 0 lowest."""
    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], ir.IntType(16))

    return types.uint16(mask), codegen


@intrinsic
def lowest_bit(typingctx, bits):
    """Number of the lowest bit that is set in an integer that is not 0."""
    def emit(context, builder, sig, args):
        value = context.cast(builder, args[0], sig.args[0], types.int64)
        return builder.cttz(value, ir.IntType(1)(1))
    return types.int64(bits), emit


@intrinsic
def mask_of_bits(typingctx, bits):
    """The mask of sixteen lanes whose bits a uint16 holds."""
    result = Vector(types.boolean, 16)

    def codegen(context, builder, sig, args):
        return builder.bitcast(args[0], result.llvm)

    return result(types.uint16), codegen


@intrinsic
def not_below(typingctx, a, b):
    """Mask of the lanes where a < b does not hold; NaN counts."""
    return mask_of(a)(a, b), lambda context, builder, sig, args: builder.fcmp_unordered(">=", *args)


@intrinsic(prefer_literal=True)
def off_diagonal(typingctx, width):
    """Mask of width * width lanes, unset where lane // width == lane % width; a literal width."""
    n = constant_int(width)
    result = Vector(types.boolean, n * n)

    def codegen(context, builder, sig, args):
        return ir.Constant(result.llvm, [int(k // n != k % n) for k in range(n * n)])

    return result(width), codegen
