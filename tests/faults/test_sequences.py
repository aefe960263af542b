"""Z1: anything may happen, in any order: hypothesis plays the run, the machine, the user, the rot.

A run writes, fails, is killed at any system call and starts again; a user deletes and prunes; bits
flip in what is committed. Beside it goes a model that knows only what was reported, what was
deleted and what was damaged. After each step hold

    INV1    the last checkpoint that was reported can be restarted from
    INV2    whatever carries a committed name is whole, or was damaged here; nothing else is seen
    INV3    a flipped bit, anywhere in what a restart uses, is found
    INV4    it is named, and the restart takes the newest that is whole
"""

import errno
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from mpi4py import MPI

from mdapp.storage.audit import Level, audit
from mdapp.storage.errors import CheckpointError, DamagedError, NothingToRestartError
from mdapp.storage.files import REAL
from mdapp.storage.names import step_name, step_of
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.retention import list_committed, retain, verified_uuids
from mdapp.storage.store import CheckpointStore
from tests.faults.faulty import Dead, Fault, FaultyFileSystem
from tests.faults.oracle import compare
from tests.faults.test_store_faults import extents, flip
from tests.restart.stored import make_state, owner_of, quick_folder

NATOMS = 40
CALLS = st.integers(1, 90)
KINDS = st.sampled_from(
    ["open", "mkdir", "pwrite", "fsync", "close", "rename", "unlink", "listdir"]
)
ERRORS = st.sampled_from([errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.ESTALE])
STEP = 1000


