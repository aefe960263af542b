"""A phase: all ranks do operations until a deadline, then as many as the fastest, then sync.

Each rank starts its clock when it leaves the first barrier. At the deadline the largest number of
operations of any rank, K, is found, and everybody goes on to exactly K (wear-out); so stragglers
are charged, and what reads the data later knows how much there is. The time of a phase ends when
the last rank has synced and closed its files. A rank whose operation fails stops, and no rank wears
out any more: the phase is invalid, and says with what.

A phase that reads does a known number of operations and has no deadline.
"""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.stress.decode import MOST_FINDINGS, Finding, name_swaps
from mdapp.stress.meeting import Meeting
from mdapp.stress.system import forget

LOWEST, PER_DECADE, DECADES = 1e-7, 60, 10      # bins of latency: 4 % wide, 0.1 us to 1000 s
SLICES = 60                                     # of a phase's time, for the rate over time
GUARD_S = 0.25                                  # from one look at the free space to the next


class Work:
    """What one rank does in a phase; a phase is a subclass.

    Attributes
    ----------
    name, twin : of the phase, and of its phase in IO500 (empty: none)
    api : posix, h5py, mpio-independent, mpio-collective; empty for metadata
    writes : whether space is used, and so guarded
    per_step : bytes of an operation, or 1 where items are counted
    unit : "B" or "items"
    own_s : seconds spent in the tool's own pattern and check, inside the operations
    findings, mismatches : what was wrong, decoded; how many operations met something
    durable : what the end of the window waited for
    """

    name = twin = api = durable = ""
    writes = False
    per_step: float = 1
    unit = "items"
    collective = False          # the operations are collective
    ends_together = False       # end and abandon are

    def __init__(self) -> None:
        self.own_s = 0.0
        self.findings: list[Finding] = []
        self.mismatches = 0

    def begin(self) -> None:
        """Open what is needed; inside the window."""

    def step(self, i: int) -> None:
        """Do operation i; StopIteration if there is none."""
        raise NotImplementedError

    def end(self, count: int) -> None:
        """Sync and close, after `count` operations; inside the window."""

    def abandon(self) -> None:
        """Close after a failure; may be called at any time."""

    def written(self) -> list[Path]:
        """Files that the kernel is asked to forget behind the window, for whoever reads next."""
        return []

    def paths(self) -> list[Path]:
        """Files that will be read, for evidence of caches."""
        return []

    def wrong(self, findings: list[Finding]) -> None:
        """Note an operation that gave back something else than was written."""
        self.mismatches += 1
        self.findings += findings[: max(MOST_FINDINGS - len(self.findings), 0)]


