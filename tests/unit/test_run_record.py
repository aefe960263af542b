"""What a run leaves for `mdapp plot`, and what its progress bar says."""

import errno
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mdapp.cli.progress import LastCheckpoint, pace
from mdapp.run_record import Record, cut_back


def fake_run(step: int = 0, restarted: bool = False) -> Any:
    made = SimpleNamespace
    return made(
        step=step, restored=made(step=step) if restarted else None, units=made(name="lj"),
        natoms=256, species=("A",), potential=made(style="lj/cut"), comm=made(size=2),
        deck=made(run=made(timestep=0.005, steps=100, precision="double", deterministic=False,
                           threads=1), output=[]),
        checkpoints=made(options=made(dir="checkpoints")))  # fmt: skip


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "thermo.jsonl").read_text().splitlines()]


def record(folder: Path, steps: list[int], restarted: bool = False) -> Record:
    told = Record(lambda line: pytest.fail(line))
    told.begin(fake_run(steps[0], restarted), folder, {"cpu": "x"})
    for step in steps:
        told.row({"step": step, "pe": float("nan") if step == 1 else -step / 3})
    return told


def test_a_restart_goes_on_with_the_rows(tmp_path: Path) -> None:
    record(tmp_path, [0, 10, 20, 30]).end({"step": 30})
    assert json.loads((tmp_path / "run.json").read_text()) == {
        "schema": "mdapp.run", "version": 1, "step": 30, "environment": {"cpu": "x"}}  # fmt: skip
    with (tmp_path / "thermo.jsonl").open("a") as file:
        file.write('{"step": 40, "pe"')
    record(tmp_path, [20, 30, 40], restarted=True)
    assert not (tmp_path / "run.json").exists(), "the report of an older leg"
    found = lines(tmp_path)
    assert [entry["step"] for entry in found] == [0, 0, 10, 20, 20, 30, 40]
    assert ["schema" in entry for entry in found] == [True, *[False] * 2, True, *[False] * 3]
    assert found[-1]["pe"] == -40 / 3 and found[3]["restarted"] and found[3]["ranks"] == 2

    record(tmp_path, [0, 1])
    assert [entry["step"] for entry in lines(tmp_path)] == [0, 0, 1], "a new run begins anew"
    assert lines(tmp_path)[-1]["pe"] is None


def test_a_restart_ahead_of_the_rows_keeps_them_all(tmp_path: Path) -> None:
    record(tmp_path, [0, 10])
    record(tmp_path, [50], restarted=True)
    assert [entry["step"] for entry in lines(tmp_path)] == [0, 0, 10, 50, 50]


@pytest.mark.parametrize("end", [b'{"step": 7, "pe": 1}', b"garbage\n", b"[1]\n", b'{"x": 1}\n'])
def test_what_is_no_line_is_cut_off(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "thermo.jsonl"
    path.write_bytes(b'{"step": 1}\n' + end)
    cut_back(path, 100)
    assert path.read_bytes() == b'{"step": 1}\n'


def test_a_full_disk_is_told_once_and_survived(tmp_path: Path) -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None: ...

    told: list[str] = []
    kept = Record(told.append)
    kept.begin(fake_run(), tmp_path, {})
    kept._file = Full()  # type: ignore[assignment]
    kept.row({"step": 1})
    kept.row({"step": 2})
    kept.end({})
    assert len(told) == 1 and str(tmp_path) in told[0] and "No space left" in told[0]
    (tmp_path / "file").write_text("")
    kept.begin(fake_run(), tmp_path / "file", {})
    kept.row({"step": 1})
    assert len(told) == 2 and "file" in told[1]


def test_pace_and_time_left() -> None:
    assert pace(0, 100, 1.0, 1000) == []
    assert pace(25, 100, 2500.0, 4_000_000) == ["0.04 Matom-step/s", "2:05:00 left"]


def test_the_last_checkpoint_and_its_age() -> None:
    last = LastCheckpoint(None)
    assert last.words([], 0.0) == ""
    entries = [{"step": 100, "result": "committed"}, {"step": 200, "result": "failed"}]
    assert last.words(entries, 10.0) == "checkpoint 100, 0 s ago"
    assert last.words(entries, 52.0) == "checkpoint 100, 42 s ago"
    assert last.words([*entries, {"step": 300, "result": "undurable"}], 60.0).startswith(
        "checkpoint 300, 0 s")  # fmt: skip
    assert LastCheckpoint(70).words([], 0.0) == "restarted from 70"
