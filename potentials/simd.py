"""Vector registers as values inside Numba functions.

Numba reaches the SIMD units only through LLVM's loop vectoriser, which gives up on the small
fixed blocks (four atoms against four atoms) that a cluster-pair kernel is made of.  Here a
register is a Numba type of its own, a fixed number of lanes of one scalar, lowered to an LLVM
vector.  Formulas are then written once, in ordinary arithmetic, and mean one pair of atoms when
given scalars and a whole register of pairs when given vectors:

    def lennard_jones(r2, c6, c12): ...

The lane count need not be a register of the machine: LLVM splits wider vectors and widens
narrower ones.

Nothing here carries fast-math flags: an expression rounds in the order in which it is written,
fused only where `fma` is called, so that all variants of a kernel give the same bits.  Python
numbers mix with vectors and take the vector's scalar type: 2.0 * v stays single precision when v
is.
"""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.extending import models, register_model
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic

_LLVM = {types.float64: ir.DoubleType(), types.float32: ir.FloatType(),
         types.int64: ir.IntType(64), types.int32: ir.IntType(32), types.boolean: ir.IntType(1)}


class Vector(types.Type):
    """Numba type of a register of `lanes` values of `scalar`.

    The scalar is one of float64, float32, int64, int32 and boolean.
    """

    def __init__(self, scalar: types.Type, lanes: int):
        self.scalar, self.lanes = scalar, lanes
        super().__init__(name=f"Vector({scalar}, {lanes})")

    @property
    def llvm(self) -> ir.VectorType:
        """The type in LLVM's terms."""
        return ir.VectorType(_LLVM[self.scalar], self.lanes)

    @property
    def is_float(self) -> bool:
        """Whether lanes are floating-point numbers."""
        return self.scalar in (types.float32, types.float64)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, fe_type.llvm)


def mask_of(vector: Vector) -> Vector:
    """The type of comparisons of such vectors: as many booleans."""
    return Vector(types.boolean, vector.lanes)


# Arithmetic and comparison operators.

_FLOAT_OPS = {operator.add: "fadd", operator.sub: "fsub",
              operator.mul: "fmul", operator.truediv: "fdiv"}
_INT_OPS = {operator.add: "add", operator.sub: "sub", operator.mul: "mul"}
_INPLACE = {operator.iadd: operator.add, operator.isub: operator.sub, operator.imul: operator.mul}
_COMPARISONS = {operator.lt: "<", operator.le: "<=",
                operator.gt: ">", operator.ge: ">=", operator.ne: "!="}
_LOGIC = {operator.and_: "and_", operator.or_: "or_"}


def _vector_among(args):
    vectors = [a for a in args if isinstance(a, Vector)]
    if not vectors or any(v != vectors[0] for v in vectors):
        return None
    if all(isinstance(a, (Vector, types.Number)) for a in args):
        return vectors[0]
    return None


def _operands(context, builder, sig, args):
    """The vector type, and both operands as LLVM values of it; numbers are rounded and spread."""
    vector = _vector_among(sig.args)
    return vector, [value if ty == vector else
                    _splat(builder, context.cast(builder, value, ty, vector.scalar), vector)
                    for ty, value in zip(sig.args, args, strict=True)]


def _splat(builder, value, vector):
    if vector.scalar == types.boolean and value.type != ir.IntType(1):
        value = builder.trunc(value, ir.IntType(1))       # Numba keeps booleans in bytes
    one = builder.insert_element(ir.Constant(vector.llvm, ir.Undefined), value, ir.IntType(32)(0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), vector.lanes), [0] * vector.lanes)
    return builder.shuffle_vector(one, ir.Constant(vector.llvm, ir.Undefined), zeros)


def _register_binary(op, result_of, emit):
    class Template(AbstractTemplate):
        key = op

        def generic(self, args, kws):
            vector = _vector_among(args)
            if vector is None or kws or len(args) != 2:
                return None
            return signature(result_of(vector), *args)

    infer_global(op)(Template)

    def lower(context, builder, sig, args):
        vector, (a, b) = _operands(context, builder, sig, args)
        return emit(builder, vector, a, b)

    for left, right in ((Vector, Vector), (Vector, types.Number), (types.Number, Vector)):
        lower_builtin(op, left, right)(lower)


def _emit_arithmetic(op):
    def emit(builder, vector, a, b):
        return getattr(builder, (_FLOAT_OPS if vector.is_float else _INT_OPS)[op])(a, b)
    return emit