@dataclass
class Phase:
    """What was measured; the same on all ranks.

    Attributes
    ----------
    count : K, operations of each rank, or their sum where ranks differ (`uneven`)
    total : bytes or items of all ranks
    seconds : of the last rank, sync and close included
    deadline_counts : fewest, mean, most operations of a rank at the deadline
    deadline_rate : in units/s, at the deadline
    rank_seconds : of each rank
    own_share : seconds in pattern and check over the phase's, all ranks
    latency : (bins,) how many operations took so long
    slowest : s, the longest operation
    timeline : (SLICES,) units finished in each slice of `seconds`
    errors : by errno's name
    flags, reasons : what weakens the number, and why it is invalid
    """

    name: str
    twin: str
    api: str
    unit: str
    per_step: float
    durable: str
    count: int = 0
    total: float = 0
    seconds: float = 0.0
    deadline_counts: tuple[float, float, float] = (0, 0, 0)
    deadline_rate: float = 0.0
    rank_seconds: list[float] = field(default_factory=list)
    own_share: float = 0.0
    latency: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    slowest: float = 0.0
    timeline: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    first_error: str = ""
    mismatches: int = 0
    findings: list[Finding] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    stopped_at: str = ""        # "deadline", "cap", "guard", "done"
    evidence: dict[str, Any] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Units/s."""
        return self.total / self.seconds if self.seconds > 0 else 0.0

    @property
    def rate_without_own(self) -> float:
        """Units/s if pattern and check took no time."""
        rest = self.seconds * (1.0 - self.own_share)
        return self.total / rest if rest > 0 else 0.0

    @property
    def is_valid(self) -> bool:
        """Whether no rule makes it invalid."""
        return not self.reasons

    def percentile(self, percent: float) -> float:
        """Seconds that so many percent of the operations did not exceed; NaN without any."""
        total = int(self.latency.sum())
        if not total:
            return float("nan")
        k = int(np.searchsorted(np.cumsum(self.latency), percent / 100.0 * total))
        return float(min(bin_edges()[k + 1], self.slowest))


@dataclass(frozen=True)
class Told:
    """What a rank tells the others of its part."""

    count: int
    at_deadline: int
    seconds: float
    deadline_s: float
    own_s: float
    slowest: float
    stopped_at: str
    error: tuple[str, str] | None
    mismatches: int
    findings: list[Finding]


def bin_edges() -> NDArray[np.float64]:
    """(bins + 1,) seconds."""
    return LOWEST * 10.0 ** (np.arange(PER_DECADE * DECADES + 1) / PER_DECADE)


def measure(
    meeting: Meeting, work: Work, limit: int, seconds: float | None,
    guard: tuple[Path, float] | None = None,
) -> Phase:  # fmt: skip
    """Let all ranks do a phase.

    Parameters
    ----------
    limit : operations of this rank: at most, or exactly where there is no deadline
    seconds : the deadline; None for phases that do a known number
    guard : folder and the share of its file system that must stay free
    """
    run = _Run(meeting, work, limit, seconds, guard)
    run.go()
    return run.summed_up()


class _Run:
    """One rank in one phase."""

    def __init__(self, meeting: Meeting, work: Work, limit: int, seconds: float | None,
                 guard: tuple[Path, float] | None):
        self.meeting, self.work, self.limit, self.seconds = meeting, work, limit, seconds
        self.guard = guard if work.writes else None
        self.error: OSError | None = None
        self.guarded = self.is_over = False
        self.marks: list[float] = []        # when an operation ended
        self.spent: list[float] = []        # how long it took, without the tool's own part
        self.looked = self.began = 0.0
        self.deadline_count, self.deadline_s = 0, 0.0
        self.stopped_at = "done"

    def go(self) -> None:
        """Everything between the two barriers."""
        work, meeting = self.work, self.meeting
        meeting.barrier()
        self.began = time.perf_counter()
        self.looked = self.began
        self._try(work.begin)
        if self.seconds is None:
            self._until(self.limit)
        else:
            self._until(self.limit, self.began + self.seconds)
            self.stopped_at = ("guard" if self.guarded else
                               "cap" if len(self.marks) >= self.limit else "deadline")
        self.deadline_count = len(self.marks)
        self.deadline_s = time.perf_counter() - self.began
        if self.seconds is not None:
            stop = self.error is not None or self.guarded
            most, stopped = meeting.reduce([self.deadline_count, stop], MPI.MAX)
            if not stopped:
                self._until(int(most))
        lost = self.error is not None
        if work.ends_together:
            lost = bool(meeting.reduce([lost], MPI.MAX)[0])
        if not lost:
            self._try(lambda: work.end(len(self.marks)))
        if lost or self.error is not None:
            work.abandon()
        self.took = time.perf_counter() - self.began
        meeting.barrier()
        for path in work.written():
            with suppress(OSError):         # its absence is for the next phase to tell
                forget(path)
        meeting.barrier()

    def _try(self, function: Any) -> None:
        if self.error is None:
            try:
                function()
            except OSError as error:
                self.error = error

    def _until(self, count: int, deadline: float = float("inf")) -> None:
        """Operations up to `count`, or the deadline, an error, or too little space."""
        if self.error is not None:
            return
        if self.work.collective:
            self._until_together(count, deadline)
            return
        done, marks = len(self.marks), self.marks
        while done < count and (not marks or marks[-1] < deadline):
            self._one(done)
            if self.error is not None or self.is_over:
                return
            done += 1
            if self.guard is not None and marks and marks[-1] - self.looked > GUARD_S:
                self._look_at_space()
                if self.guarded and deadline < float("inf"):
                    return

    def _until_together(self, count: int, deadline: float) -> None:
        """Rank 0 says after each operation whether there is another, as IOR does."""
        comm = self.meeting.comm
        while True:
            done = len(self.marks)
            late = bool(self.marks) and self.marks[-1] >= deadline
            go_on = comm.bcast(done < count and not late, 0)
            failed = comm.allreduce(self.error is not None, MPI.LOR)
            if not go_on or failed:
                return
            self._one(done)

    def _one(self, i: int) -> None:
        work = self.work
        own, began = work.own_s, time.perf_counter()
        try:
            work.step(i)
        except OSError as error:
            self.error = error
            return
        except StopIteration:
            self.is_over = True
            return
        ended = time.perf_counter()
        self.marks.append(ended)
        self.spent.append(ended - began - (work.own_s - own))

    def _look_at_space(self) -> None:
        assert self.guard is not None
        self.looked = self.marks[-1]
        status = os.statvfs(self.guard[0])
        self.guarded = status.f_bavail < self.guard[1] * status.f_blocks

    def summed_up(self) -> Phase:
        """The phase as all ranks saw it."""
        work, meeting = self.work, self.meeting
        phase = Phase(work.name, work.twin, work.api, work.unit, work.per_step, work.durable)
        count, done = len(self.marks), self.deadline_count
        told = meeting.gather(Told(
            count, done, self.took, self.deadline_s, work.own_s, max(self.spent, default=0.0),
            self.stopped_at, _told(self.error), work.mismatches, work.findings))
        counts, at_deadline = [t.count for t in told], [t.at_deadline for t in told]
        phase.count = max(counts)
        phase.total = sum(counts) * work.per_step
        phase.rank_seconds = [t.seconds for t in told]
        phase.seconds = max(phase.rank_seconds)
        phase.deadline_counts = (min(at_deadline), sum(at_deadline) / len(told), max(at_deadline))
        phase.deadline_rate = sum(at_deadline) * work.per_step / max(
            *(t.deadline_s for t in told), 1e-9)
        phase.own_share = sum(t.own_s for t in told) / max(sum(t.seconds for t in told), 1e-9)
        phase.slowest = max(t.slowest for t in told)
        phase.stopped_at = next((w for w in ("guard", "cap", "deadline")
                                 if any(t.stopped_at == w for t in told)), "done")
        failures = [t.error for t in told if t.error is not None]
        phase.errors = dict(Counter(name for name, _ in failures))
        phase.first_error = failures[0][1] if failures else ""
        phase.mismatches = sum(t.mismatches for t in told)
        phase.findings = name_swaps([f for t in told for f in t.findings])
        phase.latency = meeting.reduce(_binned(self.spent), MPI.SUM).astype(np.int64)
        ends = np.array(self.marks) - self.began
        slices = np.bincount(np.minimum((ends / phase.seconds * SLICES).astype(int), SLICES - 1),
                             minlength=SLICES) if count else np.zeros(SLICES)
        phase.timeline = list(meeting.reduce(slices * work.per_step, MPI.SUM))
        if failures:
            phase.reasons.append(f"I/O error: {phase.first_error}")
        if phase.mismatches:
            phase.reasons.append(f"{phase.mismatches} operations gave back other data than were "
                                 "written")
        if phase.stopped_at == "guard":
            phase.reasons.append("stopped because the file system fills up")
        if self.seconds is not None and len(set(counts)) > 1 and not failures:
            phase.reasons.append("ranks ended with different numbers of operations")
        if not phase.total and not failures:
            phase.reasons.append("nothing was done")
        return phase


def _binned(spent: list[float]) -> NDArray[np.int64]:
    places = np.log10(np.maximum(np.array(spent), LOWEST) / LOWEST) * PER_DECADE
    bins = np.clip(places.astype(np.int64), 0, PER_DECADE * DECADES - 1)
    return np.bincount(bins, minlength=PER_DECADE * DECADES)


def _told(error: OSError | None) -> tuple[str, str] | None:
    if error is None:
        return None
    name = errno.errorcode.get(error.errno or 0, "error")
    return name, f"{error.filename or ''}: {error.strerror or error} ({name})".lstrip(": ")
