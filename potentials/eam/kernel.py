"""EAM tables compiled for one precision: memory of the passes, and what is between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, ForceRangeError, PairList, Result, Want
from potentials.eam.density_pass import density_pass
from potentials.eam.embedding import by_slots, embed
from potentials.eam.force_pass import force_pass
from potentials.eam.tables import Tables
from potentials.memory import aligned_copy, room
from potentials.pair.kernel import POSITION_BITS, unpack, unpack_forces
from potentials.pair.loop import LANES, RANGE_BITS, ClusterMode

DENSITY_BITS = 48         # deterministic densities are multiples of 2^-48 of the largest in the ...
GRID_BITS = 36            # ... table, forces, energies and virials of 2^-36 of their units


class EAMKernel:
    """Tables compiled for one precision; see potentials.base.Kernel.

    Parameters
    ----------
    tables : the functions
    precision : double, mixed or single
    deterministic : whether sums are those of integers
    """

    def __init__(self, tables: Tables, precision: str, deterministic: bool):
        self.deterministic = deterministic
        self.ntypes, self.cut2 = np.int32(tables.ntypes), tables.cutoff**2
        self.single, self.single_sums = precision != "double", precision == "single"
        self.real = np.float32 if self.single else np.float64
        self.sum_type = np.int64 if deterministic else (
            np.float32 if self.single_sums else np.float64)
        self.table = tables.pair_rows(self.real).reshape(-1)
        self.embedding = tables.embedding_rows()
        self.knots, self.rho_knots = np.int32(tables.density.shape[-1]), tables.embedding.shape[-1]
        self.per_r, self.per_rho = 1.0 / tables.dr, 1.0 / tables.drho
        self.rho_max = tables.drho * (self.rho_knots - 1)
        self.rho_quantum = 2.0 ** (np.floor(np.log2(self.rho_max)) - DENSITY_BITS)
        self.quantum = 2.0**-GRID_BITS
        self._kept: list[Kept] = []

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        if self.deterministic and want is Want.TOTALS:
            want = Want.PER_ATOM          # the engine makes exact totals of the atoms' shares
        many_types, per_atom = bool(self.ntypes > 1), want is Want.PER_ATOM
        mode = ClusterMode(self.single, self.single_sums, many_types, want.value,
                           self.deterministic, pairs.exact)
        unit = 2.0 ** (np.floor(np.log2(pairs.reach)) - POSITION_BITS) if self.single else 1.0
        packed = pairs.fixed_coordinates(x, unit) if self.single else pairs.coordinates(x)
        slot_types = pairs.types(type_) if many_types else pairs.slot_atom
        per_rho, per, virial_unit, force_unit = 1.0, 1.0, unit**2, unit
        if self.deterministic:
            per_rho, per = 1.0 / self.rho_quantum, 1.0 / self.quantum
            virial_unit = force_unit = self.quantum
        slots = 4 * pairs.nowned
        rho = np.zeros(slots, self.sum_type)
        e_pair: NDArray[Any] = np.zeros(slots if per_atom else 1, self.sum_type)
        while len(self._kept) < len(pairs.chunks):
            self._kept.append(Kept(self.real, many_types))

        def densities(k: int) -> tuple[bool, NDArray[Any]]:
            chunk, kept = pairs.chunks[k], self._kept[k]
            kept.make_room(chunk)
            share = e_pair if per_atom else np.zeros(1)
            done, overflow = 0, False
            while True:
                done, beyond = density_pass(
                    mode, unit, self.cut2, packed, pairs.slot_atom, slot_types,
                    chunk.first, chunk.start, chunk.middle, chunk.partners, chunk.masks,
                    chunk.own_masks, self.table, self.ntypes, self.knots, self.per_r, per_rho, per,
                    kept.scratch, kept.rows, done, *kept.blocks, *kept.slopes_of_pairs,
                    rho, share)
                overflow |= beyond
                if done == len(chunk.middle):
                    return overflow, share
                kept.grow()

        numbers = range(len(pairs.chunks))
        dense = list(pairs.each(densities, numbers))
        slopes, embedding = np.empty(len(x)), np.empty(nlocal)
        embed(rho, per_rho, pairs.slot_atom, type_, self.embedding, self.rho_knots, self.per_rho,
              self.rho_max, slopes, embedding)
        exchange.to_ghosts(slopes)
        slot_slopes = np.empty(4 * pairs.nclusters, self.real)
        by_slots(slopes, pairs.slot_atom, slot_slopes)
        forces = np.zeros(3 * slots, self.sum_type)
        virials: NDArray[Any] = np.zeros(6 * slots if per_atom else 6, self.sum_type)

        def push(k: int) -> tuple[bool, NDArray[Any]]:
            chunk, kept = pairs.chunks[k], self._kept[k]
            share = virials if per_atom else np.zeros(6)
            overflow = force_pass(mode, packed, chunk.first, len(chunk.middle), *kept.blocks,
                                  *kept.slopes_of_pairs, slot_slopes, per * unit,
                                  per * unit**2, forces, share)
            unpack_forces(forces, pairs.slot_atom, chunk.first, chunk.last, force_unit, f)
            return overflow, share

        pushed = list(pairs.each(push, numbers))
        if any(overflow for overflow, _ in dense + pushed):
            raise ForceRangeError(f"a pair force exceeds {2.0**RANGE_BITS * self.quantum:g} or a "
                                  f"density {2.0**RANGE_BITS * self.rho_quantum:g}, the ranges of "
                                  "deterministic sums")
        if want is Want.FORCES:
            return Result()
        if not per_atom:
            energy = sum(float(share[0]) for _, share in dense) + float(embedding.sum())
            return Result(energy, sum(w for _, w in pushed) * virial_unit)
        e_n, w_nc = np.empty((nlocal, 1)), np.empty((nlocal, 6))
        unpack(e_pair, pairs.slot_atom, 1, 0, pairs.nowned, 1.0 / per, e_n)
        unpack(virials, pairs.slot_atom, 6, 0, pairs.nowned, virial_unit, w_nc)
        energies = e_n[:, 0] + embedding
        return Result(float(energies.sum()), w_nc.sum(axis=0), energies, w_nc)


@dataclass
class Kept:
    """Memory of one chunk: what is known of its pairs in range between the passes.

    It is used again after a new list, and grows where it must. Room is for as many pairs as were in
    range so far, not for all that are listed: five times as many.

    Attributes
    ----------
    blocks : block_start, block_middle, pair_start, kept_partners, kept_masks of density_pass
    slopes : of the densities at i and, with many types, at j, and of the pair energy
    scratch, rows : of the pairs of one cluster
    """

    real: type
    many_types: bool
    blocks: list[NDArray[Any]] = field(default_factory=list)
    slopes: list[NDArray[Any]] = field(default_factory=list)
    scratch: NDArray[Any] = field(default_factory=lambda: np.empty((5, 0)))
    rows: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))

    @property
    def slopes_of_pairs(self) -> tuple[NDArray[Any], ...]:
        """Slopes of the densities at i and at j and of the pair energy."""
        return self.slopes[0], self.slopes[-2], self.slopes[-1]

    def make_room(self, chunk: Any) -> None:
        """Room for the clusters and blocks of a chunk, for the pairs of any cluster of it."""
        clusters, blocks = len(chunk.middle), chunk.npairs + len(chunk.middle) + 1
        if not self.blocks or len(self.blocks[1]) < clusters or len(self.blocks[3]) < blocks:
            clusters, blocks = clusters + clusters // 16, blocks + blocks // 16
            self.blocks = [np.zeros(clusters + 1, np.int64), np.empty(clusters, np.int64),
                           np.zeros(clusters + 1, np.int64), np.empty(blocks, np.int32),
                           np.empty(blocks, np.uint16)]
        most = LANES * (int(np.diff(chunk.start).max(initial=0)) + 2)
        if len(self.rows) < most:
            self.scratch = np.empty((5, most), self.real)
            self.rows = np.empty(most, np.int32)
        if not self.slopes or len(self.slopes[0]) < 2 * most:
            self.slopes = [room(LANES * blocks // 5 + 2 * most, self.real)
                           for _ in range(3 if self.many_types else 2)]

    def grow(self) -> None:
        """Make room for a quarter more pairs; contents are kept."""
        more = len(self.slopes[0]) // 4 + len(self.rows)
        self.slopes = [aligned_copy(np.concatenate([a, np.empty(more, a.dtype)]), self.real)
                       for a in self.slopes]
