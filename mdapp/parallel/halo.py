"""Ghosts: copies of atoms of other subdomains, and of periodic images, within reach of this one.

Six messages reach all 26 neighbours: along x down and up, then along y with the ghosts from x
among the atoms to send, then along z.  Where the reach is wider than a subdomain, each axis takes
several hops: what came from above is passed on below.  Both directions of a hop are in flight at
once; axes must wait for each other.  What is sent is decided once per list build (`borders`);
between builds `forward` refreshes the positions along the same lists.  Ghosts carry their image
shift, added by the sender, so that no minimum-image code exists anywhere and a pair has the same
bits on every rank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numba import njit
from numpy.typing import NDArray

from mdapp.model.atoms import Atoms
from mdapp.parallel.grid import NOBODY, RankGrid

BELOW, ABOVE = -1, 1
OPPOSITE = {BELOW: ABOVE, ABOVE: BELOW}


@dataclass
class Message:
    """What goes to one neighbour at every `forward`, and where what it sends back is put.

    Attributes
    ----------
    axis, direction : where the receiver lies
    to : rank that gets the atoms, NOBODY across an open face
    source : rank on the other side, whose atoms come in, or NOBODY
    shift : added to the coordinate on `axis`
    atoms : (n,) int32, indices of the atoms that go
    first, last : ghosts first..last-1 are the atoms that come in
    """

    axis: int
    direction: int
    to: int
    source: int
    shift: float
    atoms: NDArray[np.int32]
    first: int = 0
    last: int = 0
    buffer: NDArray[np.float64] | None = None

    def pack(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) positions as the receiver sees them, in the message's own buffer."""
        if self.buffer is None:
            self.buffer = np.empty((len(self.atoms), 3))
        gather_shifted(x, self.atoms, self.axis, self.shift, self.buffer)
        return self.buffer


