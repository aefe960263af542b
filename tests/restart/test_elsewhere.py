"""R1 at the edges, and T1: other ranks, another place, another host, another time."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mpi4py import MPI

from mdapp.storage.files import FileSystem
from mdapp.storage.store import CheckpointStore
from tests.faults.oracle import compare
from tests.restart.stored import make_state, owner_of, quick_folder
from tests.unit.test_storage_lock import NoFlock

PROGRAM = str(Path(__file__).with_name("elsewhere_ranks.py"))
YEAR = 365 * 86400.0


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path / "run" / "checkpoints"


def test_n_to_m_at_the_edges(mpirun, folder: Path) -> None:
    """R1: more ranks than blocks and atoms, all atoms in a corner, types without atoms, none."""
    end = mpirun(8, [PROGRAM, str(folder)], timeout=200)
    assert end.code == 0, end.stderr
    assert "restarts 36" in end.stdout


@pytest.mark.parametrize("fs", [FileSystem(), NoFlock()], ids=["flock", "LOCK.excl"])
@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_another_host_and_another_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, fs: FileSystem, jump: float
) -> None:
    """T1: a run ends; the folder moves to a host of another name, whose clock is a year off."""
    with CheckpointStore(MPI.COMM_SELF, folder, fs=fs) as store:
        store.write(make_state(step=1000))
    moved = folder.parent.with_name("moved")
    folder.parent.rename(moved)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    monkeypatch.setattr(socket, "gethostname", lambda: "another-host")
    with CheckpointStore(MPI.COMM_SELF, moved / "checkpoints", fs=fs) as store:
        found = store.restart(None, owner_of(1))
        compare(found.state, found.manifest.state_hash, make_state(step=1000))
        assert store.write(make_state(step=2000)).result == "committed"


@pytest.mark.parametrize("jump", [YEAR, -YEAR])
def test_a_clock_that_jumps_during_a_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """T1: the lock stays ours, the next commit works, and so does a restart."""
    with CheckpointStore(MPI.COMM_SELF, folder, fs=NoFlock()) as store:
        store.write(make_state(step=1000))
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + jump)
        outcome = store.write(make_state(step=2000))
        assert outcome.result == "committed" and outcome.metrics["total_s"] < 60
        assert store.restart(None, owner_of(1)).state.step == 2000
