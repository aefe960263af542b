"""The store of a run: one folder of checkpoints, written and read by all ranks together.

    with CheckpointStore(comm, "melt.run/checkpoints", options) as store:
        outcome = store.write(state)
        restored = store.restore(None, owner)

What a commit must survive decides its order (the steps are numbered in `write`): nothing is written
before all ranks agree that the state is sound; no data before its descriptor; no manifest before
all data is on the device; no name before the manifest. A failure in between removes the attempt and
raises the same error on all ranks; older checkpoints are not touched, and the run may go on.
"""

from __future__ import annotations

import errno
import time
import uuid as uuids
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.attempt import Attempt, Place
from mdapp.storage.canary import check_engine
from mdapp.storage.consensus import on_root, settle_worst
from mdapp.storage.engines import Clock
from mdapp.storage.errors import (
    CheckpointError,
    ConflictError,
    DamagedError,
    DurabilityError,
    FormatVersionError,
    NonFiniteStateError,
    StorageAccessError,
)
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.layout import make_group, resolved_engine
from mdapp.storage.lock import DirectoryLock
from mdapp.storage.manifest import Manifest, decode, plain_mass
from mdapp.storage.metrics import (
    ROOT_PHASES,
    Outcome,
    append_line,
    gbytes_per_s,
    spread_over_ranks,
)
from mdapp.storage.names import MANIFEST, METRICS, aside_name, step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.provenance import file_system_type, software
from mdapp.storage.publish import write_latest
from mdapp.storage.redistribute import Owner
from mdapp.storage.restore import Accept, Restart, Restored
from mdapp.storage.retention import (
    Committed,
    collect_orphans,
    list_committed,
    mark_verified,
    quarantine,
    retain,
)
from mdapp.storage.state import Field, State, fields_of
from mdapp.storage.survey import LocalSurvey, Survey, exercise, sum_surveys, survey_rank

MARGIN_FACTOR, MARGIN_BYTES = 1.05, 64 << 20
READ_ONLY = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
Log = Callable[[str], None]


