"""Every example runs as its README says and prints the digits that its `expected.json` holds."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mdapp.parallel.bounded import kill_group
from mdapp.parallel.launcher import mpirun_environment

SECONDS = 5.0                # that the loop of an example may take on one core
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/expected.json"))
CASES = [
    (folder, name)
    for folder in EXAMPLES
    for name in json.loads((folder / "expected.json").read_text())
    if name != "source"
]


def test_every_example_has_a_readme_and_expected_numbers() -> None:
    folders = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
    assert folders == EXAMPLES and folders
    assert all((folder / "README.md").exists() for folder in folders)


@pytest.mark.parametrize(("folder", "name"), CASES, ids=lambda part: getattr(part, "name", part))
@pytest.mark.parametrize("ranks", [1, 2])
def test_example(mpirun, tmp_path: Path, folder: Path, name: str, ranks: int) -> None:
    if folder.name == "jax_models":
        pytest.importorskip("jax")
    answer = tmp_path / "answer.json"
    command = ["-m", "mdapp", "run", str(folder / name), "--out", str(tmp_path / "run")]
    end = mpirun(ranks, [*command, "--json", str(answer)], timeout=200)
    assert end.code == 0, end.stderr
    report = json.loads(answer.read_text())
    overloaded = os.getloadavg()[0] > (os.cpu_count() or 1) + 0.5
    assert ranks > 1 or overloaded or report["loop_s"] < SECONDS
    rows = {str(row["step"]): row for row in report["thermo"]}
    expected = json.loads((folder / "expected.json").read_text())[name]
    for step, columns in expected.items():
        printed = {column: f"{rows[step][column]:.8g}" for column in columns}
        assert printed == columns, f"step {step}"


def killed_in_the_middle(command: list[str], out: Path) -> bool:
    """Start a run, kill -9 its ranks when it has a checkpoint; False if it was too fast."""
    last = json.loads((ROOT / "examples/killed_and_resumed/expected.json").read_text())
    end = f"step-{max(map(int, last['deck.toml'])):012d}"
    env = mpirun_environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    job = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not list(out.glob("checkpoints/step-*")):
            assert job.poll() is None
            time.sleep(0.002)
        for rank in Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split():
            os.kill(int(rank), signal.SIGKILL)
        assert job.wait(30.0) != 0 or (out / "checkpoints" / end).exists()
    finally:
        if job.poll() is None:
            kill_group(job.pid)
    return not (out / "checkpoints" / end).exists()


def test_killed_on_two_ranks_and_resumed_on_others(
    mpirun, mpirun_command_of, tmp_path: Path
) -> None:
    deck = str(ROOT / "examples/killed_and_resumed/deck.toml")
    run = ["-m", "mdapp", "run", deck]
    answers = {}
    end = mpirun(1, [*run, "--out", "whole", "--json", "whole.json"], timeout=200)
    assert end.code == 0, end.stderr
    answers["whole"] = json.loads((tmp_path / "whole.json").read_text())
    for attempt in range(5):
        left = tmp_path / f"killed-{attempt}"
        command = [*mpirun_command_of(2), sys.executable, *run, "--out", str(left)]
        if killed_in_the_middle(command, left):
            break
    else:
        pytest.fail("the run was at its end each time before it could be killed")
    for ranks in (3, 1):
        name = f"on-{ranks}"
        shutil.copytree(left, tmp_path / name)
        end = mpirun(ranks, [*run, "--out", name, "--restart", "auto", "--json", f"{name}.json"],
                     timeout=200)
        assert end.code == 0, end.stderr
        assert ", written by 2 ranks)" in end.stdout
        answer = json.loads((tmp_path / f"{name}.json").read_text())
        assert answer["state_hash"] == answers["whole"]["state_hash"]
        assert 0 < answer["steps"] < answers["whole"]["steps"]
        rows = answer["thermo"]
        same = [{**row, "cpu": 0, "elapsed": 0} for row in answers["whole"]["thermo"]
                if row["step"] > rows[0]["step"]]
        assert [{**row, "cpu": 0, "elapsed": 0} for row in rows[1:]] == same and same
        assert (tmp_path / name / "melt.dump").read_bytes() == (
            tmp_path / "whole" / "melt.dump").read_bytes()
