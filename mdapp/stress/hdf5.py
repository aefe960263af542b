"""Large transfers through HDF5: the same operations on datasets of bytes.

    h5py               serial HDF5; a file for each rank, or one rank
    mpio-independent   parallel HDF5, each rank by itself
    mpio-collective    parallel HDF5, all ranks in each call

A dataset is contiguous and as long as the phase may become, without fill values, so that no call
changes metadata: what is measured is the way of the bytes. What was not written stays a hole. With
mpio all ranks share the file, in `easy` too, where each has a part of its own.

HDF5's flush does not reach the device with the serial driver, so the file is synced through its
descriptor; after a parallel close each rank syncs it once more.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mpi4py import MPI

from mdapp.storage.engines import ROMIO_HINTS, leave_open
from mdapp.storage.files import REAL
from mdapp.stress.bulk import TRANSFER, Easy, Layout, Read, Write
from mdapp.stress.decode import Known

SERIAL, INDEPENDENT, COLLECTIVE = "h5py", "mpio-independent", "mpio-collective"
APIS = (SERIAL, INDEPENDENT, COLLECTIVE)
DATASET = b"data"
ALIGNMENT = 1 << 20


def why_not(api: str, kind: str, ranks: int) -> str:
    """Why a layout cannot be had through an API here; empty if it can."""
    if api == SERIAL:
        return ("one file of many ranks needs parallel HDF5 (see the mpio APIs)"
                if kind == "hard" and ranks > 1 else "")
    return "" if h5py.get_config().mpi else "this h5py was built without MPI"


class SharedEasy(Easy):
    """The easy layout in one file: each rank has a part of its own."""

    def file(self, rank: int) -> int:
        """The same for all."""
        return 0

    def path(self, rank: int) -> Path:
        """The same for all."""
        return self.folder / "easy" / "shared"

    def offset(self, rank: int, i: int) -> int:
        """One behind the other, in the rank's part."""
        return (rank * self.limit + i) * TRANSFER

    def extent(self, count: int) -> tuple[int, int]:
        """One file."""
        return 1, self.ranks * self.limit * TRANSFER


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Whatever HDF5 raises is an error of the storage, with the file's name."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            error.errno, error.strerror = errno.EIO, str(error)
        error.filename = error.filename or str(path)
        raise
    except (RuntimeError, ValueError, KeyError) as error:
        raise OSError(errno.EIO, str(error), str(path)) from error


class Door:
    """An open file with its dataset, one operation at a time.

    Parameters
    ----------
    nbytes : of the dataset, to make it; None to open it for reading
    """

    def __init__(self, comm: MPI.Intracomm, layout: Layout, path: Path, api: str,
                 nbytes: int | None):
        self.path, self.api, self.count = path, api, layout.nbytes
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        access.set_alignment(ALIGNMENT, ALIGNMENT)
        access.set_fclose_degree(h5py.h5f.CLOSE_STRONG)
        if api != SERIAL:
            info = MPI.Info.Create()
            for key, value in ROMIO_HINTS.items():
                info.Set(key, value)
            access.set_fapl_mpio(comm, info)
        name = os.fsencode(path)
        if nbytes is None:
            self.file = h5py.h5f.open(name, h5py.h5f.ACC_RDONLY, fapl=access)
            self.data = h5py.h5d.open(self.file, DATASET)
        else:
            self.file = h5py.h5f.create(name, h5py.h5f.ACC_TRUNC, fapl=access)
            creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            creation.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
            creation.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
            space = h5py.h5s.create_simple((nbytes,))
            self.data = h5py.h5d.create(self.file, DATASET, h5py.h5t.STD_U8LE, space, creation)
        self.space = self.data.get_space()
        self.memory = h5py.h5s.create_simple((self.count,))
        self.transfer = h5py.h5p.create(h5py.h5p.DATASET_XFER)
        if api == COLLECTIVE:
            self.transfer.set_dxpl_mpio(h5py.h5fd.MPIO_COLLECTIVE)

    def _select(self, offset: int) -> None:
        self.space.select_hyperslab((offset,), (self.count,))

    def write(self, data: Any, offset: int) -> None:
        """Write one operation's bytes."""
        self._select(offset)
        self.data.write(self.memory, self.space, np.frombuffer(data, np.uint8), dxpl=self.transfer)

    def read(self, data: Any, offset: int) -> None:
        """Read one operation's bytes."""
        self._select(offset)
        self.data.read(self.memory, self.space, np.frombuffer(data, np.uint8), dxpl=self.transfer)

    def sync(self) -> None:
        """Until all is on the device."""
        h5py.h5f.flush(self.file)
        if self.api == SERIAL:
            os.fsync(self.file.get_vfd_handle(h5py.h5p.create(h5py.h5p.FILE_ACCESS)))

    def close(self) -> None:
        """Close, with everything that is open in it; collective for mpio."""
        self.data.close()
        self.file.close()


class H5Write(Write):
    """A phase that writes through HDF5."""

    def __init__(self, comm: MPI.Intracomm, layout: Layout, run: int, api: str):
        super().__init__(layout, run, comm.rank)
        self.api, self.comm = api, comm
        self.ends_together = api != SERIAL
        self.collective = api == COLLECTIVE
        self.file_path = layout.path(comm.rank)
        self.door: Door | None = None

    def begin(self) -> None:
        """Make the file."""
        layout, ranks = self.layout, self.comm.size if self.ends_together else 1
        with named(self.file_path):
            self.door = Door(self.comm, layout, self.file_path, self.api,
                             ranks * layout.limit * layout.nbytes)

    def put(self, offset: int) -> None:
        """Write the buffer."""
        assert self.door is not None
        with named(self.file_path):
            self.door.write(self.buffer.data, offset)

    def end(self, count: int) -> None:
        """Sync, close, sync once more."""
        assert self.door is not None
        with named(self.file_path):
            self.door.sync()
            self.door.close()
        with REAL.open(self.file_path, os.O_RDWR) as file:
            file.fsync()

    def abandon(self) -> None:
        """Leave it open for ever: HDF5 1.10 takes the process down at a close that fails."""
        if self.door is not None:
            leave_open(self.door.file)
            leave_open(self.door.data)


class H5Read(Read):
    """A phase that reads and checks through HDF5."""

    def __init__(self, comm: MPI.Intracomm, layout: Layout, known: Known, writer: int, api: str):
        super().__init__(layout, known, writer)
        self.api, self.comm = api, comm
        self.ends_together = api != SERIAL
        self.collective = api == COLLECTIVE
        self.file_path = layout.path(writer)
        self.door: Door | None = None

    def begin(self) -> None:
        """Open the file."""
        self.buffer.poison()
        with named(self.file_path):
            self.door = Door(self.comm, self.layout, self.file_path, self.api, None)

    def get(self, offset: int) -> int:
        """Fill the buffer."""
        assert self.door is not None
        with named(self.file_path):
            self.door.read(self.buffer.data, offset)
        return self.nbytes

    def end(self, count: int) -> None:
        """Close."""
        assert self.door is not None
        with named(self.file_path):
            self.door.close()

    def abandon(self) -> None:
        """Close."""
        if self.door is not None:
            with contextlib.suppress(OSError, RuntimeError, ValueError):
                self.door.close()
