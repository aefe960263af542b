"""Lanes moved and added up: copies, transposes, sums over lanes."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from potentials.simd.registers import Vector, constant_int, splat_value


@intrinsic(prefer_literal=True)
def splat(typingctx, value, lanes):
    """A vector of `lanes` (a literal) copies of a scalar."""
    vector = Vector(types.unliteral(value), constant_int(lanes))

    def codegen(context, builder, sig, args):
        return splat_value(builder, args[0], vector)

    return vector(value, lanes), codegen


def shuffle(builder, value, indices):
    """The lanes of a value in another order."""
    undefined = ir.Constant(value.type, ir.Undefined)
    order = ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), list(indices))
    return builder.shuffle_vector(value, undefined, order)


@intrinsic(prefer_literal=True)
def tile(typingctx, value, repeats):
    """a b c d -> a b c d a b c d ... : the whole vector, `repeats` (a literal) times."""
    count = constant_int(repeats)
    result = Vector(value.scalar, value.lanes * count)

    def codegen(context, builder, sig, args):
        return shuffle(builder, args[0], list(range(value.lanes)) * count)

    return result(value, repeats), codegen


@intrinsic(prefer_literal=True)
def spread(typingctx, value, repeats, first, count):
    """Lanes first, ..., first+count-1, each `repeats` times; all three are literals.

    a b c d -> a a a a b b b b for repeats, first, count = 4, 0, 2.
    """
    n, start, number = constant_int(repeats), constant_int(first), constant_int(count)
    result = Vector(value.scalar, n * number)

    def codegen(context, builder, sig, args):
        return shuffle(builder, args[0], [start + k for k in range(number) for _ in range(n)])

    return result(value, repeats, first, count), codegen


@intrinsic(prefer_literal=True)
def transpose(typingctx, value, rows):
    """Lanes as a matrix of `rows` (a literal) rows, read column by column.

    x0 y0 x1 y1 -> x0 x1 y0 y1 for 2.
    """
    n = constant_int(rows)
    columns = value.lanes // n

    def codegen(context, builder, sig, args):
        order = [r * columns + c for c in range(columns) for r in range(n)]
        return shuffle(builder, args[0], order)

    return value(value, rows), codegen


def add_lanes(builder, vector, a, b):
    """The sum of two values, lane by lane."""
    return builder.fadd(a, b) if vector.is_float else builder.add(a, b)


@intrinsic(prefer_literal=True)
def fold(typingctx, value, lanes):
    """a b c d e f g h -> a+e b+f c+g d+h: the sum of the pieces of `lanes` (a literal) lanes."""
    width = constant_int(lanes)
    result = Vector(value.scalar, width)

    def codegen(context, builder, sig, args):
        current, size = args[0], value.lanes
        while size > width:        # by halves: one shuffle each, none where a half is a register
            size //= 2
            current = add_lanes(builder, value, shuffle(builder, current, range(size)),
                                 shuffle(builder, current, range(size, 2 * size)))
        return current

    return result(value, lanes), codegen


@intrinsic
def fold_two(typingctx, a, b):
    """fold(a, 4) and fold(b, 4) of vectors of sixteen lanes, in one vector of eight."""
    result = Vector(a.scalar, 8)

    def codegen(context, builder, sig, args):
        eight = ir.VectorType(ir.IntType(32), 8)
        halves = [add_lanes(builder, a, shuffle(builder, v, range(8)),
                             shuffle(builder, v, range(8, 16))) for v in args]
        low, high = (ir.Constant(eight, [*range(k, k + 4), *range(8 + k, 12 + k)]) for k in (0, 4))
        return add_lanes(builder, a, builder.shuffle_vector(*halves, low),
                          builder.shuffle_vector(*halves, high))

    return result(a, b), codegen


@intrinsic(prefer_literal=True)
def reduce_blocks(typingctx, value, width):
    """Sums of the consecutive blocks of `width` (a literal) lanes.

    a b c d e f g h -> a+b+c+d e+f+g+h for 4.
    """
    block = constant_int(width)
    count = value.lanes // block
    result = Vector(value.scalar, count)

    def codegen(context, builder, sig, args):
        current, size = args[0], block
        while size > 1:
            even = shuffle(builder, current, range(0, count * size, 2))
            odd = shuffle(builder, current, range(1, count * size, 2))
            current, size = add_lanes(builder, value, even, odd), size // 2
        return current

    return result(value, width), codegen


@intrinsic
def concatenate(typingctx, a, b):
    """The lanes of a, then those of b (same lane count)."""
    result = Vector(a.scalar, a.lanes + b.lanes)

    def codegen(context, builder, sig, args):
        order = ir.Constant(ir.VectorType(ir.IntType(32), result.lanes), list(range(result.lanes)))
        return builder.shuffle_vector(args[0], args[1], order)

    return result(a, b), codegen


@intrinsic
def total(typingctx, value):
    """The sum of all lanes, pairwise."""

    def codegen(context, builder, sig, args):
        current, size = args[0], value.lanes
        while size > 1:
            half = size // 2
            current = add_lanes(builder, value, shuffle(builder, current, range(half)),
                                 shuffle(builder, current, range(half, size)))
            size = half
        return builder.extract_element(current, ir.IntType(32)(0))

    return value.scalar(value), codegen
