"""Does this MPI-IO, and this file system, keep neighbours' bytes apart? A canary before `shared`.

Several stacks have corrupted shared files in silence: data sieving that rewrites a page with stale
bytes of a neighbour's record, wrong offsets, clients that cache whole pages. The canary provokes
them: ranks write interleaved, unaligned records with gaps between them, every record in a pattern
of its own, and each rank reads back the records of the next one.

A canary that lives proves little, since such defects need bad luck as well: known bad versions are
refused beforehand, and what `shared` wrote is read back before it is published. One that dies is
reason enough to stop.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.storage.consensus import settle_worst
from mdapp.storage.container import Container, create_container, plan_container
from mdapp.storage.engines import ROMIO_HINTS
from mdapp.storage.errors import StorageAccessError
from mdapp.storage.files import FileSystem, raw
from mdapp.storage.layout import COLLECT
from mdapp.storage.names import CANARY
from mdapp.storage.state import Field
from mdapp.storage.watchdog import Watchdog

RECORD_BYTES = (72, 100, 1000, 4096, 47008)
RECORDS = 24

Bytes = NDArray[np.uint8]
# (comm, path, first byte of the dataset, bytes from one record to the next, records)
Write = Callable[[MPI.Intracomm, Path, int, int, Bytes], None]


def check_engine(
    comm: MPI.Intracomm, fs: FileSystem, directory: Path, engine: str, timeout_s: float
) -> None:
    """Let an engine write interleaved records into a file in `directory`; collective.

    Where one rank writes for all, nothing lies side by side and nothing is tried.

    Raises
    ------
    StorageAccessError
        A record was not what was written; on all ranks.
    """
    if engine == COLLECT:
        return
    write = _write_with_pwrite(fs) if engine == "pwrite" else _write_with_mpio(engine)
    wrong = 0
    for size in RECORD_BYTES:
        path = directory / f"{CANARY}{size}.h5"
        with Watchdog(f"test of engine {engine} with {path}", timeout_s):
            wrong += _one_size(comm, fs, path, size, write)
    failure: Exception | None = None
    if wrong:
        failure = StorageAccessError(
            f"{directory}: {wrong} of {RECORDS * len(RECORD_BYTES)} test records of a rank came "
            f"back changed through engine {engine}: this MPI-IO or file system cannot be trusted "
            'with a shared file; use checkpoint.layout = "sharded"'
        )
    settle_worst(comm, failure, "canary")


def _one_size(
    comm: MPI.Intracomm, fs: FileSystem, path: Path, size: int, write: Write
) -> int:
    """Write and read back records of one size; returns how many are wrong."""
    stride, other = size + 8 * (size % 5), (comm.rank + 1) % comm.size
    nbytes = comm.size * RECORDS * stride
    container = plan_container(nbytes, 0, (Field("records", "|u1", (), "1", "test"),), {})
    start, doing = container.offsets[0], f"canary {path}"
    found = np.zeros((RECORDS, size), np.uint8)
    places = [start + _place(k, other, comm.size, stride) for k in range(RECORDS)]
    _try(comm, doing, lambda: _make(comm, fs, path, container))
    _try(comm, doing, lambda: write(comm, path, start, stride, _records(comm.rank, size)))
    _try(comm, doing, lambda: _read(fs, path, places, found))
    _try(comm, doing, lambda: fs.unlink(path) if comm.rank == 0 else None)
    return int((found != _records(other, size)).any(axis=1).sum())


def _try(comm: MPI.Comm, doing: str, act: Callable[[], None]) -> None:
    failure: Exception | None = None
    try:
        act()
    except Exception as error:
        failure = error
    settle_worst(comm, failure, doing)


def _records(rank: int, size: int) -> Bytes:
    """(RECORDS, size) bytes that tell rank, record and position."""
    position = np.arange(size, dtype=np.int64)
    record = np.arange(RECORDS, dtype=np.int64)[:, None]
    return ((position * 7 + record * 31 + rank * 101 + 1) % 251).astype(np.uint8)


def _make(comm: MPI.Comm, fs: FileSystem, path: Path, container: Container) -> None:
    if comm.rank == 0:
        if fs.exists(path):
            fs.unlink(path)
        create_container(fs, path, container).close()


def _place(record: int, rank: int, ranks: int, stride: int) -> int:
    return (record * ranks + rank) * stride


def _read(fs: FileSystem, path: Path, places: list[int], found: Bytes) -> None:
    with fs.open_patiently(path) as file:
        for place, record in zip(places, found, strict=True):
            file.pread_into(raw(record), place)


def _write_with_pwrite(fs: FileSystem) -> Write:
    def write(comm: MPI.Intracomm, path: Path, start: int, stride: int, records: Bytes) -> None:
        with fs.open_patiently(path, os.O_WRONLY) as file:
            for k, record in enumerate(records):
                file.pwrite(raw(record), start + _place(k, comm.rank, comm.size, stride))
            file.fsync()

    return write


def _write_with_mpio(engine: str) -> Write:
    mode = (
        h5py.h5fd.MPIO_COLLECTIVE if engine == "mpio-collective" else h5py.h5fd.MPIO_INDEPENDENT
    )

    def write(comm: MPI.Intracomm, path: Path, start: int, stride: int, records: Bytes) -> None:
        info = MPI.Info.Create()
        for key, value in ROMIO_HINTS.items():
            info.Set(key, value)
        plist = h5py.h5p.create(h5py.h5p.DATASET_XFER)
        plist.set_dxpl_mpio(mode)
        size = records.shape[1]
        with h5py.File(path, "r+", driver="mpio", comm=comm, info=info) as file:
            dataset = file["atoms/records"].id
            space = dataset.get_space()
            # One call, one strided selection: the pattern that data sieving is meant for.
            space.select_hyperslab(
                (comm.rank * stride,), (RECORDS,), (comm.size * stride,), (size,)
            )
            memory = h5py.h5s.create_simple((records.size,))
            dataset.write(memory, space, records.reshape(-1), dxpl=plist)
            file.flush()
        info.Free()

    return write
