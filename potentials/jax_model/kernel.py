"""A JAX model as a kernel of the engine: neighbours in, forces on both ends of each vector out.

    f_j -= dE_i/dr_ij,   f_i += sum_j dE_i/dr_ij,   W_i = -sum_j r_ij dE_i/dr_ij

so that forces on ghosts go back to their owners once a step, and nothing else does. NumPy arrays go
in and come out; when a call returns, its results are computed. Chunks of atoms are the engine's
threads, each with batches of its own in flight; XLA itself has nothing left to divide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, ForceRangeError, PairList, Result, Rows, Want
from potentials.jax_model.program import Model, Programs, batches, room_of, rows_of
from potentials.jax_model.rows import Mode, add_forces, count_neighbors, fill_batch, share_out

GRID_BITS = 36            # deterministic forces are multiples of 2^-36 of their unit ...
RANGE_BITS = 51           # ... and one contribution must stay below 2^51 multiples
REAL = {"double": np.float64, "mixed": np.float32, "single": np.float32}


@dataclass(frozen=True)
class Buffers:
    """Memory of a batch."""

    atoms: NDArray[np.int32]
    near: NDArray[np.int32]
    r: NDArray[Any]
    kind_i: NDArray[np.int32]
    kind_j: NDArray[np.int32]
    mask: NDArray[np.bool_]

    @classmethod
    def of(cls, room: int, real: type) -> Buffers:
        """Room for a batch."""
        n = rows_of(room)
        return cls(np.empty(n, np.int32), np.empty((n, room), np.int32),
                   np.empty((n, room, 3), real), np.empty(n, np.int32),
                   np.empty((n, room), np.int32), np.empty((n, room), np.bool_))


class JaxKernel:
    """A model compiled for one precision; see potentials.base.Kernel.

    Parameters
    ----------
    kinds : (ntypes,) the model's type of each of the engine's
    precision : of all that the model computes; forces are added up in double
    deterministic : whether an atom's result and the sums are independent of all else

    Attributes
    ----------
    compilations, compile_s : see potentials.jax_model.program.Programs
    """

    def __init__(self, model: Model, kinds: NDArray[np.int32], precision: str,
                 deterministic: bool):
        self.model, self.kinds, self.deterministic = model, kinds, deterministic
        self.programs = Programs(model, REAL[precision], deterministic)
        self.quantum = 2.0**-GRID_BITS if deterministic else 1.0
        self._buffers: dict[tuple[int, int], Buffers] = {}

    @property
    def compilations(self) -> int:
        """How often the model was compiled, or loaded from the cache on disk."""
        return self.programs.compilations

    @property
    def compile_s(self) -> float:
        """Seconds that compiling has taken."""
        return self.programs.compile_s

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute.

        Raises
        ------
        KernelError : the model makes no sense, which the first batch shows
        """
        rows, kinds = pairs.rows, self.kinds[type_]
        found = list(pairs.each(lambda k: self._counts(x, pairs, rows[k]), range(len(rows))))
        slots = [np.flatnonzero(counts >= 0) for counts, _ in found]
        needed = [counts[s] for (counts, _), s in zip(found, slots, strict=True)]
        if not self.deterministic:        # one room for all: the most neighbours of any
            most = max((int(n.max(initial=0)) for n in needed), default=0)
            needed = [np.full_like(n, most) for n in needed]
        # A perfect crystal may have whole shells just beyond the cutoff, which will not stay there.
        farthest = max((far for _, far in found), default=0.0)
        listed = sum(len(row.neighbors) for row in rows) / max(sum(map(len, slots)), 1)
        likely = listed * (self.model.cutoff / np.sqrt(farthest))**3 if farthest else 0.0
        self.programs.prepare(np.concatenate([np.zeros(0, np.int64), *needed]), likely)
        shares = None if want is Want.FORCES else (np.zeros(nlocal), np.zeros((nlocal, 6)))

        def work(k: int) -> tuple[float, NDArray[Any]]:
            rooms = room_of(needed[k], self.programs.growth)
            return self._chunk(k, x, kinds, pairs, rows[k], slots[k], rooms, shares)

        done = list(pairs.each(work, range(len(rows))))
        forces = done[0][1] if done else np.zeros((len(x), 3), self._sum_type)
        for _, other in done[1:]:
            forces += other
        exchange.from_ghosts(forces)
        if any(not largest < 2.0**RANGE_BITS * self.quantum for largest, _ in done):
            raise ForceRangeError(f"a force exceeds {2.0**RANGE_BITS * self.quantum:g}, "
                                  "the range of deterministic sums")
        np.multiply(forces[:nlocal], self.quantum, out=f[:nlocal])
        if shares is None:
            return Result()
        energies, virials = shares
        exact = self.deterministic or want is Want.PER_ATOM  # totals of shares are the engine's
        return Result(float(energies.sum()), virials.sum(axis=0), *(shares if exact else ()))

    @property
    def _sum_type(self) -> type:
        return np.int64 if self.deterministic else np.float64

    def _counts(self, x: NDArray[np.float64], pairs: PairList, row: Rows
                ) -> tuple[NDArray[np.int64], float]:
        """Neighbours in range of each slot of a chunk, and the farthest listed one, squared."""
        counts = np.empty(len(row.start) - 1, np.int64)
        farthest = count_neighbors(x, pairs.slot_atom, row.first, row.start, row.neighbors,
                                   self.model.cutoff**2, counts)
        return counts, farthest

    def _chunk(self, k: int, x: NDArray[np.float64], kinds: NDArray[np.int32], pairs: PairList,
               row: Rows, slots: NDArray[np.int64], rooms: NDArray[np.int64],
               shares: tuple[NDArray[np.float64], NDArray[np.float64]] | None
               ) -> tuple[float, NDArray[Any]]:
        """The largest force and the forces (ntotal, 3) of a chunk's atoms; fills their shares."""
        mode, per = Mode(self.deterministic), 1.0 / self.quantum
        forces: NDArray[Any] = np.zeros((len(x), 3), self._sum_type)
        largest = 0.0
        for room, members in batches(rooms):
            b = self._buffers_of(k, room)
            fill_batch(x, kinds, pairs.slot_atom, row.first, row.start, row.neighbors,
                       self.model.cutoff**2, self.deterministic, slots[members],
                       self.model.cutoff, b.atoms, b.near, b.r, b.kind_i, b.kind_j, b.mask)
            energy, slope = self.programs(room, (b.r, b.kind_i, b.kind_j, b.mask))
            here = add_forces(mode, b.atoms, b.near, b.mask, slope, per, forces)
            largest = largest if here <= largest else here        # what is no number stays
            if shares is not None:
                share_out(b.atoms, b.mask, b.r, energy, slope, *shares)
        return largest, forces

    def _buffers_of(self, k: int, room: int) -> Buffers:
        """Memory of a chunk's batches of one room."""
        if (k, room) not in self._buffers:
            self._buffers[k, room] = Buffers.of(room, self.programs.real)
        return self._buffers[k, room]
