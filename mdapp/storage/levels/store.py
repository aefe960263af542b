"""A store of checkpoints on three levels, used like the one of a single folder.

    local      each node's own storage, every checkpoint     survives the process
    partner    a copy on another node, every k-th            survives a node
    parallel   checkpoint.dir, every k-th, drained           survives all but the file system

`write` returns when the set stands on the nodes, and its copies on their partners. Draining takes
place beside the run; if it falls behind, the newest set that was due is next, and those in between
are left out. The last checkpoint of a run goes to the parallel level directly, and so does one that
the nodes have no room for: storage of a node is there for speed, not to depend on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from mpi4py import MPI

from mdapp.storage.consensus import on_root
from mdapp.storage.errors import CheckpointError, ConflictError, StorageAccessError
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.levels.choosing import LevelRestart, step_in
from mdapp.storage.levels.drain import Drain, Drained
from mdapp.storage.levels.lineage import lineage_of
from mdapp.storage.levels.local import LocalLevel, Written
from mdapp.storage.levels.nodes import Nodes
from mdapp.storage.levels.partner import PartnerCopy
from mdapp.storage.levels.records import Records
from mdapp.storage.metrics import Outcome
from mdapp.storage.names import step_name, step_of
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.redistribute import Owner
from mdapp.storage.restore import Accept, Restored
from mdapp.storage.state import State
from mdapp.storage.store import CheckpointStore, Log
from mdapp.storage.triggers import WriterState


class LevelStore:
    """Checkpoints on all levels; every method is collective but `close` and `status`.

    Parameters
    ----------
    comm : the ranks of the run
    directory : folder of the parallel level
    options : how to write and keep; `levels` is set
    fs : the door to the operating system
    of_run : what the run adds to the line of an attempt; called on all ranks, may be collective
    log : told on rank 0 what went wrong without harm

    Attributes
    ----------
    parallel, local : the levels
    background : None; what is written beside the run is a drain, see `poll`

    Raises
    ------
    LockedError
        Another job has one of the folders.
    StorageAccessError
        A folder cannot be used.
    """

    background = None

    def __init__(
        self,
        comm: MPI.Intracomm,
        directory: Path | str,
        options: CheckpointOptions,
        fs: FileSystem = REAL,
        *,
        of_run: Callable[[], Mapping[str, Any]] = dict,
        log: Log = lambda message: None,
    ):
        assert options.levels is not None
        self.options, self._levels, self._fs = options, options.levels, fs
        self.nodes = nodes = Nodes(comm, self._levels.ranks_per_node, options.io_timeout_s)
        self.parallel = CheckpointStore(
            comm, directory, options, fs, of_run=of_run, node=nodes.index, log=log
        )
        # The log of checkpoints is one for all levels.
        self.record, self.record_restart = self.parallel.record, self.parallel.record_restart
        self.directory = self.parallel.directory
        self._records = Records(nodes, self.parallel, log, of_run)
        try:
            lineage = on_root(
                nodes.world,
                lambda: lineage_of(fs, self.directory, self.parallel.read_only),
                f"opening {self.directory}",
            )
            self.local = LocalLevel(nodes, options, lineage, fs, self._records.say)
        except BaseException:
            self.parallel.close()
            raise
        self._drain = Drain(nodes, self.parallel.place, self.parallel.lock)
        self._written = 0
        self._branch: int | None = -1
        self._copied: int | None = None
        self._pending: Written | None = None
        if nodes.count == 1 and self._levels.partner_every and nodes.world.rank == 0:
            log("checkpoint.levels: there is one node, and so no partner to keep copies")
        self._records.deliver()

    def __enter__(self) -> LevelStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if kind is None:
            self.nodes.free()

    def close(self) -> None:
        """Give up the folders. Not collective, so that it cannot hang after an error.

        What is being drained is left as a draft, which the next start removes.
        """
        self._drain.abandon()
        self.local.close()
        self.parallel.close()

    # --- writing --------------------------------------------------------------------------------

    def write(self, state: State) -> Outcome:
        """Write a set to the nodes, copy it to their partners, and let it be drained, as is due.

        Raises
        ------
        CheckpointError, InputError
            As `CheckpointStore.write`; older sets are not touched, and the run may go on.
        """
        self._leave_old_branch()
        began = time.perf_counter()
        try:
            written = self.local.write(state)
        except StorageAccessError as error:
            self._records.tell(
                f"checkpoint of step {state.step}: {error}; it goes to {self.directory} directly"
            )
            self._records.deliver()
            return self._direct(state)
        self._records.deliver()
        copies: dict[str, Any] = {"partner": "none"}
        if not written.present:
            copies = self._copy(written)
            self._let_drain(written)
            self._written += 1
            self.local.retain(self._needed())
        return self._records.stands(written, copies, began)

    def write_last(self, state: State) -> Outcome:
        """Write the last checkpoint of a run to the parallel level.

        Raises
        ------
        CheckpointError, InputError
            As `CheckpointStore.write`. What the nodes can keep of it they have then.
        """
        self._leave_old_branch()
        if self._drain.publishing:
            self._landed(self._drain.finish())
        try:
            outcome = self._direct(state)
        except StorageAccessError as error:
            self._rescue(state, error)
            raise
        self._pending = None
        self._drain.cancel()
        return outcome

    def _direct(self, state: State) -> Outcome:
        captured = time.time()
        outcome = self.parallel.write(state)
        self._records.safe(captured)
        return outcome

    def _rescue(self, state: State, error: CheckpointError) -> None:
        """The parallel level fails at the end of a run: the nodes shall have it at least."""
        if self._drain.step is not None:
            self._landed(self._drain.finish())
        try:
            self.local.write(state)
        except CheckpointError as again:
            self._records.tell(f"checkpoint of step {state.step}: neither on the nodes: {again}")
        else:
            self._records.tell(
                f"checkpoint of step {state.step}: only the nodes have it, in "
                f"{self._levels.local}: {error}"
            )
        self._records.deliver()

    def _leave_old_branch(self) -> None:
        """Before the first write: remove what is newer than where the run went on from."""
        if self._branch is not None:
            self.local.clear_newer(self._branch)
            self._branch = None

    def _is_due(self, every: int) -> bool:
        """Whether one of `every` sets is due; the first is, so that there is one soon."""
        return bool(every) and self._written % every == 0

    def _copy(self, written: Written) -> dict[str, Any]:
        """Copy a set to the partners; returns what to note of it."""
        if self.nodes.count == 1 or not self._is_due(self._levels.partner_every):
            return {"partner": "none"}
        began = time.perf_counter()
        try:
            copy = PartnerCopy(self.nodes, self._fs, self.local.folder)
            nbytes = copy.copy(written.order.outcome.path)
        except CheckpointError as error:
            self._records.tell(
                f"checkpoint of step {written.step}: no copies on partner nodes: {error}"
            )
            return {"partner": "failed", "partner_s": time.perf_counter() - began}
        self._copied = written.step
        return {"partner": "copied", "partner_s": time.perf_counter() - began,
                "partner_bytes": sum(self.nodes.share(nbytes))}  # fmt: skip

    def _needed(self) -> set[int]:
        """Steps that must stay on the nodes, however old they get."""
        pending = self._pending.step if self._pending else None
        return {s for s in (self._drain.step, pending, self._copied) if s is not None}

    # --- draining -------------------------------------------------------------------------------

    def status(self) -> WriterState:
        """What the writer of this rank does."""
        return self._drain.status()

    def poll(self, busy: bool, failed: bool) -> Outcome | None:
        """Go on with the drain; what became of a set if its drain has ended.

        Parameters
        ----------
        busy, failed
            Of the writer of any rank, as the last poll step found them.
        """
        drained = self._drain.poll(busy, failed)
        return None if drained is None else self._landed(drained)

    def finish(self) -> Outcome | None:
        """Wait for what is being drained; what became of the last set."""
        outcome = None
        while self._drain.step is not None:
            outcome = self._landed(self._drain.finish())
        return outcome

    def _let_drain(self, written: Written) -> None:
        if not self._is_due(self._levels.drain_every):
            return
        if self._pending is not None:
            self._records.tell(
                f"step {self._pending.step} is not drained: {self.directory} still takes step "
                f"{self._drain.step}, and step {written.step} is next; lengthen "
                "checkpoint.levels.drain_every"
            )
        self._records.captured(written.step)
        self._pending = written
        self._drain_next()

    def _drain_next(self) -> None:
        if self._pending is None or self._drain.step is not None:
            return
        written, self._pending = self._pending, None
        failed = self._drain.begin(written.facts, written.step, written.order.outcome.path)
        if failed is not None:
            self._records.drained(failed)

    def _landed(self, drained: Drained) -> Outcome:
        outcome = self._records.drained(drained)
        self._drain_next()
        return outcome

    # --- reading --------------------------------------------------------------------------------

    def candidates(self) -> list[str]:
        """Names of what a restart would look at, newest first, whatever is inside."""
        found = self._restart().look().candidates()
        return list(dict.fromkeys(step_name(step_in(item)) for item in found))

    def restart(
        self,
        path: Path | str | None,
        owner: Owner,
        *,
        accept: Accept = lambda header: None,
        discard_newer: bool = False,
        force: bool = False,
    ) -> Restored:
        """As `CheckpointStore.restart`; with no path from whichever level has the newest state."""
        if path is not None:
            return self._from_path(Path(path), owner, accept, discard_newer, force)
        restored, on_nodes = self._restart().run(owner, accept, force)
        if on_nodes:
            self.parallel.committer.parent = restored.manifest.uuid
            self._copied = restored.state.step
        self._records.restarted(restored)
        self._begin_branch(restored)
        return restored

    def _from_path(
        self, path: Path, owner: Owner, accept: Accept, discard_newer: bool, force: bool
    ) -> Restored:
        newest = self._restart().look().newest_whole
        step = step_of(path.name)
        ours = path.parent.resolve() == self.directory.resolve()
        if ours and step is not None and newest > step and not discard_newer:
            with self.nodes.together("restart"):
                raise ConflictError(
                    f"{path}: the nodes have a newer checkpoint, of step {newest}, and the next "
                    "automatic restart would jump to that abandoned branch; discard it with "
                    "--discard-newer, or continue in another folder (--out, checkpoint.dir)"
                )
        restored = self.parallel.restart(
            path, owner, accept=accept, discard_newer=discard_newer, force=force
        )
        self._begin_branch(restored)
        if discard_newer:
            self._leave_old_branch()
        return restored

    def _begin_branch(self, restored: Restored) -> None:
        self._branch = restored.state.step
        self.local.store.committer.parent = restored.manifest.uuid
        self._records.deliver()

    def _restart(self) -> LevelRestart:
        return LevelRestart(self.nodes, self.local, self.parallel, self.options)