def _emit_comparison(symbol):
    def emit(builder, vector, a, b):
        if vector.is_float:
            return builder.fcmp_ordered(symbol, a, b)
        return builder.icmp_signed(symbol, a, b)
    return emit


def _emit_logic(name):
    return lambda builder, vector, a, b: getattr(builder, name)(a, b)


for _op in _FLOAT_OPS:
    _register_binary(_op, lambda v: v, _emit_arithmetic(_op))
for _op, _plain in _INPLACE.items():
    _register_binary(_op, lambda v: v, _emit_arithmetic(_plain))
for _op, _symbol in _COMPARISONS.items():
    _register_binary(_op, mask_of, _emit_comparison(_symbol))
for _op, _name in _LOGIC.items():
    _register_binary(_op, lambda v: v, _emit_logic(_name))


@infer_global(operator.neg)
class _Negate(AbstractTemplate):
    key = operator.neg

    def generic(self, args, kws):
        if len(args) == 1 and isinstance(args[0], Vector) and args[0].is_float:
            return signature(args[0], *args)
        return None


@lower_builtin(operator.neg, Vector)
def _lower_negate(context, builder, sig, args):
    return builder.fneg(args[0])


def _convert(builder, value, source, target):
    if source.scalar == target.scalar:
        return value
    if not source.is_float:
        return builder.sitofp(value, target.llvm)
    if target.scalar == types.float64:
        return builder.fpext(value, target.llvm)
    return builder.fptrunc(value, target.llvm)


# Intrinsics: what compiled code calls by name.

def _element(context, builder, array_type, array, index_type, index):
    """Pointer to array[index] of a 1-D contiguous array, without tests of bounds or wrap-around."""
    struct = context.make_array(array_type)(context, builder, array)
    index = context.cast(builder, index, index_type, types.intp)
    return builder.gep(struct.data, [index])


def _load(builder, pointer, vector):
    value = builder.load(builder.bitcast(pointer, vector.llvm.as_pointer()))
    value.align = 4
    return value


def _constant_int(literal) -> int:
    return int(literal.literal_value)


