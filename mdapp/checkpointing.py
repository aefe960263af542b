"""Checkpoints of a run: when one is written, of what, and how a run begins from one.

The store keeps bits and the schedule knows the time; this is where they meet the engine.  What a
checkpoint holds is the state at a step boundary.  Restarting from it must give the same bits as
going on, so going on does what a restart does: at a checkpoint step the run brings its atoms into
the canonical order, builds its lists anew and computes the forces from the state that is saved
(`checkpoint.canonical`).  A failed checkpoint is told and survived, until too many fail in a row.

With `checkpoint.mode = "async"` the run lends its arrays and goes on. How fast the storage is
then decides when a checkpoint is committed, and must decide nothing else: so a run that skips one,
because the last is still in flight, renews its order and lists all the same. The end of a run has
nothing to compute in the meantime, and waits: for the one in flight, then for its last.

A run that asks for no checkpoints writes none on its own, but `mdapp run` lets also such a run be
stopped without loss: SIGTERM, SIGUSR1 and the stop file get one. The store is opened then; until
then the run leaves no trace in its folder. Ctrl-C at a run without checkpoints is what it always
was: somebody who tries something out does not want a folder of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.checkpoint_costs import COALESCED, SKIPPED, Costs
from mdapp.checkpoint_levels import Store, go_on_draining, open_store, write_now, writer_of
from mdapp.deck import Deck
from mdapp.errors import InputError
from mdapp.model.atoms import Atoms
from mdapp.parallel.agree import agree, is_agreed
from mdapp.perf.timers import process_age
from mdapp.storage.background import Background
from mdapp.storage.catalogue import checkpoint_folder, is_checkpoint
from mdapp.storage.consensus import on_root
from mdapp.storage.errors import CheckpointError, LockedError, StorageAccessError
from mdapp.storage.files import REAL
from mdapp.storage.metrics import Outcome
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.restore import Restored, restart_bytes
from mdapp.storage.state import State
from mdapp.storage.stop import seconds_left
from mdapp.storage.store import candidates
from mdapp.storage.triggers import (
    NOTHING,
    STOPPED,
    STOPPED_WITHOUT,
    Decision,
    Schedule,
)

AUTO = "auto"


def options_of(deck: Deck) -> CheckpointOptions:
    """The deck's `[checkpoint]` table as the store wants it."""
    return CheckpointOptions.from_table(deck.checkpoint.model_dump(exclude_none=True))


