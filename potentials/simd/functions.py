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
