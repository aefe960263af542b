"""Lanes that a mask selects, packed together in memory and spread over their lanes again.

A loop that is dear for some pairs of a block only packs these, works on full registers, and gives
the results back to the lanes where they belong. AVX-512 packs and spreads a register in two
instructions. (To and from memory at once it could too, but of the processors that we know some
take a hundred cycles for that.) AVX2 permutes one by an order from a table, in which the mask's
bits are looked up. Elsewhere lanes are moved one by one, without a branch: each is written, and
the end moves on if it was selected.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from potentials.simd.functions import has_feature
from potentials.simd.registers import Vector, element_pointer, load_vector

LANE, PLACE, BYTE = ir.IntType(32), ir.IntType(64), ir.IntType(8)
EIGHT = ir.VectorType(LANE, 8)


@intrinsic
def count(typingctx, bits):
    """How many bits of an unsigned integer are set."""
    def codegen(context, builder, sig, args):
        return builder.zext(builder.ctpop(args[0]), PLACE)

    return types.uint64(bits), codegen


@intrinsic
def store_selected(typingctx, array, index, value, mask):
    """array[index], array[index+1], ... = the lanes of `value` that `mask` selects, in order.

    Room is needed as for all lanes: what lies behind the selected ones is overwritten.
    """
    def codegen(context, builder, sig, args):
        begin = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        move, lanes = _way(context, value)
        for part, of_part, before in _registers(builder, args[2], args[3], lanes):
            packed = move(builder, "compress", part, of_part) if lanes > 1 else part
            target = builder.gep(begin, [before])
            builder.store(packed, builder.bitcast(target, packed.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(array, index, value, mask), codegen


@intrinsic
def load_selected(typingctx, array, index, mask):
    """array[index], array[index+1], ... in order on the lanes whose bit is set, 0 on the others.

    As many elements as there are lanes are read, and one of them is needed only where a bit is set.
    """
    result = Vector(array.dtype, mask.lanes)

    def codegen(context, builder, sig, args):
        begin = element_pointer(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        move, lanes = _way(context, result)
        zeros = ir.Constant(result.llvm, None)
        parts = []
        for _, of_part, before in _registers(builder, zeros, args[2], lanes):
            packed = load_vector(builder, builder.gep(begin, [before]),
                                 Vector(result.scalar, lanes))
            parts.append(move(builder, "expand", packed, of_part) if lanes > 1 else
                         builder.select(of_part, packed, ir.Constant(packed.type, None)))
        while len(parts) > 1:
            parts = [builder.shuffle_vector(a, b, _order(range(2 * a.type.count)))
                     for a, b in zip(parts[::2], parts[1::2], strict=True)]
        return parts[0]

    return result(array, index, mask), codegen


def _way(context, vector):
    """How selected lanes are moved, and how many lanes at once."""
    size = vector.scalar.bitwidth // 8
    for feature, register, move in (("avx512f", 64, _by_mask), ("avx2", 32, _by_table)):
        if has_feature(context, feature) and vector.lanes * size % register == 0:
            return move, register // size
    return None, 1


def _registers(builder, value, mask, lanes):
    """The parts of a value, their masks, and how many lanes before them are selected."""
    before = PLACE(0)
    for first in range(0, value.type.count, lanes):
        order = _order(range(first, first + lanes))
        part, of_part = (builder.shuffle_vector(v, v, order) for v in (value, mask))
        yield part, of_part, before
        before = builder.add(before, builder.zext(builder.ctpop(_bits(builder, of_part)), PLACE))


def _order(lanes):
    return ir.Constant(ir.VectorType(LANE, len(lanes)), list(lanes))


def _bits(builder, mask):
    return builder.bitcast(mask, ir.IntType(mask.type.count))


def _by_mask(builder, name, value, mask):
    """The instruction of AVX-512 of a name; what it leaves open is 0."""
    kinds = {ir.DoubleType(): "f64", ir.FloatType(): "f32"}
    kind = kinds.get(value.type.element) or f"i{value.type.element.width}"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(value.type, [value.type, value.type, mask.type]),
        f"llvm.x86.avx512.mask.{name}.v{value.type.count}{kind}")
    return builder.call(function, [value, ir.Constant(value.type, None), mask])


def _by_table(builder, name, value, mask):
    """The same, by AVX2's permutation of eight words."""
    lanes = value.type.count
    orders = [(_packing if name == "compress" else _spreading)(bits, lanes)
              for bits in range(1 << lanes)]
    words = [8 // lanes * lane + word for order in orders for lane in order
             for word in range(8 // lanes)]
    table = cgutils.global_constant(builder.module, f"selection.{name}.{lanes}",
                                    ir.Constant(ir.ArrayType(BYTE, len(words)), words))
    place = builder.mul(builder.zext(_bits(builder, mask), PLACE), PLACE(8))
    row = builder.gep(table, [PLACE(0), place])
    order = builder.load(builder.bitcast(row, ir.VectorType(BYTE, 8).as_pointer()), align=1)
    permute = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(EIGHT, [EIGHT, EIGHT]), "llvm.x86.avx2.permd")
    moved = builder.call(permute, [builder.bitcast(value, EIGHT), builder.zext(order, EIGHT)])
    moved = builder.bitcast(moved, value.type)
    if name == "compress":
        return moved
    return builder.select(mask, moved, ir.Constant(value.type, None))


def _packing(bits, lanes):
    """Which lane goes to each place: those whose bit is set, in order, and any behind them."""
    selected = [lane for lane in range(lanes) if bits >> lane & 1]
    return selected + [0] * (lanes - len(selected))


def _spreading(bits, lanes):
    """Which place goes to each lane."""
    return [(bits & ((1 << lane) - 1)).bit_count() % lanes for lane in range(lanes)]
