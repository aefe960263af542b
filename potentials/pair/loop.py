"""The loop over cluster pairs, written once for every pair formula, precision and request.

A block is one cluster of four atoms against another, sixteen pairs in sixteen lanes: lane 4 a + b
is the pair of atom a of cluster i and atom b of cluster j.  Coordinates of i are spread over the
lanes once for all its partners; those of j are three loads.  Forces on i add up in registers and
are reduced once; forces on j are folded over the four atoms of i and added to memory, in the half
of the list that obeys the third law.  The formula is a function of r^2 that returns energy and
force / r, written for vectors (potentials/simd); that of charges is for two unit charges, and
multiplied by those of the two atoms.  The loop says everything that any variant does; what one does
not want is a helper that does nothing, and LLVM then removes what led to it.

Precision.  `double` is double throughout.  `mixed` and `single` see coordinates as 32-bit
integers, multiples of 2^-26 of the cutoff's power of two: differences are exact, in any box, and
the same bits on every rank; the pair term is single precision.  `mixed` adds the sums of a
cluster's block row in single and everything else in double; `single` keeps single precision sums
per atom.

Deterministic sums.  Every contribution is turned into an integer multiple of a fixed unit: adding
1.5 * 2^52 units aligns the mantissa, and the difference of the bit patterns is the rounded
multiple.  Integer addition is associative, so neither the order of the list nor the split between
ranks and threads can show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types

from potentials import simd
from potentials.base import Want
from potentials.static import INLINED, Static, variant

LANES = 16
RANGE_BITS = 51           # one deterministic contribution must stay below 2^51 units
MAGIC = 1.5 * 2.0**52     # MAGIC + n has n in its lowest mantissa bits
MAGIC_BITS = int(np.float64(MAGIC).view(np.int64))

PACKAGE = Path(__file__).parent.parent
FORMULAS: dict[str, Any] = {}


def pair_formula(name: str, coefficients: Callable[..., Any] | None = None
                 ) -> Callable[[Callable], Callable]:
    """Register the decorated function of (r2, coefficients) -> (energy, force / r).

    It is written in plain arithmetic and called with registers of sixteen pairs.  The first
    coefficient is the squared cutoff, which the loop tests; beyond it whatever the formula
    returns is dropped.  A function of a third argument gets the flat table of all coefficients,
    behind which there may be tabulated functions to look up.

    Its attribute `formula` is the name for `PairKernel`: that of the argument, and outside this
    package also a hash of its file, since compiled loops that are kept on disk know a formula by
    nothing but this name.

    Parameters
    ----------
    coefficients : in a file of its own (potentials/pair/own.py), makes the coefficients behind
        the first from the parameters of a pair
    """
    def register(function: Any) -> Any:
        function.formula = formula_name(name, function)
        function.coefficients = coefficients
        FORMULAS[function.formula] = njit(function, **INLINED)
        return function
    return register


def formula_name(name: str, function: Any) -> str:
    """The name of a formula of this package, or NAME@HASH of one from another file.

    The hash is of the file's text and the module's name: a loop that is taken from the cache looks
    for the module by its name.
    """
    file = Path(function.__code__.co_filename)
    if PACKAGE in file.parents:
        return name
    text = file.read_bytes() if file.is_file() else str(file).encode()
    return f"{name}@{hashlib.sha256(text + function.__module__.encode()).hexdigest()[:16]}"


def takes_functions(formula: Any) -> bool:
    """Whether a registered formula has the third argument."""
    return bool(formula.py_func.__code__.co_argcount == 3)


@dataclass(frozen=True)
class ClusterMode(Static):
    """What a pass over pairs of clusters is compiled for.

    Attributes
    ----------
    single : coordinates in fixed point, pair arithmetic in single precision
    single_sums : the sums of an atom in single precision too
    many_types : coefficients are looked up by the types of a pair
    want : value of a Want
    deterministic : sums of integers
    exact : only pairs that the list's masks allow
    """

    single: bool
    single_sums: bool
    many_types: bool
    want: int
    deterministic: bool
    exact: bool

    @property
    def real(self) -> types.Float:
        """Type of the pair arithmetic."""
        return types.float32 if self.single else types.float64


@dataclass(frozen=True)
class Mode(ClusterMode):
    """What the loop over pairs is compiled for.

    Attributes
    ----------
    formula : name of the pair formula
    ncoefficients : of the formula
    charged : the formula is for unit charges
    """

    formula: str
    ncoefficients: int
    charged: bool


@njit(**INLINED)
def row(array, index):
    """Four consecutive entries: one thing of the four atoms of a cluster."""
    return simd.load(array, index, 4)


@variant
def nothing(mode):
    """A zero for sums over lanes."""
    zero = types.int64(0) if mode.deterministic else mode.real(0.0)
    return lambda mode: simd.splat(zero, LANES)


@variant
def real_of(mode):
    """A scalar in the precision of the pair arithmetic."""
    real = mode.real
    return lambda mode, value: real(value)


@variant
def difference(mode):
    """One component of the vectors from the four atoms of j to the four of i.

    Integers are subtracted exactly.
    """
    if mode.single:
        return lambda mode, row_i, packed, index: simd.as_float32(
            row_i - simd.tile(row(packed, index), 4))
    return lambda mode, row_i, packed, index: row_i - simd.tile(row(packed, index), 4)


@variant
def squared_length(mode):
    """r^2 from the sum of the squared components, which are in packed units."""
    if mode.single:
        return lambda mode, square, unit2: square * unit2
    return lambda mode, square, unit2: square


@variant
def common_coefficients(mode):
    """The coefficients on all lanes: those of every pair where there is one type."""
    n = mode.ncoefficients
    return lambda mode, table: simd.splat_row(table, n, LANES)


@variant
def coefficients(mode):
    """Coefficients of the sixteen pairs: the common ones, or looked up by the two types."""
    n = mode.ncoefficients
    if mode.many_types:
        return lambda mode, common, table, ntypes, types_i, slot_types, j: simd.lookup(
            table, (types_i * ntypes + simd.tile(row(slot_types, 4 * j), 4)) * n, n)
    return lambda mode, common, table, ntypes, types_i, slot_types, j: common


@njit(**INLINED)
def within(mode, r2, c, allowed, values):
    """Energy and force / r where a pair is nearer than its cutoff and allowed, else 0."""
    near = (r2 < c[0]) & allowed
    nought = simd.splat(real_of(mode, 0.0), LANES)
    return simd.where(near, values[0], nought), simd.where(near, values[1], nought)


@variant
def evaluate(mode):
    """Energy and force / r of the sixteen pairs, 0 beyond the cutoff and in lanes not allowed."""
    formula = FORMULAS[mode.formula]
    if takes_functions(formula):
        return lambda mode, table, r2, c, allowed: within(mode, r2, c, allowed,
                                                          formula(r2, c, table))
    return lambda mode, table, r2, c, allowed: within(mode, r2, c, allowed, formula(r2, c))


@variant
def between_charges(mode):
    """Energy and force / r of the atoms' charges from those of unit charges."""
    if mode.charged:
        def scaled(mode, values, charges_i, slot_charges, j):
            product = charges_i * simd.tile(row(slot_charges, 4 * j), 4)
            return values[0] * product, values[1] * product
        return scaled
    return lambda mode, values, charges_i, slot_charges, j: values


