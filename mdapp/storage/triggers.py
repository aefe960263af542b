"""When a run writes a checkpoint and when it stops, decided by all ranks at the same step.

After each step the loop asks `poll(step)`. Nearly always the answer is no, at the price of one
comparison. What can be due at a step is known long before: a checkpoint every n steps needs no
message at all, and everything that only some rank knows (a signal, the stop file, the clock) waits
for the next poll step, about once a second.

At a poll step every rank posts one non-blocking maximum over a few integers, and takes its result
at the next one. By then it is long complete, so that nobody waits; and because it is never tested
in between, no rank can learn of a request at another step than the others. A blocking reduction
would make all ranks wait for the slowest once a second; testing for completion would let them
disagree, one on its way into a collective write while its neighbour waits for ghost atoms.

The distance of poll steps travels in the same reduction: rank 0 measures its steps and proposes,
all others propose nothing. So do the clocks: rank 0 says when the minutes are over, each rank
when its time is, and the greatest wish wins.

A checkpoint that failed is not tried again at once: the wait doubles with each failure in a row, up
to eight intervals, and after `max_failures` of them the run is told to stop.
"""

from __future__ import annotations

import enum
import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np
from mpi4py import MPI

from mdapp.parallel.agree import is_agreed
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.interval import AutoInterval
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.stop import Signals, StopFile, Wish

STOPPED = 10
STOPPED_WITHOUT = 11
TOO_MANY_FAILURES = 13
POLL_S = 1.0
MARGIN_S = 60.0
LONGEST_WAIT = 8
NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do after a step; the same on all ranks.

    Attributes
    ----------
    checkpoint : write a checkpoint of this step
    stop : leave the loop, after the checkpoint if there is to be one
    reason : why, for the log; empty where nothing is to be done
    exit_code : of a stop: 10 with a checkpoint that is committed, 11, 13 or 128 + signal without
    polled : whether this was a poll step, so that the following two are news
    writer_busy : whether a background writer of any rank was at work at the last poll step
    writer_failed : whether one had failed
    """

    checkpoint: bool = False
    stop: bool = False
    reason: str = ""
    exit_code: int = 0
    polled: bool = False
    writer_busy: bool = False
    writer_failed: bool = False


NOTHING = Decision()


class WriterState(NamedTuple):
    """What a rank's background writer does."""

    busy: bool = False
    failed: bool = False


class Slot(enum.IntEnum):
    """Places in the reduction; the maximum over ranks counts."""

    SIGNAL = 0  # 256 times the wish, plus the signal's number
    CHECKPOINT = 1
    FILE = 2
    FILE_STEP = 3
    TIME_IS_UP = 4
    PERIOD_IS_OVER = 5
    STRIDE = 6
    BUSY = 7
    FAILED = 8


