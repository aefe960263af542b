"""The loop over cluster pairs, written once for every pair formula, precision and request.

A block is one cluster of four atoms against another, sixteen pairs in sixteen lanes: lane 4 a + b is the pair of atom a of
cluster i and atom b of cluster j.  Coordinates of i are spread over the lanes once for all its partners; those of j are
three loads.  Forces on i add up in registers and are reduced once; forces on j are folded over the four atoms of i and
added to memory, in the half of the list that obeys the third law.  The formula is a function of r^2 that returns energy
and force / r, written for vectors (potentials/simd.py); what a variant does not use of it, LLVM removes.

Precision.  `double` is double throughout.  `mixed` and `single` see coordinates as 32-bit integers, multiples of 2^-26 of
the cutoff's power of two: differences are exact, in any box, and the same bits on every rank; the pair term is single
precision.  `mixed` adds the sums of a cluster's block row in single and everything else in double; `single` keeps single
precision sums per atom.

Deterministic sums.  Every contribution is turned into an integer multiple of a fixed unit: adding 1.5 * 2^52 units aligns
the mantissa, and the difference of the bit patterns is the rounded multiple.  Integer addition is associative, so neither
the order of the list nor the split between ranks and threads can show.
"""

from __future__ import annotations

import functools

import numpy as np
from numba import njit, types
from numba.extending import overload
from numpy.typing import NDArray

from potentials import simd
from potentials.base import ForceRangeError, PairList, Result, Want

LANES = 16
GRID_BITS = 36                # deterministic sums are multiples of 2^-36 force (or energy) scales ...
RANGE_BITS = 15               # ... and one contribution must stay below 2^15 of them
MAGIC = 1.5 * 2.0**52         # MAGIC + n has n in its lowest mantissa bits
MAGIC_BITS = int(np.float64(MAGIC).view(np.int64))
POSITION_BITS = 26

FORMULAS: dict[type, object] = {}


def pair_formula(marker: type):
    """Register the decorated function of (r2, coefficients) as the formula of a marker class (a NamedTuple).

    The marker is what a compiled loop is specialised for, and, unlike a function, has a name that Numba's cache on disk
    recognises in the next process.
    """
    def register(function):
        FORMULAS[marker] = njit(function, inline="always")
        return function
    return register


def _evaluate(formula, r2, c):
    """(energy, force / r) of a formula; the compiler picks it by the type of its marker."""
    raise NotImplementedError("only inside compiled code")


@overload(_evaluate, inline="always")
def _evaluate_overload(formula, r2, c):
    if not isinstance(formula, types.BaseNamedTuple):
        return None
    function = FORMULAS[formula.instance_class]
    return lambda formula, r2, c: function(r2, c)


