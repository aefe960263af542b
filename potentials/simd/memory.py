"""Between registers and memory: loads, stores, and rows of tables."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from potentials.simd.registers import (
    Vector,
    constant_int,
    element_pointer,
    load_vector,
    splat_value,
)


@intrinsic(prefer_literal=True)
def load(typingctx, array, index, lanes):
    """array[index], array[index+1], ...: `lanes` (a literal) elements of a 1-D contiguous array."""
    vector = Vector(array.dtype, constant_int(lanes))

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        return load_vector(builder, pointer, vector)

    return vector(array, index, lanes), codegen


@intrinsic
def load_like(typingctx, array, index, vector):
    """As many consecutive elements as `vector` has lanes."""
    result = Vector(array.dtype, vector.lanes)

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        return load_vector(builder, pointer, result)

    return result(array, index, vector), codegen


@intrinsic
def store(typingctx, array, index, value):
    """array[index], array[index+1], ... = the lanes of `value`."""

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        pointer = builder.bitcast(pointer, sig.args[2].llvm.as_pointer())
        instruction = builder.store(args[2], pointer)
        instruction.align = 4
        return context.get_dummy_value()

    return types.none(array, index, value), codegen


@intrinsic
def stream(typingctx, array, index, value):
    """As `store`, past the caches: what is overwritten whole need not be fetched before.

    array[index] must lie at the begin of a cache line, and 64 bytes or a multiple be written; other
    threads see them after a `fence`.
    """

    def codegen(context, builder, sig, args):
        pointer = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        pointer = builder.bitcast(pointer, sig.args[2].llvm.as_pointer())
        instruction = builder.store(args[2], pointer, align=64)
        one = builder.module.add_metadata([ir.IntType(32)(1)])
        instruction.set_metadata("nontemporal", one)
        return context.get_dummy_value()

    return types.none(array, index, value), codegen


@intrinsic
def fence(typingctx):
    """All stores before it are seen before all stores after it."""

    def codegen(context, builder, sig, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.none(), codegen


def _first(context, builder, sig, args):
    """Pointer to the first element of the array that is the first argument."""
    return element_pointer(context, builder, sig.args[0], args[0], types.intp, ir.IntType(64)(0))


@intrinsic(prefer_literal=True)
def splat_row(typingctx, table, count, lanes):
    """Tuple of `count` (a literal) vectors: element k of a 1-D table on all lanes."""
    n, vector = constant_int(count), Vector(table.dtype, constant_int(lanes))
    result = types.UniTuple(vector, n)

    def codegen(context, builder, sig, args):
        base = _first(context, builder, sig, args)
        entries = [builder.load(builder.gep(base, [ir.IntType(64)(k)])) for k in range(n)]
        rows = [splat_value(builder, entry, vector) for entry in entries]
        return context.make_tuple(builder, result, rows)

    return result(table, count, lanes), codegen


@intrinsic(prefer_literal=True)
def lookup(typingctx, table, index, count):
    """Tuple of `count` (a literal) vectors: table[index + k] of a 1-D table, lane by lane."""
    n, vector = constant_int(count), Vector(table.dtype, index.lanes)
    result = types.UniTuple(vector, n)

    def codegen(context, builder, sig, args):
        base = _first(context, builder, sig, args)
        columns = [ir.Constant(vector.llvm, ir.Undefined)] * n
        for lane in range(index.lanes):
            place = ir.IntType(32)(lane)
            row = builder.zext(builder.extract_element(args[1], place), ir.IntType(64))
            for k in range(n):
                entry = builder.load(builder.gep(base, [builder.add(row, ir.IntType(64)(k))]))
                columns[k] = builder.insert_element(columns[k], entry, place)
        return context.make_tuple(builder, result, columns)

    return result(table, index, count), codegen


@intrinsic(prefer_literal=True)
def columns(typingctx, table, places, q, count):
    """Tuple of `count` vectors: table[places[q + lane] + k] of a flat table, lane by lane.

    places : (n,) int32; count : a literal, a multiple of 4. Eight rows are loaded whole, four
    entries at a time, and transposed in registers: where a table has rows this is twice as fast
    as `lookup`. Places come from memory, because taking them out of a register costs as much as
    the transposition.
    """
    n, vector = constant_int(count), Vector(table.dtype, 8)
    result = types.UniTuple(vector, n)
    quarter = Vector(table.dtype, 4)

    def codegen(context, builder, sig, args):
        base = _first(context, builder, sig, args)
        first_place = element_pointer(context, builder, places, args[1], sig.args[2], args[2])
        begins = []
        for lane in range(8):
            place = builder.load(builder.gep(first_place, [ir.IntType(64)(lane)]))
            begins.append(builder.gep(base, [builder.zext(place, ir.IntType(64))]))
        found = []
        for first in range(0, n, 4):
            rows = [load_vector(builder, builder.gep(begin, [ir.IntType(64)(first)]), quarter)
                    for begin in begins]
            found += transposed_rows(builder, rows)
        return context.make_tuple(builder, result, found)

    return result(table, places, q, count), codegen


def transposed_rows(builder, rows):
    """Four vectors of eight lanes from eight rows of four."""
    def mix(a, b, order):
        places = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
        return builder.shuffle_vector(a, b, places)

    a0, a1, a2, a3 = (mix(rows[k], rows[k + 4], list(range(8))) for k in range(4))
    even, odd = [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]
    low, high = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
    t0, t1, t2, t3 = mix(a0, a1, even), mix(a0, a1, odd), mix(a2, a3, even), mix(a2, a3, odd)
    return [mix(t0, t2, low), mix(t1, t3, low), mix(t0, t2, high), mix(t1, t3, high)]
