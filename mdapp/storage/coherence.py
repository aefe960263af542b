"""May ranks of different nodes write side by side into one page? Tried out before they do.

A client of NFS holds whole pages. If two nodes have read a page, each changes its own bytes, and
both write it back, the later one restores what the earlier one changed. Nobody gets an error. The
probe makes exactly that happen: one rank of each node reads a page of zeros, waits until all have,
and fills every second record of 100 bytes, the neighbouring node the others; after fsync and close
all read it anew, each through its own client, and look at the neighbour's records too. The nodes
stand in a ring, so each has its page with either neighbour, and nobody waits for pairs.

Within a node there is one page cache and nothing to try. Nor is there for files of a single node,
which is why the probe costs nothing in the usual layouts.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.storage.consensus import together
from mdapp.storage.errors import StorageAccessError
from mdapp.storage.files import File, FileSystem, raw
from mdapp.storage.layout import COLLECT, Group
from mdapp.storage.names import CANARY
from mdapp.storage.options import CheckpointOptions

PAGE_BYTES, RECORD_BYTES = 4096, 100
RECORDS = PAGE_BYTES // RECORD_BYTES
EVEN, ODD = 0, 1

Page = NDArray[np.uint8]


def settled_engine(
    comm: MPI.Intracomm, group: Group, options: CheckpointOptions, engine: str,
    fs: FileSystem, directory: Path, log: Callable[[str], None],
) -> str:  # fmt: skip
    """Engine that this file system can be trusted with; collective.

    Parameters
    ----------
    engine
        As it was resolved from `options` alone.
    log
        Told on rank 0 if another engine is taken.

    Raises
    ------
    StorageAccessError
        The file system loses bytes, and the options leave no way around; the same on all ranks.
    """
    if engine != "pwrite" or not group.across:
        return engine
    lost = lost_records(comm, fs, directory, group.leads_node, options.io_timeout_s)
    if not lost:
        return engine
    found = f"{directory}: {lost} of {2 * RECORDS * group.nodes} test records were lost where two "
    found += "nodes wrote into one page: this file system is not coherent"
    escapes = {
        "shared": group.layout == "shared",
        "pwrite": options.transport == "pwrite",
        "async": options.mode == "async",
    }
    if any(escapes.values()):
        what = ", ".join(name for name, asked in escapes.items() if asked)
        error = StorageAccessError(
            f"{found}, and {what} cannot do without: use checkpoint.layout = \"sharded\", or "
            'transport = "collect" with mode = "sync"'
        )
        with together(comm, "checkpoint", options.io_timeout_s):
            raise error
    if comm.rank == 0:
        log(f"{found}; one rank of each file writes for all (checkpoint.transport = collect)")
    return COLLECT


def lost_records(
    comm: MPI.Intracomm, fs: FileSystem, directory: Path, leads_node: bool, timeout_s: float
) -> int:
    """Let nodes write side by side in `directory`; collective.

    Parameters
    ----------
    leads_node
        Whether this rank writes for its node.

    Returns
    -------
    int
        Records that some node did not find as they were written; the same on all ranks.

    Raises
    ------
    StorageAccessError
        The probe could not be made.
    """
    leaders = comm.Split(0 if leads_node else MPI.UNDEFINED, comm.rank)
    probe = None
    if leaders != MPI.COMM_NULL:
        probe = _Probe(fs, directory / f"{CANARY}page", leaders.rank, leaders.size)
        leaders.Free()
    lost = 0
    try:
        for step in (_Probe.make, _Probe.look, _Probe.write):
            with together(comm, f"test of {directory}", timeout_s):
                if probe is not None:
                    step(probe)
        with together(comm, f"test of {directory}", timeout_s):
            lost = 0 if probe is None else probe.count_lost()
        return int(comm.allreduce(lost))
    finally:
        if probe is not None:
            probe.abandon()
        if comm.rank == 0:
            with suppress(OSError):
                fs.unlink(directory / f"{CANARY}page")


class _Probe:
    """What one node does; page k has the even records of node k and the odd ones of node k + 1."""

    def __init__(self, fs: FileSystem, path: Path, node: int, nodes: int):
        self._fs, self._path, self._node, self._nodes = fs, path, node, nodes
        self._pages = (node, (node - 1) % nodes)
        self._file: File | None = None

    def make(self) -> None:
        """Make the file of zeros, on the first node."""
        if self._node == 0:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with self._fs.open(self._path, flags) as file:
                file.pwrite(bytes(self._nodes * PAGE_BYTES), 0)
                file.fsync()

    def abandon(self) -> None:
        """Close what a failure elsewhere left open."""
        if self._file is not None:
            self._file.abandon()

    def look(self) -> None:
        """Open the file, and have the pages in this node's cache."""
        self._file = self._fs.open_patiently(self._path, os.O_RDWR)
        for page in self._pages:
            self._file.pread_into(raw(np.empty(PAGE_BYTES, np.uint8)), page * PAGE_BYTES)

    def write(self) -> None:
        """Write every second record of both pages."""
        assert self._file is not None
        with self._file as file:
            for page, parity in zip(self._pages, (EVEN, ODD), strict=True):
                wanted = self._page(page)
                for record in range(parity, RECORDS, 2):
                    begin = record * RECORD_BYTES
                    piece = wanted[begin : begin + RECORD_BYTES]
                    file.pwrite(raw(piece), page * PAGE_BYTES + begin)
            file.fsync()

    def count_lost(self) -> int:
        """Read both pages anew; returns how many records are not what was written."""
        lost = 0
        with self._fs.open_patiently(self._path) as file:
            for page in self._pages:
                found = np.zeros(PAGE_BYTES, np.uint8)
                file.pread_into(raw(found), page * PAGE_BYTES)
                whole = RECORDS * RECORD_BYTES
                wrong = (found != self._page(page))[:whole].reshape(RECORDS, RECORD_BYTES)
                lost += int(wrong.any(axis=1).sum())
        return lost

    def _page(self, page: int) -> Page:
        """Bytes that the page must have in the end; none of them is zero."""
        position = np.arange(PAGE_BYTES, dtype=np.int64)
        return ((position * 7 + page * 31) % 251 + 1).astype(np.uint8)
