"""The Numba type of a register, and its arithmetic and comparisons."""

from __future__ import annotations

import operator

from llvmlite import ir
from numba import types
from numba.core.extending import models, register_model
from numba.core.imputils import lower_builtin
from numba.core.typing.templates import AbstractTemplate, infer_global, signature

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
                    splat_value(builder, context.cast(builder, value, ty, vector.scalar), vector)
                    for ty, value in zip(sig.args, args, strict=True)]


def splat_value(builder, value, vector):
    """A scalar on all lanes."""
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


def convert_value(builder, value, source, target):
    """A value with its lanes converted to another scalar."""
    if source.scalar == target.scalar:
        return value
    if not source.is_float:
        return builder.sitofp(value, target.llvm)
    if target.scalar == types.float64:
        return builder.fpext(value, target.llvm)
    return builder.fptrunc(value, target.llvm)


# Intrinsics: what compiled code calls by name.

def element_pointer(context, builder, array_type, array, index_type, index):
    """Pointer to array[index] of a 1-D contiguous array, without tests of bounds or wrap-around."""
    struct = context.make_array(array_type)(context, builder, array)
    index = context.cast(builder, index, index_type, types.intp)
    return builder.gep(struct.data, [index])


def load_vector(builder, pointer, vector):
    """Load a register from anywhere: numpy promises little of where arrays begin."""
    value = builder.load(builder.bitcast(pointer, vector.llvm.as_pointer()))
    value.align = 4
    return value


def constant_int(literal) -> int:
    """The value of a literal argument."""
    return int(literal.literal_value)
