"""K2, K3, W1, W2, X1: whole jobs are killed, asked to stop, started twice; under the real launcher.

The oracle of each: what was committed verifies, the next start goes on from it, and the end is that
of a run which nobody disturbed, to the last bit of the state hash.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from mpi4py import MPI

from mdapp.parallel.launcher import mpirun_command, mpirun_environment
from mdapp.storage.files import REAL
from mdapp.storage.retention import list_committed
from tests.conftest import ROOT
from tests.decks import melt
from tests.faults.oracle import none_left, verify, wait_until_free
from tests.restart.stored import quick_folder

PROGRAM = str(ROOT / "tests" / "faults" / "killed.py")
STEPS = 600
DECK = melt(seed=5, run=f"steps = {STEPS}\ntimestep = 0.005",
            more="[checkpoint]\nevery = 20\npoll_steps = 5")


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        (path / "melt.toml").write_text(DECK)
        yield path
        none_left(["mdapp", str(path / "melt.toml")])


class Job:
    """`mdapp run` on two ranks, in a process group of its own, with its output in a file."""

    def __init__(self, ranks: Callable[[int], list[str]], folder: Path, *words: str,
                 python: str = sys.executable):
        self.folder, self.out = folder, folder / "out"
        self._log = (folder / "log").open("w+")
        command = [*ranks(2), python, "-m", "mdapp", "run", str(folder / "melt.toml"),
                   "--json", str(folder / "report.json"), *words]  # fmt: skip
        if "--out" not in words:
            command += ["--out", str(self.out)]
        env = mpirun_environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, cwd=folder, env=env, start_new_session=True, stdout=self._log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip

    def text(self) -> str:
        return (self.folder / "log").read_text()

    def ends(self, seconds: float = 60.0) -> int:
        try:
            return self.process.wait(seconds)
        finally:
            self.kill()

    def kill(self) -> None:
        """kill -9 of all that belongs to it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for pid in self.ranks():
            os.kill(pid, signal.SIGKILL)
        self._log.close()
        end = time.monotonic() + 10
        while self.ranks() and time.monotonic() < end:
            time.sleep(0.01)
        if (self.out / "checkpoints").exists():
            wait_until_free(self.out / "checkpoints")

    def ranks(self) -> list[int]:
        """Processes of ranks: of this deck, and not the launcher."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                words = (place / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(self.folder / "melt.toml").encode() in words and b"mdapp" in words[:4]:
                found.append(int(place.name))
        return sorted(found)

    def committed(self) -> list[int]:
        place = self.out / "checkpoints"
        return [c.step for c in list_committed(place, REAL)] if place.exists() else []

    def wait_for_checkpoint(self, seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not self.committed():
            assert time.monotonic() < end and self.process.poll() is None, self.text()
            time.sleep(0.02)

    def hash(self) -> str:
        return json.loads((self.folder / "report.json").read_text())["state_hash"]


ENDLESS = ("--set", "run.steps=10000000")


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_at_random_times(folder: Path, mpirun_command_of, kills: int) -> None:
    """K2: again and again, until the run is at its end; then the hash of an undisturbed run."""
    whole = Job(mpirun_command_of, folder, "--out", str(folder / "whole"))
    assert whole.ends() == 0, whole.text()
    expected, random = whole.hash(), Random(11)
    for _ in range(kills):
        job = Job(mpirun_command_of, folder, "--restart", "auto")
        time.sleep(random.uniform(0.5, 2.0))
        job.kill()
        if (job.out / "checkpoints").exists():
            verify(job.out / "checkpoints")
    job = Job(mpirun_command_of, folder, "--restart", "auto")
    assert job.ends() == 0, job.text()
    assert job.hash() == expected
    assert verify(job.out / "checkpoints")[-1] == STEPS


def test_killed_a_hundred_times(python, folder: Path) -> None:
    """K2: the writer alone, killed within its first 60 ms; what it had reported is always found."""
    end = python([PROGRAM, str(folder / "checkpoints"), "100"], timeout=120)
    assert end.code == 0, end.stderr
    told = json.loads(end.stdout)
    assert told["killed"] == 100 and told["last"] > 20_000


def test_a_signal_to_all_ranks(folder: Path, mpirun_command_of) -> None:
    """K3: Ctrl-C on a terminal; all stop at one step, and the next start goes on from there.

    To one rank, to a run without ranks, SIGUSR1 and the stop file: tests/cli/test_stop.py.
    """
    job = Job(mpirun_command_of, folder, *ENDLESS)
    job.wait_for_checkpoint()
    for pid in job.ranks():
        os.kill(pid, signal.SIGINT)
    assert job.ends() == 10, job.text()
    goes_on_from_its_last(job, mpirun_command_of)


def goes_on_from_its_last(job: Job, ranks: Callable[[int], list[str]]) -> None:
    newest = verify(job.out / "checkpoints")[-1]
    assert f"stopped at step {newest}" in job.text(), job.text()
    more = Job(ranks, job.folder, "--restart", "auto", "--set", f"run.steps={newest + 10}")
    assert more.ends() == 0, more.text()
    assert f"(step {newest}, written by 2 ranks)" in more.text()


def test_a_signal_to_the_launcher(folder: Path, mpirun_command_of) -> None:
    """K3: what a scheduler does. Launchers differ in what they pass on, and in their exit code."""
    job = Job(mpirun_command_of, folder, *ENDLESS)
    job.wait_for_checkpoint()
    job.process.send_signal(signal.SIGTERM)
    assert job.ends() != 0
    committed = verify(job.out / "checkpoints")
    again = Job(mpirun_command_of, folder, "--restart", "auto",
                "--set", f"run.steps={committed[-1] + 10}")  # fmt: skip
    assert again.ends() == 0, again.text()
    assert f"(step {committed[-1]}, written by 2 ranks)" in again.text()


@pytest.fixture
def mpich() -> tuple[Callable[[int], list[str]], str]:
    """Launcher and interpreter of the environment that `make demo` sets up with MPICH's wheel."""
    beside = ROOT / ".venv-demo" / "bin"
    if not (beside / "mpirun").exists():
        pytest.skip("needs MPICH as a second MPI: make demo sets it up in .venv-demo")
    return lambda n: mpirun_command(n, str(beside / "mpirun")), str(beside / "python")


