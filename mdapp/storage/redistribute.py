"""Atoms go from the rank that read them to the rank that owns where they are.

Each rank has read an equal share of the blocks; the new decomposition decides where each atom
belongs. Atoms that are where they belong already, most of them when as many ranks read as wrote,
are not sent. The others travel field by field in rounds: a rank sends at most `round_bytes`/ranks
to each other rank in one round, and so never receives more than `round_bytes` either, even if all
atoms belong to one rank. Nothing in flight grows with the system.

Bits are not touched: the owner is found from wrapped copies of the positions, block by block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.model.box import Box
from mdapp.parallel.migrate import wrap_axis
from mdapp.storage.errors import CheckpointError
from mdapp.storage.state import Field

ROUND_BYTES = 64 << 20
PIECE_ATOMS = 65536
Arrays = list[NDArray[Any]]
Owner = Callable[[NDArray[np.float64]], NDArray[Any]]


def owners(x: NDArray[np.float64], box: Box, owner: Owner, ranks: int) -> NDArray[np.int64]:
    """(n,) rank of each position (n, 3).

    Raises
    ------
    CheckpointError
        `owner` names ranks that do not exist.
    """
    found = np.empty(len(x), np.int64)
    for begin in range(0, len(x), PIECE_ATOMS):
        wrapped = x[begin : begin + PIECE_ATOMS].copy()
        crossings = np.zeros((len(wrapped), 3), np.int32)
        for axis in np.flatnonzero(box.periodic) if box.is_orthogonal else ():
            lo, hi, length = box.lo[axis], box.hi[axis], box.lengths[axis]
            wrap_axis(wrapped, crossings, len(wrapped), axis, lo, hi, length)
        found[begin : begin + PIECE_ATOMS] = owner(wrapped)
    if len(found) and not (found.min() >= 0 and found.max() < ranks):
        raise CheckpointError(
            f"an atom was given to rank {found.min()} or {found.max()} of {ranks}"
        )
    return found


def redistribute(
    comm: MPI.Comm,
    fields: Sequence[Field],
    arrays: Arrays,
    destination: NDArray[np.int64],
    round_bytes: int = ROUND_BYTES,
) -> tuple[Arrays, bool]:
    """Send each atom to its destination; collective.

    Parameters
    ----------
    arrays : one a field, of this rank's atoms
    destination : (n,) rank of each
    round_bytes : most that a rank sends, and receives, in one round

    Returns
    -------
    (arrays, moved)
        The atoms that this rank owns now: those that stayed, then the received ones by sender; and
        whether any atom of any rank moved.
    """
    leaving = destination != comm.rank
    order = np.flatnonzero(leaving)
    order = order[np.argsort(destination[order], kind="stable")]
    sending = np.bincount(destination[order], minlength=comm.size).astype(np.int64)
    receiving = np.empty_like(sending)
    comm.Alltoall(sending, receiving)
    per_round = max(1, round_bytes // sum(f.atom_bytes for f in fields) // comm.size)
    most = np.array([max(sending.max(), receiving.max())])
    comm.Allreduce(MPI.IN_PLACE, most, MPI.MAX)
    if most[0] == 0:
        return arrays, False
    stay = np.flatnonzero(~leaving)
    results: Arrays = []
    for k, item in enumerate(fields):
        result = item.empty(len(stay) + int(receiving.sum()))
        np.take(arrays[k], stay, axis=0, out=result[: len(stay)])
        _exchange(
            comm, item, arrays[k], order, sending, receiving, result[len(stay) :], per_round,
            int(-(-most[0] // per_round)),
        )  # fmt: skip
        arrays[k] = result
        results.append(result)
    return results, True


def _exchange(
    comm: MPI.Comm,
    item: Field,
    source: NDArray[Any],
    order: NDArray[np.int64],
    sending: NDArray[np.int64],
    receiving: NDArray[np.int64],
    target: NDArray[Any],
    per_round: int,
    rounds: int,
) -> None:
    """Move one field in rounds; in the end `target` is sorted by sender and the sender's order."""
    atom = MPI.BYTE.Create_contiguous(item.atom_bytes).Commit()
    send_start = np.cumsum(sending) - sending
    receive_start = np.cumsum(receiving) - receiving
    for number in range(rounds):
        begin = number * per_round
        out = np.clip(sending - begin, 0, per_round)
        into = np.clip(receiving - begin, 0, per_round)
        chosen = np.concatenate(
            [order[s + begin : s + begin + n] for s, n in zip(send_start, out, strict=True)]
        )
        packed = np.take(source, chosen, axis=0)
        comm.Alltoallv(
            [packed.view(np.uint8) if packed.size else packed, (out, np.cumsum(out) - out), atom],
            [_bytes(target), (into, receive_start + begin), atom],
        )
    atom.Free()


def _bytes(array: NDArray[Any]) -> Any:
    return array.reshape(-1).view(np.uint8)
