"""E1 to E3, P1 and P2 with the limits of a real system: full disks, no inodes, sizes, rights.

What is mounted is mounted in a namespace of its own, by root or, where users may have namespaces,
by anybody; it is gone when the program ends, however it ends.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from mdapp.parallel.bounded import run_bounded
from mdapp.parallel.launcher import mpirun_environment
from tests.conftest import ROOT
from tests.restart.stored import quick_folder

PROGRAMS = str(ROOT / "tests" / "faults" / "confined.py")
NAMESPACE = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-Urm"]


@cache
def why_not() -> str:
    """Why nothing can be mounted here; empty if it can."""
    try:
        done = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                              capture_output=True, text=True, check=False)  # fmt: skip
    except FileNotFoundError:
        return "needs unshare (util-linux)"
    return "" if done.returncode == 0 else f"nothing can be mounted here: {done.stderr.strip()}"


needs_mounts = pytest.mark.skipif(bool(why_not()), reason=why_not() or "mounts work")


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path


def confined(folder: Path, program: str, launch: list[str]) -> str:
    """Run a program, which must end well; what it printed last."""
    env = mpirun_environment() | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [*launch, sys.executable, PROGRAMS, program, str(folder)]
    end = run_bounded(command, 120, env, folder)
    assert end.code == 0, end.stderr
    return end.stdout.splitlines()[-1]


def test_permissions(folder: Path) -> None:
    """P1: root gives its rights up first."""
    assert confined(folder, "permissions", []) == "refused"


@needs_mounts
def test_a_file_system_that_becomes_read_only(folder: Path) -> None:
    """P2: restart from it; then 13 after three failures, or 0 if failures are not counted."""
    assert confined(folder, "read_only", NAMESPACE) == "went on"


@needs_mounts
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_full_disk(folder: Path, mpirun_command_of, ranks: int) -> None:
    """E1."""
    launch = [*NAMESPACE, *(mpirun_command_of(ranks) if ranks > 1 else [])]
    ends = confined(folder, "space", launch).split()
    assert ends[-1] == "committed" and ends.count("ENOSPC") == len(ends) - 1 >= 3


@needs_mounts
@pytest.mark.parametrize("ranks", [1, 2])
def test_no_inodes(folder: Path, mpirun_command_of, ranks: int) -> None:
    """E2: two directories, a file a rank and the manifest need one each."""
    launch = [*NAMESPACE, *(mpirun_command_of(ranks) if ranks > 1 else [])]
    ends = confined(folder, "inodes", launch).split()
    assert ends == ["ENOSPC"] * (3 + ranks) + ["committed"]


def test_files_that_may_not_grow(folder: Path) -> None:
    """E3."""
    ends = confined(folder, "file_size", []).split()
    assert set(ends) == {"EFBIG", "committed"} and ends.index("committed") > 5
