"""Checkpoints on nodes, their partners and the parallel file system, on ranks that play nodes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restart.stored import quick_folder

PROGRAMS = str(Path(__file__).with_name("level_ranks.py"))


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


def test_on_any_ranks_and_nodes(mpirun, folder: Path) -> None:
    end = mpirun(4, [PROGRAMS, str(folder), "counts"], timeout=200)
    assert end.code == 0, end.stderr
    assert "restarts 20" in end.stdout


def test_what_is_kept_and_how_it_is_seen(mpirun, folder: Path) -> None:
    names = ("keeping", "drained_is_ordinary", "copies_in_pieces", "branches")
    end = mpirun(4, [PROGRAMS, str(folder), *names], timeout=200)
    assert end.code == 0, end.stderr
    assert end.stdout.split() == ["kept", "ordinary", "pieces", "branches"]
