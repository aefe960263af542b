"""A1, S1 and K for checkpoints beside the run: writers that fail, die, hang, crawl or are killed.

The oracle is that of the synchronous mode: what carries a committed name is whole, older ones are
intact, all ranks say the same; and the run has gone on.
"""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mpi4py import MPI

from mdapp.parallel.launcher import mpirun_environment
from mdapp.storage.errors import (
    CheckpointError,
    DurabilityError,
    NonFiniteStateError,
    StorageAccessError,
)
from mdapp.storage.files import REAL
from mdapp.storage.names import step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.retention import list_committed
from mdapp.storage.store import CheckpointStore
from tests.conftest import ROOT
from tests.decks import melt
from tests.faults.in_thread import ForWriters
from tests.restart.stored import make_state, owner_of, quick_folder, same_atoms

PROGRAMS = str(ROOT / "tests" / "restart" / "async_ranks.py")
OLD, NEW = make_state(step=1000), make_state(step=2000)


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path / "run" / "checkpoints"


class Beside:
    """A store with one checkpoint, and what becomes of the next under faults of its writer."""

    def __init__(self, folder: Path, **options):
        self.folder, self.fs, self.told = folder, ForWriters(), []
        chosen = CheckpointOptions(**{"block_atoms": 64, "mode": "async", **options})
        self.store = CheckpointStore(
            MPI.COMM_SELF, folder, chosen, self.fs, log=self.told.append
        )
        self.background = self.store.background
        self.background.begin(OLD)
        self.background.finish()
        self.fs.calls.clear()

    def write(self, state=NEW, seconds: float = 20.0):
        """Begin, then poll as a run does."""
        assert self.background.begin(state) is None
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            outcome = self.background.poll(*self.background.status())
            if outcome is not None:
                return outcome
            time.sleep(0.001)
        raise AssertionError("neither committed nor failed")

    def is_as_before(self) -> None:
        """The old one is there and whole, no litter, and the next checkpoint works."""
        assert [c.step for c in list_committed(self.folder, REAL)] == [1000]
        assert not list(self.folder.glob(".tmp-*"))
        assert same_atoms(self.store.restore(None, owner_of(1)), OLD)
        self.fs.fails, self.fs.delays = {}, {}
        assert self.write().result == "committed"
        assert same_atoms(self.store.restore(None, owner_of(1)), NEW)
        self.store.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT],
                         ids=errno.errorcode.get)  # fmt: skip
def test_a_write_that_fails(folder: Path, number: int) -> None:
    beside = Beside(folder)
    beside.fs.fails = {"pwrite": number}
    with pytest.raises(StorageAccessError, match=r"shard-00000\.h5.*step-000000001000") as error:
        beside.write()
    assert error.value.errno == number
    lines = [json.loads(t) for t in (folder.parent / "ckpt-metrics.jsonl").read_text().split("\n")
             if t]  # fmt: skip
    assert [(line["step"], line["result"]) for line in lines] == [
        (1000, "committed"), (2000, "failed")]  # fmt: skip
    beside.is_as_before()


def test_an_fsync_that_fails_is_not_repeated_but_the_state_written_again(folder: Path) -> None:
    beside = Beside(folder)
    beside.fs.once = {"fsync": errno.EIO}
    outcome = beside.write()
    assert outcome.result == "committed" and outcome.metrics["retries"] == 1
    assert "written once more" in outcome.warnings[0]
    assert same_atoms(beside.store.restore(None, owner_of(1)), NEW)
    assert not list(folder.glob(".tmp-*"))


def test_an_fsync_that_keeps_failing(folder: Path) -> None:
    beside = Beside(folder)
    beside.fs.fails = {"fsync": errno.EIO}
    with pytest.raises(DurabilityError):
        beside.write()
    assert beside.fs.calls["fsync"] == 2
    beside.is_as_before()


@pytest.mark.parametrize("kind", ["rename", "open"])
def test_a_publication_that_fails(folder: Path, kind: str) -> None:
    """Writers open nothing, so these strike the manifest."""
    beside = Beside(folder)
    beside.fs.fails = {kind: errno.EIO}
    with pytest.raises(StorageAccessError):
        beside.write()
    beside.is_as_before()


def test_a_writer_that_dies(folder: Path) -> None:
    beside = Beside(folder)
    beside.fs.raises = {"pwrite": SystemExit(1)}
    with pytest.raises(CheckpointError, match="the writer ended with SystemExit"):
        beside.write()
    beside.is_as_before()


@pytest.mark.parametrize("name", ["x", "v"])
@pytest.mark.parametrize("atom", [0, 3, 299])
def test_a_broken_state_is_refused_before_it_has_a_name(
    folder: Path, name: str, atom: int
) -> None:
    """Y1: one NaN, wherever it is."""
    beside = Beside(folder)
    bad = make_state(step=2000)
    bad.fields[name][atom, 1] = float("nan")
    beside.background.begin(bad)
    with pytest.raises(NonFiniteStateError, match=f"{name} of some atom is not finite"):
        beside.background.finish()
    assert beside.background.step is None
    assert len(list(folder.glob("crash-*"))) == 1
    beside.is_as_before()


