"""Functions of each lane: fused products, roots, conversions, bits."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from potentials.simd.registers import Vector, convert_value


def call_llvm(builder, name, vector, args):
    """Call LLVM's function of a name on registers."""
    suffix = f"v{vector.lanes}{'f64' if vector.scalar == types.float64 else 'f32'}"
    kind = ir.FunctionType(vector.llvm, [vector.llvm] * len(args))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.{suffix}")
    return builder.call(function, args)


def has_feature(context, name: str) -> bool:
    """Whether code is made for a machine with avx2, avx512f, ..."""
    return f"+{name}" in context.codegen().magic_tuple()[2].split(",")


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c with one rounding."""
    def codegen(context, builder, sig, args):
        return call_llvm(builder, "fma", a, args)

    return a(a, b, c), codegen


@intrinsic
def sqrt(typingctx, a):
    """Square roots, correctly rounded; NaN of negative lanes."""
    return a(a), lambda context, builder, sig, args: call_llvm(builder, "sqrt", a, args)


@intrinsic
def root_and_inverse(typingctx, a):
    """Tuple of the square roots of positive lanes and of their inverses, to two last places.

    A root and a division keep the divider busy for 25 cycles in double precision; AVX-512 has an
    estimate to 2^-14, which two steps of Newton's iteration make as good in 14.
    """
    result = types.UniTuple(a, 2)

    def codegen(context, builder, sig, args):
        x = args[0]
        if not (has_feature(context, "avx512f") and a.scalar == types.float64 and a.lanes == 8):
            root = call_llvm(builder, "sqrt", a, args)
            one = ir.Constant(a.llvm, [1.0] * a.lanes)
            return context.make_tuple(builder, result, [root, builder.fdiv(one, root)])
        byte = ir.IntType(8)
        estimate = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(a.llvm, [a.llvm, a.llvm, byte]),
            "llvm.x86.avx512.rsqrt14.pd.512")
        y = builder.call(estimate, [x, ir.Constant(a.llvm, None), byte(-1)])
        minus_half = builder.fmul(x, ir.Constant(a.llvm, [-0.5] * a.lanes))
        for _ in range(2):                    # y <- y (3/2 - x y^2 / 2)
            factor = call_llvm(builder, "fma", a, [builder.fmul(minus_half, y), y,
                                                   ir.Constant(a.llvm, [1.5] * a.lanes)])
            y = builder.fmul(y, factor)
        return context.make_tuple(builder, result, [builder.fmul(x, y), y])

    return result(a), codegen


@intrinsic
def absolute(typingctx, a):
    """Absolute values."""
    return a(a), lambda context, builder, sig, args: call_llvm(builder, "fabs", a, args)


@intrinsic
def as_float64(typingctx, a):
    """Lanes converted to float64."""
    result = Vector(types.float64, a.lanes)
    return result(a), lambda context, builder, sig, args: convert_value(builder, args[0], a, result)


@intrinsic
def bits_of(typingctx, a):
    """The bits of float64 lanes as int64, of float32 lanes as int32."""
    result = Vector(types.int64 if a.scalar == types.float64 else types.int32, a.lanes)
    return result(a), lambda context, builder, sig, args: builder.bitcast(args[0], result.llvm)


@intrinsic
def of_bits(typingctx, a):
    """The float64 or float32 lanes whose bits int64 or int32 lanes are."""
    result = Vector(types.float64 if a.scalar == types.int64 else types.float32, a.lanes)
    return result(a), lambda context, builder, sig, args: builder.bitcast(args[0], result.llvm)


@intrinsic
def as_float32(typingctx, a):
    """Lanes converted to float32."""
    result = Vector(types.float32, a.lanes)
    return result(a), lambda context, builder, sig, args: convert_value(builder, args[0], a, result)


@intrinsic
def truncated(typingctx, a):
    """Floating-point lanes as int32, cut off towards zero."""
    result = Vector(types.int32, a.lanes)
    return result(a), lambda context, builder, sig, args: builder.fptosi(args[0], result.llvm)


@intrinsic
def converted(typingctx, a, like):
    """Integer lanes as those of a floating-point vector."""
    return like(a, like), lambda context, builder, sig, args: convert_value(
        builder, args[0], a, like)


@intrinsic
def smaller(typingctx, a, b):
    """The smaller of two lanes."""
    def codegen(context, builder, sig, args):
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), *args)
    return a(a, b), codegen


@intrinsic
def low_words(typingctx, a):
    """The lower halves of int64 lanes, as int32."""
    result = Vector(types.int32, a.lanes)
    return result(a), lambda context, builder, sig, args: builder.trunc(args[0], result.llvm)