class Checkpointing(RuleBasedStateMachine):
    """One folder, one run at a time in it.

    Attributes
    ----------
    step : of the last attempt; steps never come again
    last : step whose commit was reported last; 0: none
    verified : step that a restart accepted last
    damaged, deleted : steps in which a bit was flipped; that a user deleted
    """

    base: Path

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=self.base)) / "run" / "checkpoints"
        self.step, self.last, self.verified = 0, 0, 0
        self.damaged: set[int] = set()
        self.deleted: set[int] = set()
        self.start()

    def start(self) -> None:
        self.fs = FaultyFileSystem()
        options = CheckpointOptions(block_atoms=16, keep_last=2)
        self.store = CheckpointStore(MPI.COMM_SELF, self.folder, options, self.fs)
        assert not [p for p in self.folder.iterdir() if p.name.startswith((".tmp-", ".trash-"))]

    def die(self) -> None:
        self.fs.disarm()
        if self.fs._dead:
            self.fs.bury()
        else:
            self.store.close()
        self.start()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.folder.parent.parent)

    def on_disk(self) -> list[int]:
        steps = [step_of(p.name) for p in self.folder.iterdir()]
        return sorted(s for s in steps if s is not None)

    # --- what happens -----------------------------------------------------------------------------

    def attempt(self) -> None:
        self.step += STEP
        outcome = self.store.write(make_state(step=self.step, natoms=NATOMS))
        assert outcome.result in ("committed", "undurable")
        self.last = self.step

    @rule()
    def write(self) -> None:
        self.attempt()

    @rule(kind=KINDS, n=st.integers(1, 20), number=ERRORS, onwards=st.booleans())
    def write_on_bad_storage(self, kind: str, n: int, number: int, onwards: bool) -> None:
        self.fs.arm(Fault(kind, n, number, onwards))
        try:
            self.attempt()
        except CheckpointError as error:
            assert error.errno == number, error
            assert self.step not in self.on_disk()
        finally:
            self.fs.disarm()

    @rule(n=CALLS)
    def killed_while_writing(self, n: int) -> None:
        self.fs.arm(Fault("*", n, "die"))
        try:
            self.attempt()
        except Dead:
            pass
        finally:
            self.die()

    @rule()
    def go_away_and_come_back(self) -> None:
        self.die()

    @rule(n=CALLS)
    def killed_in_restart(self, n: int) -> None:
        self.fs.arm(Fault("*", n, "die"))
        try:
            self.store.restart(None, owner_of(1), force=True)
        except (Dead, CheckpointError):
            pass
        finally:
            self.die()

    @rule()
    def restart(self) -> None:
        whole = [s for s in self.on_disk() if s not in self.damaged]
        newer = [s for s in self.on_disk() if not whole or s > whole[-1]]
        try:
            found = self.store.restart(None, owner_of(1), force=True)
        except NothingToRestartError:
            assert not self.on_disk()
            return
        except DamagedError as error:
            assert not whole and all(step_name(s) in str(error) for s in newer)
            return
        assert found.state.step == whole[-1]
        assert sorted(found.fallbacks) == [step_name(s) for s in newer]
        assert all("shard-00000.h5" in why or "manifest" in why for why in found.fallbacks.values())
        compare(found.state, found.manifest.state_hash,
                make_state(step=whole[-1], natoms=NATOMS))  # fmt: skip
        self.verified = whole[-1]

    @precondition(lambda self: self.on_disk())
    @rule(which=st.integers(0, 9), seed=st.integers(0, 10**6))
    def flip_a_bit(self, which: int, seed: int) -> None:
        step = self.on_disk()[which % len(self.on_disk())]
        if step in self.damaged:
            return
        places = extents(self.folder / step_name(step))
        part = sorted(places)[seed % len(places)]
        file, offset, length = places[part][seed % len(places[part])]
        flip(file, offset + seed % length, seed % 8)
        self.damaged.add(step)

    @precondition(lambda self: self.on_disk())
    @rule(which=st.integers(0, 9))
    def delete(self, which: int) -> None:
        step = self.on_disk()[which % len(self.on_disk())]
        shutil.rmtree(self.folder / step_name(step))
        self.deleted.add(step)

    @rule(keep=st.integers(2, 4), kind=st.sampled_from(["unlink", "rename", "rmdir", "fsync"]),
          n=st.integers(0, 4))  # fmt: skip
    def prune(self, keep: int, kind: str, n: int) -> None:
        """R2: with removals that fail half way; two stay, and the last that was verified."""
        before = list_committed(self.folder, REAL)
        proven = verified_uuids(self.folder, before, REAL)
        self.fs.arm(*[Fault(kind, n, errno.EIO, onwards=True)] * bool(n))
        retain(self.folder, CheckpointOptions(keep_last=keep), self.fs)
        self.fs.disarm()
        left = {c.uuid for c in list_committed(self.folder, REAL)}
        assert {c.uuid for c in before[:2]} <= left
        assert {c.uuid for c in before if c.uuid in proven and c.step == self.verified} <= left

    # --- what always holds ------------------------------------------------------------------------

    @invariant()
    def the_last_reported_is_there(self) -> None:
        """INV1; and of what is there, all but what was damaged is whole: INV2, INV3."""
        if not hasattr(self, "store"):
            return
        steps = self.on_disk()
        for step in steps:
            verdict = audit(MPI.COMM_SELF, self.folder / step_name(step), Level.full)
            assert verdict.good != (step in self.damaged), (step, verdict.lines())
        aside = {int(p.name.split("-")[1]) for p in self.folder.glob(".bad-*")}
        there = {0, *steps, *(aside & self.damaged), *self.deleted}
        assert max(there) >= self.last  # one that was killed after its rename is newer


def play(base: Path, examples: int) -> None:
    Checkpointing.base = base
    run_state_machine_as_test(
        Checkpointing,
        settings=settings(
            max_examples=examples, stateful_step_count=20, deadline=None, derandomize=True,
            # a failure is printed as it was found: to shorten it would take minutes
            database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(
    "examples", [15, pytest.param(300, marks=pytest.mark.slow)], ids=["sample", "all"]
)
def test_any_sequence(examples: int) -> None:
    with quick_folder() as base:
        play(base, examples)
