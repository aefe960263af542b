"""The store of a run: one folder of checkpoints, written and read by all ranks together.

    with CheckpointStore(comm, "melt.run/checkpoints", options) as store:
        outcome = store.write(state)
        restored = store.restore(None, owner)

What a commit must survive decides its order (see `mdapp.storage.committing`): nothing is written
before all ranks agree that the state is sound; no data before its descriptor; no manifest before
all data is on the device; no name before the manifest. A failure in between removes the attempt and
raises the same error on all ranks; older checkpoints are not touched, and the run may go on.
"""

from __future__ import annotations

import contextlib
import errno
import time
import uuid as uuids
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.attempt import Place
from mdapp.storage.background import Background
from mdapp.storage.coherence import settled_engine
from mdapp.storage.committing import Committer
from mdapp.storage.consensus import on_root, settle_worst
from mdapp.storage.disk import disk_of
from mdapp.storage.errors import CheckpointError, ConflictError, StorageAccessError
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.layout import Group, make_group, resolved_engine
from mdapp.storage.lock import DirectoryLock
from mdapp.storage.metrics import Outcome, append_line
from mdapp.storage.names import METRICS, step_of
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.redistribute import Owner
from mdapp.storage.restore import Accept, Restart, Restored
from mdapp.storage.retention import (
    Committed,
    collect_orphans,
    list_committed,
    mark_verified,
    quarantine,
)
from mdapp.storage.state import State

READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
Log = Callable[[str], None]


def candidates(comm: MPI.Comm, directory: Path, fs: FileSystem = REAL) -> list[str]:
    """Names in a folder that a restart would look at, newest first; collective.

    The folder need not exist, and is not locked.
    """

    def names() -> list[str]:
        found = fs.listdir(directory) if fs.exists(directory) else []
        steps = [n for n in found if step_of(n) is not None]
        return sorted(steps, key=lambda n: step_of(n) or 0, reverse=True)

    return on_root(comm, names, f"listing {directory}")


