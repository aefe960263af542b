"""One commit: from a state to a directory that a restart finds, or to nothing at all.

    0  all ranks look at the state and agree that it is sound, new, and will fit
    1  the draft's directory             5  read back, where that is asked for
    2  its files, without data           6  the manifest, and all names made durable
    3  the data, each block summed       7  one rename: committed
    4  fsync of every file               8, 9  the hint LATEST, and retention

The steps from 1 to 7 are those of `mdapp.storage.attempt`. What is here is everything around them:
what is refused before, what is tried once more, what is cleared away, measured and told after.
"""

from __future__ import annotations

import errno
import time
import uuid as uuids
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.storage.admission import Admission
from mdapp.storage.attempt import Attempt, Place
from mdapp.storage.cargo import check_count, load
from mdapp.storage.consensus import on_root, settle_worst
from mdapp.storage.engines import Pace, unhurried
from mdapp.storage.errors import (
    CheckpointError,
    DurabilityError,
    NonFiniteStateError,
)
from mdapp.storage.lock import DirectoryLock
from mdapp.storage.manifest import Manifest, plain_mass
from mdapp.storage.metrics import (
    ROOT_PHASES,
    Outcome,
    append_line,
    gbytes_per_s,
    spread_over_ranks,
)
from mdapp.storage.names import aside_name, step_name
from mdapp.storage.order import Order
from mdapp.storage.provenance import software
from mdapp.storage.publish import write_latest
from mdapp.storage.retention import list_committed, mark_verified, retain
from mdapp.storage.state import State
from mdapp.storage.survey import LocalSurvey, exercise, sum_surveys, survey_rank

# Why the name is in doubt, empty if it is not; and warnings of the steps after.
Published = tuple[str, list[str]]


