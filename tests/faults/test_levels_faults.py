"""Nodes that are lost, full or damaged, partners that fail, drains that are cut off."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.restart.stored import quick_folder
from tests.restart.test_levels import PROGRAMS


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


@pytest.mark.parametrize("programs", [
    {"lost_nodes": "lost", "older_set": "older", "damaged_parts": "damaged"},
    {"strangers": "strangers", "full_parallel": "full", "full_nodes": "full-nodes"},
    {"failing_copies": "copies", "behind": "behind", "cut_off_drain": "cut-off",
     "last_one": "last"},
], ids=lambda programs: "-".join(programs))  # fmt: skip
def test_nothing_is_lost(mpirun, folder: Path, programs: dict[str, str]) -> None:
    end = mpirun(4, [PROGRAMS, str(folder), *programs], timeout=200)
    assert end.code == 0, end.stderr
    assert end.stdout.split() == list(programs.values())
