"""R2: old checkpoints go, however often their removal fails, and never one too many.

GROMACS once kept a previous checkpoint that silently stopped being renewed (its issue 4810); so
these look at a rotation over many commits, not at one of them.
"""

import contextlib
import errno
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpi4py import MPI

from mdapp.storage.errors import StorageAccessError
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.faults.faulty import Fault, FaultyFileSystem
from tests.faults.oracle import litter, names, restart, verify
from tests.restart.stored import make_state, owner_of, quick_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path / "run" / "checkpoints"


def open_store(folder: Path, fs: FaultyFileSystem) -> CheckpointStore:
    options = CheckpointOptions(block_atoms=64, keep_last=2)
    return CheckpointStore(MPI.COMM_SELF, folder, options, fs)


def test_each_call_of_a_removal_fails(folder: Path) -> None:
    """A warning each time; the two newest are whole, and the next start has tidied up."""
    fs = FaultyFileSystem()
    with open_store(folder, fs) as store:
        for step in (1000, 2000):
            store.write(make_state(step=step))
        fs.arm()
        store.write(make_state(step=3000))
        calls = list(fs.calls)
    begin = max(k for k, kind in enumerate(calls) if kind == "rename")  # to .trash-
    assert calls[begin:].count("unlink") == 2 and calls[begin:].count("rmdir") == 2
    counts: Counter[str] = Counter(calls[:begin])
    for kind in calls[begin:-3]:  # the last three add a line to the metrics
        counts[kind] += 1
        shutil.rmtree(folder)
        fs = FaultyFileSystem()
        with open_store(folder, fs) as store:
            for step in (1000, 2000):
                store.write(make_state(step=step))
            fs.arm(Fault(kind, counts[kind], errno.EIO))
            outcome = store.write(make_state(step=3000))
            fs.disarm()
            assert fs.struck and outcome.result == "committed"
            assert outcome.warnings and "not removed" in outcome.warnings[0], kind
            assert verify(folder)[-2:] == [2000, 3000]
            assert store.write(make_state(step=4000)).warnings == []
        assert verify(folder) == [3000, 4000]
        assert restart(folder) == 4000


@pytest.mark.parametrize("kind", ["rename", "fsync", "unlink", "rmdir"])
def test_a_rotation_that_cannot_remove_goes_on_all_the_same(folder: Path, kind: str) -> None:
    """For eight commits nothing can be removed: each is committed, and then all old ones go."""
    fs = FaultyFileSystem()
    with open_store(folder, fs) as store:
        store.write(make_state(step=1000))
        store.write(make_state(step=2000))
        fs.arm()
        store.write(make_state(step=3000))
        before_removal = Counter(fs.calls[: _last_rename(fs.calls)])[kind]
        for step in range(4000, 12000, 1000):
            fs.arm(Fault(kind, before_removal + 1, errno.EACCES, onwards=True))
            outcome = store.write(make_state(step=step))
            fs.disarm()
            assert outcome.result == "committed" and outcome.warnings
            known = verify(folder)
            assert known[-2:] == [step - 1000, step]
            assert (folder / "LATEST").read_text().strip() == f"step-{step:012d}"
        assert store.write(make_state(step=12000)).warnings == []
        assert verify(folder) == [11000, 12000]
    assert restart(folder) == 12000 and not litter(folder)


def _last_rename(calls: list[str]) -> int:
    return max(k for k, kind in enumerate(calls) if kind == "rename")


def test_the_verified_one_outlives_a_silent_rot(folder: Path) -> None:
    """Storage that loses a write of each later checkpoint: the one that was read back stays."""
    fs = FaultyFileSystem()
    with open_store(folder, fs) as store:
        store.write(make_state(step=1000))
        store.restart(None, owner_of(1))
        for step in range(2000, 6000, 1000):
            fs.arm(Fault("pwrite", 5, "lose"))
            assert store.write(make_state(step=step)).result == "committed"
        fs.disarm()
        assert [n for n in names(folder) if n.startswith("step-")] == [
            f"step-{step:012d}" for step in (1000, 4000, 5000)]  # fmt: skip
        found = store.restart(None, owner_of(1))
    assert found.state.step == 1000 and len(found.fallbacks) == 2
    assert restart(folder) == 1000


def test_a_mark_outlives_a_start_that_could_not_read(folder: Path) -> None:
    """EIO while a start tidies up must not cost the verified one its protection."""
    fs = FaultyFileSystem()
    with open_store(folder, fs) as store:
        for step in (1000, 2000):
            store.write(make_state(step=step))
        store.restart(None, owner_of(1))
        fs.arm()
    with open_store(folder, fs):
        opened = fs.calls.count("open")
    (mark,) = [n for n in names(folder) if n.startswith(".verified")]
    for n in range(1, opened + 1):
        fs.arm(Fault("open", n, errno.EIO))
        with contextlib.suppress(StorageAccessError):
            open_store(folder, fs).close()
        assert mark in names(folder), n
    fs.disarm()
    shutil.rmtree(folder / "step-000000002000")
    open_store(folder, fs).close()
    assert mark not in names(folder)