@functools.cache
def pair_kernel(single: bool, single_sums: bool, many_types: bool, want: int, deterministic: bool, exact: bool,
                ncoefficients: int):
    """The compiled loop over one chunk of pairs, specialised for these constants (and, when called, for the formula).

    It returns whether a force left the range of the deterministic grid.
    """
    real = types.float32 if single else types.float64
    per_atom = want == Want.PER_ATOM.value
    masked = want > 0 or deterministic                 # lanes of dummies must not reach sums over lanes

    zero = types.int64(0) if deterministic else real(0.0)
    half = real(0.5)

    @njit(error_model="numpy", inline="always")
    def row(array, index):
        return simd.load(array, index, 4)

    @njit(error_model="numpy", inline="always")
    def difference(coordinate_i, packed, index):
        """One component of the vectors from the four atoms of j to the four of i; integers are subtracted exactly."""
        d = coordinate_i - simd.tile(row(packed, index), 4)
        if single:
            return simd.as_float32(d)
        else:
            return d

    @njit(error_model="numpy", inline="always")
    def coefficients(table, ntypes, types_i, slot_types, j):
        """Coefficients of the sixteen pairs: the same for all, or looked up by the two types."""
        if many_types:
            return simd.lookup(table, (types_i * ntypes + simd.tile(row(slot_types, 4 * j), 4)) * ncoefficients,
                               ncoefficients)
        else:
            return simd.splat_row(table, ncoefficients, LANES)

    @njit(error_model="numpy", inline="always")
    def block(formula, table, ntypes, unit2, types_i, slots_i, dx, dy, dz, slots, slot_types, j, allowed):
        """Energy and force / r of the sixteen pairs, 0 beyond the cutoff."""
        r2 = simd.fma(dz, dz, simd.fma(dy, dy, dx * dx)) * unit2
        c = coefficients(table, ntypes, types_i, slot_types, j)
        near = (r2 < c[0]) & allowed
        if masked:
            near = near & (slots_i >= 0) & (simd.tile(row(slots, 4 * j), 4) >= 0)
        e, fr = _evaluate(formula, r2, c)
        nought = simd.splat(real(0.0), LANES)
        return simd.where(near, e, nought), simd.where(near, fr, nought)

    @njit(error_model="numpy", inline="always")
    def summand(v, units):
        """A contribution as it is added up: itself, or a whole number of deterministic units."""
        if deterministic:
            return simd.bits_of(simd.as_float64(v) * units + MAGIC) - MAGIC_BITS
        else:
            return v

    @njit(error_model="numpy", inline="always")
    def shares(dx, dy, dz, e, gx, gy, gz, e_units, w_units):
        """Half of a pair's energy and virial: the part of either atom."""
        hx, hy, hz = gx * half, gy * half, gz * half
        return (summand(e * half, e_units), summand(dx * hx, w_units), summand(dy * hy, w_units),
                summand(dz * hz, w_units), summand(dy * hz, w_units), summand(dx * hz, w_units),
                summand(dx * hy, w_units))

    @njit(error_model="numpy", inline="always")
    def plus(a, b):
        return (a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5], a[6] + b[6])

    @njit(error_model="numpy", inline="always")
    def stored(v):
        """A sum in the type in which it is kept in memory."""
        if deterministic or single_sums:
            return v
        else:
            return simd.as_float64(v)

    @njit(error_model="numpy", inline="always")
    def add_to(array, index, v):
        simd.store(array, index, simd.load(array, index, 4) + stored(v))

    @njit(error_model="numpy", inline="always")
    def take_from(array, index, v):
        simd.store(array, index, simd.load(array, index, 4) - stored(v))

    @njit(error_model="numpy", inline="always")
    def add_shares(e_out, w_out, c, s, collect):
        """Add seven sums, each collected from sixteen lanes to the four atoms of cluster c."""
        add_to(e_out, 4 * c, collect(s[0], 4))
        add_to(w_out, 24 * c, collect(s[1], 4))
        add_to(w_out, 24 * c + 4, collect(s[2], 4))
        add_to(w_out, 24 * c + 8, collect(s[3], 4))
        add_to(w_out, 24 * c + 12, collect(s[4], 4))
        add_to(w_out, 24 * c + 16, collect(s[5], 4))
        add_to(w_out, 24 * c + 20, collect(s[6], 4))

    @njit(error_model="numpy", inline="always")
    def out_of_range(gx, gy, gz, limit):
        return (simd.not_below(simd.absolute(gx), limit) | simd.not_below(simd.absolute(gy), limit)
                | simd.not_below(simd.absolute(gz), limit))

    @njit(cache=True, nogil=True, error_model="numpy")
    def loop(formula, table, ntypes, unit, packed, slots, slot_types, first, last, start, middle, partners, masks,
             own_masks, f_units, e_units, w_units, f, e_out, w_out):
        unit2 = real(unit) * real(unit)
        always = simd.splat(True, LANES)
        none = simd.splat(zero, LANES)
        overflow, limit = simd.splat(False, LANES), simd.splat(real(2.0**51 / f_units), LANES)
        for i in range(first, last):
            begin, turn, end = start[i - first], middle[i - first], start[i - first + 1]
            xi = simd.spread(row(packed, 12 * i), 4, 0, 4)
            yi = simd.spread(row(packed, 12 * i + 4), 4, 0, 4)
            zi = simd.spread(row(packed, 12 * i + 8), 4, 0, 4)
            types_i = simd.spread(row(slot_types, 4 * i), 4, 0, 4)
            slots_i = simd.spread(row(slots, 4 * i), 4, 0, 4)
            fx, fy, fz = none, none, none
            s = (none, none, none, none, none, none, none)         # energy and virial of the four atoms

            for k in range(begin, turn):                           # both sides of the pair
                j = np.int64(partners[np.uint64(k)])
                dx, dy, dz = difference(xi, packed, 12 * j), difference(yi, packed, 12 * j + 4), \
                    difference(zi, packed, 12 * j + 8)
                allowed = simd.mask_of_bits(masks[np.uint64(k)]) if exact else always
                e, fr = block(formula, table, ntypes, unit2, types_i, slots_i, dx, dy, dz, slots, slot_types, j, allowed)
                gx, gy, gz = dx * fr, dy * fr, dz * fr
                qx, qy, qz = summand(gx, f_units), summand(gy, f_units), summand(gz, f_units)
                fx, fy, fz = fx + qx, fy + qy, fz + qz
                take_from(f, 12 * j, simd.fold(qx, 4))
                take_from(f, 12 * j + 4, simd.fold(qy, 4))
                take_from(f, 12 * j + 8, simd.fold(qz, 4))
                if deterministic:
                    overflow = overflow | out_of_range(gx, gy, gz, limit)
                if want > 0:
                    mine = shares(dx, dy, dz, e, gx, gy, gz, e_units, w_units)
                    s = plus(s, mine)
                    if per_atom:
                        add_shares(e_out, w_out, j, mine, simd.fold)
                    else:
                        s = plus(s, mine)

            for k in range(turn - 1, end):                         # one side; turn - 1 stands for the cluster with itself
                own = k < turn
                j = np.int64(i) if own else np.int64(partners[np.uint64(k)])
                dx, dy, dz = difference(xi, packed, 12 * j), difference(yi, packed, 12 * j + 4), \
                    difference(zi, packed, 12 * j + 8)
                if exact:
                    allowed = simd.mask_of_bits(own_masks[i - first] if own else masks[np.uint64(k)])
                else:
                    allowed = simd.off_diagonal(4) if own else always
                e, fr = block(formula, table, ntypes, unit2, types_i, slots_i, dx, dy, dz, slots, slot_types, j, allowed)
                gx, gy, gz = dx * fr, dy * fr, dz * fr
                fx, fy, fz = fx + summand(gx, f_units), fy + summand(gy, f_units), fz + summand(gz, f_units)
                if deterministic:
                    overflow = overflow | out_of_range(gx, gy, gz, limit)
                if want > 0:
                    s = plus(s, shares(dx, dy, dz, e, gx, gy, gz, e_units, w_units))

            add_to(f, 12 * i, simd.reduce_blocks(fx, 4))
            add_to(f, 12 * i + 4, simd.reduce_blocks(fy, 4))
            add_to(f, 12 * i + 8, simd.reduce_blocks(fz, 4))
            if per_atom:
                add_shares(e_out, w_out, i, s, simd.reduce_blocks)
            elif want > 0:
                e_out[0] += simd.total(simd.as_float64(s[0]))
                for c in range(6):
                    w_out[c] += simd.total(simd.as_float64(s[c + 1]))
        return simd.any_lane(overflow)

    return loop


