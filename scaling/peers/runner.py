"""Runs, one process at a time, all on the same core; rounds in seeded random order.

The process inherits its mask from this one, which narrows its own while the other runs. Runs on
several ranks are bound by their launcher instead. Did a run have its core to itself? The kernel
counts how long each core was busy; what the run itself did not use went to somebody else.
"""

import contextlib
import os
import random
import resource
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdapp.errors import RunError
from mdapp.parallel.bounded import Finished, run_bounded
from scaling.peers.base import Job, Measured, Point, Problem

OUTER = ("OMPI_", "PMIX_", "PRTE_", "PMI_", "MPI_LOCAL", "HYDI_", "HYDRA_")


@dataclass(frozen=True)
class Run:
    """One run of one point.

    Attributes
    ----------
    round, place
        Which round, and where in its order.
    wall_s
        From the start of the process to its end.
    foreign_share
        Time that its cores spent on other programs or lost to other virtual machines, over
        `wall_s` and ranks.
    """

    point: Point
    round: int
    place: int
    steps: int
    wall_s: float
    foreign_share: float
    measured: Measured

    def as_json(self) -> dict[str, Any]:
        """Return the run as plain values."""
        where = {"variant": self.point.label, "atoms": self.point.atoms, "ranks": self.point.ranks}
        when = {"round": self.round, "place": self.place, "steps": self.steps}
        cost = {"wall_s": self.wall_s, "foreign_share": self.foreign_share}
        return {**where, **when, **cost, **asdict(self.measured)}


@dataclass(frozen=True)
class Runner:
    """Starts the runs of a problem.

    Attributes
    ----------
    folder
        Where each run gets a folder of its own.
    core
        The cpu that runs on one rank are pinned to.
    limit_s
        Seconds after which a run is given up.
    tell
        Called with a line about each finished run.
    files
        Parameter files that the script names; each run gets copies.
    """

    problem: Problem
    folder: Path
    core: int
    limit_s: float
    tell: Callable[[str], None]
    files: Sequence[Path] = ()

    def run(
        self,
        point: Point,
        steps: int,
        name: str,
        place: tuple[int, int] = (0, 0),
        environ: dict[str, str] | None = None,
    ) -> Run:
        """Run a point once, in the sub-folder `name`.

        Raises
        ------
        RunError
            The program failed, ran into the time limit, or left no report.
        """
        place_of = self.folder / name / point_id(point)
        job = Job(self.problem, point.atoms, steps, point.ranks, place_of)
        job.folder.mkdir(parents=True, exist_ok=True)
        job.script.write_text(self.problem.script, encoding="utf-8")
        for file in self.files:
            shutil.copyfile(file, job.folder / file.name)
        env = {k: v for k, v in os.environ.items() if not k.startswith(OUTER)}
        env |= point.code.environ() | (environ or {})
        cores = {self.core} if point.ranks == 1 else os.sched_getaffinity(0)
        began, before = time.perf_counter(), _foreign_seconds(cores)
        with pinned(self.core) if point.ranks == 1 else contextlib.nullcontext():
            end = run_bounded(point.code.command(point.variant, job), self.limit_s, env, job.folder)
        wall = time.perf_counter() - began
        share = max(0.0, _foreign_seconds(cores) - before) / wall / point.ranks
        (job.folder / "screen.txt").write_text(end.stdout + end.stderr, encoding="utf-8")
        run = Run(point, *place, steps, wall, share, _measured(point, job, end, self.limit_s))
        self.tell(
            f"{name:<9} {point.label:<14} {point.where:>23}, {steps:>5} steps: "
            f"{run.measured.loop_s:9.3f} s"
        )
        return run

    def rounds(self, points: Sequence[Point], steps: int, rounds: int, seed: int) -> Iterator[Run]:
        """Run every point once a round, each round in a random order of its own."""
        for number in range(1, rounds + 1):
            order = list(points)
            random.Random(f"{seed}/{number}").shuffle(order)
            for place, point in enumerate(order):
                yield self.run(point, steps, f"round-{number}", (number, place))


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Start processes on one core only, while this lasts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def point_id(point: Point) -> str:
    """Name the folder of a point."""
    return f"{point.label}-{point.atoms}-{point.ranks}"


def _measured(point: Point, job: Job, end: Finished, limit_s: float) -> Measured:
    tail = "\n".join((end.stdout + end.stderr).strip().splitlines()[-6:])
    who = f"{point.label}, {point.where}"
    if end.code is None:
        raise RunError(f"{who}: no end after {limit_s:g} s (--limit)")
    if end.code != 0:
        raise RunError(f"{who}: exit code {end.code}; its last lines:\n{tail}")
    try:
        return point.code.read(job)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{who}: its report cannot be read: {error}; last lines:\n{tail}") from None


def _foreign_seconds(cores: Collection[int]) -> float:
    """Seconds for which these cores have been busy, less the CPU time of our finished children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return busy_seconds(Path("/proc/stat").read_text(), cores) - used.ru_utime - used.ru_stime


def busy_seconds(stat: str, cores: Collection[int]) -> float:
    """Sum user, nice, system, interrupt and stolen time of some cores in the text of /proc/stat."""
    ticks = 0
    for line in stat.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdecimal() and int(name[3:]) in cores:
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            ticks += user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")
