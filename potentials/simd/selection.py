"""Lanes that a mask selects, packed together in memory and spread over their lanes again.

A loop that is dear for some pairs of a block only packs these, works on full registers, and gives
the results back to the lanes where they belong. AVX-512 packs and spreads a register in two
instructions. (To and from memory at once it could too, but of the processors that we know some
take a hundred cycles for that.) Elsewhere lanes are moved one by one, without a branch: each is
written, and the end moves on if it was selected.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from potentials.simd.functions import has_avx512
from potentials.simd.registers import Vector, element_pointer, load_vector

REGISTER = 64             # bytes of an AVX-512 register
LANE, PLACE = ir.IntType(32), ir.IntType(64)


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
        if _selects(context, value):
            for part, of_part, before in _registers(builder, args[2], args[3], value):
                packed = _select(builder, "compress", part, of_part)
                target = builder.gep(begin, [before])
                builder.store(packed, builder.bitcast(target, packed.type.as_pointer()), align=4)
            return context.get_dummy_value()
        place = PLACE(0)
        for lane in range(value.lanes):
            builder.store(builder.extract_element(args[2], LANE(lane)), builder.gep(begin, [place]))
            place = _beyond(builder, place, args[3], lane)
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
        zeros = ir.Constant(result.llvm, None)
        if _selects(context, result):
            parts = []
            for part, of_part, before in _registers(builder, zeros, args[2], result):
                vector = Vector(result.scalar, part.type.count)
                packed = load_vector(builder, builder.gep(begin, [before]), vector)
                parts.append(_select(builder, "expand", packed, of_part))
            while len(parts) > 1:
                parts = [builder.shuffle_vector(a, b, _lanes(range(2 * a.type.count)))
                         for a, b in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]
        place, spread = PLACE(0), zeros
        for lane in range(result.lanes):
            entry = builder.load(builder.gep(begin, [place]))
            spread = builder.insert_element(spread, entry, LANE(lane))
            place = _beyond(builder, place, args[2], lane)
        return builder.select(args[2], spread, zeros)

    return result(array, index, mask), codegen


def _selects(context, vector) -> bool:
    """Whether the machine packs registers of such lanes, and the vector fills them."""
    size = vector.scalar.bitwidth // 8
    return has_avx512(context) and size in (4, 8) and vector.lanes * size % REGISTER == 0


def _registers(builder, value, mask, vector):
    """The registers of a value, their masks, and how many lanes before them are selected."""
    lanes = REGISTER // (vector.scalar.bitwidth // 8)
    before = PLACE(0)
    for first in range(0, vector.lanes, lanes):
        order = _lanes(range(first, first + lanes))
        part, of_part = (builder.shuffle_vector(v, v, order) for v in (value, mask))
        yield part, of_part, before
        bits = builder.bitcast(of_part, ir.IntType(lanes))
        before = builder.add(before, builder.zext(builder.ctpop(bits), PLACE))


def _lanes(order):
    return ir.Constant(ir.VectorType(LANE, len(order)), list(order))


def _select(builder, name, value, mask):
    """The instruction of a name; what it leaves open is 0."""
    kinds = {ir.DoubleType(): "f64", ir.FloatType(): "f32"}
    kind = kinds.get(value.type.element) or f"i{value.type.element.width}"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(value.type, [value.type, value.type, mask.type]),
        f"llvm.x86.avx512.mask.{name}.v{value.type.count}{kind}")
    return builder.call(function, [value, ir.Constant(value.type, None), mask])


def _beyond(builder, place, mask, lane):
    """The next place, if the lane is selected."""
    return builder.add(place, builder.zext(builder.extract_element(mask, LANE(lane)), PLACE))
