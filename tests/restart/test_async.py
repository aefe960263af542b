"""Checkpoints beside the run: another time, the same bytes, the same trajectory."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

import mdapp.checkpoint_levels
from mdapp.deck import build_deck
from mdapp.errors import InputError
from mdapp.simulation import Simulation
from mdapp.storage.manifest import decode
from mdapp.storage.metrics import Outcome
from mdapp.storage.names import MANIFEST, METRICS, step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.state import STANDARD
from mdapp.storage.store import CheckpointStore
from mdapp.storage.writer_thread import Cancelled, Pace
from tests.faults.in_thread import ForWriters
from tests.restart.stored import changed, make_state, owner_of, quick_folder, same_atoms

PROGRAMS = str(Path(__file__).with_name("async_ranks.py"))
COMM = MPI.COMM_SELF
DECK = {
    "units": "lj",
    "system": {"lattice": "fcc", "density": 0.8442, "cells": [5, 5, 5], "temperature": 1.44,
               "seed": 5},
    "potential": {"style": "lj/cut", "epsilon": 1.0, "sigma": 1.0, "rc": 2.5},
    "run": {"steps": 60, "timestep": 0.005},
    "thermo": {"every": 0},
}  # fmt: skip


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path / "run" / "checkpoints"


def open_store(folder: Path, fs: ForWriters | None = None, **options) -> CheckpointStore:
    chosen = CheckpointOptions(**{"block_atoms": 64, "mode": "async", **options})
    return CheckpointStore(COMM, folder, chosen, fs or ForWriters())


def polled_until_done(store: CheckpointStore, seconds: float = 20.0) -> Outcome:
    """Poll as a run does, one poll step after the other."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        outcome = store.background.poll(*store.background.status())
        if outcome is not None:
            return outcome
        time.sleep(0.002)
    raise AssertionError("not committed in time")


@pytest.mark.parametrize("waits", [0.0, 0.2])
def test_what_changes_after_it_was_asked_for_is_not_written(folder: Path, waits: float) -> None:
    """The writer is held up before it looks, or in the middle of a block: it sees the copies."""
    state, fs = make_state(), ForWriters()
    live = changed(state, **{k: a.copy() for k, a in state.fields.items()})
    with open_store(folder, fs) as store:
        fs.gate.clear()
        assert store.background.begin(live) is None
        time.sleep(waits)
        store.background.keep(tuple(live.fields))
        for array in live.fields.values():
            array[...] = 0
        assert store.background.status().busy and store.background.step == 1000
        fs.gate.set()
        outcome = polled_until_done(store)
        assert outcome.result == "committed" and store.background.step is None
        assert same_atoms(store.restore(None, owner_of(1)), state)


def test_what_is_written_already_is_not_copied(folder: Path) -> None:
    state = make_state()
    live = changed(state, **{k: a.copy() for k, a in state.fields.items()})
    with open_store(folder) as store:
        store.background.begin(live)
        while store.background.status().busy:
            time.sleep(0.002)
        store.background.keep(tuple(live.fields))
        cargo = store.background._flight.order.cargo
        assert cargo.changed
        for k, array in enumerate(live.fields.values()):
            assert np.shares_memory(cargo.arrays[k], array)
            array[...] = 0
        assert polled_until_done(store).result == "committed"
        assert same_atoms(store.restore(None, owner_of(1)), state)


def test_nothing_is_published_before_a_poll_step(folder: Path) -> None:
    """The writers are long done: without agreement nothing happens, and the first is stale."""
    with open_store(folder) as store:
        background = store.background
        background.begin(make_state())
        while background.status().busy:
            time.sleep(0.002)
        assert background.poll(False, False) is None and store.newest() is None
        assert background.poll(True, False) is None and store.newest() is None
        polled_until_done(store)
        assert store.newest().step == 1000


