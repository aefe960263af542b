"""One block of a matrix product, held in registers.

    c[i, lane] += sum_k w[k, i] a[k, lane]        ROWS rows i, two registers of lanes, any depth

Each step of k loads two registers of a and spreads ROWS numbers of w over the lanes: two products
each, and no sum leaves its register before the end. ROWS is the greatest for which sums, operands
and the number that is spread fit into the registers; with fewer the loads would be the bound.
bf16 comes in pairs of k in one 32-bit word, which `vdpbf16ps` multiplies and adds to sums in
single precision.

All that a step reads lies in two runs of memory. Outputs in the lanes and atoms spread, as
libraries have it, need a pointer for each of twelve atoms, or atoms packed again at each call; with
the pointers, LLVM kept sums in memory and the product ran at a third of the speed.
"""

from __future__ import annotations

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from potentials.simd.functions import call_llvm
from potentials.simd.registers import Vector, constant_int, load_vector, splat_value

_HAS = binding.get_host_cpu_features()
_WIDE = bool(_HAS.get("avx512f", False))
BYTES = 64 if _WIDE else 32 if _HAS.get("avx2", False) else 16        # of a register
ROWS = 12 if _WIDE else 6                      # 2 * ROWS sums in 32 or in 16 registers
HAS_BF16 = bool(_HAS.get("avx512bf16", False))
HALVES = 2


@intrinsic(prefer_literal=True)
def product_tile(typingctx, w, w_at, a, a_at, depth, c, c_at, begins, rows):
    """Add the product of a block of w and a panel of a to a panel of c.

    Parameters
    ----------
    w, a, c : 1-D contiguous arrays, all float64 or all float32; or w and a int32, pairs of bf16,
        and c float32
    w_at : where the block begins, (depth, rows)
    a_at, c_at : where the panels begin, (depth, two registers) and (rows, two registers)
    begins : whether c is overwritten
    rows : a literal
    """
    n = constant_int(rows)
    vector = Vector(c.dtype, BYTES * 8 // c.dtype.bitwidth)
    operand = Vector(a.dtype, vector.lanes)

    def codegen(context, builder, sig, args):
        word = ir.IntType(64)

        def begin(array, at):
            data = context.make_array(sig.args[array])(context, builder, args[array]).data
            return builder.gep(data, [context.cast(builder, args[at], sig.args[at], types.intp)])

        def row(pointer, k):
            """The registers of row k of a panel."""
            first = builder.mul(k, word(HALVES * vector.lanes))
            return [builder.gep(pointer, [builder.add(first, word(half * vector.lanes))])
                    for half in range(HALVES)]

        block, panel, out = begin(0, 1), begin(2, 3), begin(5, 6)
        places = [place for i in range(n) for place in row(out, word(i))]
        sums = [cgutils.alloca_once(builder, vector.llvm) for _ in places]
        with builder.if_else(context.is_true(builder, sig.args[7], args[7])) as (fresh, further):
            with fresh:
                for total in sums:
                    builder.store(ir.Constant(vector.llvm, [0.0] * vector.lanes), total)
            with further:
                for total, place in zip(sums, places, strict=True):
                    builder.store(load_vector(builder, place, vector), total)
        steps = context.cast(builder, args[4], sig.args[4], types.intp)
        with cgutils.for_range(builder, steps) as loop:
            weights = builder.gep(block, [builder.mul(loop.index, word(n))])
            atoms = [load_vector(builder, place, operand) for place in row(panel, loop.index)]
            for i in range(n):
                weight = builder.load(builder.gep(weights, [word(i)]))
                weight = splat_value(builder, weight, operand)
                for half, values in enumerate(atoms):
                    total = sums[HALVES * i + half]
                    builder.store(_multiply_add(builder, vector, weight, values,
                                                builder.load(total)), total)
        for total, place in zip(sums, places, strict=True):
            place = builder.bitcast(place, vector.llvm.as_pointer())
            builder.store(builder.load(total), place).align = 4
        return context.get_dummy_value()

    return types.none(w, w_at, a, a_at, depth, c, c_at, begins, rows), codegen


def _multiply_add(builder, vector, a, b, total):
    """total + a b, where a and b are of its kind or pairs of bf16."""
    if a.type == vector.llvm:
        return call_llvm(builder, "fma", vector, [a, b, total])
    pairs = ir.VectorType(_BFloat(), 2 * vector.lanes)
    kind = ir.FunctionType(vector.llvm, [vector.llvm, pairs, pairs])
    name = f"llvm.x86.avx512bf16.dpbf16ps.{32 * vector.lanes}"
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [total, builder.bitcast(a, pairs), builder.bitcast(b, pairs)])


class _BFloat(ir.types.Type):
    """LLVM's bfloat, for which llvmlite has no name."""

    def _to_string(self):
        return "bfloat"

    def __eq__(self, other):
        return isinstance(other, _BFloat)

    def __hash__(self):
        return hash("bfloat")
