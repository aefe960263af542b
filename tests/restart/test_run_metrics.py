"""What the log of checkpoints and the report say of a run, in the same words."""

import json
import time
from functools import partial
from pathlib import Path

import pytest
from mpi4py import MPI

import mdapp.checkpoint_levels
from mdapp.deck import build_deck
from mdapp.errors import InputError
from mdapp.perf.report import checkpoint_lines
from mdapp.simulation import Simulation
from mdapp.storage.errors import NothingToRestartError
from mdapp.storage.metrics import PHASES, SCHEMA
from mdapp.storage.names import METRICS, step_name
from mdapp.storage.store import CheckpointStore
from tests.faults.in_thread import ForWriters
from tests.restart.test_async import DECK

COMM = MPI.COMM_SELF


def simulation(out: Path, steps: int = 30, on_step=None, **options) -> Simulation:
    table = {"every": 10, "poll_steps": 1, **options.pop("checkpoint", {})}
    deck = build_deck({**DECK, "run": {**DECK["run"], "steps": steps}, "checkpoint": table})
    hook = {"on_step": on_step} if on_step else {}
    return Simulation(deck, COMM, out, **hook, **options)


def finished(sim: Simulation) -> dict:
    sim.run()
    report = sim.report()
    sim.close()
    return report


def log_of(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / METRICS).read_text().splitlines()]
    assert all(line["schema"] == SCHEMA and line["when"] > 0 for line in lines)
    return lines


def test_the_report_has_the_names_of_the_log(tmp_path: Path) -> None:
    report = finished(simulation(tmp_path))
    lines = log_of(tmp_path)
    assert [line["step"] for line in lines] == [10, 20, 30]
    for line, entry in zip(lines, report["checkpoints"], strict=True):
        assert set(line) - set(entry) == {"schema", "version", "when"} and set(entry) < set(line)
        assert all(entry[name] == line[name]["max"] for name in PHASES)
        assert entry["canonical_s"] > 0 and entry["slow_down_s"] == 0.0
    # ten steps before each; that of the second and third begins when the checkpoint is done
    assert [line["step_s"]["outside"]["steps"] for line in lines] == [10, 20, 30]
    assert all(set(line["step_s"]) == {"outside"} for line in lines)
    sums = report["checkpoint_totals"]
    assert sums["committed"] == 3 and sums["failed"] == sums["skipped"] == 0
    assert sums["stall_s"] == pytest.approx(sum(e["stall_s"] for e in report["checkpoints"]))
    assert 0 < sums["stalled_share"] < 1
    [text] = checkpoint_lines(report)
    assert text.startswith("Checkpoints: 3 committed, 0 failed, 0 skipped; the run stood still")


def test_the_slow_down_beside_a_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps take 20 ms longer while one is in flight: the integral says so."""
    fs = ForWriters()
    monkeypatch.setattr(mdapp.checkpoint_levels, "CheckpointStore", partial(CheckpointStore, fs=fs))
    slower: list[int] = []

    def hold(step: int) -> None:
        if step == 30:
            fs.gate.clear()
        if step == 42:
            fs.gate.set()
        if sim.checkpoints.in_flight is not None:
            slower.append(step)
            time.sleep(0.02)

    sim = simulation(tmp_path, 60, hold, checkpoint={"every": 30, "mode": "async"})
    finished(sim)
    line = log_of(tmp_path)[0]
    assert line["mode"] == "async" and slower
    inside = line["step_s"]["inside"]
    assert inside["steps"] == len(slower) >= 12
    assert inside["p50"] >= 0.02 > line["step_s"]["outside"]["p50"]
    assert line["slow_down_s"] >= 0.8 * 0.02 * inside["steps"]


def test_one_that_is_skipped_has_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fs = ForWriters()
    monkeypatch.setattr(mdapp.checkpoint_levels, "CheckpointStore", partial(CheckpointStore, fs=fs))

    def hold(step: int) -> None:
        if step == 10:
            fs.gate.clear()
        if step == 25:
            fs.gate.set()

    report = finished(simulation(tmp_path, 40, hold,
                                 checkpoint={"mode": "async", "overrun": "skip"}))
    [line] = [line for line in log_of(tmp_path) if line["result"] == "skipped"][:1]
    assert (line["step"], line["in_flight"], line["overruns"]) == (20, 10, 1)
    assert {k: line[k] for k in ("step", "result", "in_flight", "overruns")} in (
        report["checkpoints"])
    assert report["checkpoint_totals"]["skipped"] >= 1


def test_a_restart_has_a_line(tmp_path: Path) -> None:
    finished(simulation(tmp_path))
    newest = tmp_path / "checkpoints" / step_name(30)
    shard = next(newest.rglob("*.h5"))
    with shard.open("r+b") as file:
        file.seek(-9, 2)
        file.write(b"\xff\x00\xff")
    said: list[str] = []
    finished(simulation(tmp_path, restart="auto", tell=said.append))
    [line] = [line for line in log_of(tmp_path) if line.get("event") == "restart"]
    assert (line["step"], line["fallback_depth"], line["steps_lost"]) == (20, 1, 10)
    assert list(line["fallbacks"]) == [step_name(30)]
    for name in ("find_s", "read_s", "crc_s", "redistribute_s", "forces_s", "gbytes_per_s"):
        assert line[name] > 0, name
    assert line["bytes"] > 500 * 72 and line["path"].endswith(step_name(20))
    assert [text for text in said if text.startswith("restart: 500 atoms, at most 128 MiB a rank")]


def test_a_restart_that_needs_too_much_memory(tmp_path: Path) -> None:
    finished(simulation(tmp_path, 10))
    with pytest.raises(InputError, match=r"max_restart_memory = 1000000: .*use more ranks"):
        simulation(tmp_path, restart="auto", checkpoint={"max_restart_memory": 1_000_000})


def test_the_folder_of_a_run_means_the_checkpoints_in_it(tmp_path: Path) -> None:
    """As for `mdapp ckpt`."""
    first, second = tmp_path / "first", tmp_path / "second"
    finished(simulation(first, 20))
    for path in (first, first / "checkpoints", first / "checkpoints" / step_name(20)):
        sim = simulation(second, restart=str(path))
        assert sim.step == 20
        sim.close()
    with pytest.raises(NothingToRestartError, match="no such folder"):
        simulation(second, restart=str(tmp_path / "third"))


def test_the_last_checkpoint_is_part_of_the_loop(tmp_path: Path) -> None:
    report = finished(simulation(tmp_path, 15, checkpoint={"every": 100}))
    [entry] = report["checkpoints"]
    assert entry["stall_s"] < report["phases"]["checkpoint"]["max"] <= report["loop_s"]