@intrinsic(prefer_literal=True)
def load(typingctx, array, index, lanes):
    """array[index], array[index+1], ...: `lanes` (a literal) elements of a 1-D contiguous array."""
    vector = Vector(array.dtype, _constant_int(lanes))

    def codegen(context, builder, sig, args):
        pointer = _element(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        return _load(builder, pointer, vector)

    return vector(array, index, lanes), codegen


@intrinsic
def load_like(typingctx, array, index, vector):
    """As many consecutive elements as `vector` has lanes."""
    result = Vector(array.dtype, vector.lanes)

    def codegen(context, builder, sig, args):
        pointer = _element(context, builder, sig.args[0], args[0], sig.args[1], args[1])
        return _load(builder, pointer, result)

    return result(array, index, vector), codegen


@intrinsic
def store(typingctx, array, index, value):
    """array[index], array[index+1], ... = the lanes of `value`."""

    def codegen(context, builder, sig, args):
        pointer = _element(context, builder, sig.args[0], args[0], sig.args[1], args[1])
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
        pointer = _element(context, builder, sig.args[0], args[0], sig.args[1], args[1])
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


@intrinsic(prefer_literal=True)
def splat(typingctx, value, lanes):
    """A vector of `lanes` (a literal) copies of a scalar."""
    vector = Vector(types.unliteral(value), _constant_int(lanes))

    def codegen(context, builder, sig, args):
        return _splat(builder, args[0], vector)

    return vector(value, lanes), codegen


def _shuffle(builder, value, indices):
    undefined = ir.Constant(value.type, ir.Undefined)
    order = ir.Constant(ir.VectorType(ir.IntType(32), len(indices)), list(indices))
    return builder.shuffle_vector(value, undefined, order)


@intrinsic(prefer_literal=True)
def tile(typingctx, value, repeats):
    """a b c d -> a b c d a b c d ... : the whole vector, `repeats` (a literal) times."""
    count = _constant_int(repeats)
    result = Vector(value.scalar, value.lanes * count)

    def codegen(context, builder, sig, args):
        return _shuffle(builder, args[0], list(range(value.lanes)) * count)

    return result(value, repeats), codegen


@intrinsic(prefer_literal=True)
def spread(typingctx, value, repeats, first, count):
    """Lanes first, ..., first+count-1, each `repeats` times; all three are literals.

    a b c d -> a a a a b b b b for repeats, first, count = 4, 0, 2.
    """
    n, start, number = _constant_int(repeats), _constant_int(first), _constant_int(count)
    result = Vector(value.scalar, n * number)

    def codegen(context, builder, sig, args):
        return _shuffle(builder, args[0], [start + k for k in range(number) for _ in range(n)])

    return result(value, repeats, first, count), codegen


@intrinsic(prefer_literal=True)
def transpose(typingctx, value, rows):
    """Lanes as a matrix of `rows` (a literal) rows, read column by column.

    x0 y0 x1 y1 -> x0 x1 y0 y1 for 2.
    """
    n = _constant_int(rows)
    columns = value.lanes // n

    def codegen(context, builder, sig, args):
        order = [r * columns + c for c in range(columns) for r in range(n)]
        return _shuffle(builder, args[0], order)

    return value(value, rows), codegen


def _add_lanes(builder, vector, a, b):
    return builder.fadd(a, b) if vector.is_float else builder.add(a, b)


@intrinsic(prefer_literal=True)
def fold(typingctx, value, lanes):
    """a b c d e f g h -> a+e b+f c+g d+h: the sum of the pieces of `lanes` (a literal) lanes."""
    width = _constant_int(lanes)
    result = Vector(value.scalar, width)

    def codegen(context, builder, sig, args):
        current, size = args[0], value.lanes
        while size > width:        # by halves: one shuffle each, none where a half is a register
            size //= 2
            current = _add_lanes(builder, value, _shuffle(builder, current, range(size)),
                                 _shuffle(builder, current, range(size, 2 * size)))
        return current

    return result(value, lanes), codegen


@intrinsic
def fold_two(typingctx, a, b):
    """fold(a, 4) and fold(b, 4) of vectors of sixteen lanes, in one vector of eight."""
    result = Vector(a.scalar, 8)

    def codegen(context, builder, sig, args):
        eight = ir.VectorType(ir.IntType(32), 8)
        halves = [_add_lanes(builder, a, _shuffle(builder, v, range(8)),
                             _shuffle(builder, v, range(8, 16))) for v in args]
        low, high = (ir.Constant(eight, [*range(k, k + 4), *range(8 + k, 12 + k)]) for k in (0, 4))
        return _add_lanes(builder, a, builder.shuffle_vector(*halves, low),
                          builder.shuffle_vector(*halves, high))

    return result(a, b), codegen


@intrinsic(prefer_literal=True)
def reduce_blocks(typingctx, value, width):
    """Sums of the consecutive blocks of `width` (a literal) lanes.

    a b c d e f g h -> a+b+c+d e+f+g+h for 4.
    """
    block = _constant_int(width)
    count = value.lanes // block
    result = Vector(value.scalar, count)

    def codegen(context, builder, sig, args):
        current, size = args[0], block
        while size > 1:
            even = _shuffle(builder, current, range(0, count * size, 2))
            odd = _shuffle(builder, current, range(1, count * size, 2))
            current, size = _add_lanes(builder, value, even, odd), size // 2
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
            current = _add_lanes(builder, value, _shuffle(builder, current, range(half)),
                                 _shuffle(builder, current, range(half, size)))
            size = half
        return builder.extract_element(current, ir.IntType(32)(0))

    return value.scalar(value), codegen


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


def _call_llvm(builder, name, vector, args):
    suffix = f"v{vector.lanes}{'f64' if vector.scalar == types.float64 else 'f32'}"
    kind = ir.FunctionType(vector.llvm, [vector.llvm] * len(args))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.{suffix}")
    return builder.call(function, args)


@intrinsic
def fma(typingctx, a, b, c):
    """a * b + c with one rounding."""
    def codegen(context, builder, sig, args):
        return _call_llvm(builder, "fma", a, args)

    return a(a, b, c), codegen


@intrinsic
def sqrt(typingctx, a):
    """Square roots, correctly rounded; NaN of negative lanes."""
    return a(a), lambda context, builder, sig, args: _call_llvm(builder, "sqrt", a, args)


@intrinsic
def absolute(typingctx, a):
    """Absolute values."""
    return a(a), lambda context, builder, sig, args: _call_llvm(builder, "fabs", a, args)


@intrinsic
def as_float64(typingctx, a):
    """Lanes converted to float64."""
    result = Vector(types.float64, a.lanes)
    return result(a), lambda context, builder, sig, args: _convert(builder, args[0], a, result)


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
    return result(a), lambda context, builder, sig, args: _convert(builder, args[0], a, result)


@intrinsic
def not_below(typingctx, a, b):
    """Mask of the lanes where a < b does not hold; NaN counts."""
    return mask_of(a)(a, b), lambda context, builder, sig, args: builder.fcmp_unordered(">=", *args)


@intrinsic(prefer_literal=True)
def off_diagonal(typingctx, width):
    """Mask of width * width lanes, unset where lane // width == lane % width; a literal width."""
    n = _constant_int(width)
    result = Vector(types.boolean, n * n)

    def codegen(context, builder, sig, args):
        return ir.Constant(result.llvm, [int(k // n != k % n) for k in range(n * n)])

    return result(width), codegen


@intrinsic(prefer_literal=True)
def splat_row(typingctx, table, count, lanes):
    """Tuple of `count` (a literal) vectors: element k of a 1-D table on all lanes."""
    n, vector = _constant_int(count), Vector(table.dtype, _constant_int(lanes))
    result = types.UniTuple(vector, n)

    def codegen(context, builder, sig, args):
        base = _element(context, builder, sig.args[0], args[0], types.intp, ir.IntType(64)(0))
        entries = [builder.load(builder.gep(base, [ir.IntType(64)(k)])) for k in range(n)]
        rows = [_splat(builder, entry, vector) for entry in entries]
        return context.make_tuple(builder, result, rows)

    return result(table, count, lanes), codegen


@intrinsic(prefer_literal=True)
def lookup(typingctx, table, index, count):
    """Tuple of `count` (a literal) vectors: table[index + k] of a 1-D table, lane by lane."""
    n, vector = _constant_int(count), Vector(table.dtype, index.lanes)
    result = types.UniTuple(vector, n)

    def codegen(context, builder, sig, args):
        base = _element(context, builder, sig.args[0], args[0], types.intp, ir.IntType(64)(0))
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
def columns(typingctx, table, index, count):
    """Tuple of `count` vectors of 8 lanes: table[index + k] of a flat table, lane by lane.

    index : 8 lanes of int32; count : a literal, a multiple of 4. Rows are loaded whole, four
    entries at a time, and transposed in registers: where a table has rows this is twice as fast
    as `lookup`.
    """
    n, vector = _constant_int(count), Vector(table.dtype, 8)
    result = types.UniTuple(vector, n)
    quarter = Vector(table.dtype, 4)

    def codegen(context, builder, sig, args):
        base = _element(context, builder, sig.args[0], args[0], types.intp, ir.IntType(64)(0))
        places = [builder.zext(builder.extract_element(args[1], ir.IntType(32)(lane)),
                               ir.IntType(64)) for lane in range(8)]
        found = []
        for first in range(0, n, 4):
            rows = [_load(builder, builder.gep(base, [builder.add(place, ir.IntType(64)(first))]),
                          quarter) for place in places]
            found += _transposed_rows(builder, rows)
        return context.make_tuple(builder, result, found)

    return result(table, index, count), codegen


def _transposed_rows(builder, rows):
    """Four vectors of eight lanes from eight rows of four."""
    def mix(a, b, order):
        places = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
        return builder.shuffle_vector(a, b, places)

    a0, a1, a2, a3 = (mix(rows[k], rows[k + 4], list(range(8))) for k in range(4))
    even, odd = [0, 8, 2, 10, 4, 12, 6, 14], [1, 9, 3, 11, 5, 13, 7, 15]
    low, high = [0, 1, 8, 9, 4, 5, 12, 13], [2, 3, 10, 11, 6, 7, 14, 15]
    t0, t1, t2, t3 = mix(a0, a1, even), mix(a0, a1, odd), mix(a2, a3, even), mix(a2, a3, odd)
    return [mix(t0, t2, low), mix(t1, t3, low), mix(t0, t2, high), mix(t1, t3, high)]


@intrinsic
def truncated(typingctx, a):
    """Floating-point lanes as int32, cut off towards zero."""
    result = Vector(types.int32, a.lanes)
    return result(a), lambda context, builder, sig, args: builder.fptosi(args[0], result.llvm)


@intrinsic
def converted(typingctx, a, like):
    """Integer lanes as those of a floating-point vector."""
    return like(a, like), lambda context, builder, sig, args: _convert(builder, args[0], a, like)


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
