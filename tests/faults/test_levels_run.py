"""A run with levels is killed, and a node with it; it ends as a run that nobody disturbed."""

import os
import shutil
import signal
import time
from pathlib import Path

from mdapp.storage.files import REAL
from mdapp.storage.retention import list_committed
from tests.faults.oracle import verify
from tests.faults.test_kills import ENDLESS, Job, folder  # noqa: F401 (the fixture)


def levels(folder: Path, drain_every: int) -> list[str]:  # noqa: F811
    values = {"local": f'"{folder}/node-{{node}}"', "ranks_per_node": 1, "drain_every": drain_every}
    return [w for k, v in values.items() for w in ("--set", f"checkpoint.levels.{k}={v}")]


def on_node(folder: Path, node: int) -> list[int]:  # noqa: F811
    places = list(folder.glob(f"node-{node}/run-*/own"))
    return [c.step for c in list_committed(places[0], REAL)] if places else []


def wait_for_sets(job: Job, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while len(on_node(job.folder, 1)) < 2:
        assert time.monotonic() < end and job.process.poll() is None, job.text()
        time.sleep(0.02)


def test_a_node_dies_with_the_job(folder: Path, mpirun_command_of) -> None:  # noqa: F811
    """Nothing is drained: the partner's copy is all there is of one half of the atoms."""
    job = Job(mpirun_command_of, folder, *ENDLESS, *levels(folder, 0))
    wait_for_sets(job)
    job.kill()
    assert job.committed() == []
    newest = min(on_node(folder, 0)[0], on_node(folder, 1)[0])
    shutil.rmtree(folder / "node-1")
    last = ("--set", f"run.steps={newest + 200}")
    job = Job(mpirun_command_of, folder, *last, *levels(folder, 0), "--restart", "auto")
    assert job.ends() == 0, job.text()
    # The newest set may lack what the kill cut off: then the one before it is whole.
    assert any(f"(step {newest - back}, written by 2" in job.text() for back in (0, 20)), job.text()
    found = job.hash()
    assert job.committed() == [newest + 200]        # the last checkpoint goes there at once
    verify(job.out / "checkpoints")
    whole = Job(mpirun_command_of, folder, *last, "--out", str(folder / "whole"))
    assert whole.ends() == 0, whole.text()
    assert found == whole.hash()


def test_a_run_that_is_stopped_needs_no_node(folder: Path, mpirun_command_of) -> None:  # noqa: F811
    """SIGTERM, then all node-local storage is gone; what was drained beside the run verifies."""
    job = Job(mpirun_command_of, folder, *ENDLESS, *levels(folder, 2))
    job.wait_for_checkpoint()
    os.kill(job.ranks()[0], signal.SIGTERM)
    assert job.ends() == 10, job.text()
    verify(job.out / "checkpoints")
    stopped = job.committed()[0]
    for node in (0, 1):
        shutil.rmtree(folder / f"node-{node}")
    more = ("--set", f"run.steps={stopped + 40}")
    job = Job(mpirun_command_of, folder, *more, *levels(folder, 2), "--restart", "auto")
    assert job.ends() == 0, job.text()
    assert f"(step {stopped}, written by 2" in job.text()
    assert job.committed()[0] == stopped + 40
