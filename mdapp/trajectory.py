"""Frames of a run, in the order of ids, written by rank 0 without holding a whole frame.

Every rank sorts the ids of its atoms.  In each round all send the atoms up to a common id, chosen
so that nobody sends more than a fixed number; rank 0 merges them and writes.  Ids may have gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.deck.schema import Output
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.parallel.agree import agree
from mdapp.structures import FrameWriter

ROUND_ATOMS = 65536           # atoms that rank 0 receives in a round, over all ranks


class Outputs:
    """The trajectory files of a run; every method is collective.

    Raises
    ------
    InputError : a file cannot be written; the same error on all ranks
    """

    def __init__(self, comm: MPI.Comm, outputs: Sequence[Output], folder: Path,
                 species: Sequence[str], mass: NDArray[np.float64]):
        self.comm, self.outputs = comm, outputs
        self.writers: list[FrameWriter] = []
        with agree(comm):
            if comm.rank == 0:
                self.writers = [
                    FrameWriter(folder / o.file, o.kind, o.columns, species=species, mass=mass)
                    for o in outputs]
        self.needs = comm.bcast([sorted(w.needs | {"id"}) for w in self.writers])

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None:
        """Append a frame to each file that is due at this step."""
        for k, output in enumerate(self.outputs):
            if step % output.every == 0:
                self._write(k, step, time, box, atoms)

    def close(self) -> None:
        """Close the files."""
        for writer in self.writers:
            writer.close()

    def _write(self, k: int, step: int, time: float, box: Box, atoms: Atoms) -> None:
        natoms = self.comm.allreduce(atoms.nlocal)
        pieces = pieces_by_id(self.comm, atoms, self.needs[k])
        with agree(self.comm):
            try:
                if self.comm.rank == 0:
                    self.writers[k].write(step, time, box, natoms, pieces)
            finally:
                for _ in pieces:       # ranks above 0, and 0 after a failure, follow the rounds
                    pass


def pieces_by_id(comm: MPI.Comm, atoms: Atoms,
                 names: Sequence[str]) -> Iterator[dict[str, NDArray[Any]]]:
    """Arrays of all atoms in the order of ids, piece by piece; collective.

    Rank 0 gets the pieces, by name; the others get as many empty dictionaries.
    """
    order = np.argsort(atoms.id[:atoms.nlocal], kind="stable")
    ids = atoms.id[order]
    share = max(1, ROUND_ATOMS // comm.size)
    first = 0
    nothing_left = np.iinfo(np.int64).max
    while True:
        last_full = first + share - 1
        bound = nothing_left
        if first < len(ids):
            bound = ids[min(last_full, len(ids) - 1)]
        lowest = np.array([bound], np.int64)
        comm.Allreduce(MPI.IN_PLACE, lowest, MPI.MIN)
        if lowest[0] == nothing_left:
            return
        stop = int(np.searchsorted(ids, lowest[0], side="right"))
        mine = order[first:stop]
        first = stop
        parts = comm.gather({name: getattr(atoms, name)[mine] for name in names})
        if parts is None:
            yield {}
            continue
        piece = {name: np.concatenate([p[name] for p in parts]) for name in names}
        ranked = np.argsort(piece["id"], kind="stable")
        yield {name: values[ranked] for name, values in piece.items()}