@njit(cache=True, nogil=True, error_model="numpy")
def unpack(packed, slot_atom, width, first, last, unit, out):
    """out[atom, d] = unit * packed value d of the atom's slot, clusters first..last-1; `width` values an atom."""
    for c in range(first, last):
        for s in range(4):
            a = slot_atom[4 * c + s]
            if a >= 0:
                for d in range(width):
                    out[a, d] = packed[4 * width * c + 4 * d + s] * unit


class PairKernel:
    """A pair formula with its coefficients, compiled for one precision; see potentials.base.Kernel."""

    def __init__(self, marker: tuple, table: NDArray[np.float64], cutoff: float, scale: float,
                 precision: str, deterministic: bool):
        """
        Parameters
        ----------
        marker : instance of the marker class that the formula is registered for
        table : (ntypes, ntypes, ncoefficients) float64; the first coefficient is the squared cutoff of the pair
        cutoff : largest cutoff
        scale : typical energy / length, a power of two; deterministic sums resolve 2^-36 of it
        """
        self.single = precision != "double"
        self.single_sums = precision == "single"
        self.deterministic = deterministic
        self.marker = marker
        self.ntypes, _, self.ncoefficients = table.shape
        self.table = table.reshape(-1).astype(np.float32 if self.single else np.float64)
        self.unit = 2.0 ** (np.floor(np.log2(cutoff)) - POSITION_BITS) if self.single else 1.0
        self.quantum = scale * 2.0**-GRID_BITS
        self.sum_type = np.int64 if deterministic else np.float32 if self.single_sums else np.float64
        self._forces = np.empty(0, self.sum_type)

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int, pairs: PairList,
                f: NDArray[np.float64], want: Want) -> Result:
        if self.deterministic and want is Want.TOTALS:
            want = Want.PER_ATOM                       # totals are then exact sums of the atoms' shares, made by the engine
        packed = pairs.fixed_coordinates(x, self.unit) if self.single else pairs.coordinates(x)
        slot_types = pairs.types(type_) if self.ntypes > 1 else pairs.slot_atom
        if len(self._forces) < 12 * pairs.nowned:
            self._forces = np.empty(12 * pairs.nowned + 12 * 64, self.sum_type)
        per_atom = want is Want.PER_ATOM
        energies = np.zeros(4 * pairs.nowned if per_atom else 1, self.sum_type)
        virials = np.zeros(24 * pairs.nowned if per_atom else 6, self.sum_type)
        loop = pair_kernel(self.single, self.single_sums, self.ntypes > 1, want.value, self.deterministic,
                           pairs.exact, self.ncoefficients)
        grid = 1.0 / self.quantum if self.deterministic else 1.0

        def work(chunk):
            """Forces of a chunk, back in the order of the atoms; returns its share of the totals."""
            share = (energies, virials) if per_atom else (np.zeros(1), np.zeros(6))
            self._forces[12 * chunk.first:12 * chunk.last] = 0
            overflow = loop(self.marker, self.table, np.int32(self.ntypes), self.unit, packed, pairs.slot_atom, slot_types,
                            chunk.first, chunk.last, chunk.start, chunk.middle, chunk.partners, chunk.masks, chunk.own_masks,
                            grid * self.unit, grid, grid * self.unit**2, self._forces, *share)
            unpack(self._forces, pairs.slot_atom, 3, chunk.first, chunk.last, 1.0 / grid if self.deterministic else self.unit, f)
            return overflow, *share

        shares = list(pairs.each(work, pairs.chunks))
        if any(overflow for overflow, _, _ in shares):
            raise ForceRangeError(f"a pair force exceeds {2.0**51 * self.quantum:g}, the range of deterministic sums")
        if want is Want.FORCES:
            return Result()
        if want is Want.TOTALS:
            return Result(sum(float(e[0]) for _, e, _ in shares), sum(w for _, _, w in shares) * self.unit**2)
        e_n, w_nc = np.empty((nlocal, 1)), np.empty((nlocal, 6))
        unpack(energies, pairs.slot_atom, 1, 0, pairs.nowned, 1.0 / grid, e_n)
        unpack(virials, pairs.slot_atom, 6, 0, pairs.nowned, 1.0 / grid if self.deterministic else self.unit**2, w_nc)
        return Result(float(e_n.sum()), w_nc.sum(axis=0), e_n[:, 0], w_nc)
