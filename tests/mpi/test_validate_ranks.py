"""The checks of `mdapp validate` that start real ranks catch what only ranks and restarts show."""

from pathlib import Path

import pytest

from mdapp.validate import real_runs
from mdapp.validate.bench import Bench
from mdapp.validate.registry import CHECKS
from mdapp.validate.runner import Outcome, run_check
from mdapp.validate.subject import read_subject

FOLDER = Path(__file__).parents[1] / "physics" / "mutants"
NUMBER = {check.number: check for check in CHECKS}


def asked(folder: Path, name: str, number: int) -> Outcome:
    kind = "Sane" if name == "sane" else "Mutant"
    subject = read_subject(f"python:{FOLDER / name}.py:{kind}")
    return run_check(Bench(subject, folder=folder, ranks=(1, 2)), NUMBER[number], "double")


@pytest.fixture(autouse=True)
def needs_mpirun() -> None:
    if not real_runs.launcher():
        pytest.skip("needs mpirun")


@pytest.mark.parametrize("number", [4, 11])
def test_the_sound_potential_passes(tmp_path: Path, number: int) -> None:
    outcome = asked(tmp_path, "sane", number)
    assert outcome.status == "PASS", outcome.message
    assert outcome.finding.ranks == 2


def test_ghosts_that_count_half_are_caught_by_the_decomposition(tmp_path: Path) -> None:
    outcome = asked(tmp_path, "ghosts_half", 4)
    assert outcome.status == "FAIL" and "forces" in outcome.message


def test_a_state_that_no_checkpoint_holds_is_caught_by_the_restart(tmp_path: Path) -> None:
    outcome = asked(tmp_path, "counts_calls", 11)
    assert outcome.status == "FAIL"


def test_ranks_that_die_are_a_failed_check(tmp_path: Path) -> None:
    outcome = asked(tmp_path, "dies_on_ranks", 4)
    assert outcome.status == "FAIL" and "died" in outcome.message


def test_no_mpirun_is_a_reason_to_skip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(real_runs, "launcher", lambda: "")
    for number in (4, 11):
        outcome = asked(tmp_path, "sane", number)
        assert outcome.status == "SKIP" and "no mpirun" in outcome.message
