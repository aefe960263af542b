"""The second level: each node's part of a set is copied to its partner node, byte for byte.

What travels is the committed files, not the arrays. So a copy has the checksums and the identity of
its original, and every tool takes one for the other; and it needs no second copy of the state in
memory, only two pieces under way in each direction. The number of ranks of the two nodes does not
matter: file k goes from rank k mod n of the one to rank k mod m of the other.

Before data moves, a sender says where in a file there are bytes: holes are not sent. A sender that
cannot read and a receiver that cannot write go on in step, because the other side counts on their
messages, and tell afterwards. The receiver then reads what it has written and checks every block:
it is a copy only if it is a checkpoint.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.storage.blocks import row_dtype
from mdapp.storage.engines import Clock
from mdapp.storage.errors import CheckpointError, DamagedError
from mdapp.storage.files import File, FileSystem, raw
from mdapp.storage.levels.nodes import Nodes
from mdapp.storage.levels.sets import PARTNER
from mdapp.storage.manifest import FileEntry, Manifest, decode
from mdapp.storage.names import MANIFEST, aside_name, step_name
from mdapp.storage.publish import make_draft, publish_draft, remove_draft, seal_draft
from mdapp.storage.reading import Part, check_head, read_blocks, read_table, share_of

PIECE = 8 << 20
UNDER_WAY = 2
POISON = 0xA5
PLAN, DATA = 1, 2
Extents = list[tuple[int, int]]


@dataclass
class Leg:
    """A file that this rank sends or receives.

    Attributes
    ----------
    entry : of the file
    peer : the rank at the other end
    file : open on this side
    extents : that hold bytes
    """

    entry: FileEntry
    peer: int
    file: File | None = None
    extents: Extents = field(default_factory=list)


class PartnerCopy:
    """One exchange of copies between all nodes; collective.

    Parameters
    ----------
    nodes : of the job
    fs : the door to the operating system
    folder : of this node and this run
    piece : most bytes in one message
    """

    def __init__(self, nodes: Nodes, fs: FileSystem, folder: Path, piece: int = PIECE):
        self._nodes, self._fs, self._folder, self._piece = nodes, fs, folder, piece
        self._failure: Exception | None = None

    def copy(self, source: Path) -> int:
        """Give the partner a copy of this node's part, and keep one of the giver's.

        Returns
        -------
        int
            Bytes that this node received.

        Raises
        ------
        CheckpointError
            Some node has no copy; none is kept then.
        """
        nodes = self._nodes
        doing = f"copying {source.name} to the partner node"
        data = b""
        with nodes.together(doing):
            if nodes.is_root:
                data = self._fs.read_small(source / MANIFEST)
        mine = decode(nodes.comm.bcast(data, 0))
        data = nodes.pass_on(data)
        theirs = decode(data)
        draft = self._folder / PARTNER / aside_name(".tmp", theirs.step, theirs.uuid)
        folders = sorted({entry.path.split("/")[0] for entry in theirs.files if "/" in entry.path})
        incoming: list[Leg] = []
        try:
            with nodes.together(doing):
                if nodes.is_root:
                    make_draft(self._fs, draft, folders)
            self._transfer(source, mine, draft, theirs, incoming, doing)
            with nodes.together(doing):
                self._check(draft, theirs)
            with nodes.together(doing):
                if nodes.is_root:
                    seal_draft(self._fs, draft, folders, data)
                    publish_draft(
                        self._fs, draft, self._folder / PARTNER / step_name(theirs.step)
                    )
        except CheckpointError:
            self._discard(draft, incoming)
            raise
        return theirs.bytes

    def _discard(self, draft: Path, incoming: list[Leg]) -> None:
        for one in incoming:
            if one.file is not None:
                one.file.abandon()
        self._nodes.comm.Barrier()
        if self._nodes.is_root:
            remove_draft(self._fs, draft)

    def _transfer(
        self, source: Path, mine: Manifest, draft: Path, theirs: Manifest,
        incoming: list[Leg], doing: str,
    ) -> None:  # fmt: skip
        nodes = self._nodes
        outgoing = [
            Leg(entry, to)
            for entry, here, to in self._routes(mine, nodes.index, nodes.partner)
            if here == nodes.world.rank
        ]
        incoming += [
            Leg(entry, come_from)
            for entry, come_from, here in self._routes(theirs, nodes.giver, nodes.index)
            if here == nodes.world.rank
        ]
        with nodes.together(doing):
            for one in incoming:
                one.file = self._create(draft, one.entry)
        try:
            for out in outgoing:
                self._try(self._open, out, source, mine)
            self._tell_extents(outgoing, incoming)
            self._exchange(outgoing, incoming)
        finally:
            for out in outgoing:
                if out.file is not None:
                    out.file.abandon()
        with nodes.together(doing):
            if self._failure is not None:
                raise self._failure
            for one in incoming:
                if one.file is not None:
                    one.file.fsync()
                    one.file.close()

    def _routes(
        self, manifest: Manifest, giver: int, taker: int
    ) -> Iterator[tuple[FileEntry, int, int]]:
        """Yield each file with the rank that sends and the rank that receives it."""
        members = self._nodes.members
        for k, entry in enumerate(manifest.files):
            senders, receivers = members[giver], members[taker]
            yield entry, senders[k % len(senders)], receivers[k % len(receivers)]

    def _create(self, draft: Path, entry: FileEntry) -> File:
        file = self._fs.open(draft / entry.path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        file.truncate(entry.size)
        return file

    def _open(self, out: Leg, source: Path, manifest: Manifest) -> None:
        file = out.file = self._fs.open(source / out.entry.path)
        out.extents = extents_of(file, manifest, out.entry)

    def _try(self, function: Any, *args: Any) -> None:
        """Call, and keep an error for later: the other side counts on this rank's messages."""
        try:
            function(*args)
        except Exception as error:
            self._failure = self._failure or error

    def _tell_extents(self, outgoing: list[Leg], incoming: list[Leg]) -> None:
        world = self._nodes.world
        told = [world.isend(out.extents, out.peer, PLAN) for out in outgoing]
        for one in incoming:
            one.extents = world.recv(source=one.peer, tag=PLAN)
        MPI.Request.waitall(told)

    def _exchange(self, outgoing: list[Leg], incoming: list[Leg]) -> None:
        """Send and receive all pieces, in the order of files on both sides, a few under way.

        Of all pieces that are not done, the one that comes first in the order of files is at the
        front on both sides, so that something always moves.
        """
        world = self._nodes.world
        sends: deque[tuple[MPI.Request, NDArray[np.uint8]]] = deque()
        receives: deque[tuple[MPI.Request, NDArray[np.uint8], Leg, int]] = deque()
        to_send, to_receive = self._pieces(outgoing), self._pieces(incoming)
        while True:
            while len(sends) < UNDER_WAY and (piece := next(to_send, None)) is not None:
                out, offset, nbytes = piece
                buffer = np.full(nbytes, POISON, np.uint8)
                self._try(self._read, out.file, buffer, offset)
                sends.append((world.Isend(buffer, out.peer, DATA), buffer))
            while len(receives) < UNDER_WAY and (piece := next(to_receive, None)) is not None:
                one, offset, nbytes = piece
                buffer = np.empty(nbytes, np.uint8)
                receives.append((world.Irecv(buffer, one.peer, DATA), buffer, one, offset))
            fronts = [queue[0][0] for queue in (sends, receives) if queue]
            if not fronts:
                return
            MPI.Request.Waitany(fronts)
            # Waitany sets the request that it took to null, and leaves the other.
            if sends and fronts[0] == MPI.REQUEST_NULL:
                sends.popleft()
            if receives and fronts[-1] == MPI.REQUEST_NULL:
                _, buffer, one, offset = receives.popleft()
                if one.file is not None and self._failure is None:
                    self._try(one.file.pwrite, raw(buffer), offset)

    def _pieces(self, files: list[Leg]) -> Iterator[tuple[Leg, int, int]]:
        for one in files:
            for start, length in one.extents:
                for begin in range(start, start + length, self._piece):
                    yield one, begin, min(self._piece, start + length - begin)

    @staticmethod
    def _read(file: File | None, buffer: NDArray[np.uint8], offset: int) -> None:
        if file is not None and file.pread_into(raw(buffer), offset) < len(buffer):
            raise DamagedError(f"{file.path}: is cut off")

    def _check(self, draft: Path, manifest: Manifest) -> None:
        """Read this rank's share of the copy and check every block."""
        share = share_of(manifest, self._nodes.comm.rank, self._nodes.comm.size)
        damages = [d for entry in share.heads for d in check_head(self._fs, draft, entry)]
        most = min(manifest.block_atoms, share.natoms)
        buffers = [f.empty(most) for f in manifest.fields]
        blocks = read_blocks(
            self._fs, draft, manifest, share, lambda n: [b[:n] for b in buffers], Clock()
        )
        for _, wrong in blocks:
            damages += wrong
        if damages:
            raise DamagedError(f"{draft}: what arrived is not what was sent: {damages[0]}")


def extents_of(file: File, manifest: Manifest, entry: FileEntry) -> Extents:
    """Offsets and lengths of all that is in a file; between them are holes.

    Raises
    ------
    DamagedError
        A block table is not what was written.
    OSError
        The file cannot be read.
    """
    found = [(0, entry.head_len)]
    row_bytes = row_dtype(len(manifest.fields)).itemsize
    for writer in entry.writers:
        if not writer.rows:
            continue
        table, damages = read_table(file, manifest, Part(entry, writer, 0, writer.rows))
        if table is None:
            raise DamagedError(f"{file.path}: {damages[0]}")
        found.append((writer.table_offset, writer.rows * row_bytes))
        # A writer's blocks of one field follow each other.
        found += [
            (int(offset), writer.natoms * item.atom_bytes)
            for offset, item in zip(table["offset"][0], manifest.fields, strict=True)
        ]
    return found
