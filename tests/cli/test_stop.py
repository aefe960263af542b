"""K3: signals and the stop file at runs that ask for no checkpoints, and at some that do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mdapp.parallel.launcher import mpirun_environment
from mdapp.storage.names import step_of
from tests.cli.test_run import DECK

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 90.0


class Job:
    """`mdapp run melt.toml`, for ever; on n ranks if n > 0."""

    def __init__(self, folder: Path, launcher: list[str], *options: str):
        (folder / "melt.toml").write_text(DECK)
        self.folder, self.log = folder, folder / "log"
        self.run_dir = folder / "melt.run"
        env = mpirun_environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*launcher, sys.executable, "-m", "mdapp", "run", "melt.toml", "--set",
                 "run.steps=1000000000", *options],
                cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        self.wait_for(lambda: "        10   " in self.log.read_text())

    def wait_for(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_S
        while not true():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.05)

    def ended(self) -> int:
        return self.process.wait(LIMIT_S)

    @property
    def steps(self) -> list[int]:
        """Of its checkpoints."""
        return sorted(s for p in self.run_dir.glob("checkpoints/step-*")
                      if (s := step_of(p.name)) is not None)

    def kill(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10.0)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Job]]:
    jobs: list[Job] = []

    def begin(launcher: list[str], *options: str) -> Job:
        jobs.append(Job(tmp_path, launcher, *options))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.kill()


def test_sigterm_at_a_run_that_asks_for_no_checkpoints(start, python) -> None:
    """It gets one; the next run in this folder does not start over by mistake."""
    job = start([])
    assert not job.run_dir.exists(), "no trace before there is a reason"
    os.kill(job.process.pid, signal.SIGTERM)
    assert job.ended() == 10, job.log.read_text()
    [step] = job.steps
    log = job.log.read_text()
    assert f"stopped at step {step}: SIGTERM; go on with --restart auto" in log
    assert "Checkpoints: 1 committed, 0 failed" in log and "Loop time" in log
    arguments = ["-m", "mdapp", "run", "melt.toml", "--steps", "5"]
    end = python(arguments)
    assert end.code == 2 and "has checkpoints of an earlier run" in end.stderr, end.stderr
    end = python([*arguments, "--restart", "auto"])
    assert end.code == 0 and f"(step {step}, written by 1 ranks)" in end.stdout, end.stderr


@pytest.mark.parametrize(("options", "code"), [((), 130), (("--set", "checkpoint.every=10000000"),
                                                           10)])
def test_ctrl_c(start, options: tuple[str, ...], code: int) -> None:
    """It interrupts somebody who tries something out, and saves the work of others."""
    job = start([], *options)
    os.kill(job.process.pid, signal.SIGINT)
    assert job.ended() == code, job.log.read_text()
    assert len(job.steps) == (code == 10)
    assert "Traceback" not in job.log.read_text()


def test_sigusr1_then_the_stop_file(start, mpirun_command_of, mpirun) -> None:
    """Open MPI's mpirun passes SIGUSR1 on to its ranks; MPICH's as well."""
    job = start(mpirun_command_of(2))
    job.process.send_signal(signal.SIGUSR1)
    job.wait_for(lambda: len(job.steps) == 1)
    [first] = job.steps
    assert job.process.poll() is None, "it goes on"
    (job.run_dir / "STOP").write_text("checkpoint")
    assert job.ended() == 10, job.log.read_text()
    assert len(job.steps) == 2 and job.steps[0] == first
    assert (job.run_dir / "STOP.done").exists() and not (job.run_dir / "STOP").exists()
    end = mpirun(3, ["-m", "mdapp", "run", "melt.toml", "--steps", "5", "--restart", "auto"])
    assert end.code == 0 and f"(step {job.steps[1]}, written by 2 ranks)" in end.stdout, end.stderr