def test_the_log_tells_of_each_phase(folder: Path) -> None:
    fs = ForWriters()
    fs.delays = {"fsync": 0.1}
    with open_store(folder, fs) as store:
        store.background.begin(make_state())
        polled_until_done(store)
    line = json.loads((folder.parent / METRICS).read_text())
    assert line["mode"] == "async" and line["result"] == "committed"
    assert line["fsync_s"]["max"] >= 0.1 and line["total_s"] > line["fsync_s"]["max"]
    assert line["snapshot_s"]["max"] > 0 and 0 < line["stall_s"] < line["total_s"] - 0.1
    assert line["crc_s"]["max"] > 0 and line["write_s"]["max"] > 0 and line["publish_s"] > 0
    assert line["perceived_gbytes_per_s"] > line["gbytes_per_s"] > 0


@pytest.mark.parametrize("verify", [False, True])
def test_finish_waits(folder: Path, verify: bool) -> None:
    with open_store(folder, verify_after_write=verify) as store:
        for step in (1000, 2000):
            assert store.background.begin(make_state(step=step)) is None
            assert store.background.finish().result == "committed"
        assert store.restore(None, owner_of(1)).step == 2000


def test_the_same_state_twice(folder: Path) -> None:
    with open_store(folder) as store:
        store.background.begin(make_state())
        first = store.background.finish()
        again = store.background.begin(make_state())
        assert again is not None and (again.result, again.uuid) == ("present", first.uuid)


def test_a_writer_keeps_to_its_bandwidth(folder: Path) -> None:
    state = make_state(natoms=1000)
    with open_store(folder, max_write_bandwidth=72e3 / 0.4) as store:
        began = time.monotonic()
        store.background.begin(state)
        assert time.monotonic() - began < 0.3
        store.background.finish()
        assert 0.39 < time.monotonic() - began < 5.0
    pace = Pace(1.0)
    pace.cancel()
    with pytest.raises(Cancelled):
        pace(10**9)


def test_cpus_that_do_not_exist(folder: Path) -> None:
    with pytest.raises(InputError, match=r"writer_cpus = \[1048575\]"):
        open_store(folder, writer_cpus=(1048575,))


@pytest.mark.parametrize("options", [{}, {"layout": "aggregated", "group": 2},
                                     {"layout": "shared", "engine": "pwrite"}])  # fmt: skip
def test_the_bytes_are_those_of_synchronous_mode(mpirun, folder: Path, options: dict) -> None:
    """INV8: files equal to the last byte, manifests but for the mode and the times."""
    end = mpirun(3, [PROGRAMS, "same_bytes", str(folder), json.dumps(options)], timeout=60)
    assert end.code == 0, end.stderr
    left, right = folder / "sync" / step_name(1000), folder / "async" / step_name(1000)
    files = sorted(p.relative_to(left) for p in left.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(right) for p in right.rglob("*") if p.is_file())
    shards = [f for f in files if f.name != MANIFEST]
    assert len(shards) == {"sharded": 3, "aggregated": 2, "shared": 1}[
        options.get("layout", "sharded")
    ]
    for shard in shards:
        assert (left / shard).read_bytes() == (right / shard).read_bytes(), shard
    bodies = [json.loads((path / MANIFEST).read_bytes())["body"] for path in (left, right)]
    assert [body.pop("mode") for body in bodies] == ["sync", "async"]
    assert all(body.pop("timings") for body in bodies)
    assert bodies[0] == bodies[1]


# --- runs -----------------------------------------------------------------------------------------


def run(out: Path, restart: str | None = None, **checkpoint) -> tuple[str, list[tuple[int, str]]]:
    """Final state hash of a run, and what became of its checkpoints."""
    table = {"every": 10, "poll_steps": 1, "keep_last": 9, **checkpoint}
    sim = Simulation(build_deck({**DECK, "checkpoint": table}), COMM, out, restart=restart)
    sim.run()
    sim.close()
    return sim.state_hash, [(e["step"], e["result"]) for e in sim.checkpoints.written]


def slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Background writers of runs sync this slowly."""
    fs = ForWriters()
    fs.delays = {"fsync": seconds}
    monkeypatch.setattr(
        mdapp.checkpoint_levels, "CheckpointStore", partial(CheckpointStore, fs=fs)
    )


def states(out: Path) -> list[str]:
    """State hashes of the checkpoints of a run."""
    paths = sorted((out / "checkpoints").glob("step-*"))
    return [decode((path / MANIFEST).read_bytes()).state_hash for path in paths]


ALL = [(step, "committed") for step in range(10, 61, 10)]


def test_a_run_is_the_same_whatever_writes_its_checkpoints(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One state hash: waiting for each, not waiting, and waiting since writers are slow."""
    expected = run(folder / "sync", mode="sync")
    assert expected[1] == ALL
    assert run(folder / "async", mode="async") == expected
    slow(monkeypatch, 0.05)
    assert run(folder / "slow", mode="async") == expected
    saved = [states(folder / name) for name in ("sync", "async", "slow")]
    assert len(set(saved[0])) == len(ALL) and saved[1] == saved[2] == saved[0]


def test_a_run_goes_on_bitwise_from_a_checkpoint_written_beside_it(folder: Path) -> None:
    expected, _ = run(folder / "whole", mode="async")
    newer = folder / "whole" / "checkpoints"
    for step in (20, 50):
        out = folder / f"from-{step}"
        again, written = run(out, restart=str(newer / step_name(step)), mode="async")
        assert again == expected
        assert [s for s, _ in written] == list(range(step + 10, 61, 10))


def test_skipped_ones_change_nothing_in_the_trajectory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, _ = run(folder / "sync", mode="sync")
    slow(monkeypatch, 0.3)
    state_hash, written = run(folder / "skip", mode="async", overrun="skip")
    assert state_hash == expected
    ends = dict(written)
    assert "skipped" in ends.values() and ends[60] == "committed", written
    listed = sorted(p.name for p in (folder / "skip" / "checkpoints").glob("step-*"))
    assert listed == [step_name(s) for s, end in sorted(written) if end == "committed"]


def test_one_that_is_put_off_is_written_when_the_writer_is_free(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fs = ForWriters()
    monkeypatch.setattr(
        mdapp.checkpoint_levels, "CheckpointStore", partial(CheckpointStore, fs=fs)
    )
    table = {"every": 10, "poll_steps": 1, "keep_last": 9, "mode": "async", "overrun": "coalesce"}

    def hold(step: int) -> None:
        if step == 10:
            fs.gate.clear()
        if step == 33:
            fs.gate.set()
        if step > 33:
            time.sleep(0.01)

    deck = build_deck({**DECK, "checkpoint": table})
    said: list[str] = []
    sim = Simulation(deck, COMM, folder, on_step=hold, tell=said.append)
    sim.run()
    sim.close()
    assert [line for line in said if line.startswith("checkpoint of step 20: that of step 10 is")
            and "put off" in line]
    log = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    assert [(e["step"], e["in_flight"], e["overruns"]) for e in log
            if e["result"] == "coalesced"][:2] == [(20, 10, 1), (30, 10, 2)]
    ends = [(e["step"], e["result"]) for e in sim.checkpoints.written]
    assert [e for e in ends if e[1] == "coalesced"][:2] == [(20, "coalesced"), (30, "coalesced")]
    steps = [step for step, end in ends if end == "committed"]
    assert steps[0] == 10 and 33 < steps[1] < 40 and 60 in steps
    assert not {20, 30} & set(steps)


def test_nothing_is_copied_but_what_the_run_wants_back(folder: Path) -> None:
    state, fs = make_state(natoms=1000), ForWriters()
    with open_store(folder, fs) as store:
        fs.gate.clear()
        store.background.begin(state)
        store.background.keep(("id", "image"))
        arrays = store.background._flight.order.cargo.arrays
        for item, array in zip(STANDARD, arrays, strict=True):
            lent = np.shares_memory(array, state.fields[item.name])
            assert lent == (item.name not in ("id", "image"))
        fs.gate.set()
        store.background.finish()
