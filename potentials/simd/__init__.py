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

from potentials.simd.blocks import add_inner, add_outer, store_each, turned, zeros
from potentials.simd.functions import (
    absolute,
    as_float32,
    as_float64,
    bits_of,
    converted,
    fma,
    low_words,
    of_bits,
    root_and_inverse,
    smaller,
    sqrt,
    truncated,
)
from potentials.simd.lanes import (
    concatenate,
    fold,
    fold_two,
    reduce_blocks,
    splat,
    spread,
    tile,
    total,
    transpose,
)
from potentials.simd.masks import (
    any_lane,
    bits_of_mask,
    lowest_bit,
    mask_of_bits,
    not_below,
    off_diagonal,
    where,
)
from potentials.simd.memory import (
    columns,
    fence,
    load,
    load_like,
    lookup,
    splat_row,
    store,
    stream,
)
from potentials.simd.registers import Vector, mask_of
from potentials.simd.selection import count, load_selected, store_selected

__all__ = [
    "Vector",
    "absolute",
    "add_inner",
    "add_outer",
    "any_lane",
    "as_float32",
    "as_float64",
    "bits_of",
    "bits_of_mask",
    "columns",
    "concatenate",
    "converted",
    "count",
    "fence",
    "fma",
    "fold",
    "fold_two",
    "load",
    "load_like",
    "load_selected",
    "lookup",
    "low_words",
    "lowest_bit",
    "mask_of",
    "mask_of_bits",
    "not_below",
    "of_bits",
    "off_diagonal",
    "reduce_blocks",
    "root_and_inverse",
    "smaller",
    "splat",
    "splat_row",
    "spread",
    "sqrt",
    "store",
    "store_each",
    "store_selected",
    "stream",
    "tile",
    "total",
    "transpose",
    "truncated",
    "turned",
    "where",
    "zeros",
]