class Schedule:
    """Decides after each step; every method is collective.

    Use it as a context manager around the loop: it then handles SIGUSR1, SIGTERM and SIGINT (this
    one if `interrupts`).

        with Schedule(comm, options, folder, first_step=step) as schedule:
            ...
            decision = schedule.poll(step)
            if decision is not NOTHING: ...

    Parameters
    ----------
    comm
        The ranks of the run.
    options
        `every`, `every_minutes`, `interval`, `mtbf`, `poll_steps` and `max_failures` are used.
    folder
        Folder of the run, where the stop file may appear; None: none is looked for.
    first_step
        The step that the run begins from; it gets no checkpoint.
    seconds_left
        Time until the job is ended from outside, s; None: no limit.
    writer
        Asked at poll steps what this rank's background writer does.
    tell
        Called on rank 0 with a line for the log.
    interrupts
        Whether Ctrl-C asks for a checkpoint and a stop; otherwise it interrupts, as everywhere.
    margin_s, clock, fs
        Time kept in reserve at the end, the clock (s), and the file system of the stop file.
    """

    def __init__(
        self,
        comm: MPI.Comm,
        options: CheckpointOptions,
        folder: Path | None = None,
        *,
        first_step: int = 0,
        seconds_left: float | None = None,
        writer: Callable[[], WriterState] = WriterState,
        tell: Callable[[str], None] = lambda line: None,
        interrupts: bool = True,
        margin_s: float = MARGIN_S,
        clock: Callable[[], float] = time.monotonic,
        fs: FileSystem = REAL,
    ):
        self._comm, self._options, self._clock = comm, options, clock
        self._writer, self._tell, self._margin_s = writer, tell, margin_s
        now = clock()
        self._end = math.inf if seconds_left is None else now + seconds_left
        self._signals = Signals(clock, interrupts)
        self._file = StopFile(folder, fs) if folder is not None and comm.rank == 0 else None
        self._auto = AutoInterval(options.mtbf) if options.interval == "auto" else None
        self._failures = 0
        self._longest_s = 0.0

        self._last_step, self._last_time = first_step, now
        self._next_fixed = self._fixed_after(first_step)
        self._stop_step = NEVER

        self._request: MPI.Request | None = None
        self._mine, self._all = np.zeros(len(Slot), np.int64), np.zeros(len(Slot), np.int64)
        self._posted_step = self._wished_step = first_step
        self._next_poll = first_step + max(options.poll_steps, 1)
        self._poll_step, self._poll_time, self._stalled_s = first_step, now, 0.0
        self._poll_s = POLL_S
        self._next = min(self._next_poll, self._next_fixed)
        if self._auto is not None and comm.rank == 0:
            tell(self._auto.describe())

    def __enter__(self) -> Schedule:
        self._signals.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._signals.__exit__(kind, error, trace)
        # A rank that fails alone must not wait for others, who will never come here.
        if self._request is not None and (error is None or is_agreed(error, self._comm.size)):
            self._request.Wait()
        self._request = None

    @property
    def interval_facts(self) -> dict[str, float | str | None]:
        """What the automatic interval rests on, for the metrics; empty where there is none."""
        return self._auto.facts() if self._auto else {}

    def poll(self, step: int) -> Decision:
        """Decide what to do after `step`; costs one comparison where nothing can be due."""
        if step < self._next:
            return NOTHING
        return self._attend(step)

    def committed(
        self, stall_s: float, total_s: float, slow_down_s: float = 0.0, flush_s: float = 0.0
    ) -> None:
        """Learn that a checkpoint was committed.

        Parameters
        ----------
        stall_s
            What it cost the simulation, s, the largest of all ranks.
        total_s
            From its begin to its commit, s, the largest of all ranks.
        slow_down_s
            What the steps took longer while it was written beside them, s, the same on all ranks.
        flush_s
            How long it was written beside the run, s.
        """
        self._failures = 0
        self._past(stall_s, total_s)
        if self._auto is not None:
            self._auto.measure(stall_s + slow_down_s, flush_s)
            if self._comm.rank == 0:
                self._tell(self._auto.describe())

    def failed(self, stall_s: float) -> None:
        """Learn that a checkpoint failed after `stall_s` seconds, the largest of all ranks."""
        self._failures += 1
        self._past(stall_s, stall_s)
        if self._failed_too_often:
            self._next = self._last_step

    def _past(self, stall_s: float, total_s: float) -> None:
        self._longest_s = max(self._longest_s, total_s)
        self._stalled_s += stall_s
        self._last_time = self._clock()
        self._next_fixed = self._fixed_after(self._last_step)
        self._next = min(self._next, self._next_fixed)

    @property
    def _failed_too_often(self) -> bool:
        return 0 < self._options.max_failures <= self._failures

    def _attend(self, step: int) -> Decision:
        """Decide at a step at which something may be due."""
        polled = step >= self._next_poll
        agreed = self._exchange(step) if polled else None
        decision = self._stop(step, agreed) or self._checkpoint(step, agreed)
        if decision.checkpoint:
            self._last_step, self._last_time = step, self._clock()
        if step >= self._next_fixed:
            self._next_fixed = self._fixed_after(step)
        self._next = min(self._next_poll, self._next_fixed, self._stop_step)
        if agreed is None:
            return decision
        busy, failed = bool(agreed[Slot.BUSY]), bool(agreed[Slot.FAILED])
        return replace(decision, polled=True, writer_busy=busy, writer_failed=failed)

    def _stop(self, step: int, agreed: list[int] | None) -> Decision | None:
        """Whether to stop, by the gravest reason."""
        wish, number = divmod(agreed[Slot.SIGNAL], 256) if agreed else (Wish.NOTHING, 0)
        file = self._stop_file_says(step, agreed)
        if file is not Wish.NOTHING and self._file is not None:
            self._remark(self._file.obeyed())
        if wish == Wish.STOP_NOW:
            name = signal.Signals(number).name
            return Decision(stop=True, reason=f"{name}, the second signal", exit_code=128 + number)
        if file is Wish.STOP_NOW:
            return Decision(stop=True, reason="stop file: now", exit_code=STOPPED_WITHOUT)
        if self._failed_too_often:
            reason = f"{self._failures} checkpoints in a row failed (checkpoint.max_failures)"
            return Decision(stop=True, reason=reason, exit_code=TOO_MANY_FAILURES)
        if wish == Wish.STOP:
            return Decision(True, True, signal.Signals(number).name, STOPPED)
        if file is not Wish.NOTHING:
            return Decision(True, True, "stop file", STOPPED)
        if agreed and agreed[Slot.TIME_IS_UP]:
            return Decision(True, True, "the wall time is nearly over", STOPPED)
        return None

    def _stop_file_says(self, step: int, agreed: list[int] | None) -> Wish:
        """What the stop file wants now; a step that it names is kept until it comes."""
        if agreed:
            at = agreed[Slot.FILE] == Wish.STOP_AT
            self._stop_step = agreed[Slot.FILE_STEP] if at else NEVER
            if agreed[Slot.FILE] > Wish.STOP_AT:
                return Wish(agreed[Slot.FILE])
        return Wish.STOP if step >= self._stop_step else Wish.NOTHING

    def _checkpoint(self, step: int, agreed: list[int] | None) -> Decision:
        """Whether to write a checkpoint and go on."""
        if step >= self._next_fixed:
            return Decision(True, reason=f"every {self._options.every} steps")
        # A checkpoint that was decided on since the wish was posted has fulfilled it.
        if agreed and self._last_step < self._wished_step:
            if agreed[Slot.CHECKPOINT]:
                return Decision(True, reason="SIGUSR1")
            if agreed[Slot.PERIOD_IS_OVER]:
                return Decision(True, reason=self._period_name())
        return NOTHING

    def _exchange(self, step: int) -> list[int] | None:
        """Take the result of the last poll step, post the wishes of this one."""
        agreed: list[int] | None = None
        if self._request is not None:
            self._request.Wait()
            agreed = self._all.tolist()
        self._wished_step = self._posted_step
        self._post(step)
        stride = agreed[Slot.STRIDE] if agreed else 1
        self._next_poll = step + (self._options.poll_steps or stride)
        return agreed

    def _post(self, step: int) -> None:
        now, mine, signals = self._clock(), self._mine, self._signals
        stride = self._measure_steps(step, now)
        mine[Slot.SIGNAL] = 256 * signals.wish + signals.number
        mine[Slot.CHECKPOINT] = signals.take_checkpoint_wish()
        # A wish not posted now is posted at the next poll step and obeyed at the one after.
        reserve = 2 * self._longest_s + 2 * self._poll_s + self._margin_s
        mine[Slot.TIME_IS_UP] = self._end - now < reserve
        mine[Slot.BUSY], mine[Slot.FAILED] = self._writer()
        if self._comm.rank == 0:
            mine[Slot.STRIDE] = stride
            mine[Slot.PERIOD_IS_OVER] = now + self._poll_s - self._last_time >= self._period_s()
            self._look_at_file(mine)
        self._request = self._comm.Iallreduce(mine, self._all, op=MPI.MAX)
        self._posted_step = step

    def _look_at_file(self, mine: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        if self._file is not None:
            wanted = self._file.look()
            self._remark(wanted.remark)
            mine[Slot.FILE], mine[Slot.FILE_STEP] = wanted.wish, wanted.step

    def _measure_steps(self, step: int, now: float) -> int:
        """Seconds of the poll interval that ends here; returns the steps that take about one."""
        steps = max(step - self._poll_step, 1)
        self._poll_s = max(now - self._poll_time - self._stalled_s, 1e-6)
        self._poll_step, self._poll_time, self._stalled_s = step, now, 0.0
        # Growing slowly, because the first steps may be shorter than most.
        return max(1, min(round(steps * POLL_S / self._poll_s), 4 * steps))

    def _fixed_after(self, step: int) -> int:
        """Next step with a checkpoint by `every`."""
        every = self._options.every
        return (step // every + self._waits()) * every if every else NEVER

    def _period_s(self) -> float:
        """Seconds between two checkpoints, with the doubling after failures."""
        seconds = self._auto.seconds if self._auto else 60.0 * self._options.every_minutes
        return seconds * self._waits() or math.inf

    def _waits(self) -> int:
        """Intervals to wait: 1, and after failures in a row 2, 4, 8, 8, ..."""
        return min(1 << min(self._failures, 10), LONGEST_WAIT)

    def _period_name(self) -> str:
        return "interval auto" if self._auto else f"every {self._options.every_minutes:g} minutes"

    def _remark(self, line: str) -> None:
        if line:
            self._tell(line)
