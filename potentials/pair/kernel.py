"""A pair formula compiled for one precision: coordinates in, forces and shares out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials import simd
from potentials.base import Exchange, ForceRangeError, PairList, Result, Want
from potentials.pair.loop import RANGE_BITS, Mode, pair_loop

GRID_BITS = 36            # deterministic sums are multiples of 2^-36 force (or energy) scales
POSITION_BITS = 26        # coordinates in single precision are multiples of 2^-26 of the cutoff


@njit(cache=True, nogil=True, error_model="numpy")
def unpack_forces(packed, slot_atom, first, last, unit, f):
    """f[atom] = unit * packed force of the atom's slot, for the clusters first..last-1.

    packed : (12 * nclusters,), component d of slot s of cluster c at 12 c + 4 d + s
    f : (natoms, 3) float64, out
    """
    for c in range(first, last):
        a = np.int64(slot_atom[4 * c])
        if (a >= 0 and slot_atom[4 * c + 1] == a + 1 and slot_atom[4 * c + 2] == a + 2
                and slot_atom[4 * c + 3] == a + 3):             # as sorted atoms are, mostly
            forces = simd.as_float64(simd.load(packed, 12 * c, 12)) * unit
            simd.store(f, 3 * a, simd.transpose(forces, 3))
        else:
            unpack(packed, slot_atom, 3, c, c + 1, unit, f)


@njit(cache=True, nogil=True, error_model="numpy")
def unpack(packed, slot_atom, width, first, last, unit, out):
    """out[atom, d] = unit * packed value d of the atom's slot, for the clusters first..last-1.

    packed : (4 * width * nclusters,), value d of slot s of cluster c at 4 width c + 4 d + s
    out : (natoms, width) float64, out
    """
    for c in range(first, last):
        for s in range(4):
            a = slot_atom[4 * c + s]
            if a >= 0:
                for d in range(width):
                    out[a, d] = packed[4 * width * c + 4 * d + s] * unit


class PairKernel:
    """A pair formula with its coefficients, compiled for one precision; see potentials.base.Kernel.

    Parameters
    ----------
    formula : name that it is registered under
    table : (ntypes, ntypes, ncoefficients) float64; the first coefficient is the squared cutoff of
        the pair
    cutoff : largest cutoff
    scale : typical energy / length, a power of two; deterministic sums resolve 2^-36 of it
    precision : double, mixed or single
    deterministic : whether sums are those of integers
    functions : (n,) float64, tabulated functions, to be found behind the coefficients
    """

    def __init__(self, formula: str, table: NDArray[np.float64], cutoff: float, scale: float,
                 precision: str, deterministic: bool,
                 functions: NDArray[np.float64] | None = None):
        self.single = precision != "double"
        self.single_sums = precision == "single"
        self.deterministic = deterministic
        self.formula = formula
        if functions is None and (table == table[0, 0]).all():
            table = table[:1, :1]         # all pairs are alike: nothing to look up in the loop
        self.ntypes, _, self.ncoefficients = table.shape
        flat = table.reshape(-1)
        if functions is not None:
            flat = np.concatenate([flat, functions])
        self.table = flat.astype(np.float32 if self.single else np.float64)
        self.unit = 2.0 ** (np.floor(np.log2(cutoff)) - POSITION_BITS) if self.single else 1.0
        self.quantum = scale * 2.0**-GRID_BITS
        self.energy_quantum = self.quantum * 2.0 ** np.floor(np.log2(cutoff))    # and of virials
        real = np.float32 if self.single_sums else np.float64
        self.sum_type = np.int64 if deterministic else real
        self._forces = np.empty(0, self.sum_type)

    charged = False           # whether the formula is for unit charges

    def slot_charges(self, pairs: PairList) -> NDArray[Any]:
        """The charges packed by slots, four a cluster; anything where none are needed."""
        return pairs.slot_atom

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        if self.deterministic and want is Want.TOTALS:
            want = Want.PER_ATOM          # the engine makes exact totals of the atoms' shares
        packed = pairs.fixed_coordinates(x, self.unit) if self.single else pairs.coordinates(x)
        slot_types = pairs.types(type_) if self.ntypes > 1 else pairs.slot_atom
        if len(self._forces) < 12 * pairs.nowned:
            self._forces = np.empty(12 * pairs.nowned + 12 * 64, self.sum_type)
        per_atom = want is Want.PER_ATOM
        energies = np.zeros(4 * pairs.nowned if per_atom else 1, self.sum_type)
        virials = np.zeros(24 * pairs.nowned if per_atom else 6, self.sum_type)
        mode = Mode(self.single, self.single_sums, self.ntypes > 1, want.value, self.deterministic,
                    pairs.exact, self.formula, self.ncoefficients, self.charged)
        slot_charges = self.slot_charges(pairs)
        grid, energy_grid = 1.0, 1.0
        force_unit, energy_unit, virial_unit = self.unit, 1.0, self.unit**2
        if self.deterministic:
            grid, energy_grid = 1.0 / self.quantum, 1.0 / self.energy_quantum
            force_unit, energy_unit, virial_unit = 1.0 / grid, 1.0 / energy_grid, 1.0 / energy_grid

        def work(chunk):
            """Forces of a chunk, in the order of the atoms; returns its share of the totals."""
            share = (energies, virials) if per_atom else (np.zeros(1), np.zeros(6))
            self._forces[12 * chunk.first:12 * chunk.last] = 0
            overflow = pair_loop(
                mode, self.table, np.int32(self.ntypes), self.unit,
                packed, pairs.slot_atom, slot_types, slot_charges,
                chunk.first, chunk.last, chunk.start, chunk.middle, chunk.partners,
                chunk.masks, chunk.own_masks,
                grid * self.unit, energy_grid, energy_grid * self.unit**2,
                self._forces, *share)
            unpack_forces(self._forces, pairs.slot_atom, chunk.first, chunk.last, force_unit, f)
            return overflow, *share

        shares = list(pairs.each(work, pairs.chunks))
        if any(overflow for overflow, _, _ in shares):
            raise ForceRangeError(f"a pair force exceeds {2.0**RANGE_BITS * self.quantum:g}, "
                                  "the range of deterministic sums")
        if want is Want.FORCES:
            return Result()
        if want is Want.TOTALS:
            return Result(sum(float(e[0]) for _, e, _ in shares),
                          sum(w for _, _, w in shares) * self.unit**2)
        e_n, w_nc = np.empty((nlocal, 1)), np.empty((nlocal, 6))
        unpack(energies, pairs.slot_atom, 1, 0, pairs.nowned, energy_unit, e_n)
        unpack(virials, pairs.slot_atom, 6, 0, pairs.nowned, virial_unit, w_nc)
        return Result(float(e_n.sum()), w_nc.sum(axis=0), e_n[:, 0], w_nc)