class Committer:
    """Writes the checkpoints of a store; every method is collective.

    Parameters
    ----------
    place : where and how
    lock : of the folder, held by rank 0
    run_uuid : identity of the run
    read_only : whether the folder can only be read
    metrics_path : log of all attempts
    log : told on rank 0 what went wrong without harm
    of_run : what the run adds to the line of an attempt

    Attributes
    ----------
    failures : attempts that failed in a row
    parent : identity of the checkpoint that the run was at last
    """

    def __init__(
        self, place: Place, lock: DirectoryLock, run_uuid: str, read_only: bool,
        metrics_path: Path, log: Callable[[str], None],
        of_run: Callable[[], Mapping[str, Any]] = dict,
    ):  # fmt: skip
        self._place, self._lock, self._run_uuid = place, lock, run_uuid
        self._comm, self._fs = place.comm, place.fs
        self._directory, self._options = place.directory, place.options
        self._read_only, self._metrics_path, self._log = read_only, metrics_path, log
        self._of_run = of_run
        self.failures, self.parent = 0, ""
        self._admission = Admission(place, run_uuid, read_only, log)
        self._crashed = False
        self._software = software()
        exercise()

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
        order = self.order(state, "sync")
        try:
            if self.prepare(order):
                self.write_prepared(order)
        except CheckpointError as error:
            raise self.failed(order, error) from None
        return self.succeeded(order)

    def order(self, state: State, mode: str) -> Order:
        """Begin a checkpoint: an identity, and the clock runs."""
        target = self._directory / step_name(state.step)
        return Order(state, Outcome(state.step, self.new_uuid(), "failed", target, ""), mode)

    def new_uuid(self) -> str:
        """Identity for an attempt, the same on all ranks."""
        return str(self._comm.bcast(uuids.uuid4().hex, 0))

    def prepare(self, order: Order, look: bool = True) -> bool:
        """Step 0: False if the same state is committed already, so that nothing is to be done.

        Parameters
        ----------
        look
            Look at the atoms now; otherwise the caller does, with `survey_local` and `assess`.
        """
        self._load(order)
        if look or self._admission.is_taken(order.outcome.path):
            with self._together(order, "snapshot_s") as local:
                local.append(self.survey_local(order))
            self.assess(order, local[0])
            present = self._admission.present(order.state.step, order.survey.state_hash)
            if present:
                order.outcome.uuid, order.outcome.result = present, "present"
                return False
        self._admission.check_space(order.cargo.bytes)
        self._admission.trust_engine()
        return True

    def survey_local(self, order: Order) -> LocalSurvey:
        """Look at the atoms of this rank; any thread may do it."""
        return survey_rank(order.cargo, len(order.state.mass))

    def assess(self, order: Order, local: LocalSurvey) -> None:
        """Put together what all ranks saw.

        Raises
        ------
        NonFiniteStateError
            The state is no checkpoint.
        """
        order.survey = sum_surveys(self._comm, order.cargo.fields, local)
        order.outcome.state_hash = order.survey.state_hash
        if not order.survey.finite:
            self._refuse(order)

    def failed(self, order: Order, error: CheckpointError) -> CheckpointError:
        """Record that it came to nothing; returns the error with what a user wants to know."""
        self.failures += 1
        order.errors[errno.errorcode.get(error.errno, type(error).__name__)] = str(error)
        self._record(order)
        return self._explained(error)

    def succeeded(self, order: Order) -> Outcome:
        """Record that it is committed."""
        self.failures, self.parent = 0, order.outcome.uuid
        self._record(order)
        return order.outcome

    def _load(self, order: Order) -> None:
        """Take the arrays of the state, and count what will be written."""
        with self._together(order, "agree_s"):
            order.cargo = load(order.state, self._comm.rank, self._options.block_atoms)
        check_count(self._comm, order.state)
        cargo = order.cargo
        blocks = int(self._comm.allreduce(len(cargo.table)))
        nbytes = cargo.bytes + blocks * cargo.table.itemsize
        order.sizes = nbytes, self._place.group.count, blocks, cargo.natoms

    @contextmanager
    def _together(self, order: Order, timer: str) -> Iterator[list[Any]]:
        """Run a block on all ranks; on return it succeeded on all, or all raise the same error."""
        failure: Exception | None = None
        try:
            with order.clock(timer):
                yield []
        except Exception as error:
            failure = error
        settle_worst(self._comm, failure, f"checkpoint of step {order.state.step}")

    def _refuse(self, order: Order) -> None:
        """Refuse a broken state; the first time, keep it for whoever wants to know why."""
        state, survey, where = order.state, order.survey, ""
        if not self._crashed and not order.cargo.has_changed(self._comm):
            self._crashed = True
            dump = self.order(replace(state, invariants=_without_nan(state.invariants)), "sync")
            dump.cargo, dump.survey = order.cargo, survey
            target = self._directory / aside_name("crash", state.step, dump.outcome.uuid)
            try:
                self._attempt(dump, target)
                where = f"; the state was dumped to {target}"
            except CheckpointError as error:
                where = f"; it could not be dumped either: {error}"
        bad = [f.name for f in order.cargo.fields if survey.ranges[f.name] is None]
        raise _alike(self._comm, NonFiniteStateError(
            f"step {state.step}: {', '.join(bad)} of some atom is not finite, so that this state "
            f"is no checkpoint{where}"
        ))  # fmt: skip

    def write_prepared(self, order: Order) -> None:
        """Steps 1 to 9; once more, elsewhere, if durability failed, since fsync cannot be."""
        try:
            self._commit(order)
        except DurabilityError as error:
            self.once_more(order, error)
            self._commit(order)

    def once_more(self, order: Order, error: DurabilityError) -> None:
        """Give an order another identity, and so another directory."""
        order.retries += 1
        order.outcome.warnings.append(f"written once more: {error}")
        order.outcome.uuid = self.new_uuid()

    def _commit(self, order: Order) -> None:
        doubt = self._attempt(order, order.outcome.path)
        warnings: list[str] = []
        if not doubt and self._comm.rank == 0:
            warnings = self.after_commit(order)
        self.published(order, doubt, self._comm.bcast(warnings, 0))

    def published(self, order: Order, doubt: str, warnings: list[str]) -> None:
        """Note what came of step 7, and what the steps after it warned of."""
        outcome = order.outcome
        outcome.result = "undurable" if doubt else "committed"
        if doubt:
            outcome.warnings.append(
                f"{outcome.path}: published, but its name may not survive a power cut ({doubt}); "
                "older checkpoints are all kept"
            )
        outcome.warnings += warnings

    def attempt(self, order: Order, pace: Pace = unhurried) -> Attempt:
        """An attempt at an order; `pace` as in `mdapp.storage.engines`."""
        outcome = order.outcome
        return Attempt(self._place, order.cargo, outcome.step, outcome.uuid, order.clock, pace)

    def start(self, attempt: Attempt) -> None:
        """Steps 1 and 2: directory and files."""
        on_root(self._comm, self._lock.check, f"checkpoint of step {attempt.step}")
        attempt.make_directory()
        attempt.create_files()

    def discard(self, attempt: Attempt) -> None:
        """Clear away what a failed attempt left."""
        left = attempt.discard()
        if left and self._comm.rank == 0:
            self._log(left)

    def _attempt(self, order: Order, target: Path) -> str:
        """Steps 1 to 7; returns why the name is in doubt, empty if it is not."""
        attempt = self.attempt(order)
        try:
            self.start(attempt)
            began = time.perf_counter()
            attempt.write()
            attempt.sync()
            window = time.perf_counter() - began
            attempt.verify()
            attempt.seal(self.manifest(order))
            doubt = attempt.publish(target, self._lock.check)
        except CheckpointError:
            self.discard(attempt)
            raise
        order.gbytes_per_s = gbytes_per_s(order.cargo.bytes, window)
        return doubt

    def publish_local(self, order: Order, attempt: Attempt, manifest: Manifest) -> Published:
        """Steps 6 to 9 on rank 0, after the writers told of their files; any thread may do it."""
        attempt.seal_local(manifest)
        doubt = attempt.publish_local(order.outcome.path, self._lock.check)
        return doubt, [] if doubt else self.after_commit(order)

    def after_commit(self, order: Order) -> list[str]:
        """Steps 8 and 9, on rank 0: the hint, and retention; nothing here can fail the commit."""
        step, uuid = order.state.step, order.outcome.uuid
        warnings: list[str] = []
        with order.clock("retention_s"):
            try:
                write_latest(self._fs, self._directory, step_name(step))
                if self._place.verify:
                    mark_verified(self._directory, step, uuid, self._fs)
            except OSError as error:
                warnings.append(f"{self._directory}: LATEST not written: {error}")
            warnings += retain(self._directory, self._options, self._fs)[1]
        return warnings

    def manifest(self, order: Order) -> Manifest:
        """Everything but the files, which the writers tell."""
        options, state, survey = self._options, order.state, order.survey
        return Manifest(
            uuid=order.outcome.uuid, parent_uuid=self.parent, run_uuid=self._run_uuid,
            step=state.step, time=float(state.time), dt=float(state.timestep), units=state.units,
            natoms=order.cargo.natoms, natoms_by_type=survey.natoms_by_type,
            species=tuple(state.species), mass=plain_mass(state.mass), box=state.box,
            fields=order.cargo.fields, files=(), block_atoms=options.block_atoms,
            state_hash=survey.state_hash, layout=self._place.group.layout,
            engine=self._place.engine, mode=order.mode,
            decomposition={**state.decomposition, "ranks": self._comm.size,
                           "nodes": self._place.group.nodes,
                           "ranks_of_nodes": list(self._place.group.ranks_of_nodes),
                           "canonical": options.canonical},
            plain={
                "integrator": dict(state.integrator), "rng": dict(state.rng),
                "potential": dict(state.potential), "deck": dict(state.deck),
                "invariants": {**state.invariants, "ranges": survey.ranges,
                               "finite": survey.finite},
                "software": self._software,
                "storage": {**self._place.disk.as_json(), **order.storage},
                "timings": {k: round(v, 6) for k, v in sorted(order.clock.seconds.items())},
            },
            outputs=tuple(dict(o) for o in state.outputs),
        )  # fmt: skip

    def _record(self, order: Order) -> None:
        """Fill in the metrics and add them to the log."""
        outcome, place, seconds = order.outcome, self._place, order.clock.seconds
        total = time.perf_counter() - order.began
        stall = total if order.stall_s is None else order.stall_s
        spent = np.array([total, stall])
        self._comm.Allreduce(MPI.IN_PLACE, spent, MPI.MAX)
        total, stall = spent.tolist()
        phases, of_run = spread_over_ranks(self._comm, seconds), self._of_run()
        known = (0, 0, 0, 0) if outcome.result == "failed" else order.sizes
        nbytes, files, blocks, natoms = known
        outcome.metrics = self._comm.bcast({
            "step": outcome.step, "uuid": outcome.uuid, "result": outcome.result,
            "level": order.storage["level"],
            "layout": place.group.layout, "engine": place.engine, "mode": order.mode,
            "ranks": self._comm.size, "nodes": place.group.nodes,
            "files": files, "blocks": blocks, "atoms": natoms, "bytes": nbytes,
            **phases, **{k: seconds.get(k, 0.0) for k in ROOT_PHASES},
            "total_s": total, "stall_s": stall, "when": time.time(),
            "perceived_gbytes_per_s": gbytes_per_s(nbytes, stall),
            "gbytes_per_s": order.gbytes_per_s,
            "retries": order.retries, "errors": order.errors, **of_run,
        }, 0)  # fmt: skip
        if self._comm.rank == 0 and not self._read_only:
            trouble = append_line(self._fs, self._metrics_path, outcome.metrics)
            if trouble:
                outcome.warnings.append(trouble)
            for warning in outcome.warnings:
                self._log(warning)

    def _explained(self, error: CheckpointError) -> CheckpointError:
        """Add to the message what a user wants to know next: what is still there."""

        def standing() -> str:
            try:
                known = list_committed(self._directory, self._fs)
                free = self._fs.free_bytes(self._directory)
            except OSError:
                return ""
            newest = f"the newest checkpoint is {known[0].name}" if known else "there is no older"
            return f"{newest}; {free / 1e9:.3g} GB are free in {self._directory}"

        told = self._comm.bcast(standing() if self._comm.rank == 0 else "", 0)
        if told:
            error.args = (f"{error}; {told}",)
        return error


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