@variant
def listed(mode):
    """The pairs of a block that may act, as far as the list says."""
    if mode.exact:
        return lambda mode, masks, k: simd.mask_of_bits(masks[np.uint64(k)])
    return lambda mode, masks, k: simd.splat(True, LANES)


@variant
def listed_own(mode):
    """The pairs within a cluster that may act."""
    if mode.exact:
        return lambda mode, own_masks, k: simd.mask_of_bits(own_masks[np.uint64(k)])
    return lambda mode, own_masks, k: simd.off_diagonal(4)


@variant
def real_atoms(mode):
    """The pairs of which neither is a dummy, where their lanes would reach a sum over lanes."""
    if mode.want or mode.deterministic:
        return lambda mode, slots_i, slots, j: (
            (slots_i >= 0) & (simd.tile(row(slots, 4 * j), 4) >= 0))
    return lambda mode, slots_i, slots, j: simd.splat(True, LANES)


@variant
def summand(mode):
    """A contribution as it is added up: itself, or a whole number of deterministic units."""
    if mode.deterministic:
        return lambda mode, v, per_unit: (
            simd.bits_of(simd.as_float64(v) * per_unit + MAGIC) - MAGIC_BITS)
    return lambda mode, v, per_unit: v


@variant
def out_of_range(mode):
    """Lanes whose force does not fit the deterministic grid, added to those found before."""
    if not mode.deterministic:
        return lambda mode, found, gx, gy, gz, limit: found
    return lambda mode, found, gx, gy, gz, limit: (
        found | simd.not_below(simd.absolute(gx), limit) | simd.not_below(simd.absolute(gy), limit)
        | simd.not_below(simd.absolute(gz), limit))


