"""`mdapp stress` on several ranks: the same sizes, ends and exit codes on all of them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.decks import melt

RANKS = "-m", "tests.faults.stress_ranks"


@pytest.mark.parametrize(("ranks", "what"), [
    (3, {"geometry": "right"}),
    (2, {"geometry": "right", "swapped": "found", "wear_out": "equal", "refused": "told"}),
])  # fmt: skip
def test_ranks(mpirun: Callable, tmp_path: Path, ranks: int, what: dict[str, str]) -> None:
    end = mpirun(ranks, [*RANKS, str(tmp_path / "d"), *what])
    assert end.code == 0, end.stdout + end.stderr
    assert all(end.stdout.count(says) == ranks for says in what.values())


@pytest.mark.parametrize(("more", "text"), [
    (["--phases", "nonsense"], "no such phase"),
    (["--dir", "/proc/self/x"], ""), (["--out", "d/report"], "put the report elsewhere"),
])  # fmt: skip
def test_bad_input_ends_all_ranks_with_one_message(
    mpirun: Callable, tmp_path: Path, more: list[str], text: str
) -> None:
    end = mpirun(2, ["-m", "mdapp", "stress", "smoke", "--dir", str(tmp_path / "d"), *more])
    assert end.code == 2, end.stdout + end.stderr
    assert end.stderr.count("mdapp: error:") == 1 and text in end.stderr
    assert not (tmp_path / "d").exists()


DECK = melt(5, run="steps = 10")


@pytest.mark.parametrize(("ranks", "keys"), [
    (2, {"layout": "aggregated", "group": 2}), (2, {"layout": "shared"}),
])  # fmt: skip
def test_checkpoints_do_not_change_physics_and_all_of_them_verify(
    mpirun: Callable, tmp_path: Path, ranks: int, keys: dict
) -> None:
    """ST7: A, B and C end with one hash, in each layout."""
    (tmp_path / "deck.toml").write_text(DECK)
    if keys.get("layout") == "shared":
        keys = {**keys, "engine": "pwrite"}         # MPI-IO cannot write beside a run
    more = [x for k, v in keys.items() for x in ("--set", f"checkpoint.{k}={v}")]
    end = mpirun(ranks, ["-m", "mdapp", "stress", "interfere", "deck.toml", "--dir", "d", "--out",
                         "out", "--rounds", "1", "--min-free", "0", "--every", "5", *more])
    assert end.code == 0, end.stdout + end.stderr
    body = json.loads((tmp_path / "out" / "report.json").read_text())
    (one,) = body["interference"]["cadences"]
    assert one["same_state"] and len(one["state_hashes"]) == 1 and one["all_good"]
    assert len(one["seconds"]["A"]) == 3 and one["checkpoints"]["B"]["number"] == 5
    assert one["checkpoints"]["C"]["number"] == one["checkpoints"]["D"]["number"] == 5
    assert {r["run"] for r in one["step_s"]} == set("ABC")
    assert [p.name for p in (tmp_path / "d").iterdir()] == [".mdapp-stress"]
    assert {c["status"] for c in body["checks"]} <= {"PASS", "NOT_RESOLVED"}


@pytest.mark.parametrize(("more", "text"), [
    (["--set", "checkpoint.levels.local=/tmp/x"], "levels"), (["--min-free", "0.99"], "are free"),
])  # fmt: skip
def test_an_experiment_that_cannot_be_made_is_told_once(
    mpirun: Callable, tmp_path: Path, more: list[str], text: str
) -> None:
    (tmp_path / "deck.toml").write_text(DECK)
    end = mpirun(2, ["-m", "mdapp", "stress", "interfere", "deck.toml", "--dir", "d", *more])
    assert end.code == 2 and end.stderr.count("mdapp: error:") == 1, end.stdout + end.stderr
    assert text in end.stderr
    assert not list((tmp_path / "d").glob("run-*"))
