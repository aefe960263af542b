"""EAM tables compiled for one precision: memory of the passes, and what is between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, ForceRangeError, PairList, Result, Rows, Want
from potentials.eam.passes import BATCH, Mode, density_pass, embed, force_pass
from potentials.eam.tables import Tables

DENSITY_BITS = 48         # deterministic densities are multiples of 2^-48 of the largest in the ...
GRID_BITS = 36            # ... table, forces, energies and virials of 2^-36 of their units ...
RANGE_BITS = 51           # ... and one contribution must stay below 2^51 multiples


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
        self._kept: list[Kept | None] = []

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        if self.deterministic and want is Want.TOTALS:
            want = Want.PER_ATOM          # the engine makes exact totals of the atoms' shares
        mode = Mode(self.single, self.single_sums, bool(self.ntypes > 1), want.value,
                    self.deterministic)
        per_atom = want is Want.PER_ATOM
        rho = np.zeros(nlocal, self.sum_type)
        per_rho, per = 1.0, 1.0
        if self.deterministic:
            per_rho, per = 1.0 / self.rho_quantum, 1.0 / self.quantum
        e_pair: NDArray[Any] = np.zeros(nlocal if per_atom else 1, self.sum_type)

        self._kept += [None] * (len(pairs.rows) - len(self._kept))

        def densities(k: int) -> tuple[Kept, NDArray[Any]]:
            rows, kept = pairs.rows[k], self._kept[k]
            if kept is None or not kept.fits(rows):
                kept = self._kept[k] = Kept.of(rows, self.real, bool(self.ntypes > 1))
            share = e_pair if per_atom else np.zeros(1)
            slot = 0
            while True:
                slot = density_pass(
                    mode, x, type_, pairs.slot_atom, rows.first, rows.start, rows.middle,
                    rows.neighbors, self.cut2, self.table, self.ntypes, self.knots,
                    self.per_r, per_rho, per, slot, kept.scratch, kept.row, rho, share,
                    kept.start, kept.middle, *kept.of_pairs())
                if slot == len(rows.middle):
                    break
                kept.grow()
            return kept, share

        done = list(pairs.each(densities, range(len(pairs.rows))))
        slopes, embedding = np.empty(len(x)), np.empty(nlocal)
        embed(rho.astype(np.float64) / per_rho, type_, nlocal, self.embedding, self.rho_knots,
              self.per_rho, self.rho_max, slopes, embedding)
        exchange.to_ghosts(slopes)
        forces = np.zeros((nlocal, 3), self.sum_type)
        virials: NDArray[Any] = np.zeros((nlocal if per_atom else 1, 6), self.sum_type)

        def push(item: tuple[Kept, Rows]) -> tuple[float, NDArray[Any]]:
            kept, rows = item
            share = virials if per_atom else np.zeros((1, 6))
            largest = force_pass(mode, x, pairs.slot_atom, rows.first, kept.start, kept.middle,
                                 *kept.of_pairs(), slopes, per, per, forces, share)
            return largest, share

        ends = list(pairs.each(push, [(k, r) for (k, _), r in zip(done, pairs.rows, strict=True)]))
        if any(largest * per >= 2.0**RANGE_BITS for largest, _ in ends):
            raise ForceRangeError(f"a pair force exceeds {2.0**RANGE_BITS * self.quantum:g}, "
                                  "the range of deterministic sums")
        np.divide(forces, per, out=f[:nlocal])
        if want is Want.FORCES:
            return Result()
        if not per_atom:                  # added up in double, whatever the precision of a sum
            energy = sum(float(share[0]) for _, share in done) + float(embedding.sum())
            return Result(energy, np.sum([w[0] for _, w in ends], axis=0, dtype=np.float64))
        energies, virials = e_pair / per + embedding, virials / per
        return Result(float(energies.sum()), virials.sum(axis=0, dtype=np.float64),
                      energies, virials)


@dataclass
class Kept:
    """Memory of one chunk: what is known of its pairs in range between the passes.

    Room is for as many pairs as were in range so far, not for all candidates: nearly twice as many.
    """

    start: NDArray[np.int64]
    middle: NDArray[np.int64]
    partner: NDArray[np.int32]
    slopes: list[NDArray[Any]]
    scratch: NDArray[Any]
    row: NDArray[np.int32]

    @classmethod
    def of(cls, rows: Rows, real: type, many_types: bool) -> Kept:
        """Room for half of the candidates of some rows."""
        slots, room = len(rows.middle), candidates_of_a_batch(rows) + 64
        n = len(rows.neighbors) // 2 + room
        return cls(np.zeros(slots + 1, np.int64), np.empty(slots, np.int64), np.empty(n, np.int32),
                   [np.empty(n, real) for _ in range(3 if many_types else 2)],
                   np.empty((4, room), real), np.empty(room, np.int32))

    def of_pairs(self) -> tuple[NDArray[Any], ...]:
        """Partner, slopes of the densities at i and at j, slope of the pair energy."""
        return self.partner, self.slopes[0], self.slopes[-2], self.slopes[-1]

    def fits(self, rows: Rows) -> bool:
        """Whether the batches of some rows fit."""
        return (len(self.middle) == len(rows.middle)
                and len(self.row) >= candidates_of_a_batch(rows) + 8)

    def grow(self) -> None:
        """Make room for a quarter more pairs; contents are kept."""
        more = len(self.partner) // 4 + len(self.row)
        self.partner = np.concatenate([self.partner, np.empty(more, np.int32)])
        self.slopes = [np.concatenate([a, np.empty(more, a.dtype)]) for a in self.slopes]


def candidates_of_a_batch(rows: Rows) -> int:
    """Most candidates of BATCH slots."""
    return int(np.diff(rows.start[::BATCH], append=rows.start[-1]).max(initial=0))
