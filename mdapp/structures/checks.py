"""What every reader asks of atoms: ids that name one atom each, positions that belong to the box.

Along a periodic axis an atom may be written anywhere; it is moved into lo <= x < hi by whole
edges, and its image flags take up the difference, so that unwrapped coordinates stay what the
file says.  Atoms that are inside already keep every bit.  Along an open axis atoms stay where
they are.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box

FARTHEST = 1_000_000           # edges that an atom may be outside the box: more is a broken file
DENSE = 64                     # ids up to this times natoms are ticked off in a bit map


class IdCheck:
    """Ids seen so far: one bit for each possible id, that is 1/8 of a byte per atom as a rule.

    Ids far above the number of atoms are kept and sorted at the end instead.
    """

    def __init__(self, path: Path, natoms: int) -> None:
        self._path = path
        self._limit = DENSE * natoms + 4096
        self._bits = np.zeros(1, np.uint8)       # grows: the natoms of a header may be nonsense
        self._sparse: list[NDArray[np.int64]] = []

    def add(self, ids: NDArray[np.int64], lines: NDArray[np.int64]) -> None:
        """Tick ids off; InputError with the line of one below 1 or seen before."""
        if ids.min() < 1:
            k = int(np.argmax(ids < 1))
            raise InputError(f"{self._path}:{lines[k]}: atom id {ids[k]} must be 1 or more")
        dense = ids[ids <= self._limit]
        if len(dense) < len(ids):
            self._sparse.append(ids[ids > self._limit])
        if len(dense) == 0:
            return
        top = int(dense.max())
        if top // 8 >= len(self._bits):
            more = max(top // 8 + 1 - len(self._bits), len(self._bits))
            self._bits = np.concatenate([self._bits, np.zeros(more, np.uint8)])
        k = _mark(self._bits, dense)
        if k >= 0:
            line = lines[np.flatnonzero(ids == dense[k])[-1]]
            raise InputError(f"{self._path}:{line}: atom id {dense[k]} appears twice; "
                             "ids must be unique")

    def finish(self) -> None:
        """InputError if an id far above the number of atoms appeared twice."""
        if self._sparse:
            ids, counts = np.unique(np.concatenate(self._sparse), return_counts=True)
            if (counts > 1).any():
                raise InputError(f"{self._path}: atom id {ids[counts > 1][0]} appears twice; "
                                 "ids must be unique")


def wrap(box: Box, x: NDArray[np.float64], image: NDArray[np.int32] | None, where: str
         ) -> tuple[NDArray[np.float64], NDArray[np.int32] | None]:
    """Move positions into the box along its periodic axes.

    Parameters
    ----------
    box : the cell
    x : (n, 3) float64
    image : (n, 3) int32 flags as read, or None for zeros
    where : names the atoms in a message

    Returns
    -------
    x, image : as `Block` wants them; image stays None if nothing had to move

    Raises
    ------
    InputError : an atom is a million edges away
    """
    edges = _edges_out(box, x)
    rows = np.flatnonzero(edges.any(axis=1))
    if len(rows) == 0:
        return x, image
    if not (abs(edges[rows]) < FARTHEST).all():
        bad = rows[np.argmax((abs(edges[rows]) >= FARTHEST).any(axis=1))]
        raise InputError(f"{where}: an atom at {x[bad].tolist()} is more than {FARTHEST} box edges "
                         "outside the box; check the box and the units")
    x = x.copy()
    image = np.zeros(x.shape, np.int32) if image is None else image.copy()
    for _ in range(2):             # rounding can put lo - tiny onto hi, which is lo again
        x[rows] -= edges[rows] @ box.edges
        image[rows] += edges[rows].astype(np.int32)
        edges = _edges_out(box, x)
    if box.is_orthogonal:
        x[rows] = np.where(box.periodic, np.maximum(x[rows], box.lo), x[rows])
    return x, image


def bounding_box(lo: NDArray[np.float64], hi: NDArray[np.float64]) -> Box:
    """Make an open box for atoms without one: their extent and a unit of length around it."""
    return Box.orthogonal(lo - 1.0, hi + 1.0, (False, False, False))


def _edges_out(box: Box, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 3) whole edges by which atoms are outside along periodic axes; 0 for lo <= x < hi."""
    if not box.is_orthogonal:
        return np.where(box.periodic, np.floor(box.fractional(x)), 0.0)
    lengths = box.lengths
    out = np.floor((x - box.lo) / lengths)
    out = np.where((x >= box.lo) & (x < box.hi), 0.0, out)
    out = np.where((x < box.lo) & (out == 0.0), -1.0, out)
    out = np.where((x >= box.hi) & (out == 0.0), 1.0, out)
    return np.where(box.periodic, out, 0.0)


@njit(cache=True)
def _mark(bits, ids):  # type: ignore[no-untyped-def]
    """Set the bits of ids; the index of the first that was set, or -1."""
    for k in range(len(ids)):
        byte, bit = ids[k] >> 3, np.uint8(1 << (ids[k] & 7))
        if bits[byte] & bit:
            return k
        bits[byte] |= bit
    return -1