class CheckpointStore:
    """A folder of checkpoints, locked for one job; every method is collective.

    Parameters
    ----------
    comm : the ranks of the run
    directory : the folder, made where it does not exist
    options : how to write and keep
    fs : the door to the operating system
    metrics_path : log of all attempts; default beside the folder
    of_run : what the run adds to the line of an attempt; called on all ranks, may be collective
    node : number of this rank's node, where it is known better than by shared memory
    break_lock : take the lock of a job on another node that is known to be dead
    log : told on rank 0 what went wrong without harm

    Attributes
    ----------
    run_uuid : identity of this run in the manifests that it writes
    background : writes beside the run; None unless `options.mode` is async
    place, lock, metrics_path : where and how it writes, for whoever writes beside it

    Raises
    ------
    InputError
        This installation cannot write as `options` want.
    LockedError
        Another job has the folder.
    StorageAccessError
        The folder cannot be used.
    """

    def __init__(
        self,
        comm: MPI.Intracomm,
        directory: Path | str,
        options: CheckpointOptions | None = None,
        fs: FileSystem = REAL,
        *,
        metrics_path: Path | None = None,
        of_run: Callable[[], Mapping[str, Any]] = dict,
        node: int | None = None,
        break_lock: bool = False,
        log: Log = lambda message: None,
    ):
        self.options = options or CheckpointOptions()
        self.directory, self.fs, self._log = Path(directory), fs, log
        self.metrics_path = metrics_path or self.directory.parent / METRICS
        engine, failure = "", None
        try:
            engine = resolved_engine(self.options)
        except InputError as error:
            failure = error
        settle_worst(comm, failure, "checkpoint")
        self.comm = comm.Dup()
        self.run_uuid = str(self.comm.bcast(uuids.uuid4().hex, 0))
        self.lock = DirectoryLock(
            self.directory, self.run_uuid, self.options.lock_stale_s, break_lock, fs
        )
        self.read_only = bool(on_root(self.comm, self._take_folder, f"opening {self.directory}"))
        group = make_group(self.comm, self.options, node)
        if not self.read_only:
            engine = self._engine_after_tests(group, engine)
        disk = on_root(self.comm, lambda: disk_of(fs, self.directory), str(self.directory))
        verify = self.options.verify_after_write
        place = self.place = Place(
            self.comm, group, fs, self.directory, self.options, engine,
            group.layout == "shared" if verify is None else verify, disk,
        )  # fmt: skip
        self._group = group
        self._committer = Committer(
            place, self.lock, self.run_uuid, self.read_only, self.metrics_path, log, of_run
        )
        asynchronous = self.options.mode == "async"
        self.background = Background(self._committer, place) if asynchronous else None

    def __enter__(self) -> CheckpointStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if kind is None:
            self._group.comm.Free()
            self.comm.Free()

    def close(self) -> None:
        """Give up the lock. Not collective, so that it cannot hang after an error."""
        self.lock.release()

    def _take_folder(self) -> bool:
        """On rank 0: make and lock the folder, clear up; True if it can only be read."""
        try:
            self._make_folder()
            self.lock.acquire()
        except OSError as error:
            if error.errno in READ_ONLY and self.fs.exists(self.directory):
                self._log(f"{self.directory}: {error.strerror}; it is only read")
                return True
            raise
        gone, warnings = collect_orphans(self.directory, self.fs)
        for name in gone:
            self._log(f"{self.directory}: removed {name}, left by a run that was cut off")
        self._tell(warnings)
        return False

    def _engine_after_tests(self, group: Group, engine: str) -> str:
        """Engine that the file system can be trusted with."""
        try:
            return settled_engine(
                self.comm, group, self.options, engine, self.fs, self.directory, self._log
            )
        except CheckpointError:
            self.lock.release()
            raise

    def _make_folder(self) -> None:
        missing = []
        path = self.directory
        while not self.fs.exists(path):
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another store makes its parents as well
                self.fs.mkdir(folder)
            self.fs.sync_directory(folder.parent)

    def _tell(self, warnings: list[str]) -> None:
        for warning in warnings:
            self._log(warning)

    # --- writing --------------------------------------------------------------------------------

    def write(self, state: State) -> Outcome:
        """Write a checkpoint and wait until it is committed.

        Raises
        ------
        NonFiniteStateError
            The state holds NaN or infinity. A diagnostic dump is written the first time.
        ConflictError
            Another state of the same step is committed.
        StorageAccessError
            It could not be written; the attempt is removed, and the run may go on.
        LockedError
            The folder was taken by another job.
        """
        return self._committer.write(state)

    @property
    def committer(self) -> Committer:
        """What takes a state through the steps of a commit, for whoever takes them one by one."""
        return self._committer

    @property
    def failures(self) -> int:
        """Attempts that failed in a row."""
        return self._committer.failures

    # --- reading --------------------------------------------------------------------------------

    def newest(self) -> Committed | None:
        """Newest committed checkpoint of the folder; None if there is none."""
        known = self.committed()
        return known[0] if known else None

    def candidates(self) -> list[str]:
        """Names that a restart would look at, newest first, whatever is inside."""
        return candidates(self.comm, self.directory, self.fs)

    def committed(self) -> list[Committed]:
        """Committed checkpoints of the folder, newest first."""
        return on_root(
            self.comm, lambda: list_committed(self.directory, self.fs), f"listing {self.directory}"
        )

    def restore(
        self,
        path: Path | str | None,
        owner: Owner,
        *,
        accept: Accept = lambda header: None,
        discard_newer: bool = False,
        force: bool = False,
    ) -> State:
        """State to continue from; this rank's fields are the atoms that it owns.

        Parameters
        ----------
        path
            A checkpoint, or a folder of them; None: the newest of this store.
        owner
            Given wrapped positions (n, 3), returns their ranks (n,).
        accept
            Given a candidate's state without atoms, on all ranks, before its atoms are read; may
            prepare `owner` for its box, or raise InputError to refuse it.
        discard_newer
            Restart from an older checkpoint of this store, and set newer ones aside.
        force
            Go back beyond `max_fallback`.

        Raises
        ------
        NothingToRestartError, DamagedError, StorageAccessError, FormatVersionError
            The same on all ranks.
        ConflictError
            `path` is older than the newest checkpoint of this store, without `discard_newer`.
        """
        return self.restart(
            path, owner, accept=accept, discard_newer=discard_newer, force=force
        ).state

    def restart(
        self,
        path: Path | str | None,
        owner: Owner,
        *,
        accept: Accept = lambda header: None,
        discard_newer: bool = False,
        force: bool = False,
    ) -> Restored:
        """As `restore`, with the manifest and how the restart went."""
        source = self.directory if path is None else Path(path)
        on_root(self.comm, lambda: self._check_branch(source, discard_newer), "restart")
        return self.take(source, owner, accept=accept, discard_newer=discard_newer, force=force)

    def take(
        self,
        source: Path,
        owner: Owner,
        *,
        accept: Accept = lambda header: None,
        discard_newer: bool = False,
        force: bool = False,
    ) -> Restored:
        """As `restart`, from a source that the caller has chosen among all there are."""
        restart = Restart(self.comm, self.fs, self.options, self._set_aside)
        restored = restart.run(source, owner, accept, force)
        self._committer.parent = restored.manifest.uuid
        on_root(self.comm, lambda: self._after_restart(restored, discard_newer), "restart")
        return restored

    def _set_aside(self, path: Path, uuid: str) -> str:
        """Quarantine a damaged checkpoint of this store; others' are left alone."""
        if self.read_only or path.parent.resolve() != self.directory.resolve():
            return ""
        return quarantine(self.directory, path.name, uuid, self.fs)

    def _newer_than(self, source: Path) -> list[Committed]:
        known = list_committed(self.directory, self.fs)
        steps = [c.step for c in known if c.name == source.name]
        if not steps or source.parent.resolve() != self.directory.resolve():
            return []
        return [c for c in known if c.step > steps[0]]

    def _names_newer_than(self, source: Path) -> list[str]:
        """Newer checkpoints by their names, newest first, whether or not they can be read."""
        step = step_of(source.name)
        if step is None or source.parent.resolve() != self.directory.resolve():
            return []
        steps = {n: step_of(n) or 0 for n in self.fs.listdir(self.directory) if step_of(n)}
        return sorted((n for n, k in steps.items() if k > step), key=lambda n: -steps[n])

    def _check_branch(self, source: Path, discard_newer: bool) -> None:
        newer = self._names_newer_than(source)
        if newer and not discard_newer:
            raise ConflictError(
                f"{source}: {newer[0]} is newer, and the next automatic restart would jump to "
                "that abandoned branch; set newer ones aside with --discard-newer, or continue in "
                "another folder (--out, checkpoint.dir)"
            )
        if newer and self.read_only:
            raise StorageAccessError(f"{self.directory}: can only be read, so nothing is set aside")

    def _after_restart(self, restored: Restored, discard_newer: bool) -> None:
        """On rank 0: set the abandoned branch aside, note the verification, tell, record."""
        if discard_newer:
            for newer in self._newer_than(restored.path):
                quarantine(self.directory, newer.name, newer.uuid, self.fs, kind=".old")
        self._tell([f"{name}: not used: {why}" for name, why in restored.fallbacks.items()])
        if self.read_only or restored.path.parent.resolve() != self.directory.resolve():
            return
        manifest = restored.manifest
        try:
            mark_verified(self.directory, manifest.step, manifest.uuid, self.fs)
        except OSError as error:
            self._log(f"{self.directory}: not noted as verified: {error}")

    def record_restart(self, restored: Restored, forces_s: float) -> dict[str, Any]:
        """Add a restart to the log of checkpoints, once the run has its forces; returns the line.

        Parameters
        ----------
        forces_s
            Seconds that lists and forces took, on this rank.
        """
        step = restored.manifest.step
        newest = max((step_of(name) or 0 for name in restored.fallbacks), default=step)
        line = {"event": "restart", "step": step, "uuid": restored.manifest.uuid,
                "path": str(restored.path), "ranks": self.comm.size,
                "fallback_depth": len(restored.fallbacks), "fallbacks": restored.fallbacks,
                "steps_lost": max(newest - step, 0), **restored.metrics,
                "forces_s": self.comm.allreduce(forces_s, op=MPI.MAX)}  # fmt: skip
        self.record(line)
        return line

    def record(self, line: Mapping[str, Any]) -> None:
        """Add a line to the log of checkpoints, on rank 0."""
        if self.comm.rank or self.read_only:
            return
        trouble = append_line(self.fs, self.metrics_path, {"when": time.time(), **line})
        if trouble:
            self._log(trouble)
