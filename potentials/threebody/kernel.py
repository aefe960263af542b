"""A potential of atoms' energies compiled for one precision: memory, threads and the way back.

Atoms of different chunks push the same neighbours. Each chunk therefore has sums of its own for
all atoms and ghosts, added up before what ghosts have got goes back to their owners; with one
chunk, the usual case, that is one array. All memory is kept from step to step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, ForceRangeError, PairList, Result, Rows, Want
from potentials.threebody.loop import GEOMETRY, Mode, forces_of_atoms

GRID_BITS = 36            # deterministic forces are multiples of 2^-36 of their unit ...
RANGE_BITS = 51           # ... and one contribution must stay below 2^51 multiples


@dataclass(frozen=True)
class Formula:
    """What the loop is to evaluate.

    Attributes
    ----------
    name : of the atom formula
    table : (ntypes^3, columns) float64, parameters of each triple of types
    cutoff : the largest of all
    rows : of scratch that the formula needs beside the loop's
    options : constants that it is compiled for
    """

    name: str
    table: NDArray[np.float64]
    ntypes: int
    cutoff: float
    rows: int
    options: tuple[str, ...] = ()


class AtomEnergyKernel:
    """A formula compiled for one precision; see potentials.base.Kernel.

    Parameters
    ----------
    formula : what to evaluate
    precision : double, mixed or single; the last two differ in nothing here: sums are few
    deterministic : whether sums are independent of any order
    """

    def __init__(self, formula: Formula, precision: str, deterministic: bool):
        self.formula, self.deterministic = formula, deterministic
        self.single = precision != "double"
        self.real = np.float32 if self.single else np.float64
        self.table = formula.table.astype(self.real)
        self.quantum = 2.0**-GRID_BITS if deterministic else 1.0
        self._sums: list[NDArray[Any]] = []
        self._scratch: list[Scratch] = []

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        if self.deterministic and want is Want.TOTALS:
            want = Want.PER_ATOM          # the engine makes exact totals of the atoms' shares
        mode = Mode(self.formula.name, self.single, bool(self.formula.ntypes > 1), want.value,
                    self.deterministic, self.formula.options)
        rows, per, cut2 = pairs.rows, 1.0 / self.quantum, self.formula.cutoff**2
        sums = self._cleared(len(rows), len(x))
        size = nlocal if want is Want.PER_ATOM else 1
        of_all = np.zeros(size), np.zeros((size, 6))
        shares = [of_all if want is Want.PER_ATOM else (np.zeros(1), np.zeros((1, 6)))
                  for _ in rows]

        def push(k: int) -> float:
            row, scratch = rows[k], self._scratch_of(k, rows[k])
            largest: float = forces_of_atoms(
                mode, x, type_, pairs.slot_atom, row.first, row.start, row.neighbors, cut2,
                self.table, self.formula.ntypes, per, scratch.near, scratch.kinds, scratch.space,
                sums[k], *shares[k])
            return largest

        self._scratch += [Scratch.none() for _ in rows[len(self._scratch):]]
        largest = list(pairs.each(push, range(len(rows))))
        forces = sums[0]
        for other in sums[1:]:
            forces += other
        exchange.from_ghosts(forces)
        if any(not part * per < 2.0**RANGE_BITS for part in largest):
            raise ForceRangeError(f"a force exceeds {2.0**RANGE_BITS * self.quantum:g}, "
                                  "the range of deterministic sums")
        np.multiply(forces[:nlocal], self.quantum, out=f[:nlocal])
        if want is Want.FORCES:
            return Result()
        if want is Want.PER_ATOM:
            energies, virials = of_all
            return Result(float(energies.sum()), virials.sum(axis=0), energies, virials)
        virial: NDArray[np.float64] = np.sum([w[0] for _, w in shares], axis=0)
        return Result(sum(float(e[0]) for e, _ in shares), virial)

    def _cleared(self, count: int, ntotal: int) -> list[NDArray[Any]]:
        """Sums (ntotal, 3) of each chunk, at least one, all zero."""
        for k in range(max(count, 1)):
            if k == len(self._sums):
                self._sums.append(np.empty((0, 3), np.int64 if self.deterministic else np.float64))
            if len(self._sums[k]) < ntotal:
                self._sums[k] = np.empty((ntotal + ntotal // 50 + 64, 3), self._sums[k].dtype)
            self._sums[k][:ntotal] = 0
        return [s[:ntotal] for s in self._sums[:max(count, 1)]]

    def _scratch_of(self, k: int, rows: Rows) -> Scratch:
        """Scratch of a chunk with room for the longest of its rows, and whole vectors of it."""
        room = int(np.diff(rows.start).max(initial=0)) + 8
        if len(self._scratch[k].near) < room:
            self._scratch[k] = Scratch.of(room + 16, GEOMETRY + self.formula.rows, self.real)
        return self._scratch[k]


@dataclass(frozen=True)
class Scratch:
    """Memory of one chunk for the neighbours of one atom."""

    near: NDArray[np.int32]
    kinds: NDArray[np.int32]
    space: NDArray[Any]

    @classmethod
    def of(cls, room: int, rows: int, real: type) -> Scratch:
        """Room for so many neighbours."""
        return cls(np.zeros(room, np.int32), np.zeros(room, np.int32), np.zeros((rows, room), real))

    @classmethod
    def none(cls) -> Scratch:
        """No room."""
        return cls.of(0, 1, np.float64)