@variant
def stored(mode):
    """A sum in the type in which it is kept in memory."""
    if mode.deterministic or mode.single_sums:
        return lambda mode, v: v
    return lambda mode, v: simd.as_float64(v)


@njit(**INLINED)
def add_to(mode, array, index, v):
    """array[index], array[index+1], ... += the lanes of the sums v."""
    simd.store(array, index, simd.load_like(array, index, v) + stored(mode, v))


@njit(**INLINED)
def take_from(mode, array, index, v):
    """array[index], array[index+1], ... -= the lanes of the sums v."""
    simd.store(array, index, simd.load_like(array, index, v) - stored(mode, v))


@njit(**INLINED)
def shares(mode, dx, dy, dz, e, gx, gy, gz, per_e, per_w):
    """Half of a pair's energy and virial, the part of either atom: e, xx yy zz yz xz xy."""
    half = real_of(mode, 0.5)
    hx, hy, hz = gx * half, gy * half, gz * half
    return (summand(mode, e * half, per_e),
            summand(mode, dx * hx, per_w),
            summand(mode, dy * hy, per_w),
            summand(mode, dz * hz, per_w),
            summand(mode, dy * hz, per_w),
            summand(mode, dx * hz, per_w),
            summand(mode, dx * hy, per_w))


@njit(**INLINED)
def plus(a, b):
    """Sum of two tuples of energy and virial."""
    return (a[0] + b[0],
            a[1] + b[1], a[2] + b[2], a[3] + b[3],
            a[4] + b[4], a[5] + b[5], a[6] + b[6])


@variant
def give_partner(mode):
    """The partner's share of energy and virial: to its atoms, or to the total of all."""
    if mode.want == Want.PER_ATOM.value:
        def to_atoms(mode, s, mine, e_out, w_out, j):
            add_to(mode, e_out, 4 * j, simd.fold(mine[0], 4))
            add_to(mode, w_out, 24 * j, simd.fold(mine[1], 4))
            add_to(mode, w_out, 24 * j + 4, simd.fold(mine[2], 4))
            add_to(mode, w_out, 24 * j + 8, simd.fold(mine[3], 4))
            add_to(mode, w_out, 24 * j + 12, simd.fold(mine[4], 4))
            add_to(mode, w_out, 24 * j + 16, simd.fold(mine[5], 4))
            add_to(mode, w_out, 24 * j + 20, simd.fold(mine[6], 4))
            return s
        return to_atoms
    return lambda mode, s, mine, e_out, w_out, j: plus(s, mine)


@variant
def keep(mode):
    """Energy and virial of cluster i, summed over its partners, to where they are wanted."""
    if mode.want == Want.PER_ATOM.value:
        def per_atom(mode, s, e_out, w_out, i):
            add_to(mode, e_out, 4 * i, simd.reduce_blocks(s[0], 4))
            add_to(mode, w_out, 24 * i, simd.reduce_blocks(s[1], 4))
            add_to(mode, w_out, 24 * i + 4, simd.reduce_blocks(s[2], 4))
            add_to(mode, w_out, 24 * i + 8, simd.reduce_blocks(s[3], 4))
            add_to(mode, w_out, 24 * i + 12, simd.reduce_blocks(s[4], 4))
            add_to(mode, w_out, 24 * i + 16, simd.reduce_blocks(s[5], 4))
            add_to(mode, w_out, 24 * i + 20, simd.reduce_blocks(s[6], 4))
        return per_atom
    if mode.want == Want.TOTALS.value:
        def totals(mode, s, e_out, w_out, i):
            e_out[0] += simd.total(simd.as_float64(s[0]))
            for c in range(6):
                w_out[c] += simd.total(simd.as_float64(s[c + 1]))
        return totals
    return lambda mode, s, e_out, w_out, i: None