class CheckpointStore:
    """A folder of checkpoints, locked for one job; every method is collective.

    Parameters
    ----------
    comm : the ranks of the run
    directory : the folder, made where it does not exist
    options : how to write and keep
    fs : the door to the operating system
    metrics_path : log of all attempts; default beside the folder
    node : number of this rank's node, where it is known better than by shared memory
    break_lock : take the lock of a job on another node that is known to be dead
    log : told on rank 0 what went wrong without harm

    Attributes
    ----------
    failures : attempts that failed in a row
    run_uuid : identity of this run in the manifests that it writes

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
        node: int | None = None,
        break_lock: bool = False,
        log: Log = lambda message: None,
    ):
        self.options = options or CheckpointOptions()
        self.directory, self.fs, self._log = Path(directory), fs, log
        self._metrics_path = metrics_path or self.directory.parent / METRICS
        engine, failure = "", None
        try:
            engine = resolved_engine(self.options)
        except InputError as error:
            failure = error
        settle_worst(comm, failure, "checkpoint")
        self.comm = comm.Dup()
        self.run_uuid = str(self.comm.bcast(uuids.uuid4().hex, 0))
        self._lock = DirectoryLock(
            self.directory, self.run_uuid, self.options.lock_stale_s, break_lock, fs
        )
        self.failures, self._parent = 0, ""
        self._crashed = self._trusted = False
        self._software = software()
        exercise()
        self.read_only = bool(on_root(self.comm, self._take_folder, f"opening {self.directory}"))
        group = make_group(self.comm, self.options, node)
        verify = self.options.verify_after_write
        self._place = Place(
            self.comm, group, fs, self.directory, self.options, engine,
            group.layout == "shared" if verify is None else verify,
        )  # fmt: skip

    def __enter__(self) -> CheckpointStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give up the lock. Not collective, so that it cannot hang after an error."""
        self._lock.release()

    def _take_folder(self) -> bool:
        """On rank 0: make and lock the folder, clear up; True if it can only be read."""
        try:
            self._make_folder()
            self._lock.acquire()
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

    def _make_folder(self) -> None:
        missing = []
        path = self.directory
        while not self.fs.exists(path):
            missing.append(path)
            path = path.parent
        for folder in reversed(missing):
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
        start, clock = time.perf_counter(), Clock()
        outcome = Outcome(
            state.step, str(self.comm.bcast(uuids.uuid4().hex, 0)), "failed",
            self.directory / step_name(state.step), "",
        )  # fmt: skip
        line: dict[str, Any] = {"retries": 0, "errors": {}, "sizes": (0, 0, 0, 0)}
        try:
            survey = self._survey(state, clock)
            outcome.state_hash = survey.state_hash
            if not survey.finite:
                self._refuse(state, survey)
            line["sizes"] = self._sizes(survey)
            present = self._present(state.step, survey.state_hash)
            if present:
                outcome.uuid, outcome.result = present, "present"
            else:
                self._check_space(survey)
                self._trust_engine()
                self._write_twice(state, survey, outcome, clock, line)
        except CheckpointError as error:
            self.failures += 1
            line["errors"][errno.errorcode.get(error.errno, type(error).__name__)] = str(error)
            self._record(outcome, line, clock, start)
            raise self._explained(error) from None
        self.failures, self._parent = 0, outcome.uuid
        self._record(outcome, line, clock, start)
        return outcome

    def _survey(self, state: State, clock: Clock) -> Survey:
        """Step 0: look at the state, all ranks."""
        local: tuple[tuple[Field, ...], LocalSurvey] | None = None
        failure: Exception | None = None
        try:
            with clock("snapshot_s"):
                fields = fields_of(state)
                local = fields, survey_rank(
                    state, fields, self.comm.rank, self.options.block_atoms
                )
        except Exception as error:
            failure = error
        settle_worst(self.comm, failure, f"checkpoint of step {state.step}")
        assert local is not None
        return sum_surveys(self.comm, state, *local)

    def _sizes(self, survey: Survey) -> tuple[int, int, int, int]:
        """Bytes of atoms and tables, files, blocks and atoms, of all ranks."""
        blocks = int(self.comm.allreduce(len(survey.table)))
        nbytes = survey.bytes + blocks * survey.table.itemsize
        return nbytes, self._place.group.count, blocks, survey.natoms

    def _refuse(self, state: State, survey: Survey) -> None:
        """Refuse a broken state; the first time, keep it for whoever wants to know why."""
        where = ""
        if not self._crashed:
            self._crashed = True
            uuid = str(self.comm.bcast(uuids.uuid4().hex, 0))
            target = self.directory / aside_name("crash", state.step, uuid)
            tame = replace(state, invariants=_without_nan(state.invariants))
            try:
                self._attempt(tame, survey, uuid, target, Clock())
                where = f"; the state was dumped to {target}"
            except CheckpointError as error:
                where = f"; it could not be dumped either: {error}"
        bad = [f.name for f in survey.fields if survey.ranges[f.name] is None]
        raise _alike(self.comm, NonFiniteStateError(
            f"step {state.step}: {', '.join(bad)} of some atom is not finite, so that this state "
            f"is no checkpoint{where}"
        ))  # fmt: skip

    def _present(self, step: int, state_hash: str) -> str:
        """Identity of a committed checkpoint of the same state; empty if there is none."""

        def look() -> str:
            name = step_name(step)
            path = self.directory / name
            if self.read_only or not self.fs.exists(path):
                return ""
            try:
                known = decode(self.fs.read_small(path / MANIFEST))
            except FormatVersionError as error:
                raise ConflictError(f"{path}: exists already ({error})") from None
            except (DamagedError, FileNotFoundError) as error:
                aside = quarantine(self.directory, name, uuids.uuid4().hex, self.fs)
                self._log(f"{path}: set aside as {aside}: {error}")
                return ""
            if known.state_hash != state_hash:
                raise ConflictError(
                    f"{path}: exists already with another state ({known.uuid}, state hash "
                    f"{known.state_hash} instead of {state_hash}, of run {known.run_uuid}); give "
                    f"run {self.run_uuid} a folder of its own (--out, checkpoint.dir)"
                )
            return known.uuid

        return on_root(self.comm, look, f"checkpoint of step {step}")

    def _check_space(self, survey: Survey) -> None:
        """Refuse what will not fit, before anything is written."""
        need = int(survey.bytes * MARGIN_FACTOR) + MARGIN_BYTES

        def compare() -> None:
            if self.read_only:
                raise OSError(errno.EROFS, "the folder can only be read", str(self.directory))
            free = self.fs.free_bytes(self.directory)
            if free < need and self.options.free_space_policy == "prune":
                retain(self.directory, self.options, self.fs)
                free = self.fs.free_bytes(self.directory)
            if free < need:
                raise OSError(
                    errno.ENOSPC, f"{need} bytes are needed, {free} are free", str(self.directory)
                )

        on_root(self.comm, compare, "checkpoint")

    def _trust_engine(self) -> None:
        """Before the first file that all ranks share: see whether their bytes stay apart."""
        if self._trusted or self._place.group.layout != "shared":
            return
        limit = self.options.io_timeout_s
        check_engine(self.comm, self.fs, self.directory, self._place.engine, limit)
        self._trusted = True

    def _write_twice(
        self, state: State, survey: Survey, outcome: Outcome, clock: Clock, line: dict[str, Any]
    ) -> None:
        """Write; once more into a new directory if durability failed, since fsync cannot be."""
        try:
            self._commit(state, survey, outcome, clock, line)
        except DurabilityError as error:
            line["retries"] = 1
            outcome.warnings.append(f"written once more: {error}")
            outcome.uuid = str(self.comm.bcast(uuids.uuid4().hex, 0))
            self._commit(state, survey, outcome, clock, line)

    def _commit(
        self, state: State, survey: Survey, outcome: Outcome, clock: Clock, line: dict[str, Any]
    ) -> None:
        target = self.directory / step_name(state.step)
        doubt = self._attempt(state, survey, outcome.uuid, target, clock, line)
        if doubt:
            outcome.result = "undurable"
            outcome.warnings.append(
                f"{target}: published, but its name may not survive a power cut ({doubt}); older "
                "checkpoints are all kept"
            )
            return
        outcome.result = "committed"
        outcome.warnings += self.comm.bcast(self._after_commit(state.step, outcome.uuid, clock), 0)

    def _attempt(
        self, state: State, survey: Survey, uuid: str, target: Path, clock: Clock,
        line: dict[str, Any] | None = None,
    ) -> str:  # fmt: skip
        """Steps 1 to 7; returns why the name is in doubt, empty if it is not."""
        attempt = Attempt(self._place, survey, state.step, uuid, clock)
        try:
            on_root(self.comm, self._lock.check, f"checkpoint of step {state.step}")
            attempt.make_directory()
            attempt.create_files()
            began = time.perf_counter()
            attempt.write()
            attempt.sync()
            window = time.perf_counter() - began
            attempt.verify()
            manifest = self._manifest(state, survey, uuid)
            attempt.seal(manifest)
            doubt = attempt.publish(target, self._lock.check)
        except CheckpointError:
            left = attempt.discard()
            if left and self.comm.rank == 0:
                self._log(left)
            raise
        if line is not None:
            line["gbytes_per_s"] = gbytes_per_s(survey.bytes, window)
        return doubt

    def _after_commit(self, step: int, uuid: str, clock: Clock) -> list[str]:
        """Steps 8 and 9, on rank 0: the hint, and retention; nothing here can fail the commit."""
        if self.comm.rank != 0:
            return []
        warnings: list[str] = []
        with clock("retention_s"):
            try:
                write_latest(self.fs, self.directory, step_name(step))
                if self._place.verify:
                    mark_verified(self.directory, step, uuid, self.fs)
            except OSError as error:
                warnings.append(f"{self.directory}: LATEST not written: {error}")
            warnings += retain(self.directory, self.options, self.fs)[1]
        return warnings

    def _manifest(self, state: State, survey: Survey, uuid: str) -> Manifest:
        """Everything but the files, which the writers tell."""
        options = self.options
        return Manifest(
            uuid=uuid, parent_uuid=self._parent, run_uuid=self.run_uuid,
            step=state.step, time=float(state.time), dt=float(state.timestep), units=state.units,
            natoms=survey.natoms, natoms_by_type=survey.natoms_by_type,
            species=tuple(state.species), mass=plain_mass(state.mass), box=state.box,
            fields=survey.fields, files=(), block_atoms=options.block_atoms,
            state_hash=survey.state_hash, layout=self._place.group.layout,
            engine=self._place.engine, mode=options.mode,
            decomposition={**state.decomposition, "ranks": self.comm.size,
                           "nodes": self._place.group.nodes, "canonical": options.canonical},
            plain={
                "integrator": dict(state.integrator), "rng": dict(state.rng),
                "potential": dict(state.potential), "deck": dict(state.deck),
                "invariants": {**state.invariants, "ranges": survey.ranges,
                               "finite": survey.finite},
                "software": self._software,
                "storage": {"type": file_system_type(self.directory), "level": "parallel"},
                "timings": {},
            },
            outputs=tuple(dict(o) for o in state.outputs),
        )  # fmt: skip

    def _record(self, outcome: Outcome, line: dict[str, Any], clock: Clock, start: float) -> None:
        """Fill in the metrics and add them to the log."""
        stall = np.array([time.perf_counter() - start])
        self.comm.Allreduce(MPI.IN_PLACE, stall, MPI.MAX)
        place = self._place
        nbytes, files, blocks, natoms = 0, 0, 0, 0
        phases = spread_over_ranks(self.comm, clock.seconds)
        if outcome.result != "failed":
            nbytes, files, blocks, natoms = line["sizes"]
        outcome.metrics = self.comm.bcast({
            "step": outcome.step, "uuid": outcome.uuid, "result": outcome.result,
            "layout": place.group.layout, "engine": place.engine, "mode": self.options.mode,
            "ranks": self.comm.size, "nodes": place.group.nodes,
            "files": files, "blocks": blocks, "atoms": natoms, "bytes": nbytes,
            **phases, **{k: clock.seconds.get(k, 0.0) for k in ROOT_PHASES},
            "total_s": float(stall[0]), "stall_s": float(stall[0]),
            "perceived_gbytes_per_s": gbytes_per_s(nbytes, float(stall[0])),
            "when": time.time(), "gbytes_per_s": 0.0,
            **{k: v for k, v in line.items() if k != "sizes"},
        }, 0)  # fmt: skip
        if self.comm.rank == 0 and not self.read_only:
            trouble = append_line(self.fs, self._metrics_path, outcome.metrics)
            if trouble:
                outcome.warnings.append(trouble)
            self._tell(outcome.warnings)

    def _explained(self, error: CheckpointError) -> CheckpointError:
        """Add to the message what a user wants to know next: what is still there."""

        def standing() -> str:
            try:
                known = list_committed(self.directory, self.fs)
                free = self.fs.free_bytes(self.directory)
            except OSError:
                return ""
            newest = f"the newest checkpoint is {known[0].name}" if known else "there is no older"
            return f"{newest}; {free / 1e9:.3g} GB are free in {self.directory}"

        told = self.comm.bcast(standing() if self.comm.rank == 0 else "", 0)
        if told:
            error.args = (f"{error}; {told}",)
        return error

    # --- reading --------------------------------------------------------------------------------

    def newest(self) -> Committed | None:
        """Newest committed checkpoint of the folder; None if there is none."""
        known = self.committed()
        return known[0] if known else None

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
        restart = Restart(self.comm, self.fs, self.options, self._set_aside)
        on_root(self.comm, lambda: self._check_branch(source, discard_newer), "restart")
        restored = restart.run(source, owner, accept, force)
        self._parent = restored.manifest.uuid
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

    def _check_branch(self, source: Path, discard_newer: bool) -> None:
        newer = self._newer_than(source)
        if newer and not discard_newer:
            raise ConflictError(
                f"{source}: {newer[0].name} is newer, and the next automatic restart would jump to "
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
        line = {"event": "restart", "step": manifest.step, "uuid": manifest.uuid,
                "ranks": self.comm.size, "fallback_depth": len(restored.fallbacks),
                "fallbacks": restored.fallbacks, **restored.metrics}  # fmt: skip
        trouble = append_line(self.fs, self._metrics_path, line)
        if trouble:
            self._log(trouble)


def _alike(comm: MPI.Comm, error: CheckpointError) -> CheckpointError:
    """Mark an error that all ranks raise alike."""
    vars(error).update(agreed_by=comm.size, failing=comm.size)
    return error


def _without_nan(value: Any) -> Any:
    """Replace what JSON cannot hold by None."""
    if isinstance(value, dict):
        return {k: _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
