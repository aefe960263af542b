"""How bytes get from a rank's arrays into the extents that wait for them.

All engines do the same: for each field, for each block, take the checksum and write the bytes; then
write the rows of the block table. What differs is the call. `pwrite` is the default, because its
errors are exact and nothing stands between it and the kernel. `h5py` writes through serial HDF5,
one rank of a file after the other, and proves in the tests that the files are what HDF5 thinks they
are. The `mpio` engines write through parallel HDF5 and MPI-IO.

Collective writes are where a program hangs: every rank of the file must make the same number of
calls, with nothing to write or with an error to report all the same. So empty ranks select nothing
through the low-level interface (h5py's slicing skips the call), the number of calls is agreed
beforehand, and errors are kept until all calls are made.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.storage.blocks import Table, block_bounds, block_crc
from mdapp.storage.cargo import steady
from mdapp.storage.files import File, raw
from mdapp.storage.layout import Group
from mdapp.storage.state import Field

# One call of an mpio engine: large enough for the device, small enough to stay in a cache.
CALL_BYTES = 16 << 20
WRITEBACK_BYTES = 8 << 20
ROMIO_HINTS = {"romio_ds_write": "disable"}
# Told of the bytes of each block that is written; may wait, or raise to give up.
Pace = Callable[[int], None]


def unhurried(nbytes: int) -> None:
    """The pace of a writer that nobody holds back."""


class Clock:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Add what a block takes to the seconds of `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent


@dataclass
class Job:
    """What one rank has to write.

    Attributes
    ----------
    file : its own descriptor, opened before any data was written
    path : of the file
    group : the ranks that share it
    fields, arrays : what to write
    table : this writer's rows, complete but for the checksums, which the engine enters
    atom0, row0 : where this writer's slab begins among the file's atoms and rows
    offsets : where it begins in bytes, for each field
    table_offset : where its rows begin
    hints : of the user, for MPI-IO
    clock : takes the seconds
    pace : told of the bytes of each block that was written with `write_pwrite`
    """

    file: File
    path: Path
    group: Group
    fields: tuple[Field, ...]
    arrays: list[NDArray[Any]]
    table: Table
    atom0: int
    row0: int
    offsets: list[int]
    table_offset: int
    hints: Mapping[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    pace: Pace = unhurried

    def checked(self, k: int, row: int, begin: int, end: int) -> NDArray[Any]:
        """Block `row` of field `k`, after entering its checksum in the table."""
        block = self.arrays[k][begin:end]
        with self.clock("crc_s"):
            self.table["crc"][row, k] = block_crc(block)
        return block


def write_pwrite(job: Job) -> None:
    """Write with positioned writes. No MPI and no HDF5: any thread may do this."""
    bounds = block_bounds(job.table)
    for k, item in enumerate(job.fields):
        started = position = job.offsets[k]
        for row, (begin, end) in enumerate(bounds):
            position = job.offsets[k] + begin * item.atom_bytes
            for _ in steady(job.arrays, [k]):
                block = job.checked(k, row, begin, end)
                with job.clock("write_s"):
                    job.file.pwrite(raw(block), position)
            position += block.nbytes
            with job.clock("write_s"):
                if position - started >= WRITEBACK_BYTES:
                    job.file.start_writeback(started, position - started)
                    started = position
            job.pace(block.nbytes)
    with job.clock("write_s"):
        job.file.pwrite(raw(job.table), job.table_offset)


def write_h5py(job: Job) -> None:
    """Write through serial HDF5, in turns, since HDF5 lets one process write to a file."""
    failure: Exception | None = None
    for turn in range(job.group.comm.size):
        if turn == job.group.comm.rank:
            try:
                _write_serially(job)
            except Exception as error:
                failure = error
        job.group.comm.Barrier()
    if failure is not None:
        raise failure


def _write_serially(job: Job) -> None:
    file = h5py.File(job.path, "r+", libver=("v110", "v110"), locking="best-effort")
    try:
        bounds = block_bounds(job.table)
        for k, item in enumerate(job.fields):
            dataset = file[f"atoms/{item.name}"].id
            for row, (begin, end) in enumerate(bounds):
                block = job.checked(k, row, begin, end)
                with job.clock("write_s"):
                    _transfer(dataset, job.atom0 + begin, block, None)
        _transfer(file["blocks"].id, job.row0, job.table, None)
        _finish(file, job.clock)
    except BaseException:
        leave_open(file.id)
        raise


def write_mpio_independent(job: Job) -> None:
    """Write through parallel HDF5, each rank on its own."""
    _write_in_parallel(job, collective=False)


def write_mpio_collective(job: Job) -> None:
    """Write through parallel HDF5, all ranks of the file in each call."""
    _write_in_parallel(job, collective=True)


def _write_in_parallel(job: Job, collective: bool) -> None:
    comm = job.group.comm
    plist = h5py.h5p.create(h5py.h5p.DATASET_XFER)
    plist.set_dxpl_mpio(
        h5py.h5fd.MPIO_COLLECTIVE if collective else h5py.h5fd.MPIO_INDEPENDENT
    )
    file = _open_together(job)
    failure: Exception | None = None
    for k, item in enumerate(job.fields):
        dataset = file[f"atoms/{item.name}"].id
        pieces = _pieces(job, item.atom_bytes)
        calls = comm.allreduce(len(pieces), MPI.MAX) if collective else len(pieces)
        for call in range(calls):
            rows = pieces[call] if call < len(pieces) else []
            try:
                for row, begin, end in rows:
                    job.checked(k, row, begin, end)
                begin, end = (rows[0][1], rows[-1][2]) if rows else (0, 0)
                with job.clock("write_s"):
                    _transfer(dataset, job.atom0 + begin, job.arrays[k][begin:end], plist)
            except Exception as error:
                failure = failure or error
    try:
        _transfer(file["blocks"].id, job.row0, job.table, plist)
    except Exception as error:
        failure = failure or error
    # flush and close are collective: a rank that failed must come too, and HDF5 dies at the close
    # of a file that cannot be flushed, so that the handle is then left to the end of the process.
    try:
        _finish(file, job.clock, comm, failed=failure is not None)
    except Exception as error:
        failure = failure or error
        leave_open(file.id)
    if failure is not None:
        raise failure


def _open_together(job: Job) -> h5py.File:
    """Open the file on all ranks of the group, or on none."""
    from mdapp.storage.consensus import settle_worst

    info = MPI.Info.Create()
    for key, value in {**ROMIO_HINTS, **job.hints}.items():
        info.Set(key, str(value))
    file: h5py.File | None = None
    failure: Exception | None = None
    try:
        file = h5py.File(
            job.path, "r+", driver="mpio", comm=job.group.comm, info=info,
            libver=("v110", "v110"),
        )  # fmt: skip
    except Exception as error:
        failure = error
    finally:
        info.Free()
    settle_worst(job.group.comm, failure, f"opening {job.path}")
    return file


def _pieces(job: Job, atom_bytes: int) -> list[list[tuple[int, int, int]]]:
    """Blocks grouped into calls: lists of (row, begin, end)."""
    pieces: list[list[tuple[int, int, int]]] = []
    room = 0
    for row, (begin, end) in enumerate(block_bounds(job.table)):
        if not pieces or room < (end - begin) * atom_bytes:
            pieces.append([])
            room = CALL_BYTES
        pieces[-1].append((row, begin, end))
        room -= (end - begin) * atom_bytes
    return pieces


def _transfer(
    dataset: h5py.h5d.DatasetID, first: int, block: NDArray[Any], plist: Any
) -> None:
    """Write rows first, first + 1, ... of a dataset; none for an empty block, but call it."""
    space = dataset.get_space()
    if len(block):
        space.select_hyperslab((first, *(0 for _ in block.shape[1:])), block.shape)
        memory = h5py.h5s.create_simple(block.shape)
    else:
        block = np.empty((1, *block.shape[1:]), block.dtype)
        memory = h5py.h5s.create_simple(block.shape)
        memory.select_none()
        space.select_none()
    dataset.write(memory, space, block, dxpl=plist)


def _finish(
    file: h5py.File, clock: Clock, comm: MPI.Comm | None = None, failed: bool = False
) -> None:
    """Flush, then close; on all ranks of the file or on none."""
    flushed = False
    try:
        with clock("flush_s"):
            file.flush()
        flushed = True
    finally:
        together = flushed and not failed
        if comm is not None:
            together = bool(comm.allreduce(int(together), MPI.MIN))
        if together:
            file.close()
        elif flushed:
            leave_open(file.id)


def leave_open(handle: Any) -> None:
    """Never close this handle: HDF5 1.10 crashes at a close that fails. One reference too many.

    handle : low-level identifier of a file or dataset
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(handle))


ENGINES: dict[str, Callable[[Job], None]] = {
    "pwrite": write_pwrite,
    "h5py": write_h5py,
    "mpio-independent": write_mpio_independent,
    "mpio-collective": write_mpio_collective,
}
# Engines that let HDF5 touch the file; it must leave the head as it was.
THROUGH_HDF5 = frozenset(ENGINES) - {"pwrite"}


def head_is_intact(file: File, head: bytes) -> bool:
    """Whether the head of a file is still what was planned."""
    buffer = np.empty(len(head), np.uint8)
    return file.pread_into(raw(buffer), 0) == len(head) and buffer.tobytes() == head
