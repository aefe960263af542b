"""The first level: all nodes write their parts of a set, each for itself; then it stands, or not.

Every node commits its part as an ordinary checkpoint, with a store of its own. Between the steps
all nodes agree: nobody writes before all found their atoms sound and have room, and if one of them
fails, the others take back what they committed, because a set that lacks a part is worth nothing
and would push older ones out. For the same reason old parts go only when the new set stands, on all
nodes the same ones: two nodes that each kept "their newest two" could be left without a single step
in common.
"""

from __future__ import annotations

import errno
import re
import uuid as uuids
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from mpi4py import MPI

from mdapp.errors import MdappError
from mdapp.storage.errors import CheckpointError, ConflictError
from mdapp.storage.files import FileSystem
from mdapp.storage.levels.nodes import Nodes
from mdapp.storage.levels.sets import (
    KEY,
    LEVEL,
    OWN,
    PARTNER,
    PLACES,
    Fragment,
    Remark,
    SetFacts,
    look_around,
    sum_of_hashes,
)
from mdapp.storage.names import METRICS, step_name, step_of
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.order import Order
from mdapp.storage.retention import (
    Committed,
    collect_orphans,
    list_committed,
    quarantine,
    read_manifest_or_none,
    remove,
)
from mdapp.storage.state import State
from mdapp.storage.store import CheckpointStore, Log

ALL = (1 << 31) - 1
SHOWN = 4
_RUN = re.compile(r"run-[0-9a-f]{8}")


@dataclass
class Written:
    """A set that stands.

    Attributes
    ----------
    facts, step : which
    order : what this node's part went through; `outcome.path` is where it lies
    present : whether it was there already
    """

    facts: SetFacts
    step: int
    order: Order
    present: bool = False


