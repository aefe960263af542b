"""A progress bar appears where somebody sees it: streams, alone and under a launcher."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest

from mdapp.cli.output import watched


@pytest.fixture
def terminal() -> Iterator[TextIO]:
    """The slave side of a pseudo-terminal, as Open MPI gives one to each rank."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as stream:
        yield stream
    os.close(master)


@pytest.fixture
def launcher() -> Iterator[Callable[[TextIO | int], int]]:
    """Start a process whose standard output goes somewhere, and return its process id."""
    started: list[subprocess.Popen[bytes]] = []

    def start(output: TextIO | int) -> int:
        started.append(subprocess.Popen([sys.executable, "-c", "input()"],
                                        stdin=subprocess.PIPE, stdout=output))
        return started[-1].pid

    yield start
    for process in started:
        process.communicate(b"\n", timeout=30)


def test_a_file_is_not_watched(tmp_path):
    with (tmp_path / "log").open("w") as stream:
        assert not watched(stream, launched=False)
        assert not watched(stream, launched=True)


def test_a_terminal_is_watched_where_nobody_launched_us(terminal):
    assert watched(terminal, launched=False)


def test_a_rank_is_watched_if_its_launcher_writes_to_a_terminal(terminal, launcher):
    assert watched(terminal, launched=True, launcher=launcher(terminal))


@pytest.mark.parametrize("output", [subprocess.PIPE, subprocess.DEVNULL])
def test_a_rank_is_not_watched_if_its_launcher_is_piped(terminal, launcher, output):
    assert not watched(terminal, launched=True, launcher=launcher(output))


def test_a_launcher_that_is_gone_shows_nothing(terminal):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait(timeout=30)
    assert not watched(terminal, launched=True, launcher=gone.pid)


def test_the_environment_says_whether_we_were_launched(terminal, launcher, monkeypatch):
    piped = launcher(subprocess.PIPE)
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "0")
    assert not watched(terminal, launcher=piped)
    monkeypatch.delenv("OMPI_COMM_WORLD_SIZE")
    assert watched(terminal, launcher=piped)