class Halo:
    """The ghosts of one rank.

    Parameters
    ----------
    comm : communicator of the run; rank r is rank r of the grid
    reach : width of the halo, cutoff + skin
    """

    def __init__(self, comm: MPI.Comm, grid: RankGrid, reach: float):
        self.comm, self.grid, self.reach = comm, grid, reach
        self.rank = comm.rank                  # asked for often, and not for free
        self.hops = [grid.hops(axis, reach) for axis in range(3)]
        self.rounds: list[list[Message]] = []
        self._links = {(axis, d): grid.neighbor(axis, d)
                       for axis in range(3) for d in (BELOW, ABOVE)}

    def borders(self, atoms: Atoms) -> None:
        """New ghosts behind the owned atoms: choose what goes, exchange all that ghosts have."""
        atoms.nghost = 0
        self.rounds = []
        lo, hi = self.grid.lo, self.grid.hi
        for axis in range(3):
            candidates = dict.fromkeys((BELOW, ABOVE), (0, atoms.ntotal))
            for _ in range(self.hops[axis]):
                messages = []
                for d in (BELOW, ABOVE):
                    to, shift = self._links[axis, d]
                    source, _ = self._links[axis, OPPOSITE[d]]
                    limit = lo[axis] + self.reach if d == BELOW else hi[axis] - self.reach
                    first, last = candidates[d] if to != NOBODY else (0, 0)
                    chosen = select_near(atoms.x, axis, first, last, limit, d == BELOW)
                    messages.append(Message(axis, d, to, source, shift, chosen))
                self._exchange_new(atoms, messages)
                candidates = {m.direction: (m.first, m.last) for m in messages}
                self.rounds.append(messages)

    def forward(self, atoms: Atoms) -> None:
        """Refresh the positions of all ghosts."""
        for messages in self.rounds:
            pending = []
            for m in messages:
                if m.source not in (NOBODY, self.rank):
                    incoming = atoms.x[m.first:m.last]
                    pending.append(self.comm.Irecv(incoming, m.source, m.direction + 1))
            for m in messages:
                if m.to == self.rank:
                    gather_shifted(atoms.x, m.atoms, m.axis, m.shift, atoms.x[m.first:m.last])
                elif m.to != NOBODY:
                    pending.append(self.comm.Isend(m.pack(atoms.x), m.to, m.direction + 1))
            if pending:
                MPI.Request.Waitall(pending)

    def to_ghosts(self, values: NDArray[Any]) -> None:
        """Copy values of owned atoms to their ghosts; (ntotal,) or (ntotal, k), in place."""
        for messages in self.rounds:
            pending, sent = [], []
            for m in messages:
                if m.source not in (NOBODY, self.rank):
                    incoming = values[m.first:m.last]
                    pending.append(self.comm.Irecv(incoming, m.source, m.direction + 1))
            for m in messages:
                if m.to == self.rank:
                    values[m.first:m.last] = values.take(m.atoms, axis=0)
                elif m.to != NOBODY:
                    sent.append(values.take(m.atoms, axis=0))
                    pending.append(self.comm.Isend(sent[-1], m.to, m.direction + 1))
            if pending:
                MPI.Request.Waitall(pending)

    def from_ghosts(self, values: NDArray[Any]) -> None:
        """Add values of ghosts to those of their owners; (ntotal,) or (ntotal, k), in place.

        The way of `to_ghosts` backwards: what came last goes back first.
        """
        for messages in reversed(self.rounds):
            pending, back = [], []
            for m in messages:
                if m.to == self.rank:
                    back.append(values[m.first:m.last])
                    continue
                shape = (len(m.atoms) if m.to != NOBODY else 0, *values.shape[1:])
                back.append(np.empty(shape, values.dtype))
                if m.to != NOBODY:
                    pending.append(self.comm.Irecv(back[-1], m.to, m.direction + 1))
            for m in messages:
                if m.source not in (NOBODY, self.rank):
                    outgoing = values[m.first:m.last]
                    pending.append(self.comm.Isend(outgoing, m.source, m.direction + 1))
            if pending:
                MPI.Request.Waitall(pending)
            for m, came in zip(messages, back, strict=True):
                values[m.atoms[:len(came)]] += came        # no atom twice in one message

    def _exchange_new(self, atoms: Atoms, messages: list[Message]) -> None:
        """Append the ghosts that the messages of a hop bring."""
        incoming = self._counts(messages)
        for m, count in zip(messages, incoming, strict=True):
            m.first, m.last = atoms.ntotal, atoms.ntotal + count
            atoms.nghost += count
        atoms.reserve_ghosts()
        for name in atoms.ghost_fields:
            array = getattr(atoms, name)
            pending, sent = [], []
            for m in messages:
                if m.source not in (NOBODY, self.rank):
                    received = array[m.first:m.last]
                    pending.append(self.comm.Irecv(received, m.source, m.direction + 1))
            for m in messages:
                if m.to == NOBODY:
                    continue
                values = m.pack(array) if name == "x" else array[m.atoms]
                if m.to == self.rank:
                    array[m.first:m.last] = values
                else:
                    sent.append(values)                # kept alive until the message is gone
                    pending.append(self.comm.Isend(values, m.to, m.direction + 1))
            MPI.Request.Waitall(pending)

    def _counts(self, messages: list[Message]) -> list[int]:
        """How many atoms each message of a hop brings in."""
        incoming = [np.zeros(1, np.int64) for _ in messages]
        pending = []
        for m, count in zip(messages, incoming, strict=True):
            if m.source == self.rank:
                count[0] = len(m.atoms)
            elif m.source != NOBODY:
                pending.append(self.comm.Irecv(count, m.source, m.direction + 1))
        for m in messages:
            if m.to not in (NOBODY, self.rank):
                outgoing = np.array([len(m.atoms)], np.int64)
                pending.append(self.comm.Isend(outgoing, m.to, m.direction + 1))
        MPI.Request.Waitall(pending)
        return [int(count[0]) for count in incoming]


def select_near(x, axis, first, last, limit, below):
    """(n,) int32 indices in first..last-1 whose coordinate lies below (or not below) `limit`."""
    chosen = np.empty(count_near(x, axis, first, last, limit, below), np.int32)
    fill_near(x, axis, first, last, limit, below, chosen)
    return chosen


@njit(cache=True, nogil=True, error_model="numpy")
def count_near(x, axis, first, last, limit, below):
    """How many indices `fill_near` chooses."""
    count = 0
    for i in range(first, last):
        count += (x[i, axis] < limit) if below else (x[i, axis] >= limit)
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def fill_near(x, axis, first, last, limit, below, chosen):
    """Indices in first..last-1 with x[:, axis] below (or not below) `limit`; chosen (n,), out."""
    count = 0
    for i in range(first, last):
        if (x[i, axis] < limit) if below else (x[i, axis] >= limit):
            chosen[count] = i
            count += 1


@njit(cache=True, nogil=True, error_model="numpy")
def gather_shifted(x, atoms, axis, shift, out):
    """out[k] = x[atoms[k]] with `shift` added on one axis."""
    sx, sy, sz = shift * (axis == 0), shift * (axis == 1), shift * (axis == 2)
    for k in range(len(atoms)):
        i = np.uint64(atoms[k])
        out[k, 0] = x[i, 0] + sx
        out[k, 1] = x[i, 1] + sy
        out[k, 2] = x[i, 2] + sz
