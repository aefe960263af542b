"""Start a point on this machine: through mpirun, each rank bound to its cores.

One rank needs no mpirun: it is pinned to the last cores of this process's mask, as the comparison
with other codes does it. Ranks that outnumber the cores cannot be bound; they run only where that
was allowed, and yield while they wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import mdapp
from mdapp.errors import InputError, RunError
from mdapp.parallel.bounded import run_bounded
from mdapp.parallel.launcher import mpirun_command, mpirun_environment
from mdapp.startup import affinity
from scaling.peers.runner import OUTER
from scaling.studies.point import Point


def mpirun_path() -> str | None:
    """Find the mpirun of this environment, else the one on the PATH."""
    beside = Path(sys.prefix, "bin", "mpirun")
    return str(beside) if beside.exists() else shutil.which("mpirun")


def check_machine(points: Sequence[Point], oversubscribe: bool) -> None:
    """Refuse what this machine cannot measure, before anything starts.

    Raises
    ------
    InputError
        There is no mpirun, or a point needs more cores than there are.
    """
    most, cores = max(points, key=lambda point: point.cores), len(affinity())
    if most.cores > cores and not oversubscribe:
        raise InputError(
            f"--ranks: {most.ranks} ranks x {most.threads} threads need {most.cores} cores, and "
            f"this process may use {cores}: ask for fewer, write job scripts with --emit, or allow "
            "it with --oversubscribe (such figures are marked: they do not show how a code scales)"
        )
    if any(point.ranks > 1 for point in points) and mpirun_path() is None:
        raise InputError("--ranks: there is no mpirun, which more than one rank needs: load the "
                         "cluster's MPI module, install openmpi-bin, or `pip install mpich`")


@cache
def is_open_mpi(launcher: str) -> bool:
    """Whether an mpirun is Open MPI's; MPICH's takes other words for binding."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([launcher, "--version"], capture_output=True, text=True, timeout=30)
        return "Open MPI" in said.stdout + said.stderr
    return True


def launcher_words(point: Point) -> list[str]:
    """Build the words that start a point's ranks; none for one rank.

    Raises
    ------
    InputError
        There is no mpirun.
    """
    if point.ranks == 1:
        return []
    path = mpirun_path()
    if path is None:
        raise InputError("there is no mpirun")
    words = mpirun_command(point.ranks, path)
    if point.oversubscribed:
        return words
    if is_open_mpi(path):
        place = ["--map-by", f"slot:PE={point.threads}"] if point.threads > 1 else []
        return [*words, *place, "--bind-to", "core"]
    return [*words, "-bind-to", f"core:{point.threads}", "-map-by", f"core:{point.threads}"]


def environ_of(point: Point) -> dict[str, str]:
    """Return the environment of a point's ranks: its threads, this source tree, no outer MPI."""
    outer = {k: v for k, v in os.environ.items() if not k.startswith(OUTER)}
    env = mpirun_environment(outer) if point.oversubscribed else outer
    root = str(Path(mdapp.__file__).parents[1])
    path = [root, *filter(None, [env.get("PYTHONPATH")])]
    threads = str(point.threads)
    return env | {
        "PYTHONPATH": os.pathsep.join(path), "NUMBA_NUM_THREADS": threads,
        "OMP_NUM_THREADS": threads, "PJRT_NPROC": threads,
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    }  # fmt: skip


@contextlib.contextmanager
def pinned_to(cores: Sequence[int]) -> Iterator[None]:
    """Start processes on these cores only, while this lasts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(cores))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def launch(point: Point, file: Path, answer: Path, place: tuple[int, int],
           limit_s: float) -> dict[str, Any]:
    """Run a point once; returns what it wrote.

    Parameters
    ----------
    file, answer
        The point's own file, and where its ranks write what they measured.
    place
        Round, and where in its order.

    Raises
    ------
    RunError
        It failed, or ran into the time limit.
    """
    command = [
        *launcher_words(point), sys.executable, "-m", "mdapp", "scale", "point",
        str(file.absolute()), "--round", str(place[0]), "--place", str(place[1]),
        "--answer", str(answer.absolute()),
    ]  # fmt: skip
    single = point.ranks == 1 and not point.oversubscribed
    bound = pinned_to(affinity()[-point.threads:]) if single else contextlib.nullcontext()
    with bound:
        end = run_bounded(command, limit_s, environ_of(point))
    tail = "\n".join((end.stdout + end.stderr).strip().splitlines()[-6:])
    if end.code is None:
        raise RunError(f"{point.name}: no end after {limit_s:g} s (--limit)")
    if end.code != 0 or not answer.exists():
        raise RunError(f"{point.name}: exit code {end.code}; its last lines:\n{tail}")
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found
