"""One rank writes for its group: the way into a shared file where only one client may touch it.

On file systems that promise no more than close-to-open consistency, NFS above all, two nodes that
write different bytes of one page lose some of them. There the members of a group send their blocks
to the aggregator, which alone opens the file. Checksums are still taken by the member, on its own
array, so that the journey through MPI is covered too.

The aggregator serves one member after the other and holds two pieces of at most 64 MiB: one arrives
while the other is written. A member sends only with leave, of which it gets two at first and one
more for each piece that has been written; so nothing piles up in MPI's own buffers, however many
members there are and however small their pieces. The leave also carries bad news: after a failed
write it says stop, members send no more, and the aggregator's error reaches all ranks at the next
agreement. A member that fails says good-bye like one that is done. So nobody waits for ever.

A member writes with the same routine as everybody, into a `Courier` instead of a file.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.storage.engines import Job, write_pwrite
from mdapp.storage.files import PIECE, File, FileSystem

AGGREGATOR = 0
DEPTH = 2
STOP, GO = 0, 1
GOOD_BYE = -1
LEAVE_TAG, HEADER_TAG, PIECE_TAG = 1, 2, 3


class Stopped(Exception):
    """The aggregator writes no more; it knows why."""


class Courier(File):
    """Takes the place of a member's file: what is written goes to the aggregator.

    Parameters
    ----------
    comm : the group
    fs, path : of the file, which this rank does not open
    """

    def __init__(self, comm: MPI.Comm, fs: FileSystem, path: Path):
        super().__init__(fs, -1, path)
        self._comm = comm
        self._leaves = self._sent = 0
        self._flying: deque[list[MPI.Request]] = deque()

    def pwrite(self, data: bytes | memoryview, offset: int) -> None:
        """Send all of `data`, which must stay as it is until `finish`.

        Raises
        ------
        Stopped
            The aggregator failed.
        """
        view = memoryview(data)
        for begin in range(0, len(view), PIECE):
            piece = view[begin : begin + PIECE]
            if self._await_leave() == STOP:
                raise Stopped
            header = self._header(offset + begin, len(piece))
            self._flying.append([header, self._comm.Isend(piece, AGGREGATOR, PIECE_TAG)])
            self._sent += 1
            if len(self._flying) > DEPTH:
                MPI.Request.Waitall(self._flying.popleft())

    def start_writeback(self, offset: int, length: int) -> None:
        """Leave it to the aggregator."""

    def finish(self) -> None:
        """Say good-bye, and take in what is still under way."""
        self._flying.append([self._header(0, GOOD_BYE)])
        while self._leaves < self._sent + DEPTH:
            self._await_leave()
        while self._flying:
            MPI.Request.Waitall(self._flying.popleft())

    def _header(self, offset: int, nbytes: int) -> MPI.Request:
        return self._comm.Isend(np.array([offset, nbytes], np.int64), AGGREGATOR, HEADER_TAG)

    def _await_leave(self) -> int:
        leave = np.empty(1, np.int64)
        self._comm.Recv(leave, AGGREGATOR, LEAVE_TAG)
        self._leaves += 1
        return int(leave[0])


class Collector:
    """The aggregator: writes its members' pieces, and goes on listening after a failure.

    Parameters
    ----------
    comm : the group
    file : of the group
    failure : why nothing is to be written, if that is known already

    Attributes
    ----------
    failure : the first error; None if all is well
    """

    def __init__(self, comm: MPI.Comm, file: File, failure: Exception | None = None):
        self._comm, self._file, self.failure = comm, file, failure
        try:
            # Memory that is never touched costs nothing: small pieces take small buffers.
            self._buffers = [np.empty(PIECE, np.uint8) for _ in range(DEPTH)]
        except MemoryError as error:
            self.failure = error

    def serve(self, member: int) -> None:
        """Write all that a member sends."""
        for _ in range(DEPTH):
            self._give_leave(member)
        header = np.empty(2, np.int64)
        turn, arriving = 0, None
        while True:
            self._comm.Recv(header, member, HEADER_TAG)
            offset, nbytes = header.tolist()
            following = None
            if nbytes != GOOD_BYE:
                piece = self._buffers[turn][:nbytes]
                following = self._comm.Irecv(piece, member, PIECE_TAG), piece, offset
            if arriving is not None:
                request, written, at = arriving
                request.Wait()
                self._write(written, at)
                self._give_leave(member)
            if following is None:
                return
            turn, arriving = (turn + 1) % DEPTH, following

    def _write(self, piece: NDArray[np.uint8], offset: int) -> None:
        if self.failure is not None:
            return
        try:
            self._file.pwrite(piece.data, offset)
            self._file.start_writeback(offset, len(piece))
        except Exception as error:
            self.failure = error

    def _give_leave(self, member: int) -> None:
        leave = np.array([GO if self.failure is None else STOP], np.int64)
        self._comm.Send(leave, member, LEAVE_TAG)


def write_collected(job: Job) -> None:
    """Write through the aggregator of the group; `job.file` is a `Courier` on all other ranks."""
    comm = job.group.comm
    if isinstance(job.file, Courier):
        try:
            write_pwrite(job)
        except Stopped:
            pass                # the aggregator raises what happened, on all ranks
        finally:
            job.file.finish()
        return
    failure: Exception | None = None
    try:
        write_pwrite(job)
    except Exception as error:
        failure = error
    collector = Collector(comm, job.file, failure)
    with job.clock("write_s"):
        for member in range(1, comm.size):
            collector.serve(member)
    if collector.failure is not None:
        raise collector.failure
