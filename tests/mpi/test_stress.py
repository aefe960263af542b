"""`mdapp stress` on several ranks: the same sizes, ends and exit codes on all of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

RANKS = "-m", "tests.faults.stress_ranks"


@pytest.mark.parametrize(("ranks", "what", "says"), [
    (2, "geometry", "right"), (3, "geometry", "right"), (2, "swapped", "found"),
    (2, "wear_out", "equal"), (2, "refused", "told"),
])  # fmt: skip
def test_ranks(mpirun: Callable, tmp_path: Path, ranks: int, what: str, says: str) -> None:
    end = mpirun(ranks, [*RANKS, what, str(tmp_path / "d")])
    assert end.code == 0, end.stdout + end.stderr
    assert end.stdout.count(says) == ranks


@pytest.mark.parametrize(("more", "text"), [
    (["--phases", "nonsense"], "no such phase"),
    (["--max-bytes", "many"], "write a number of bytes"),
    (["--max-bytes", "10"], "need at least"),
    (["--dir", "/proc/self/x"], ""),
    (["--out", "d/report"], "put the report elsewhere"),
])  # fmt: skip
def test_bad_input_ends_all_ranks_with_one_message(
    mpirun: Callable, tmp_path: Path, more: list[str], text: str
) -> None:
    end = mpirun(2, ["-m", "mdapp", "stress", "smoke", "--dir", str(tmp_path / "d"), *more])
    assert end.code == 2, end.stdout + end.stderr
    assert end.stderr.count("mdapp: error:") == 1 and text in end.stderr
    assert not (tmp_path / "d").exists()
