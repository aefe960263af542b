"""One attempt at a checkpoint: the steps between a surveyed state and a published directory.

Each step ends in an agreement, so that all ranks go on or none. What a step does on one rank
(`create_local`, `write_local`, `sync_local`) is separate from the agreement about it: nothing in
`write_local` with the engine pwrite, nor in `sync_local`, calls MPI or HDF5, and so a background
thread may do them, as it may `verify_local`, `seal_local` and `publish_local`.

An fsync that fails condemns the attempt: the kernel drops the pages it could not write and reports
success at the next fsync. For the same reason every writer opens its descriptor before there is any
data in the file; one that is opened later may never be told.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mpi4py import MPI

from mdapp.storage.blocks import Table, place_rows
from mdapp.storage.cargo import Cargo
from mdapp.storage.collect import Courier, write_collected
from mdapp.storage.consensus import together
from mdapp.storage.container import Container, create_container, plan_container
from mdapp.storage.crc import crc32
from mdapp.storage.disk import UNKNOWN, Disk
from mdapp.storage.engines import (
    ENGINES,
    THROUGH_HDF5,
    Clock,
    Job,
    Pace,
    head_is_intact,
    unhurried,
)
from mdapp.storage.errors import DurabilityError, access_error
from mdapp.storage.files import File, FileSystem, raw
from mdapp.storage.layout import COLLECT, Group
from mdapp.storage.manifest import FileEntry, Manifest, Writer, encode
from mdapp.storage.names import aside_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.publish import make_draft, publish_draft, remove_draft, seal_draft
from mdapp.storage.reading import read_back


@dataclass(frozen=True)
class Place:
    """Where and how a store writes.

    Attributes
    ----------
    comm : all ranks
    group : those that share this rank's file
    fs : the door to the operating system
    directory : folder of the checkpoints
    options, engine : how to write
    verify : whether to read back before publishing
    disk : what is known of the file system
    """

    comm: MPI.Intracomm
    group: Group
    fs: FileSystem
    directory: Path
    options: CheckpointOptions
    engine: str
    verify: bool
    disk: Disk = UNKNOWN


@dataclass(frozen=True)
class Slab:
    """Where a rank's part of a file lies.

    Attributes
    ----------
    file_atoms, file_rows : of the whole file
    atom0, row0 : of the file, before this rank's
    first_atom : of the checkpoint, before this rank's
    """

    file_atoms: int
    file_rows: int
    atom0: int
    row0: int
    first_atom: int


class Attempt:
    """One try to write a checkpoint; every method is collective but those named `_local`.

    Parameters
    ----------
    place : where to write
    cargo : what to write
    step, uuid : of the checkpoint
    clock : takes the seconds of this rank
    pace : told of the bytes of each block that is written; may wait, or raise to give up
    """

    def __init__(
        self, place: Place, cargo: Cargo, step: int, uuid: str, clock: Clock,
        pace: Pace = unhurried,
    ):  # fmt: skip
        self.place, self.cargo, self.step, self.uuid = place, cargo, step, uuid
        self.clock, self._pace = clock, pace
        self.draft = place.directory / aside_name(".tmp", step, uuid)
        self.folders = sorted({f"s{k // 256:03d}" for k in range(place.group.count)})
        self._file: File | None = None
        self._container: Container | None = None
        self._job: Job | None = None
        self._rank_zero = place.comm.rank == 0

    def together(self, doing: str, timer: str = "") -> AbstractContextManager[None]:
        """Run a block on all ranks; on return it succeeded on all, or all raise the same error."""
        return together(
            self.place.comm, f"checkpoint of step {self.step}: {doing}",
            self.place.options.io_timeout_s, self.clock(timer) if timer else None,
            self.clock("agree_s"),
        )  # fmt: skip

    # --- steps 1 and 2: directory and files -----------------------------------------------------

    def make_directory(self) -> None:
        """Make the draft's directories."""
        with self.together("making its directory", "create_s"):
            if self._rank_zero:
                make_draft(self.place.fs, self.draft, self.folders)

    def create_files(self) -> None:
        """Make the files with all metadata, and open them on all ranks that will write."""
        slab = self._slab = self._find_slab()
        with self.together("creating its files", "create_s"):
            if self.place.group.owns:
                self._create_local(slab)
        # The head is the owner's business, and may be as long as a stripe.
        told = self._container and replace(self._container, head=b"")
        told = self.place.group.comm.bcast(told, 0)
        self._container = self._container or told
        with self.together("opening its files", "create_s"):
            self._open_local(slab)

    def _find_slab(self) -> Slab:
        """Where this rank's atoms and rows go, by sums over the ranks before it."""
        group = self.place.group
        mine = np.array([len(self.cargo.arrays[0]), len(self.cargo.table)])
        of_file, until = mine.copy(), mine.copy()
        group.comm.Allreduce(MPI.IN_PLACE, of_file)
        group.comm.Scan(mine, until)
        # Files are numbered by their owners' ranks, so that what is before an owner is before
        # its file.
        own = of_file[:1] if group.owns else np.zeros(1, np.int64)
        files_until = own.copy()
        self.place.comm.Scan(own, files_until)
        before_file = files_until - own
        group.comm.Bcast(before_file, 0)
        atoms, rows = (until - mine).tolist()
        file_atoms, file_rows = of_file.tolist()
        return Slab(file_atoms, file_rows, atoms, rows, int(before_file[0]) + atoms)

    def _create_local(self, slab: Slab) -> None:
        group = self.place.group
        attributes = {"uuid": self.uuid, "shard_index": group.index, "step": self.step}
        self._container = plan_container(
            slab.file_atoms, slab.file_rows, self.cargo.fields, attributes,
            self.place.disk.alignment,
        )  # fmt: skip
        self._file = create_container(self.place.fs, self.draft / group.path, self._container)

    def _open_local(self, slab: Slab) -> None:
        group, container = self.place.group, self._container
        assert container is not None
        path = self.draft / group.path
        into = self._file
        if into is None and self.place.engine == COLLECT:
            into = Courier(group.comm, self.place.fs, path)
        elif into is None:
            into = self._file = self.place.fs.open_patiently(path, os.O_RDWR)
        sizes = [f.atom_bytes for f in self.cargo.fields]
        offsets = [o + slab.atom0 * s for o, s in zip(container.offsets, sizes, strict=True)]
        table = self.cargo.table
        place_rows(table, slab.first_atom, offsets, sizes)
        self._job = Job(
            into, path, group, self.cargo.fields, self.cargo.arrays, table,
            slab.atom0, slab.row0, offsets, container.table + slab.row0 * table.itemsize,
            self.place.options.hints, self.clock, self._pace,
        )  # fmt: skip

    # --- steps 3 to 5: data ---------------------------------------------------------------------

    def write(self) -> None:
        """Write all blocks and the tables."""
        with self.together("writing"):
            self.write_local()

    def write_local(self) -> None:
        """Write this rank's blocks and rows."""
        assert self._job is not None
        collects = self.place.engine == COLLECT
        write = write_collected if collects else ENGINES[self.place.engine]
        write(self._job)

    def sync(self) -> None:
        """Wait until all is on the device."""
        with self.together("making it durable"):
            self.sync_local()

    def sync_local(self) -> None:
        """Sync and close this rank's descriptor, if it has one; one failure is final."""
        assert self._container is not None
        if self._file is None:      # the aggregator has it
            assert self.place.engine == COLLECT
            return
        to_check = self.place.engine in THROUGH_HDF5 and self.place.group.owns
        if to_check and not head_is_intact(self._file, self._container.head):
            raise DurabilityError(f"{self._file.path}: HDF5 changed the metadata of the file")
        try:
            with self.clock("fsync_s"):
                self._file.fsync()
                self._file.close()
        except OSError as error:
            raise access_error(
                error, f"checkpoint of step {self.step}: making it durable", DurabilityError
            ) from error

    def verify(self) -> None:
        """Read back the neighbour's blocks, past the caches, and compare checksums."""
        if not self.place.verify:
            return
        written = self.neighbours_blocks()
        with self.together("reading it back"):
            self.verify_local(*written)

    def neighbours_blocks(self) -> tuple[str, Table]:
        """File and block table of the next rank, which this one will read back."""
        comm, job = self.place.comm, self._job
        assert job is not None
        return comm.sendrecv(  # type: ignore[no-any-return]
            (self.place.group.path, job.table),
            (comm.rank - 1) % comm.size,
            source=(comm.rank + 1) % comm.size,
        )

    def verify_local(self, path: str, table: Table) -> None:
        """Read back the blocks of a table."""
        with self.clock("verify_s"):
            damage = read_back(self.place.fs, self.draft / path, self.cargo.fields, table)
        if damage:
            raise DurabilityError(f"what was read back is not what was written: {damage}")

    # --- steps 6 and 7: publication -------------------------------------------------------------

    def seal(self, manifest: Manifest) -> None:
        """Complete the manifest with what each writer wrote, and write it."""
        complete = replace(manifest, files=self.gather_files())
        with self.together("writing its manifest"):
            if self._rank_zero:
                self.seal_local(complete)

    def seal_local(self, manifest: Manifest) -> None:
        """Write the complete manifest, on rank 0."""
        with self.clock("manifest_s"):
            seal_draft(self.place.fs, self.draft, self.folders, encode(manifest))

    def gather_files(self) -> tuple[FileEntry, ...]:
        """Entries of all files, on rank 0; one line from each writer."""
        job, container, group = self._job, self._container, self.place.group
        assert job is not None and container is not None
        writer = Writer(
            self.place.comm.rank, self._slab.first_atom, len(job.arrays[0]), job.table_offset,
            len(job.table), crc32(raw(job.table)),
        )  # fmt: skip
        entry = None
        if group.owns:
            entry = FileEntry(
                group.path, container.size, len(container.head), container.head_crc, ()
            )
        told = self.place.comm.gather((group.index, writer, entry))
        if told is None:
            return ()
        files: dict[int, FileEntry] = {}
        writers: dict[int, list[Writer]] = {}
        for index, one, about in sorted(told, key=lambda t: (t[0], t[1].rank)):
            files[index] = about or files[index]
            writers.setdefault(index, []).append(one)
        return tuple(replace(files[k], writers=tuple(writers[k])) for k in sorted(files))

    def publish(self, target: Path, still_ours: Callable[[], None]) -> str:
        """Give the draft its final name.

        Returns
        -------
        str
            Why the name may be lost in a power cut; empty if it may not.
        """
        doubt = ""
        with self.together("publishing it"):
            if self._rank_zero:
                doubt = self.publish_local(target, still_ours)
        return str(self.place.comm.bcast(doubt, 0))

    def publish_local(self, target: Path, still_ours: Callable[[], None]) -> str:
        """Rename the draft, on rank 0; returns why the name may be lost, empty if it may not."""
        with self.clock("publish_s"):
            still_ours()
            return publish_draft(self.place.fs, self.draft, target)

    def discard(self) -> str:
        """Remove what a failed attempt left; returns why it could not, empty if it could."""
        if self._file is not None:
            self._file.abandon()
        self.place.comm.Barrier()
        left = remove_draft(self.place.fs, self.draft) if self._rank_zero else ""
        return str(self.place.comm.bcast(left, 0))
