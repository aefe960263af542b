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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.storage.blocks import Table, place_rows
from mdapp.storage.cargo import Cargo
from mdapp.storage.consensus import settle_worst
from mdapp.storage.container import Container, create_container, plan_container
from mdapp.storage.crc import crc32
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
from mdapp.storage.layout import Group
from mdapp.storage.manifest import FileEntry, Manifest, Writer, encode
from mdapp.storage.names import aside_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.publish import make_draft, publish_draft, remove_draft, seal_draft
from mdapp.storage.reading import read_back
from mdapp.storage.watchdog import Watchdog


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
    """

    comm: MPI.Intracomm
    group: Group
    fs: FileSystem
    directory: Path
    options: CheckpointOptions
    engine: str
    verify: bool


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

    @contextmanager
    def together(self, doing: str, timer: str | None = None) -> Iterator[None]:
        """Run a block on all ranks; on return it succeeded on all, or all raise the same error."""
        failure: Exception | None = None
        what = f"checkpoint of step {self.step}: {doing}"
        with Watchdog(what, self.place.options.io_timeout_s):
            try:
                if timer is None:
                    yield
                else:
                    with self.clock(timer):
                        yield
            except Exception as error:
                failure = error
            with self.clock("agree_s"):
                settle_worst(self.place.comm, failure, what)

    # --- steps 1 and 2: directory and files -----------------------------------------------------

    def make_directory(self) -> None:
        """Make the draft's directories."""
        with self.together("making its directory", "create_s"):
            if self._rank_zero:
                make_draft(self.place.fs, self.draft, self.folders)

    def create_files(self) -> None:
        """Make the files with all metadata, and open them on all ranks that will write."""
        counts = self._counts()
        with self.together("creating its files", "create_s"):
            if self.place.group.owns:
                self._create_local(counts)
        self._container = self.place.group.comm.bcast(self._container, 0)
        with self.together("opening its files", "create_s"):
            self._open_local(counts)

    def _counts(self) -> Any:
        """(ranks, 3) file, atoms and blocks of each rank."""
        mine = (self.place.group.index, len(self.cargo.arrays[0]), len(self.cargo.table))
        counts = np.empty((self.place.comm.size, 3), np.int64)
        self.place.comm.Allgather(np.array(mine, np.int64), counts)
        return counts

    def _create_local(self, counts: Any) -> None:
        group = self.place.group
        natoms, rows = counts[counts[:, 0] == group.index, 1:].sum(axis=0)
        attributes = {"uuid": self.uuid, "shard_index": group.index, "step": self.step}
        self._container = plan_container(int(natoms), int(rows), self.cargo.fields, attributes)
        self._file = create_container(self.place.fs, self.draft / group.path, self._container)

    def _open_local(self, counts: Any) -> None:
        group, rank, container = self.place.group, self.place.comm.rank, self._container
        assert container is not None
        path = self.draft / group.path
        if self._file is None:
            self._file = self.place.fs.open_patiently(path, os.O_RDWR)
        mine, ranks = counts[:, 0] == group.index, np.arange(len(counts))
        atoms_before, rows_before = counts[mine & (ranks < rank), 1:].sum(axis=0)
        first = int(counts[counts[:, 0] < group.index, 1].sum() + atoms_before)
        sizes = [f.atom_bytes for f in self.cargo.fields]
        offsets = [
            o + int(atoms_before) * s for o, s in zip(container.offsets, sizes, strict=True)
        ]
        table = self.cargo.table
        place_rows(table, first, offsets, sizes)
        self._job = Job(
            self._file, path, group, self.cargo.fields, self.cargo.arrays, table,
            int(atoms_before), int(rows_before), offsets,
            container.table + int(rows_before) * table.itemsize,
            self.place.options.hints, self.clock, self._pace,
        )  # fmt: skip
        self._first_atom = first

    # --- steps 3 to 5: data ---------------------------------------------------------------------

    def write(self) -> None:
        """Write all blocks and the tables."""
        with self.together("writing"):
            self.write_local()

    def write_local(self) -> None:
        """Write this rank's blocks and rows."""
        assert self._job is not None
        ENGINES[self.place.engine](self._job)

    def sync(self) -> None:
        """Wait until all is on the device."""
        with self.together("making it durable"):
            self.sync_local()

    def sync_local(self) -> None:
        """Sync and close this rank's descriptor; one failure is final."""
        assert self._file is not None and self._container is not None
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
            self.place.comm.rank, self._first_atom, len(job.arrays[0]), job.table_offset,
            len(job.table), crc32(raw(job.table)),
        )  # fmt: skip
        entry = FileEntry(
            group.path, container.size, len(container.head), container.head_crc, ()
        )
        told = self.place.comm.gather((group.index, writer, entry if group.owns else None))
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