@njit(cache=True, nogil=True, error_model="numpy")
def pair_loop(mode, table, ntypes, unit, packed, slots, slot_types, slot_charges,
              first, last, start, middle, partners, masks, own_masks,
              per_f, per_e, per_w, f, e_out, w_out):
    """Add the forces of a chunk's pairs to f, and what is wanted to e_out and w_out.

    Returns whether a force left the range of the deterministic grid.

    Parameters
    ----------
    unit : length of one unit of the packed coordinates; forces come out per unit, virials per
        unit^2
    per_f, per_e, per_w : deterministic units in one unit of force, energy, virial
    first, last, start, middle, partners, masks, own_masks : of the chunk, see
        mdapp.neighbors.clusters.Chunk
    """
    unit2 = real_of(mode, unit) * real_of(mode, unit)
    overflow = simd.splat(False, LANES)
    limit = simd.splat(real_of(mode, 2.0**RANGE_BITS / per_f), LANES)
    none, common = nothing(mode), common_coefficients(mode, table)
    for i in range(first, last):
        begin, turn, end = start[i - first], middle[i - first], start[i - first + 1]
        xi = simd.spread(row(packed, 12 * i), 4, 0, 4)
        yi = simd.spread(row(packed, 12 * i + 4), 4, 0, 4)
        zi = simd.spread(row(packed, 12 * i + 8), 4, 0, 4)
        types_i = simd.spread(row(slot_types, 4 * i), 4, 0, 4)
        slots_i = simd.spread(row(slots, 4 * i), 4, 0, 4)
        charges_i = simd.spread(row(slot_charges, 4 * i), 4, 0, 4)
        fx, fy, fz = none, none, none
        s = (none, none, none, none, none, none, none)

        for k in range(begin, turn):                           # pairs that act on both
            j = np.int64(partners[np.uint64(k)])
            dx = difference(mode, xi, packed, 12 * j)
            dy = difference(mode, yi, packed, 12 * j + 4)
            dz = difference(mode, zi, packed, 12 * j + 8)
            r2 = squared_length(mode, simd.fma(dz, dz, simd.fma(dy, dy, dx * dx)), unit2)
            c = coefficients(mode, common, table, ntypes, types_i, slot_types, j)
            allowed = listed(mode, masks, k) & real_atoms(mode, slots_i, slots, j)
            e, fr = between_charges(mode, evaluate(mode, table, r2, c, allowed),
                                    charges_i, slot_charges, j)
            gx, gy, gz = dx * fr, dy * fr, dz * fr
            overflow = out_of_range(mode, overflow, gx, gy, gz, limit)
            qx = summand(mode, gx, per_f)
            qy = summand(mode, gy, per_f)
            qz = summand(mode, gz, per_f)
            fx, fy, fz = fx + qx, fy + qy, fz + qz
            take_from(mode, f, 12 * j, simd.fold_two(qx, qy))
            take_from(mode, f, 12 * j + 8, simd.fold(qz, 4))
            mine = shares(mode, dx, dy, dz, e, gx, gy, gz, per_e, per_w)
            s = give_partner(mode, plus(s, mine), mine, e_out, w_out, j)

        for k in range(turn - 1, end):                         # pairs that act on i
            own = k < turn                                     # turn - 1 stands for i with itself
            j = np.int64(i) if own else np.int64(partners[np.uint64(k)])
            dx = difference(mode, xi, packed, 12 * j)
            dy = difference(mode, yi, packed, 12 * j + 4)
            dz = difference(mode, zi, packed, 12 * j + 8)
            r2 = squared_length(mode, simd.fma(dz, dz, simd.fma(dy, dy, dx * dx)), unit2)
            c = coefficients(mode, common, table, ntypes, types_i, slot_types, j)
            allowed = listed_own(mode, own_masks, i - first) if own else listed(mode, masks, k)
            allowed = allowed & real_atoms(mode, slots_i, slots, j)
            e, fr = between_charges(mode, evaluate(mode, table, r2, c, allowed),
                                    charges_i, slot_charges, j)
            gx, gy, gz = dx * fr, dy * fr, dz * fr
            overflow = out_of_range(mode, overflow, gx, gy, gz, limit)
            fx = fx + summand(mode, gx, per_f)
            fy = fy + summand(mode, gy, per_f)
            fz = fz + summand(mode, gz, per_f)
            s = plus(s, shares(mode, dx, dy, dz, e, gx, gy, gz, per_e, per_w))

        add_to(mode, f, 12 * i, simd.reduce_blocks(fx, 4))
        add_to(mode, f, 12 * i + 4, simd.reduce_blocks(fy, 4))
        add_to(mode, f, 12 * i + 8, simd.reduce_blocks(fz, 4))
        keep(mode, s, e_out, w_out, i)
    return simd.any_lane(overflow)
