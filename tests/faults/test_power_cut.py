"""L2: the power goes at every moment of a life of checkpoints; what was reported is there.

A run writes, rotates, restarts and sets a damaged one aside, all of it recorded once. Then the
machine of `page_cache.py` finds, for every moment and many fates of what was not synced, what the
device has left: whatever carries a committed name is whole, and it is never older than the last
checkpoint that was reported before that moment.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpi4py import MPI

from mdapp.storage.errors import NothingToRestartError
from mdapp.storage.names import step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.faults.oracle import compare, restart, verify
from tests.faults.page_cache import Fate, Recording, kept, lost, mixed
from tests.restart.stored import make_state, owner_of, quick_folder

STEPS = (1000, 2000, 3000, 4000)


@pytest.fixture
def base() -> Iterator[Path]:
    with quick_folder() as path:
        (path / "disk").mkdir()
        yield path


class Life:
    """A recorded run below `base`/disk.

    Attributes
    ----------
    fs : the recording
    reported : (moment, step) of each checkpoint that was reported, or accepted by a restart
    """

    def __init__(self, base: Path, skip: set[int] = frozenset(), **options):
        self.base, self.fs = base, Recording(base / "disk")
        self.fs.skip = set(skip)
        self.options = CheckpointOptions(block_atoms=64, keep_last=2, **options)
        self.reported: list[tuple[int, int]] = []

    @property
    def folder(self) -> Path:
        return self.base / "disk" / "run" / "checkpoints"

    def store(self) -> CheckpointStore:
        return CheckpointStore(MPI.COMM_SELF, self.folder, self.options, self.fs)

    def write(self, *steps: int) -> None:
        with self.store() as store:
            for step in steps:
                assert store.write(make_state(step=step)).result == "committed"
                self.reported.append((self.fs.device.now, step))

    def fall_back(self) -> None:
        """The newest is found damaged; the restart reports that it begins from the one before."""
        newest = max(step for _, step in self.reported)
        shard = self.folder / step_name(newest) / "s000" / "shard-00000.h5"
        node = self.fs._find(shard)
        shard.write_bytes(b"x" + shard.read_bytes()[1:])
        self.fs.device.now += 1
        node.changes.append((self.fs.device.now, (0, b"x")))
        node.syncs.append(self.fs.device.now + 1)
        with self.store() as store:
            found = store.restart(None, owner_of(1))
        self.reported.append((self.fs.device.now, found.state.step))

    def after(self, moment: int, fate: Fate) -> int:
        """Restart after a power cut; the step, or -1 if there is nothing."""
        machine = self.base / "machine"
        shutil.rmtree(machine, ignore_errors=True)
        machine.mkdir()
        self.fs.device.after(moment, fate, machine)
        folder = machine / "run" / "checkpoints"
        if not folder.exists():
            return -1
        known = [p for p in folder.iterdir() if p.name.startswith("step-")]
        if known:
            return restart(folder, clean=False)
        with (
            CheckpointStore(MPI.COMM_SELF, folder) as store,
            pytest.raises(NothingToRestartError),
        ):
            store.restart(None, owner_of(1))
        return -1

    def promised(self, moment: int) -> int:
        return max((m, step) for m, step in [(-1, -1), *self.reported] if m <= moment)[1]


def fates(moment: int, seeds: int) -> list[Fate]:
    return [lost, kept, *(mixed(1000 * moment + seed) for seed in range(seeds))]


def check(life: Life, moments: range, seeds: int) -> list[str]:
    """Power cuts at some moments; what broke the promise."""
    broken = []
    for moment in moments:
        for number, fate in enumerate(fates(moment, seeds)):
            try:
                step = life.after(moment, fate)
                folder = life.base / "machine" / "run" / "checkpoints"
                if folder.exists():
                    verify(folder)
            except Exception as error:
                broken.append(f"moment {moment}, fate {number}: {error}")
                continue
            if step < life.promised(moment):
                broken.append(f"moment {moment}, fate {number}: found {step}")
    return broken


CASES = [pytest.param(7, 2, id="sample"), pytest.param(1, 6, marks=pytest.mark.slow, id="all")]


@pytest.mark.parametrize(("stride", "seeds"), CASES)
def test_a_power_cut_at_any_moment(base: Path, stride: int, seeds: int) -> None:
    life = Life(base)
    life.write(*STEPS)
    assert life.fs.device.now > 250
    assert check(life, range(0, life.fs.device.now + stride, stride), seeds) == []


@pytest.mark.parametrize(("stride", "seeds"), CASES)
def test_a_power_cut_after_two_starts(base: Path, stride: int, seeds: int) -> None:
    """A second start collects what the first one left, and goes on."""
    life = Life(base)
    life.write(1000)
    with life.store() as store:
        store._committer.start(store._committer.attempt(prepared(store, 2000)))
    life.write(2000, 3000)
    assert check(life, range(3, life.fs.device.now + stride, stride), seeds) == []


def prepared(store: CheckpointStore, step: int):
    """An order whose draft will be left behind."""
    order = store._committer.order(make_state(step=step), "sync")
    assert store._committer.prepare(order)
    return order


@pytest.mark.parametrize(("stride", "seeds"), CASES)
def test_a_power_cut_while_a_damaged_one_is_set_aside(
    base: Path, stride: int, seeds: int
) -> None:
    """The rename to .bad- may be lost; then the next start finds the damage again."""
    life = Life(base)
    life.write(1000, 2000)
    begin = life.fs.device.now + 2
    life.fall_back()
    for moment in range(begin, life.fs.device.now + stride, stride):
        for fate in fates(moment, seeds):
            assert life.after(moment, fate) == 1000


NEEDED = ("shard-00000.h5", "manifest.json.tmp", "s000", ".tmp-", "checkpoints")


@pytest.mark.parametrize("name", NEEDED)
def test_each_fsync_is_needed(base: Path, name: str) -> None:
    """The model can fail: without this one fsync of a commit, something reported is lost."""
    life = Life(base)
    life.write(1000)
    before = len(life.fs.syncs)
    life.write(2000)
    numbers = [
        k for k, path in enumerate(life.fs.syncs[before:], before) if path.name.startswith(name)
    ]
    shutil.rmtree(base / "disk")
    (base / "disk").mkdir()
    # of the folder itself: all of them, because a later one makes good for an earlier one
    broken = Life(base, skip=set(numbers))
    broken.write(1000)
    broken.write(2000)
    found = check(broken, range(broken.reported[-1][0], broken.reported[-1][0] + 1), 8)
    assert found, [str(life.fs.syncs[k]) for k in numbers]


def test_the_model_keeps_what_was_synced(base: Path) -> None:
    """A file of two writes, the first of them synced, in a directory that is synced last."""
    fs = Recording(base / "disk")
    path = base / "disk" / "a"
    with fs.open(path, 0o101) as file:
        file.pwrite(b"first", 0)
        file.fsync()
        file.pwrite(b"second", 5)
    unsynced = fs.device.now
    fs.sync_directory(base / "disk")

    def left(moment: int, fate: Fate) -> bytes | None:
        machine = base / "machine"
        shutil.rmtree(machine, ignore_errors=True)
        machine.mkdir()
        fs.device.after(moment, fate, machine)
        return (machine / "a").read_bytes() if (machine / "a").exists() else None

    assert left(unsynced, lost) is None
    assert left(fs.device.now, lost) == b"first"
    assert left(fs.device.now, kept) == b"firstsecond"
    torn = {left(fs.device.now, mixed(seed)) for seed in range(40)}
    assert b"firstsec" in torn and all(t.startswith(b"first") for t in torn)


def test_the_state_is_compared(base: Path) -> None:
    with pytest.raises(AssertionError, match="other atoms"):
        compare(make_state(step=1000), "", make_state(step=1000, seed=8))
