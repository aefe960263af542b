"""Files that one rank writes for several, and the file systems that make it necessary."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restart.stored import quick_folder

PROGRAM = str(Path(__file__).with_name("collect_ranks.py"))


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.mark.parametrize(("name", "ranks", "says"), [
    ("probe", 4, "probed 3"),
    ("demotion", 4, "this file system is not coherent; one rank of each file writes for all"),
    ("failures", 4, "failures 12"),
    ("pieces", 4, "pieces 4"),
    ("memory", 3, "grown by"),
])  # fmt: skip
def test_program(mpirun, folder: Path, name: str, ranks: int, says: str) -> None:
    end = mpirun(ranks, [PROGRAM, name, str(folder)], timeout=120)
    assert end.code == 0, end.stderr
    assert says in end.stdout, end.stdout
