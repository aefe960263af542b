"""Who writes which atoms of a frame, when frames are in the order of ids.

Readers of trajectories ignore ids: atom k must be row k of every frame. The rows are cut into one
slab a rank, and an atom goes to the rank that has its row. Ids may have gaps, so the row of an atom
is not its id less one but the number of atoms with smaller ids, and that is not known to any rank.

It need not be. All that has to be known is the id at each cut: the smallest v such that as many
atoms as the cut says have ids up to v. All cuts are found together by bisection, each round one
reduction of one number a cut; then sorting what a rank received gives it the rows, exactly. Ids do
not change during a run, so this is done once. Sample sort would need fewer rounds, but its pieces
are only about equal; here they are exactly what the caller chose, which bounds the memory.

Two choices concern the file. A slab starts at a multiple of `GRAIN` rows, and rows of 4, 8, 12 or
24 bytes then start at a multiple of a page: no page has two writers, which network file systems
whose clients are not coherent would not survive. And below `SPREAD` atoms one rank writes all,
because a frame is then a matter of microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

GRAIN = 1024
SPREAD = 65536
PIECE_ROWS = 1 << 18

Rows = Callable[[NDArray[np.int64]], NDArray[Any]]


class IdSlabs:
    """The rows of each rank, and the way of atoms to them; constructing is collective.

    Parameters
    ----------
    comm
        The ranks that hold the atoms.
    ids : (n,) int64
        Ids of this rank's atoms, unique over all ranks, in any order.
    spread, piece
        Atoms below which rank 0 has all rows; rows that a rank gets in one round.

    Attributes
    ----------
    natoms : int
        Atoms of all ranks.
    first, last : int
        This rank has the rows from `first` up to, not including, `last`.
    """

    def __init__(
        self,
        comm: MPI.Comm,
        ids: NDArray[np.int64],
        spread: int = SPREAD,
        piece: int = PIECE_ROWS,
    ):
        self.comm = comm
        self.natoms = int(comm.allreduce(len(ids)))
        slabs = slab_cuts(self.natoms, comm.size if self.natoms >= spread else 1, comm.size)
        self.first, self.last = int(slabs[comm.rank]), int(slabs[comm.rank + 1])
        self._rounds = -(-int(np.diff(slabs).max()) // piece)
        starts = slabs[:-1] + piece * np.arange(self._rounds)[:, None]
        ends = np.minimum(starts + piece, slabs[1:])
        starts = np.minimum(starts, ends)
        self._piece = piece
        rows, where = np.unique(np.concatenate([starts, ends]), return_inverse=True)
        cuts = ids_at(comm, np.sort(ids), rows, self.natoms)[where.reshape(2, *starts.shape)]
        self._from_id, self._to_id = cuts

    def pieces(
        self, ids: NDArray[np.int64], rows: Mapping[str, Rows], dtypes: Mapping[str, np.dtype[Any]]
    ) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """Bring the atoms of one frame to the ranks that have their rows; collective.

        Every rank must take all pieces, whatever happens to it in between: each is a round of
        messages.

        Parameters
        ----------
        ids : (n,) int64
            Of this rank's atoms, the same over all ranks as those of the constructor.
        rows, dtypes
            By name of the quantity: what gives its values for an index array (k,) of this rank's
            atoms, and the dtype (with its trailing shape) that is sent.

        Yields
        ------
        int, dict
            A row, and the values of the rows from there on: contiguous arrays by name.
        """
        order = np.argsort(ids, kind="stable")
        sorted_ids = ids[order]
        for k in range(self._rounds):
            begin = np.searchsorted(sorted_ids, self._from_id[k])
            counts = np.searchsorted(sorted_ids, self._to_id[k]) - begin
            places = np.arange(counts.sum()) + np.repeat(begin - np.cumsum(counts) + counts, counts)
            received_ids, received = self._exchange(sorted_ids[places], counts, {
                name: (values(order[places]), dtypes[name]) for name, values in rows.items()})
            by_id = np.argsort(received_ids, kind="stable")
            first = min(self.first + k * self._piece, self.last)
            yield first, {name: values[by_id] for name, values in received.items()}

    def _exchange(
        self,
        ids: NDArray[np.int64],
        counts: NDArray[np.int64],
        columns: Mapping[str, tuple[NDArray[Any], np.dtype[Any]]],
    ) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Send `counts` consecutive records to each rank; return what the others sent here."""
        record = np.dtype([("", np.int64), *((name, d) for name, (_, d) in columns.items())])
        outgoing = np.empty(len(ids), record)
        outgoing["f0"] = ids
        for name, (values, _) in columns.items():
            outgoing[name] = values
        coming = np.empty_like(counts)
        self.comm.Alltoall(counts, coming)
        incoming = np.empty(int(coming.sum()), record)
        unit = MPI.BYTE.Create_contiguous(record.itemsize).Commit()
        try:
            self.comm.Alltoallv(
                [outgoing.view(np.uint8), (counts, np.cumsum(counts) - counts), unit],
                [incoming.view(np.uint8), (coming, np.cumsum(coming) - coming), unit])
        finally:
            unit.Free()
        return incoming["f0"], {name: incoming[name] for name in columns}


def slab_cuts(natoms: int, writers: int, ranks: int) -> NDArray[np.int64]:
    """Rows where the slabs start, and the end: (ranks + 1,), the last ranks empty-handed."""
    grains = -(-natoms // GRAIN)
    cuts = np.minimum(np.arange(writers + 1) * grains // writers * GRAIN, natoms)
    return np.concatenate([cuts, np.full(ranks - writers, natoms)]).astype(np.int64)


def ids_at(
    comm: MPI.Comm, ids: NDArray[np.int64], rows: NDArray[np.int64], natoms: int
) -> NDArray[np.int64]:
    """Ids of the atoms in given rows; one more than any id for rows at the end.  Collective.

    Parameters
    ----------
    ids : (n,) int64
        Of this rank's atoms, ascending.
    rows : (k,) int64
        The same on all ranks.
    """
    span = np.array([-ids[0], ids[-1]] if len(ids) else [-np.iinfo(np.int64).max, 0])
    comm.Allreduce(MPI.IN_PLACE, span, MPI.MAX)
    low, high = np.full(rows.shape, -span[0]), np.full(rows.shape, span[1])
    low[rows >= natoms] = high[rows >= natoms] = span[1] + 1
    while (low < high).any():
        middle = low + (high - low) // 2
        below = np.searchsorted(ids, middle, side="right")
        comm.Allreduce(MPI.IN_PLACE, below, MPI.SUM)
        enough = below > rows
        high = np.where(enough, middle, high)
        low = np.where(enough, low, np.minimum(middle + 1, high))
    return low
