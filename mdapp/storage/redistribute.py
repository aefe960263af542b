"""Atoms go from the rank that read them to the rank that owns where they are.

Each rank has read an equal share of the blocks; the new decomposition decides where each atom
belongs. Atoms that are where they belong already, most of them when as many ranks read as wrote,
are not touched. The others travel field by field in rounds: a rank sends at most
`round_bytes`/ranks to each other rank in one round, and so never receives more than `round_bytes`
either, even if all atoms belong to one rank. Nothing in flight grows with the system. Arrivals take
the places of atoms that left: memory that is touched for the first time costs more than all the
copying.

Bits are not touched: the owner is found from wrapped copies of the positions, block by block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numba import njit
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
) -> tuple[Arrays, NDArray[np.int64] | None]:
    """Send each atom to its destination; collective.

    Parameters
    ----------
    arrays : one a field; this rank's atoms come first, and room behind them spares a copy
    destination : (n,) rank of each
    round_bytes : most that a rank sends, and receives, in one round

    Returns
    -------
    (arrays, came)
        The atoms that this rank owns now, and which of them came from others; None if no atom of
        any rank moved. Those that stayed are where they were, but for some of the last.
    """
    n, size = len(destination), comm.size
    order = np.flatnonzero(destination != comm.rank)
    # Of integers of two bytes numpy's stable sort is a radix sort.
    order = order[np.argsort(destination[order].astype(np.min_scalar_type(size)), kind="stable")]
    sending = np.bincount(destination[order], minlength=size).astype(np.int64)
    receiving = np.empty_like(sending)
    comm.Alltoall(sending, receiving)
    per_round = max(1, round_bytes // sum(f.atom_bytes for f in fields) // size)
    most = np.array([max(sending.max(), receiving.max())])
    comm.Allreduce(MPI.IN_PLACE, most, MPI.MAX)
    if most[0] == 0:
        return [a[:n] for a in arrays], None
    rounds = plan(n, order, sending, receiving, per_round, int(-(-most[0] // per_round)))
    total = n - len(order) + int(receiving.sum())
    came = np.concatenate([r.slots for r in rounds])
    top = max(n, int(came.max(initial=-1)) + 1)
    # Atoms beyond the last place move into holes that nobody came to fill.
    free = np.ones(top, bool)
    free[:n][destination == comm.rank] = False
    free[came] = False
    beyond, holes = np.flatnonzero(~free[total:]) + total, np.flatnonzero(free[:total])
    results: Arrays = []
    for k, item in enumerate(fields):
        array = with_room(arrays[k], n, top)
        exchange(comm, item, array, rounds)
        array[holes] = array[beyond]
        arrays[k] = array
        results.append(array[:total])
    moved = np.zeros(top, bool)
    moved[came] = True
    moved[holes] = moved[beyond]
    return results, np.flatnonzero(moved[:total])


@dataclass(frozen=True)
class Round:
    """What a rank does in one round.

    Attributes
    ----------
    leaving : (k,) atoms that it sends, by receiver
    sent, received : (ranks,) how many
    slots : places of the atoms that it receives, by sender
    """

    leaving: NDArray[np.int64]
    sent: NDArray[np.int64]
    received: NDArray[np.int64]
    slots: NDArray[np.int64]


def plan(
    n: int, order: NDArray[np.int64], sending: NDArray[np.int64], receiving: NDArray[np.int64],
    per_round: int, count: int,
) -> list[Round]:  # fmt: skip
    """Which atoms leave in which round, and where arrivals go: where others left, or at the end.

    Parameters
    ----------
    n : atoms of this rank
    order : those that leave, by receiver
    sending, receiving : (ranks,) in all
    per_round, count : atoms from one rank to another in a round, and rounds
    """
    rounds: list[Round] = []
    starts, free, end = np.cumsum(sending) - sending, np.empty(0, np.int64), n
    for begin in range(0, count * per_round, per_round):
        sent = np.clip(sending - begin, 0, per_round)
        received = np.clip(receiving - begin, 0, per_round)
        leaving = np.concatenate(
            [order[s + begin : s + begin + k] for s, k in zip(starts, sent, strict=True)]
        )
        free = np.concatenate([free, leaving])
        wanted = int(received.sum())
        more = np.arange(end, end + max(wanted - len(free), 0))
        end += len(more)
        slots, free = np.concatenate([free[:wanted], more]), free[wanted:]
        rounds.append(Round(leaving, sent, received, slots))
    return rounds


def exchange(comm: MPI.Comm, item: Field, array: NDArray[Any], rounds: Sequence[Round]) -> None:
    """Move one field, round by round."""
    atom = MPI.BYTE.Create_contiguous(item.atom_bytes).Commit()
    for r in rounds:
        packed, arrived = np.take(array, r.leaving, axis=0), item.empty(len(r.slots))
        comm.Alltoallv(
            [_bytes(packed), (r.sent, np.cumsum(r.sent) - r.sent), atom],
            [_bytes(arrived), (r.received, np.cumsum(r.received) - r.received), atom],
        )
        if len(arrived):
            scatter(_words(array), r.slots, _words(arrived))
    atom.Free()


@njit(cache=True, nogil=True)
def scatter(target, slots, source):  # type: ignore[no-untyped-def]
    """target[slots] = source, of rows; numpy takes five times as long."""
    for i in range(len(slots)):
        row = np.uint64(slots[i])
        for k in range(source.shape[1]):
            target[row, k] = source[i, k]


def with_room(array: NDArray[Any], n: int, needed: int) -> NDArray[Any]:
    """The array itself if it has room, else a longer one with the same first n atoms."""
    if len(array) >= needed:
        return array
    longer = np.empty((needed, *array.shape[1:]), array.dtype)
    longer[:n] = array[:n]
    return longer


def _words(array: NDArray[Any]) -> NDArray[Any]:
    """(n, words) view of an array of atoms, in the largest words that fit one atom."""
    flat = array.reshape(len(array), -1)
    nbytes = flat.shape[1] * flat.itemsize
    word = next(w for w in (8, 4, 2, 1) if nbytes % w == 0)
    return flat.view(f"u{word}")


def _bytes(array: NDArray[Any]) -> Any:
    return array.reshape(-1).view(np.uint8)
