"""A NEP compiled for one precision: memory of the passes, threads and the sums over ranks.

Atoms of different chunks push the same neighbours. Each chunk therefore has sums of its own for
all atoms and ghosts, added up before what ghosts have got goes back to their owners.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, ForceRangeError, PairList, Result, Want
from potentials.memory import aligned
from potentials.nep.harmonics import LANES, padded
from potentials.nep.mode import BLOCK, Asked, Mode
from potentials.nep.model import NEPModel
from potentials.nep.neighborhood import FIELDS, Scratch
from potentials.nep.passes import chunk_pass
from potentials.nep.tables import MOST_NEIGHBORS, tables_of

GRID_BITS = 36            # deterministic forces and virials are multiples of 2^-36 of their units,
RANGE_BITS = 51           # each contribution below 2^51 multiples


class NEPKernel:
    """Tables compiled for one precision; see potentials.base.Kernel.

    Parameters
    ----------
    model : of the file
    rows : elements of the types, as places in the model's
    precision : double, mixed or single; in the last two descriptors and networks are in single
        precision, and sums of forces and energies in double
    deterministic : whether sums are independent of their order
    """

    def __init__(self, model: NEPModel, rows: Sequence[int], precision: str, deterministic: bool):
        self.single, self.deterministic = precision != "double", deterministic
        self.real = np.float32 if self.single else np.float64
        self.tables = tables_of(model, rows, self.real)
        self.l_max, self.ntypes = model.l_max, len(rows)
        self.sum_type = np.int64 if deterministic else np.float64
        self._scratch: list[Scratch | None] = []
        self._sums: list[NDArray[Any]] = []

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        if self.deterministic and want is Want.TOTALS:
            want = Want.PER_ATOM          # the engine makes exact totals of the atoms' shares
        mode = Mode(self.l_max, self.single, self.deterministic)
        asked = Asked(want.value, self.deterministic)
        per_atom = want is Want.PER_ATOM
        per_unit = 2.0**GRID_BITS if self.deterministic else 1.0
        nchunks, energies = len(pairs.rows), np.zeros(nlocal)
        self._scratch += [None] * (nchunks - len(self._scratch))
        sums = self._cleared(max(nchunks, 1), len(x))
        virials = [np.zeros((len(x) if per_atom else 1, 6), self.sum_type)
                   for _ in range(max(nchunks, 1))]

        def work(k: int) -> tuple[float, int]:
            rows = pairs.rows[k]
            room = int(np.diff(rows.start).max(initial=0)) + LANES
            scratch = self._scratch[k]
            if scratch is None or scratch.near.shape[1] < room:
                scratch = self._scratch[k] = self._memory(room + room // 8)
            largest, most = chunk_pass(
                mode, asked, self.tables, x, type_, pairs.slot_atom, rows.first, rows.start,
                rows.neighbors, per_unit, scratch, sums[k], energies, virials[k])
            return largest, most

        self._check(list(pairs.each(work, range(nchunks))), per_unit)
        forces = _sum(sums)
        exchange.from_ghosts(forces)
        np.divide(forces[:nlocal], per_unit, out=f[:nlocal])
        if want is Want.FORCES:
            return Result()
        virial = _sum(virials)
        if not per_atom:
            return Result(float(energies.sum()), virial[0])
        exchange.from_ghosts(virial)
        of_atoms = virial[:nlocal] / per_unit
        return Result(float(energies.sum()), of_atoms.sum(axis=0), energies, of_atoms)

    def _cleared(self, count: int, ntotal: int) -> list[NDArray[Any]]:
        """Sums (ntotal, 3) of each chunk, all zero."""
        for k in range(count):
            if k == len(self._sums):
                self._sums.append(np.empty((0, 3), self.sum_type))
            if len(self._sums[k]) < ntotal:
                self._sums[k] = np.empty((ntotal + ntotal // 50 + 64, 3), self.sum_type)
            self._sums[k][:ntotal] = 0
        return [s[:ntotal] for s in self._sums[:count]]

    def _check(self, done: list[tuple[float, int]], per_unit: float) -> None:
        """Raise ForceRangeError if a deterministic sum may have left its range."""
        if not self.deterministic:
            return
        if any(not largest * per_unit < 2.0**RANGE_BITS for largest, _ in done):
            raise ForceRangeError(f"a force exceeds {2.0**RANGE_BITS / per_unit:g}, "
                                  "the range of deterministic sums")
        if any(most > MOST_NEIGHBORS for _, most in done):
            raise ForceRangeError(f"an atom has more than {MOST_NEIGHBORS} neighbors, "
                                  "the range of deterministic sums")

    def _memory(self, room: int) -> Scratch:
        """Scratch for atoms with so many neighbours."""
        m, t, real = self.tables, self.ntypes, self.real
        room = -(-room // LANES) * LANES
        registers, harmonics = room // LANES + 2 * t, padded(self.l_max)
        depth = 2 * (-(-m.nangular // BLOCK) * BLOCK) + harmonics
        wide = np.float64 if self.deterministic else real
        in_sums = m.nangular * harmonics
        dim, neurons = (-(-n // LANES) * LANES for n in (m.dim, m.neurons))
        return Scratch(
            near=aligned((2 * t, room), np.int32), lanes=np.arange(LANES, dtype=np.float64),
            filled=aligned((LANES, 2 * t), np.int64), begin=aligned((LANES, 2 * t + 1), np.int64),
            partner=aligned((LANES, registers * LANES), np.int32),
            kept=aligned((LANES, registers * FIELDS * LANES), real),
            angular=aligned((LANES, registers * depth * LANES), real),
            chebyshev=aligned((m.kangular * LANES,), real),
            radial_sums=aligned((LANES * t * m.kradial * LANES,), wide),
            sums=aligned((LANES * in_sums,), wide), by_atom=aligned((in_sums * LANES,), real),
            adjoint=aligned((in_sums * LANES,), real), descriptor=aligned((dim * LANES,), real),
            slope=aligned((dim * LANES,), real), hidden=aligned((neurons * LANES,), real),
            beta=aligned((t * m.kradial * 2 * LANES,), real),
            pulled=aligned((harmonics * LANES,), real), energy=aligned((LANES,), np.float64),
            repulsion=aligned((LANES,), np.float64), push=aligned((3 * LANES,), np.float64),
            virial=aligned((6 * LANES,), np.float64))


def _sum(shares: list[NDArray[Any]]) -> NDArray[Any]:
    """The sum of the chunks' shares."""
    total = shares[0]
    for share in shares[1:]:
        total += share
    return total
