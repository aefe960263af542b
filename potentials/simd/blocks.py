"""Small products of matrices, a few registers at a time, and blocks turned about.

What is slow in a product of small matrices is loading and storing sums. Here a tuple of registers
holds as many sums as a call has; numbers that all lanes share come from memory, where the machine
spreads them as it loads.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from potentials.simd.functions import call_llvm
from potentials.simd.memory import transposed_rows
from potentials.simd.registers import (
    Vector,
    constant_int,
    convert_value,
    element_pointer,
    load_vector,
    splat_value,
)

LANES = 8


def _spread_elements(context, builder, sig, args, which, count, stride, vector):
    """Elements index, index + stride, ... of argument `which`, each on all lanes."""
    pointer = element_pointer(context, builder, sig.args[which], args[which],
                              sig.args[which + 1], args[which + 1])
    return [splat_value(builder, builder.load(builder.gep(pointer, [ir.IntType(64)(k * stride)])),
                        vector) for k in range(count)]


@intrinsic(prefer_literal=True)
def add_outer(typingctx, totals, table, index, stride, v):
    """Tuple of totals[k] + table[index + stride * k] * v; `stride` a literal, a flat table."""
    step = constant_int(stride)

    def codegen(context, builder, sig, args):
        numbers = _spread_elements(context, builder, sig, args, 1, len(totals), step, v)
        sums = [call_llvm(builder, "fma", v, [number, args[4], builder.extract_value(args[0], k)])
                for k, number in enumerate(numbers)]
        return context.make_tuple(builder, totals, sums)

    return totals(totals, table, index, stride, v), codegen


@intrinsic
def add_inner(typingctx, total, vectors, table, index):
    """total + the sum of vectors[k] * table[index + k]; a flat table."""
    def codegen(context, builder, sig, args):
        numbers = _spread_elements(context, builder, sig, args, 2, len(vectors), 1, total)
        found = args[0]
        for k, number in enumerate(numbers):
            found = call_llvm(builder, "fma", total,
                              [builder.extract_value(args[1], k), number, found])
        return found

    return total(total, vectors, table, index), codegen


@intrinsic(prefer_literal=True)
def zeros(typingctx, like, count):
    """Tuple of `count` (a literal) registers of zeros, of the type of `like`."""
    result = types.UniTuple(like, constant_int(count))

    def codegen(context, builder, sig, args):
        return context.make_tuple(builder, result, [ir.Constant(like.llvm, None)] * result.count)

    return result(like, count), codegen


@intrinsic
def turned(typingctx, table, index, stride):
    """Eight registers of eight lanes, lane m of register k being table[index + m * stride + k]."""
    result = types.UniTuple(Vector(table.dtype, LANES), LANES)
    half = Vector(table.dtype, LANES // 2)

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        step = context.cast(builder, args[2], sig.args[2], types.intp)
        begins = [builder.gep(pointer, [builder.mul(step, ir.IntType(64)(m))])
                  for m in range(LANES)]
        found = []
        for first in (0, LANES // 2):
            rows = [load_vector(builder, builder.gep(begin, [ir.IntType(64)(first)]), half)
                    for begin in begins]
            found += transposed_rows(builder, rows)
        return context.make_tuple(builder, result, found)

    return result(table, index, stride), codegen


@intrinsic
def store_each(typingctx, array, index, vectors):
    """Store a tuple of registers one behind the other, converted to the array's type."""
    vector = vectors.dtype
    target = Vector(array.dtype, vector.lanes)

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        for k in range(len(vectors)):
            value = convert_value(builder, builder.extract_value(args[2], k), vector, target)
            place = builder.gep(pointer, [ir.IntType(64)(k * vector.lanes)])
            builder.store(value, builder.bitcast(place, target.llvm.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.none(array, index, vectors), codegen
