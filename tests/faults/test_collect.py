"""Files that one rank writes for several, and the file systems that make it necessary."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restart.stored import quick_folder

PROGRAM = str(Path(__file__).with_name("collect_ranks.py"))
# Ranks, and what the program prints if all is well.
PROGRAMS = {
    "probe": (4, "probed 3"),
    "demotion": (4, "this file system is not coherent; one rank of each file writes for all"),
    "failures": (4, "failures 12"),
    "pieces": (4, "pieces 4"),
    "memory": (3, "grown by"),
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.mark.parametrize("name", PROGRAMS)
def test_collecting(mpirun, folder: Path, name: str) -> None:
    ranks, says = PROGRAMS[name]
    end = mpirun(ranks, [PROGRAM, name, str(folder)], timeout=240)
    assert end.code == 0, end.stderr
    assert says in end.stdout, end.stdout
