"""Atoms that left their subdomain move to the rank that owns where they are.

Positions are wrapped into the periodic box first.  Then, axis by axis, leavers go to the next
subdomain in their direction and on from there, in as many hops as the farthest of all ranks
needs: one, almost always.
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from numba import njit
from numpy.typing import NDArray

from mdapp.model.atoms import CHARGE, PER_ATOM, Atoms
from mdapp.model.box import Box
from mdapp.parallel.grid import NOBODY, RankGrid

RECORD = np.dtype([(name, dtype, shape) for name, (dtype, shape) in PER_ATOM.items()])
CHARGED_RECORD = np.dtype([*RECORD.descr, (CHARGE, "<f8")])


def wrap(atoms: Atoms, box: Box) -> None:
    """Bring owned atoms back into the periodic box and count the crossings in their images."""
    for axis in np.flatnonzero(box.periodic):
        wrap_axis(atoms.x, atoms.image, atoms.nlocal, axis,
                  box.lo[axis], box.hi[axis], box.lengths[axis])


@njit(cache=True, nogil=True, error_model="numpy")
def wrap_axis(x, image, n, axis, lo, hi, length):
    """Bring x[:n, axis] into lo <= x < hi and count turns in image[:n, axis], both in place."""
    for i in range(n):
        value = x[i, axis]
        if value < lo or value >= hi:
            turns = np.floor((value - lo) / length)
            value -= turns * length
            if value >= hi:                              # the faces but for rounding: both are lo
                value = lo
                turns += 1
            elif value < lo:
                value = lo
            x[i, axis] = value
            image[i, axis] += np.int32(turns)


def migrate(comm: MPI.Comm, grid: RankGrid, atoms: Atoms) -> int:
    """Hand over the atoms that other ranks own now; collective.

    Ghosts are dropped.  Returns how many atoms this rank sent.
    """
    atoms.nghost = 0
    sent = 0
    for axis in range(3):
        if grid.shape[axis] > 1:
            sent += _migrate_axis(comm, grid, atoms, axis)
    return sent


def _migrate_axis(comm: MPI.Comm, grid: RankGrid, atoms: Atoms, axis: int) -> int:
    mine, p = grid.coords[axis], grid.shape[axis]
    sent = 0
    while True:
        away = grid.layer_of(axis, atoms.x[:atoms.nlocal, axis]) - mine
        if grid.box.periodic[axis]:                      # the short way round
            away = (away + p // 2) % p - p // 2
        farthest = np.array([np.abs(away).max(initial=0)])
        comm.Allreduce(MPI.IN_PLACE, farthest, MPI.MAX)
        if farthest[0] == 0:
            return sent
        below, above = np.flatnonzero(away < 0), np.flatnonzero(away > 0)
        outgoing = {-1: take(atoms, below), 1: take(atoms, above)}
        remove(atoms, np.concatenate([below, above]))
        sent += len(below) + len(above)
        for direction in (-1, 1):
            append(atoms, _sendrecv(comm, grid, axis, direction, outgoing[direction]))


def _sendrecv(comm: MPI.Comm, grid: RankGrid, axis: int, direction: int,
              records: NDArray) -> NDArray:
    """Send records to the neighbour in `direction`, return those of the one on the other side."""
    to, _ = grid.neighbor(axis, direction)
    source, _ = grid.neighbor(axis, -direction)
    to, source = (MPI.PROC_NULL if rank == NOBODY else rank for rank in (to, source))
    count = np.zeros(1, np.int64)
    comm.Sendrecv(np.array([len(records)], np.int64), to, recvbuf=count, source=source)
    incoming = np.empty(int(count[0]), records.dtype)
    comm.Sendrecv(records.view(np.uint8), to, recvbuf=incoming.view(np.uint8), source=source)
    return incoming


def take(atoms: Atoms, which: NDArray[np.int64]) -> NDArray:
    """Records of the chosen owned atoms."""
    records = np.empty(len(which), CHARGED_RECORD if atoms.charged else RECORD)
    for name in atoms.fields:
        records[name] = getattr(atoms, name)[which]
    return records


def remove(atoms: Atoms, which: NDArray[np.int64]) -> None:
    """Drop owned atoms; the last ones take their places."""
    if not len(which):
        return
    keep = np.ones(atoms.nlocal, bool)
    keep[which] = False
    n = atoms.nlocal - len(which)
    holes = np.flatnonzero(~keep[:n])
    fillers = n + np.flatnonzero(keep[n:])
    for name in atoms.fields:
        array = getattr(atoms, name)
        array[holes] = array[fillers]
    atoms.nlocal = n


def append(atoms: Atoms, records: NDArray) -> None:
    """Add records as owned atoms."""
    n = atoms.nlocal
    atoms.reserve(n + len(records))
    for name in atoms.fields:
        getattr(atoms, name)[n:n + len(records)] = records[name]
    atoms.nlocal = n + len(records)