def test_one_that_is_given_up_is_a_draft_that_the_next_start_removes(folder: Path) -> None:
    beside = Beside(folder, max_write_bandwidth=40e3)
    began = time.monotonic()
    beside.background.begin(NEW)
    beside.background.abandon()
    assert time.monotonic() - began < 3.0
    beside.store.close()
    assert len(list(folder.glob(".tmp-*"))) == 1
    with CheckpointStore(MPI.COMM_SELF, folder) as store:
        assert not list(folder.glob(".tmp-*"))
        assert same_atoms(store.restore(None, owner_of(1)), OLD)


# --- several ranks --------------------------------------------------------------------------------


def test_one_writer_of_three_fails(mpirun, folder: Path) -> None:
    end = mpirun(3, [PROGRAMS, "one_writer_fails", str(folder)], timeout=90)
    assert end.code == 0, end.stderr
    assert end.stdout.count("survived") == 6


@pytest.mark.parametrize("overrun", ["wait", "skip", "coalesce"])
def test_ranks_out_of_step_and_one_slow_writer(mpirun, folder: Path, overrun: str) -> None:
    """No deadlock; all that was committed is whole."""
    end = mpirun(3, [PROGRAMS, "skewed", str(folder), overrun], timeout=90)
    assert end.code == 0, end.stderr
    ends = dict(json.loads(end.stdout.splitlines()[-1]))
    assert ends[60] == "committed"
    committed = [step for step, result in ends.items() if result == "committed"]
    if overrun == "wait":
        assert sorted(committed) == list(range(5, 61, 5))
    elif overrun == "skip":
        assert "skipped" in ends.values()
    else:
        assert len(committed) < 12 and set(ends.values()) == {"committed", "coalesced"}
    with CheckpointStore(MPI.COMM_SELF, folder / "checkpoints") as store:
        newest = store.restart(None, owner_anywhere)
    assert newest.state.step == 60 and not newest.fallbacks


def owner_anywhere(x):
    return x[:, 0].astype(int) * 0


def test_a_writer_that_never_comes_back(mpirun, folder: Path) -> None:
    """S1: the watchdog of the thread ends the job, the launcher all its ranks."""
    end = mpirun(2, [PROGRAMS, "hangs", str(folder)], timeout=60)
    assert end.code == 70, (end.code, end.stderr)
    assert "writing in the background takes longer than 1 s" in end.stderr


# --- kill -9 --------------------------------------------------------------------------------------

TOML = melt(6, seed=5, run="steps = 60\ntimestep = 0.005", more="""
[checkpoint]
every = 10
mode = "async"
poll_steps = 1
keep_last = 9
""")


def command(ranks: Callable[[int], list[str]], deck: Path, *more: str) -> list[str]:
    return [*ranks(2), sys.executable, "-m", "mdapp", "run", str(deck), *more]


@pytest.mark.parametrize("victim", ["all", "rank"])
def test_killed_with_one_in_flight(
    mpirun_command_of, tmp_path: Path, victim: str
) -> None:
    """K: the restart finds the last committed one, and ends in the state of a run undisturbed."""
    env = mpirun_environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    deck = tmp_path / "melt.toml"
    deck.write_text(TOML)

    def finished(*more: str) -> dict:
        report = tmp_path / "report.json"
        end = subprocess.run(
            command(mpirun_command_of, deck, "--json", str(report), *more), cwd=tmp_path, env=env,
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert end.returncode == 0, end.stdout + end.stderr
        return json.loads(report.read_text())

    expected = finished("--out", "whole")
    out = tmp_path / "cut"
    slow = ["--set", "checkpoint.max_write_bandwidth=20000", "--out", str(out)]
    process = subprocess.Popen(
        command(mpirun_command_of, deck, *slow), cwd=tmp_path, env=env, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        step = wait_for_flight(out / "checkpoints", after=10)
        if victim == "all":
            os.killpg(process.pid, signal.SIGKILL)
        for pid in ranks_of(deck):
            os.kill(pid, signal.SIGKILL)
            if victim == "rank":
                break
        process.wait(30)
    finally:
        for pid in ranks_of(deck):
            os.kill(pid, signal.SIGKILL)
        process.kill()
    committed = [c.step for c in list_committed(out / "checkpoints", REAL)]
    assert committed and max(committed) == step - 10
    assert list((out / "checkpoints").glob(".tmp-*"))
    again = finished("--out", str(out), "--restart", "auto")
    assert again["state_hash"] == expected["state_hash"]
    assert not list((out / "checkpoints").glob(".tmp-*"))
    assert (out / "checkpoints" / step_name(step)).is_dir()


def wait_for_flight(folder: Path, after: int, seconds: float = 60.0) -> int:
    """Step of a checkpoint that is being written, later than `after`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        drafts = [int(p.name.split("-")[1]) for p in folder.glob(".tmp-*")]
        if drafts and max(drafts) > after:
            time.sleep(0.3)
            return max(drafts)
        time.sleep(0.01)
    raise AssertionError("no checkpoint came in flight")


def ranks_of(deck: Path) -> list[int]:
    """Processes that this test started: those with its deck on their command line."""
    found = []
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if str(deck).encode() in words and b"mdapp" in words and b"-n" not in words:
            found.append(int(place.name))
    return found
