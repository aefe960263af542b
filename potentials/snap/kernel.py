"""A SNAP compiled: numbers by atom type, memory of the passes, and the sums over ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, ForceRangeError, PairList, Result, Want
from potentials.memory import aligned
from potentials.snap.indices import Halves
from potentials.snap.mode import Mode, Registers
from potentials.snap.neighborhood import FIELDS, SOURCES
from potentials.snap.passes import Model, Scratch, chunk_pass
from potentials.snap.products import Couplings

GRID_BITS = 38            # deterministic forces and virials are multiples of 2^-38 of their units,
RANGE_BITS = 51           # each contribution below 2^51 multiples
MATRIX_BITS = 42          # elements of matrices of 2^-42 of the largest that a neighbor can add,
MOST_NEIGHBORS = 1 << 10  # and this many of them can be summed


class SNAPKernel:
    """Tables compiled for one precision; see potentials.base.Kernel.

    Parameters
    ----------
    model : numbers by atom type
    halves, couplings : index lists
    precision : double, mixed or single; the last two differ in nothing here: sums are few
    deterministic : whether sums are independent of their order
    """

    def __init__(self, model: Model, halves: Halves, couplings: Couplings,
                 precision: str, deterministic: bool):
        self.registers = Registers(precision != "double")
        self.real = np.float32 if self.registers.single else np.float64
        self.model, self.halves = model, halves
        self.couplings = couplings._replace(cg=couplings.cg.astype(self.real))
        self.most_empty = self.registers.lanes * couplings.channels      # places of an atom's rows
        self.deterministic = deterministic
        self.quadratic = bool(model.alpha.size)
        largest = (np.abs(model.weight).max() or 1.0) / halves.scale     # an element of U is <= 1
        self.magic = 1.5 * 2.0 ** (52 - MATRIX_BITS + np.ceil(np.log2(largest)))
        self.sum_type = np.int64 if deterministic else np.float64
        self._scratch: list[Scratch | None] = []

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        if self.deterministic and want is Want.TOTALS:
            want = Want.PER_ATOM          # the engine makes exact totals of the atoms' shares
        mode = Mode(want.value, self.deterministic, self.quadratic)
        per_atom = want is Want.PER_ATOM
        per_unit = 2.0**GRID_BITS if self.deterministic else 1.0
        energies = np.zeros(nlocal)
        nchunks = len(pairs.rows)
        self._scratch += [None] * (nchunks - len(self._scratch))

        def work(k: int) -> tuple[float, int, NDArray[Any], NDArray[Any]]:
            rows = pairs.rows[k]
            room = int(np.diff(rows.start).max(initial=0)) + self.most_empty
            scratch = self._scratch[k]
            if scratch is None or scratch.partner.shape[1] < room:
                scratch = self._scratch[k] = self._memory(room + room // 8)
            forces = np.zeros((len(x), 3), self.sum_type)
            virials: NDArray[Any] = np.zeros((len(x) if per_atom else 1, 6), self.sum_type)
            largest, most = chunk_pass(
                mode, self.registers, self.model, self.halves, self.couplings, x, type_,
                pairs.slot_atom, rows.first, rows.start, rows.neighbors, self.magic, per_unit,
                scratch, forces, energies, virials)
            return largest, most, forces, virials

        done = list(pairs.each(work, range(nchunks)))
        self._check(done, per_unit)
        forces = _sum([d[2] for d in done], (len(x), 3), self.sum_type)
        exchange.from_ghosts(forces)
        np.divide(forces[:nlocal], per_unit, out=f[:nlocal])
        if want is Want.FORCES:
            return Result()
        virials = _sum([d[3] for d in done], (len(x) if per_atom else 1, 6), self.sum_type)
        if not per_atom:
            return Result(float(energies.sum()), virials[0])
        exchange.from_ghosts(virials)
        virials = virials[:nlocal] / per_unit
        return Result(float(energies.sum()), virials.sum(axis=0), energies, virials)

    def _check(self, done: list[tuple[float, int, NDArray[Any], NDArray[Any]]],
               per_unit: float) -> None:
        """Raise ForceRangeError if a deterministic sum may have left its range."""
        if not self.deterministic:
            return
        if any(not largest * per_unit < 2.0**RANGE_BITS for largest, *_ in done):
            raise ForceRangeError(f"a force exceeds {2.0**RANGE_BITS / per_unit:g}, "
                                  "the range of deterministic sums")
        if any(most > MOST_NEIGHBORS for _, most, *_ in done):
            raise ForceRangeError(f"an atom has more than {MOST_NEIGHBORS} neighbors, "
                                  "the range of deterministic sums")

    def _memory(self, room: int) -> Scratch:
        c, half, lanes, real = self.couplings, self.halves.size, self.registers.lanes, self.real
        room = -(-room // lanes) * lanes
        sizes = (*[lanes * half] * 4, *[half] * 2, *[lanes * c.channels * c.size] * 4,
                 *[lanes * int(np.diff(c.pairs).max())] * 2,
                 *[lanes * len(c.needed) * c.channels] * 2, *[lanes * len(c.norm)] * 2)
        return Scratch._make([
            aligned((SOURCES, room), np.float64), aligned((lanes, FIELDS, room), real),
            np.zeros((lanes, room), np.int32), np.zeros((lanes, c.channels + 1), np.int64),
            *(aligned((lanes * half,), np.float64) for _ in range(2)),
            *(aligned((n,), real) for n in sizes), aligned((3, lanes), real), np.zeros(lanes)])


def _sum(shares: list[NDArray[Any]], shape: tuple[int, int], kind: type) -> NDArray[Any]:
    """The sum of the chunks' shares."""
    if len(shares) == 1:
        return shares[0]
    total: NDArray[Any] = np.zeros(shape, kind)
    for share in shares:
        total += share
    return total
