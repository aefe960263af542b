"""The numbers of an H5MD file, put and fetched by row; `layout.py` makes what is around them."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.storage.files import File, raw
from mdapp.storage.h5md.layout import Layout, Place
from mdapp.storage.h5md.parts import Part
from mdapp.storage.h5md.slabs import PIECE_ROWS, SPREAD, slab_cuts


@dataclass
class OpenPart:
    """A file that this rank may read and write, as all others may.

    Attributes
    ----------
    frames : int
        Those that are visible.
    """

    names: Part
    layout: Layout
    places: dict[str, Place]
    file: File
    frames: int = 0

    def put(self, name: str, frame: int, first: int, values: NDArray[Any]) -> None:
        """Write consecutive rows of a frame."""
        for offset, which in self.places[name].spans(frame, first, len(values)):
            self.file.pwrite(raw(values[which]), offset)

    def get(self, name: str, frame: int, first: int, count: int) -> NDArray[np.uint8]:
        """Read consecutive rows of a frame: (count, bytes of a row)."""
        place = self.places[name]
        rows = np.empty((count, place.row_bytes), np.uint8)
        for offset, which in place.spans(frame, first, count):
            if self.file.pread_into(raw(rows[which]), offset) < rows[which].size:
                raise OSError(errno.EIO, "the file is shorter than it says", str(self.file.path))
        return rows


def copy_rows(old: OpenPart, new: OpenPart, name: str, frame: int, comm: MPI.Comm) -> None:
    """Do this rank's share of copying one field of one frame, in pieces."""
    natoms = old.layout.natoms
    cuts = slab_cuts(natoms, comm.size if natoms >= SPREAD else 1, comm.size)
    for first in range(cuts[comm.rank], cuts[comm.rank + 1], PIECE_ROWS):
        count = min(PIECE_ROWS, cuts[comm.rank + 1] - first)
        new.put(name, frame, first, old.get(name, frame, first, count))
