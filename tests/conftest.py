"""Tiers by folder, `mpirun` for tests that need ranks, and `page` for those that need a browser.

`mdapp` is imported first: it decides thread counts and the folder of compiled kernels before
numpy and numba are loaded, in the tests as in a run.
"""

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import mdapp  # noqa: F401  isort: skip

import pytest

from mdapp.parallel.bounded import Finished, run_bounded
from mdapp.parallel.launcher import mpirun_command, mpirun_environment
from tests.cli.chromium import Chromium, Opened, find_chromium

ROOT = Path(__file__).resolve().parent.parent
TIERS = ("unit", "conformance", "physics", "mpi", "restart", "faults", "cli")

Mpirun = Callable[..., Finished]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = item.path.relative_to(ROOT / "tests").parts[0]
        if tier in TIERS:
            item.add_marker(getattr(pytest.mark, tier))


def _python_environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """One thread for each rank, and the package of this checkout."""
    env = mpirun_environment()
    path = [str(ROOT), *filter(None, [env.get("PYTHONPATH")])]
    env |= {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    return env | dict(extra or {})


@pytest.fixture
def python(tmp_path: Path) -> Mpirun:
    """`python(args, timeout=60, env=None)` runs this interpreter in a folder of the test's own."""

    def run(
        args: Sequence[str], timeout: float = 60.0, env: Mapping[str, str] | None = None
    ) -> Finished:
        end = run_bounded([sys.executable, *args], timeout, _python_environment(env), tmp_path)
        return _finished(end, timeout)

    return run


@pytest.fixture
def mpirun_command_of() -> Callable[[int], list[str]]:
    """`mpirun_command_of(n)` starts a command on n ranks with the mpirun of this environment."""
    beside = Path(sys.prefix, "bin", "mpirun")
    launcher = str(beside) if beside.exists() else shutil.which("mpirun")
    if launcher is None:
        pytest.skip("needs mpirun")
    return lambda n: mpirun_command(n, launcher)


@pytest.fixture
def mpirun(tmp_path: Path, mpirun_command_of: Callable[[int], list[str]]) -> Mpirun:
    """`mpirun(n, args, timeout=60, env=None)` runs `python args...` on n ranks.

    All processes are killed at the time limit, and the test fails with their output. More ranks
    than cores are allowed, and so is root.
    """

    def run(
        n: int, args: Sequence[str], timeout: float = 60.0, env: Mapping[str, str] | None = None
    ) -> Finished:
        command = [*mpirun_command_of(n), sys.executable, *args]
        return _finished(run_bounded(command, timeout, _python_environment(env), tmp_path), timeout)

    return run


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One headless browser for all tests that open pages."""
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium (Debian/Ubuntu: apt install chromium)")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Chromium) -> Iterator[Callable[..., Opened]]:
    """`page(path, size=DESKTOP, dark=False)` opens an HTML file in a real browser."""
    yield chromium.open
    chromium.close_tabs()


def _finished(end: Finished, timeout: float) -> Finished:
    if end.code is None:
        pytest.fail(f"killed after {timeout:g} s\n{end.stdout}\n{end.stderr}")
    return end
