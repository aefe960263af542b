"""The third level: a set that stands is drained to the parallel file system beside the run.

The result is an ordinary checkpoint of the folder `checkpoint.dir`, published by the ordinary steps
(draft, files opened before there is data, fsync, manifest last, one rename), so that whoever reads
it need not know of levels. Each rank copies files of its own node, block by block, each checked on
the way, in a thread that calls neither MPI nor HDF5. As in the asynchronous mode ranks agree only
at poll steps (`mdapp.storage.stages`):

    copy       all ranks: blocks, tables, fsync
    publish    rank 0: manifest, rename, LATEST, retention

A drain that fails costs nothing but its own set: the run goes on, the next one is drained.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mdapp.storage import stages
from mdapp.storage.admission import make_room
from mdapp.storage.attempt import Place
from mdapp.storage.catalogue import read_manifest
from mdapp.storage.consensus import on_root
from mdapp.storage.container import Container, create_container
from mdapp.storage.copying import copy_blocks, plan_copy
from mdapp.storage.errors import CheckpointError, DurabilityError, access_error
from mdapp.storage.files import File
from mdapp.storage.levels.merging import merged
from mdapp.storage.levels.nodes import Nodes
from mdapp.storage.levels.sets import SetFacts
from mdapp.storage.lock import DirectoryLock
from mdapp.storage.manifest import FileEntry, Manifest, decode, encode
from mdapp.storage.metrics import gbytes_per_s
from mdapp.storage.names import aside_name, shard_path, step_name
from mdapp.storage.publish import make_draft, publish_draft, remove_draft, seal_draft, write_latest
from mdapp.storage.retention import retain
from mdapp.storage.writer_thread import Pace


@dataclass(frozen=True)
class Drained:
    """What became of a drain; the same on all ranks.

    Attributes
    ----------
    step, uuid : of the set
    error : why it failed; empty if it did not
    warnings : what went wrong without harm
    facts : seconds, bytes and bandwidth
    """

    step: int
    uuid: str
    error: str = ""
    warnings: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass
class OneFile:
    """A file that this rank drains: the old entry, the new path, and what was made there."""

    entry: FileEntry
    path: str
    file: File
    container: Container


@dataclass
class Flight(stages.Flight):
    """A drain on its way.

    Attributes
    ----------
    facts, step : of the set
    source, manifest : this node's part, and where it lies
    draft : on the parallel file system
    files : what this rank copies
    before : files, atoms and ranks of the nodes before this one
    began, window_s, stall_s : when; how long this rank copied; how long the run stood still
    """

    facts: SetFacts
    step: int
    source: Path
    draft: Path
    began: float
    manifest: Manifest | None = None
    files: list[OneFile] = field(default_factory=list)
    before: tuple[int, int, int] = (0, 0, 0)
    window_s: float = 0.0
    stall_s: float = 0.0


class Drain(stages.Stages[Flight, Drained]):
    """Drains one set at a time; every method is collective but `status` and `abandon`.

    Parameters
    ----------
    nodes : of the job
    place : the folder of checkpoints on the parallel file system
    lock : of that folder, held by rank 0
    """

    def __init__(self, nodes: Nodes, place: Place, lock: DirectoryLock):
        super().__init__(place)
        self._nodes, self._lock = nodes, lock
        self._comm, self._fs, self._directory = place.comm, place.fs, place.directory

    @property
    def step(self) -> int | None:
        """Step of the set that is being drained; None if there is none."""
        return None if self._flight is None else self._flight.step

    @property
    def publishing(self) -> bool:
        """Whether all is copied and only its name is missing."""
        return self._flight is not None and self._flight.then == self._published

    def begin(self, facts: SetFacts, step: int, source: Path) -> Drained | None:
        """Begin to drain a set whose part lies in `source`; what became of it if it failed."""
        assert self._flight is None
        draft = self._directory / aside_name(".tmp", step, facts.uuid)
        pace = Pace(self._place.options.max_write_bandwidth)
        flight = self._flight = Flight(
            facts, step, source, draft, time.perf_counter(), pace=pace)
        try:
            self._prepare(flight)
        except CheckpointError as error:
            return self._failed(flight, error)
        self._launch(flight, lambda: self._copy(flight), "copying", self._copied)
        flight.stall_s += time.perf_counter() - flight.began
        return None

    def cancel(self) -> None:
        """Give up the set in flight and remove what there is of it."""
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.pace.cancel()
            if flight.task is not None:
                flight.task.join()
            self._discard(flight)

    # --- before the writers begin ---------------------------------------------------------------

    @staticmethod
    def _what(flight: Flight) -> str:
        return f"drain of step {flight.step}"

    def _prepare(self, flight: Flight) -> None:
        nodes, what = self._nodes, self._what(flight)
        with nodes.together(what):
            flight.manifest = read_manifest(flight.source, self._fs)
        manifest = flight.manifest
        assert manifest is not None
        sizes = nodes.share((len(manifest.files), manifest.natoms, nodes.comm.size, manifest.bytes))
        below = sizes[: nodes.index]
        files, atoms, ranks = (sum(s[k] for s in below) for k in range(3))
        flight.before = files, atoms, ranks
        count, nbytes = sum(s[0] for s in sizes), sum(s[3] for s in sizes)
        on_root(self._comm, lambda: self._make_room(flight, count, nbytes), what)
        with nodes.together(what):
            self._create(flight, manifest)

    def _make_room(self, flight: Flight, files: int, nbytes: int) -> None:
        """On rank 0: see that it fits, and make the draft."""
        self._lock.check()
        make_room(self._place, nbytes)
        make_draft(self._fs, flight.draft, folders_of(files))

    def _create(self, flight: Flight, manifest: Manifest) -> None:
        """Make this rank's files: those of its node go round its ranks."""
        node = self._nodes.comm
        for k, entry in enumerate(manifest.files):
            if k % node.size != node.rank:
                continue
            index = flight.before[0] + k
            attributes = {"uuid": flight.facts.uuid, "shard_index": index, "step": flight.step}
            container = plan_copy(manifest, entry, attributes, self._place.disk.alignment)
            path = shard_path(index)
            file = create_container(self._fs, flight.draft / path, container)
            flight.files.append(OneFile(entry, path, file, container))

    # --- stages ---------------------------------------------------------------------------------

    def _copy(self, flight: Flight) -> list[FileEntry]:
        """In the writer's thread: copy this rank's files; returns their entries."""
        assert flight.manifest is not None
        began, entries = time.perf_counter(), []
        for one in flight.files:
            made = copy_blocks(
                self._fs, flight.source, flight.manifest, one.entry, one.file, one.container,
                atoms_before=flight.before[1], ranks_before=flight.before[2], pace=flight.pace,
            )  # fmt: skip
            try:
                one.file.fsync()
                one.file.close()
            except OSError as error:
                raise access_error(error, self._what(flight), DurabilityError) from error
            entries.append(replace(made, path=one.path))
        flight.window_s = time.perf_counter() - began
        return entries

    def _advance(self, flight: Flight) -> Drained | None:
        """Take what the writers did, all ranks, and begin the next stage."""
        began = time.perf_counter()
        try:
            with self._nodes.together(self._what(flight)):
                if flight.task is not None and flight.task.failure is not None:
                    raise flight.task.failure
            assert flight.then is not None
            drained: Drained | None = flight.then(flight)
        except CheckpointError as error:
            return self._failed(flight, error)
        flight.stall_s += time.perf_counter() - began
        if drained is not None:
            self._flight = None
        return drained

    def _copied(self, flight: Flight) -> None:
        """All data is on the device: publish it."""
        made = None if flight.task is None else flight.task.result
        told = self._comm.gather(made)
        assert flight.manifest is not None
        parts = self._nodes.share(encode(flight.manifest))
        work = None
        if told is not None:
            files = tuple(sorted((e for some in told for e in some), key=lambda e: e.path))
            group, disk = self._place.group, self._place.disk.as_json()
            manifest = merged(
                flight.facts, [decode(p) for p in parts], files, group.ranks_of_nodes, disk
            )

            def work() -> list[str]:
                return self._publish(flight, manifest)

        self._launch(flight, work, "publishing", self._published)

    def _publish(self, flight: Flight, manifest: Manifest) -> list[str]:
        """In the thread of rank 0: from the manifest to the final name; returns warnings."""
        fs, directory = self._fs, self._directory
        seal_draft(fs, flight.draft, folders_of(len(manifest.files)), encode(manifest))
        self._lock.check()
        doubt = publish_draft(fs, flight.draft, directory / step_name(flight.step))
        if doubt:
            return [f"{directory}: published, but its name may not survive a power cut ({doubt})"]
        try:
            write_latest(fs, directory, step_name(flight.step))
        except OSError as error:
            return [f"{directory}: LATEST not written: {error}"]
        return retain(directory, self._place.options, fs)[1]

    def _published(self, flight: Flight) -> Drained:
        """It has its name: tell all ranks."""
        nodes = self._nodes
        warnings = self._comm.bcast(flight.task.result if flight.task else None, 0)
        assert flight.manifest is not None
        sizes = nodes.share((flight.manifest.bytes, len(flight.manifest.files)))
        nbytes, files = (sum(s[k] for s in sizes) for k in range(2))
        windows = self._comm.allgather((flight.window_s, flight.stall_s))
        window, stall = (max(w[k] for w in windows) for k in range(2))
        facts = {
            "bytes": nbytes, "files": files, "atoms": flight.facts.natoms,
            "drain_s": time.perf_counter() - flight.began, "copy_s": window, "stall_s": stall,
            "gbytes_per_s": gbytes_per_s(nbytes, window),
        }  # fmt: skip
        return Drained(
            flight.step, flight.facts.uuid, warnings=tuple(warnings),
            facts=self._comm.bcast(facts, 0),
        )  # fmt: skip

    # --- failures -------------------------------------------------------------------------------

    def _failed(self, flight: Flight, error: CheckpointError) -> Drained:
        self._flight = None
        flight.pace.cancel()
        if flight.task is not None:
            flight.task.join()
        self._discard(flight)
        return Drained(flight.step, flight.facts.uuid, str(error))

    def _discard(self, flight: Flight) -> None:
        """Remove the draft, after all ranks have let go of it."""
        for one in flight.files:
            one.file.abandon()
        self._comm.Barrier()
        if self._comm.rank == 0:
            remove_draft(self._fs, flight.draft)
        self._comm.Barrier()


def folders_of(files: int) -> list[str]:
    """Folders of a checkpoint of so many files."""
    return sorted({shard_path(k).split("/")[0] for k in range(files)})