class Checkpoints:
    """The checkpoints of one run; every method is collective.

    Parameters
    ----------
    out : folder of the run; `checkpoint.dir` lies in it
    restart : None, a path, or "auto" for the newest checkpoint of the run's own folder
    walltime : seconds that the run may take, "hh:mm:ss", or None
    discard_newer : restart from an older checkpoint and set newer ones aside
    stoppable : heed signals and the stop file also where the deck asks for no checkpoints
    tell : called on rank 0 with what the user should know

    Attributes
    ----------
    costs : the account of them
    wanted : whether the user asked for checkpoints, in the deck or on the command line

    Raises
    ------
    InputError : the folder has checkpoints already, and no restart was asked for
    CheckpointError : the folder cannot be used, or is another job's
    """

    def __init__(self, comm: MPI.Intracomm, deck: Deck, out: Path, *, restart: str | None = None,
                 walltime: str | None = None, discard_newer: bool = False,
                 stoppable: bool = False,
                 tell: Callable[[str], None] = lambda line: None):
        self.comm, self.restart, self.discard_newer = comm, restart, discard_newer
        self.stoppable, self.costs = stoppable, Costs(comm)
        self.tell = tell if comm.rank == 0 else lambda line: None
        self.store: Store | None = None
        self.schedule: Schedule | None = None
        self._first_step = 0
        self._last = self._put_off = False
        self._found: Restored | None = None
        with agree(comm):
            self.options = options_of(deck)
            self._left = seconds_left(walltime, process_age())
        self._out, self._directory = out, out / self.options.dir
        periodic = self.options.every or self.options.every_minutes or self.options.interval
        self.wanted = bool(periodic) or restart is not None or self._left is not None
        if self.wanted:
            self.store = self._opened(self.options)

    def _opened(self, options: CheckpointOptions) -> Store:
        return open_store(
            self.comm, self._directory, options, log=self.tell, of_run=self.costs.of_run)

    def candidate(self) -> bool:
        """Whether there is a checkpoint to begin from, as the user asked.

        Raises
        ------
        InputError : the folder has checkpoints and no restart was asked for
        """
        if not self.wanted and not self.stoppable:
            return False
        known = (candidates(self.comm, self._directory) if self.store is None
                 else self.store.candidates())
        if self.restart is None and known:
            raise InputError(f"{self._directory}: has checkpoints of an earlier run, the "
                             f"newest is {known[0]}; go on with --restart auto, or choose another "
                             "folder with --out")
        if self.restart == AUTO and not known:
            self.tell(f"{self._directory}: no checkpoint yet, starting from the input")
            return False
        return self.restart is not None

    def restored(self, accept: Callable[[State], None],
                 owner: Callable[[np.ndarray], np.ndarray]) -> State:
        """The state to begin from, each rank with the atoms that `owner` gives it.

        Parameters
        ----------
        accept : given the state without atoms before any is read; may refuse it
        owner : wrapped positions (n, 3) to ranks (n,)
        """
        assert self.store is not None

        def look(header: State) -> None:
            need = restart_bytes(header, self.comm.size)
            self.tell(f"restart: {header.natoms} atoms, at most {need / 2**20:.0f} MiB a rank")
            accept(header)

        found = self.store.restart(self._meant(), owner, accept=look,
                                   discard_newer=self.discard_newer)
        self._found = found
        self.tell(f"restart from {found.path} (step {found.state.step}, written by "
                  f"{found.manifest.decomposition['ranks']} ranks)")
        return found.state

    def _meant(self) -> Path | None:
        """Where to begin from: None for the newest of the store; of a run's folder, those in it."""
        if self.restart is None or self.restart == AUTO:
            return None
        path = Path(self.restart)

        def look() -> Path:
            folder = REAL.is_directory(path) and not is_checkpoint(path)
            return checkpoint_folder(path) if folder else path

        return on_root(self.comm, look, f"restart from {path}")

    def restarted(self, forces_s: float) -> None:
        """Note how the restart went, if the run began with one, in the log of checkpoints."""
        if self._found is not None and self.store is not None:
            self.store.record_restart(self._found, forces_s)
            self._found = None

    def begin(self, step: int, atoms: Atoms) -> None:
        """Start the clock, from the step that the run begins with these atoms."""
        self._last = False
        self.costs.step_times.resume()
        if self.schedule is not None or not (self.wanted or self.stoppable):
            return
        self._first_step = step
        self.costs.begin()
        if self.background is not None:
            with agree(self.comm):
                atoms.prepare_to_lend()
        self.schedule = Schedule(self.comm, self.options, self._out, first_step=step,
                                 seconds_left=self._left, writer=writer_of(self.store),
                                 tell=self.tell, interrupts=self.wanted)
        self.schedule.__enter__()
        self.costs.interval = lambda: self.schedule.interval_facts if self.schedule else {}

    @property
    def written(self) -> list[dict[str, Any]]:
        """Entries for the report, one a checkpoint."""
        return self.costs.entries

    @property
    def background(self) -> Background | None:
        """What writes beside the run; None if the run waits for its checkpoints."""
        return None if self.store is None else self.store.background

    @property
    def in_flight(self) -> int | None:
        """Step of the checkpoint that is being written beside the run; None if there is none."""
        return None if self.background is None else self.background.step

    def keep(self, names: Collection[str]) -> None:
        """The run is about to change these arrays: copy those that are still to be written."""
        if self.background is not None:
            self.background.keep(names)

    def due(self, step: int) -> Decision:
        """What is to be done after a step; at poll steps also go on with the one in flight."""
        if self.schedule is None:
            return NOTHING
        self.costs.step_times.tick()
        decision = self.schedule.poll(step)
        if decision is NOTHING:
            return decision
        go_on_draining(self.store, decision, self.costs)
        if self.background is None:
            self._last = decision.stop
            return decision
        if decision.polled and self.in_flight is not None:
            self._concluded(lambda b: b.poll(decision.writer_busy, decision.writer_failed))
        if decision.stop:
            self._last = True
            if not decision.checkpoint:
                self.background.abandon()
            return decision
        return self._not_too_many(step, decision)

    def _not_too_many(self, step: int, decision: Decision) -> Decision:
        """Put a checkpoint off while another is in flight, if that is the policy."""
        if self.options.overrun != "coalesce":
            return decision
        if decision.checkpoint and self.in_flight is not None:
            self._overrun(step, COALESCED, "put off until that is done")
            self._put_off = True
            return replace(decision, checkpoint=False)
        if self._put_off and self.in_flight is None:
            self._put_off = False
            return replace(decision, checkpoint=True, reason="put off while another was written")
        return decision

    def want_last(self, step: int) -> bool:
        """Whether the end of the run should get a checkpoint that it does not have yet."""
        if self.schedule is None or not self.wanted or step <= self._first_step:
            return False
        self._last, self._put_off = True, False
        if self.in_flight is not None:
            self._concluded(Background.finish)
        return not self.costs.has(step)

    def write(self, step: int, make: Callable[[], State], canonical_s: float) -> bool:
        """Write a checkpoint; False if it failed, which older checkpoints and the run survive.

        In asynchronous mode it is written later, except the last one of a run.

        Parameters
        ----------
        make : the state of this step, and what must be durable before it is; may fail
        canonical_s : seconds that it took to bring the state into order

        Raises
        ------
        LockedError : another job has taken the folder
        """
        if self.in_flight is not None:
            if self.options.overrun == "skip" and not self._last:
                return self._overrun(step, SKIPPED, "skipped")
            if not self._last:
                self._overrun(step, "", "the run waits")
            self._concluded(Background.finish)
        self.costs.canonical_s = canonical_s

        def begin() -> Outcome | None:
            store = self._store()
            state = self._made(step, make, store)
            background = None if self._last else self.background
            if background is None:
                return write_now(store, state, self._last)
            outcome = background.begin(state)
            if outcome is None:
                self.costs.step_times.open()
            return outcome

        return self._settle(step, begin)

    def _store(self) -> Store:
        """The store; opened now if nobody asked for checkpoints before."""
        if self.store is None:
            try:
                self.store = self._opened(replace(self.options, mode="sync"))
            except LockedError as error:        # no reason to lose a run that needed no folder
                raise StorageAccessError(str(error)) from None
        return self.store

    def _made(self, step: int, make: Callable[[], State], store: Store) -> State:
        try:
            return make()
        except CheckpointError as error:
            store.record({"step": step, "result": "failed", "errors": {"outputs": str(error)}})
            raise

    def _overrun(self, step: int, result: str, what: str) -> bool:
        """Tell that a checkpoint fell due while another is in flight; always False."""
        assert self.store is not None
        self.costs.overruns += 1
        self.tell(f"checkpoint of step {step}: that of step {self.in_flight} is still being "
                  f"written; {what} (lengthen the interval, or see checkpoint.overrun)")
        if result:
            self.store.record(self.costs.not_begun(step, result, self.in_flight))
        return False

    def _concluded(self, go_on: Callable[[Background], Outcome | None]) -> None:
        """Let the checkpoint in flight go on, and note what became of it if that is known."""
        background, step = self.background, self.in_flight
        assert background is not None and step is not None
        self._settle(step, lambda: go_on(background))

    def _settle(self, step: int, write: Callable[[], Outcome | None]) -> bool:
        """Note what became of a checkpoint, None as long as it is in flight; False if it failed."""
        began = time.perf_counter()
        try:
            outcome = write()
        except LockedError:
            raise
        except CheckpointError as error:
            self.tell(f"checkpoint of step {step} failed, the run goes on: {error}")
            self.costs.failed(step, error)
            if self.schedule is not None:
                self.schedule.failed(self.comm.allreduce(time.perf_counter() - began, op=MPI.MAX))
            return False
        finally:
            self.costs.step_times.resume()
        if outcome is None:
            return True
        entry = self.costs.committed(outcome)
        if self.schedule is not None:
            flush_s = entry["total_s"] if entry["mode"] == "async" else 0.0
            self.schedule.committed(entry["stall_s"], entry["total_s"] + self.costs.canonical_s,
                                    entry["slow_down_s"], flush_s)
        return True

    def ending(self, decision: Decision, succeeded: bool) -> Decision:
        """A stop whose checkpoint failed ends with another code."""
        if decision.stop and decision.exit_code == STOPPED and not succeeded:
            return replace(decision, exit_code=STOPPED_WITHOUT)
        return decision

    def end(self, error: BaseException | None = None) -> None:
        """Give back signals and the lock; not collective after an error that others do not have.

        What is in flight is committed first, or left as a draft that the next start removes.
        """
        if self.in_flight is not None:
            self._land(error)
        if self.schedule is not None:
            self.schedule.__exit__(type(error) if error else None, error, None)
            self.schedule = None
        if self.store is not None:
            self.store.close()
            self.store = None

    def _land(self, error: BaseException | None) -> None:
        assert self.background is not None
        together = error is None or (
            isinstance(error, Exception) and not isinstance(error, LockedError)
            and is_agreed(error, self.comm.size))
        if together and self.schedule is not None:
            try:
                self._concluded(Background.finish)
                return
            except CheckpointError as trouble:
                self.tell(str(trouble))
        self.background.abandon()