@pytest.mark.parametrize("target", ["rank", "launcher"])
def test_a_signal_under_mpich(folder: Path, mpich, mpirun_command_of, target: str) -> None:
    """K3 under another launcher; then its checkpoint goes on under the one of this environment."""
    ranks, python = mpich
    job = Job(ranks, folder, *ENDLESS, python=python)
    job.wait_for_checkpoint()
    os.kill(job.process.pid if target == "launcher" else job.ranks()[1], signal.SIGTERM)
    assert job.ends() == 10 or target == "launcher", job.text()
    newest = verify(job.out / "checkpoints")[-1]
    more = Job(mpirun_command_of, folder, "--restart", "auto",
               "--set", f"run.steps={newest + 10}")  # fmt: skip
    assert more.ends() == 0, more.text()
    assert f"(step {newest}, written by 2 ranks)" in more.text()


def test_the_launcher_of_another_mpi(folder: Path, mpich) -> None:
    """X1: refused at the start, with the reason; not two copies of one run in one folder."""
    ranks, _ = mpich
    if "MPICH" in MPI.Get_library_version():
        pytest.skip("this environment has the same MPI")
    job = Job(ranks, folder)
    assert job.ends() == 2 and "full copy" in job.text(), job.text()
    assert "Traceback" not in job.text() and not job.out.exists()


def test_what_another_launcher_leaves_in_the_environment(python, folder: Path) -> None:
    """X1, by the variables alone."""
    both = ({"PMI_SIZE": "2", "PMI_RANK": "0", "MPI_LOCALNRANKS": "2", "MPI_LOCALRANKID": "0"},
            {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"})  # fmt: skip
    env = both["MPICH" in MPI.Get_library_version()]
    end = python(["-m", "mdapp", "run", str(folder / "melt.toml"), "--out", "out"], env=env)
    assert end.code == 2 and "full copy" in end.stderr and "Traceback" not in end.stderr


def test_the_wall_time_ends_it(folder: Path, mpirun_command_of) -> None:
    """K3: it stops while two checkpoints and a minute are left; here, at its first look."""
    job = Job(mpirun_command_of, folder, *ENDLESS, "--walltime", "00:01:02")
    assert job.ends() == 10, job.text()
    goes_on_from_its_last(job, mpirun_command_of)


def test_two_jobs_in_one_folder(folder: Path, mpirun_command_of) -> None:
    """W1: the second ends with 5 and the first goes on; the lock of a killed one is no obstacle."""
    job = Job(mpirun_command_of, folder, *ENDLESS)
    job.wait_for_checkpoint()
    command = [sys.executable, "-m", "mdapp", "run", "melt.toml", "--out", str(job.out),
               "--restart", "auto"]  # fmt: skip
    second = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env=mpirun_environment() | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert second.returncode == 5, second.stderr
    assert "in use by process" in second.stderr and "Traceback" not in second.stderr
    known = job.committed()[0]
    end = time.monotonic() + 60
    while job.committed()[0] <= known:
        assert time.monotonic() < end and job.process.poll() is None, job.text()
        time.sleep(0.02)
    job.kill()
    newest = verify(job.out / "checkpoints")[-1]
    again = Job(mpirun_command_of, folder, "--restart", "auto",
                "--set", f"run.steps={newest + 10}")  # fmt: skip
    assert again.ends() == 0, again.text()


def test_a_restart_at_once_after_a_restart(folder: Path, mpirun_command_of) -> None:
    """W2: from the end of a run there is nothing to do, and to do it twice changes nothing."""
    for words in ([], ["--restart", "auto"], ["--restart", "auto"]):
        job = Job(mpirun_command_of, folder, *words)
        assert job.ends() == 0, job.text()
        known = verify(job.out / "checkpoints")
        assert known[-1] == STEPS
    assert known == [STEPS - 40, STEPS - 20, STEPS]
