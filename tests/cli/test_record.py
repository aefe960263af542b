"""A run's record in its folder, and its progress bar, as a user meets them."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.test_run import DECK
from tests.conftest import _python_environment

LONG = ["--set", "run.steps=40", "--set", "checkpoint.every=20", "--out", "melt"]


def rows(path: Path) -> list[dict[str, float]]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [entry for entry in found if "schema" not in entry]


def test_rows_of_a_restarted_run_are_those_of_one_that_was_not(python, mpirun,
                                                               tmp_path: Path) -> None:
    (tmp_path / "melt.toml").write_text(DECK)
    run = ["-m", "mdapp", "run", "melt.toml", *LONG]
    assert python(run).code == 0
    whole = rows(tmp_path / "melt/thermo.jsonl")
    report = json.loads((tmp_path / "melt/run.json").read_text())
    assert [row["step"] for row in whole] == [0, 10, 20, 30, 40]
    assert report["thermo"] == whole and report["environment"]["python"]
    (tmp_path / "melt").rename(tmp_path / "first")

    assert python([*run, "--steps", "30"]).code == 0
    end = mpirun(2, [*run, "--restart", "melt/checkpoints/step-000000000020", "--discard-newer"])
    assert end.code == 0, end.stderr
    again = rows(tmp_path / "melt/thermo.jsonl")
    changing = dict.fromkeys(("cpu", "elapsed", "nbuild", "ndanger"), 0)
    assert [row | changing for row in again] == [row | changing for row in whole]


def test_without_a_folder_there_is_no_record(python, tmp_path: Path) -> None:
    (tmp_path / "melt.toml").write_text(DECK)
    assert python(["-m", "mdapp", "run", "melt.toml"]).code == 0
    assert [p.name for p in tmp_path.iterdir()] == ["melt.toml"]


def test_the_bar_tells_rate_time_left_and_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "melt.toml").write_text(DECK)
    ours, theirs = pty.openpty()
    options = [*LONG, "--set", "run.steps=1000000", "--set", "thermo.every=0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mdapp", "run", "melt.toml", *options], cwd=tmp_path,
        stdin=theirs, stdout=theirs, stderr=theirs,
        env=_python_environment({"TERM": "xterm", "COLUMNS": "140"}))  # fmt: skip
    os.close(theirs)
    seen, wanted = "", re.compile(
        r"step \d+/1000000.*Matom-step/s  \d+:\d\d:\d\d left  checkpoint \d+, \d+ s ago")
    deadline = time.monotonic() + 60
    try:
        while not wanted.search(seen) and time.monotonic() < deadline:
            if select.select([ours], [], [], 1.0)[0]:
                seen += os.read(ours, 65536).decode(errors="replace")
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)
    if not wanted.search(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)):
        pytest.fail(seen[-2000:])
