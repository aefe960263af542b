"""What a rank has to write: the arrays of its atoms, cut into blocks.

A run that waits for its checkpoint lends its own arrays, and nothing is copied. One that goes on
lends them too, since most are not touched for a while: types, ids and images change when lists are
built, positions and velocities can move on into other arrays. Only what the run is about to change
while a writer still needs it is copied, at that moment (`keep`). The copy then takes the array's
place in `arrays`, which the writer sees: it compares before and after each block, and does a block
once more whose array was changed under its hands (`steady`). So nobody waits for anybody.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.storage.blocks import Table, block_bounds, make_table
from mdapp.storage.state import Field, State, fields_of


@dataclass
class Cargo:
    """The part of one rank.

    Attributes
    ----------
    fields, arrays : what is stored; an array is replaced when the run wants its own back
    table : rows of this rank, without places and checksums
    natoms : of all ranks
    changed : whether the run has changed arrays after they were written
    """

    fields: tuple[Field, ...]
    arrays: list[NDArray[Any]]
    table: Table
    natoms: int
    changed: bool = False

    @property
    def bytes(self) -> int:
        """Bytes of the atoms of all ranks."""
        return self.natoms * sum(f.atom_bytes for f in self.fields)

    def bounds(self) -> list[tuple[int, int]]:
        """Begin and end of each block among this rank's atoms."""
        return block_bounds(self.table)

    def keep(self, names: Collection[str]) -> None:
        """Copy some fields: the run is about to change its arrays."""
        for k, item in enumerate(self.fields):
            if item.name in names:
                self.arrays[k] = self.arrays[k].copy()

    def has_changed(self, comm: MPI.Comm) -> bool:
        """Whether arrays of any rank are no longer what was written; collective."""
        return bool(comm.allreduce(int(self.changed), MPI.MAX))


def steady(arrays: list[NDArray[Any]], which: Collection[int]) -> Iterator[list[NDArray[Any]]]:
    """Arrays to work on, again and again until none was replaced in the meantime."""
    while True:
        used = [arrays[k] for k in which]
        yield used
        if all(arrays[k] is array for k, array in zip(which, used, strict=True)):
            return


def load(state: State, rank: int, block_atoms: int) -> Cargo:
    """The arrays of a state, as they are.

    Raises
    ------
    InputError
        They are not what can be stored.
    """
    fields = fields_of(state)
    arrays = [state.fields[f.name] for f in fields]
    return Cargo(fields, arrays, make_table(arrays, rank, block_atoms), state.natoms)


def check_count(comm: MPI.Comm, state: State) -> None:
    """See whether the ranks hold as many atoms as the state says; collective.

    Raises
    ------
    InputError
        They do not; on all ranks.
    """
    count = np.array([state.nlocal], np.int64)
    comm.Allreduce(MPI.IN_PLACE, count, MPI.SUM)
    if count[0] != state.natoms:
        raise InputError(
            f"checkpoint: the ranks own {count[0]} atoms, the system has {state.natoms}"
        )