class LocalLevel:
    """The folders of all nodes; every method is collective over all ranks.

    Parameters
    ----------
    nodes : of the job
    options : of the checkpoints; `levels` is set
    lineage : of the run
    fs : the door to the operating system
    log : told on the root of each node what went wrong without harm

    Attributes
    ----------
    folder : of this node and this run

    Raises
    ------
    LockedError
        Another job has a node's folder.
    StorageAccessError
        A node's folder cannot be used.
    """

    def __init__(
        self, nodes: Nodes, options: CheckpointOptions, lineage: str, fs: FileSystem, log: Log
    ):
        assert options.levels is not None
        self._nodes, self._fs, self._lineage, self._log = nodes, fs, lineage, log
        self._keep = options.levels.keep_local
        self.folder = Path(options.levels.folder(nodes.index)) / f"run-{lineage[:8]}"
        store: CheckpointStore | None = None
        with nodes.together("opening node-local storage"):
            store = CheckpointStore(
                nodes.comm, self.folder / OWN, part_options(options), fs,
                metrics_path=self.folder / METRICS, node=0, log=log,
            )  # fmt: skip
        assert store is not None
        self.store = store
        with nodes.together("opening node-local storage"):
            if nodes.is_root:
                self._make_room_for_copies()

    def _make_room_for_copies(self) -> None:
        base = self.folder.parent
        others = [n for n in self._fs.listdir(base) if _RUN.fullmatch(n) and n != self.folder.name]
        if others:
            self._log(
                f"{base}: also holds checkpoints of other runs ({', '.join(others[:SHOWN])}"
                f"{', ...' if len(others) > SHOWN else ''}); remove what is not needed any more"
            )
        folder = self.folder / PARTNER
        if not self._fs.exists(folder):
            self._fs.mkdir(folder)
            self._fs.sync_directory(self.folder)
        for warning in collect_orphans(folder, self._fs)[1]:
            self._log(warning)

    def close(self) -> None:
        """Give up the folder; not collective."""
        self.store.close()

    # --- writing --------------------------------------------------------------------------------

    def write(self, state: State) -> Written:
        """Write a set.

        Raises
        ------
        CheckpointError, InputError
            As `CheckpointStore.write`, on all ranks; nothing of the set is left then.
        """
        nodes, committer = self._nodes, self.store.committer
        part = self._part_of(state)
        parent, order = committer.parent, committer.order(part, "sync")
        order.storage, needed = {"level": LEVEL}, False
        doing = f"checkpoint of step {state.step} on node-local storage"
        with nodes.together(doing):
            try:
                needed = committer.prepare(order)
            except CheckpointError as error:
                raise committer.failed(order, error) from None
        with nodes.together(doing):     # what they raise, they raise on all ranks
            facts = self._facts(state, order)
            present = self._all_present(state.step, needed)
        if present:
            return Written(facts, state.step, order, present=True)
        order.storage[KEY] = facts.plain()
        try:
            with nodes.together(doing):
                self._commit(order)
        except MdappError:
            committer.parent = parent
            self._take_back(order)
            raise
        return Written(facts, state.step, order)

    def _part_of(self, state: State) -> State:
        """The state as this node's ranks are to see it."""
        counts = np.array([state.nlocal], np.int64)
        self._nodes.comm.Allreduce(MPI.IN_PLACE, counts, MPI.SUM)
        return replace(state, natoms=int(counts[0]))

    def _facts(self, state: State, order: Order) -> SetFacts:
        """Identity and sums of the set."""
        nodes = self._nodes
        parts = nodes.share((order.cargo.natoms, order.survey.state_hash))
        uuid = nodes.world.bcast(uuids.uuid4().hex, 0)
        natoms = sum(n for n, _ in parts)
        if natoms != state.natoms:
            raise CheckpointError(
                f"checkpoint: the ranks own {natoms} atoms, the system has {state.natoms}"
            )
        return SetFacts(
            uuid, self._lineage, nodes.index, nodes.count, nodes.world.size, natoms,
            sum_of_hashes(h for _, h in parts),
        )  # fmt: skip

    def _all_present(self, step: int, needed: bool) -> bool:
        """Whether all nodes have their part of this state already."""
        missing = self._nodes.share(needed)
        if any(missing) and not all(missing):
            raise ConflictError(
                f"checkpoint of step {step}: some nodes have it already and others have not; the "
                "next one will be whole"
            )
        return not any(missing)

    def _commit(self, order: Order) -> None:
        committer = self.store.committer
        try:
            committer.write_prepared(order)
        except CheckpointError as error:
            raise committer.failed(order, error) from None
        committer.succeeded(order)

    def _take_back(self, order: Order) -> None:
        """Remove what this node committed of a set that others did not."""
        outcome = order.outcome
        if self._nodes.is_root and outcome.result in ("committed", "undurable"):
            self._remove(self.folder / OWN, Committed(outcome.step, outcome.uuid, 0))
        self._nodes.comm.Barrier()

    # --- keeping --------------------------------------------------------------------------------

    def retain(self, needed: Collection[int]) -> None:
        """Remove what need not stay: all but the newest few, and the steps in `needed`."""
        if not self._nodes.is_root:
            return
        for place in PLACES:
            folder = self.folder / place
            try:
                known = list_committed(folder, self._fs)
            except OSError as error:
                self._log(f"{folder}: old checkpoints not looked at: {error}")
                continue
            for old in known[self._keep :]:
                if old.step not in needed:
                    self._remove(folder, old)

    def clear_newer(self, step: int) -> None:
        """Remove what is newer than the step that the run went on from: it led nowhere.

        Raises
        ------
        CheckpointError
            Some node's folder cannot be looked at.
        """
        with self._nodes.together("clearing node-local storage"):
            if self._nodes.is_root:
                for place in PLACES:
                    self._clear(self.folder / place, step)

    def _clear(self, folder: Path, step: int) -> None:
        for name in self._fs.listdir(folder):
            found = step_of(name)
            if found is not None and found > step:
                manifest = read_manifest_or_none(folder / name, self._fs)
                uuid = manifest.uuid if manifest else "0" * 32
                self._remove(folder, Committed(found, uuid, 0))

    def _remove(self, folder: Path, old: Committed) -> None:
        try:
            remove(folder, old, self._fs)
        except OSError as error:
            self._log(f"{folder / old.name}: not removed: {error}")

    # --- looking --------------------------------------------------------------------------------

    def survey(self) -> tuple[list[Fragment], list[Remark]]:
        """All fragments of all nodes, and what else lies there, on all ranks."""
        mine = (
            look_around(self._fs, self.folder, self._lineage, self._nodes.index)
            if self._nodes.is_root
            else ([], [])
        )
        told = self._nodes.share(mine)
        return [f for found, _ in told for f in found], [r for _, some in told for r in some]

    def set_aside(self, damaged: Fragment) -> None:
        """Give a damaged copy a name that no restart looks at; on its holder."""
        if not self._nodes.is_root or damaged.holder != self._nodes.index:
            return
        try:
            quarantine(self.folder / damaged.place, step_name(damaged.step), damaged.uuid, self._fs)
        except OSError as error:
            if error.errno != errno.ENOENT:
                self._log(f"{damaged.path(self.folder)}: not set aside: {error}")


def part_options(options: CheckpointOptions) -> CheckpointOptions:
    """How a node writes its part: no file is shared between nodes, and levels decide what goes."""
    by_rank = options.layout in ("sharded", "auto") and options.shard_by == "rank"
    return replace(
        options, layout="sharded", shard_by="rank" if by_rank else "node", engine="pwrite",
        transport="pwrite", mode="sync", keep_last=ALL, keep_every=0, max_bytes=0,
        free_space_policy="fail", levels=None,
    )  # fmt: skip

