"""When a run checkpoints and stops: the decisions, alike on all ranks, and what asks for them."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import timeit
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.files import FileSystem
from mdapp.storage.interval import (
    AutoInterval,
    daly_interval,
    expected_overhead,
    young_interval,
)
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.stop import Signals, StopFile, Wish, seconds_left, walltime_seconds
from mdapp.storage.triggers import NOTHING, Decision, Schedule, WriterState

HOUR = 3600.0


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Loop:
    """A run of equal steps on a clock of its own, which remembers every decision."""

    def __init__(self, folder: Path | None = None, step_s: float = 0.1, **settings: Any):
        self.clock, self.step_s, self.step = Clock(), step_s, settings.pop("first_step", 0)
        self.lines: list[str] = []
        own = {key: settings.pop(key) for key in ("seconds_left", "writer", "fs", "margin_s")
               if key in settings}  # fmt: skip
        self.schedule = Schedule(
            MPI.COMM_SELF, CheckpointOptions(**settings), folder, first_step=self.step,
            clock=self.clock, tell=self.lines.append, **own,
        )  # fmt: skip

    def run(self, steps: int, cost_s: float = 0.0, fails: bool = False) -> dict[int, Decision]:
        """Decisions by step; each checkpoint costs `cost_s`, and the loop ends at a stop."""
        made = {}
        for _ in range(steps):
            self.step += 1
            self.clock.now += self.step_s
            decision = self.schedule.poll(self.step)
            if decision.checkpoint:
                self.clock.now += cost_s
                if fails:
                    self.schedule.failed(cost_s)
                else:
                    self.schedule.committed(cost_s, cost_s)
            if decision.checkpoint or decision.stop:
                made[self.step] = decision
            if decision.stop:
                break
        return made


@pytest.fixture(autouse=True)
def handlers_are_put_back() -> Iterator[None]:
    watched = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(n) for n in watched]
    yield
    assert [signal.getsignal(n) for n in watched] == before


# --- the interval --------------------------------------------------------------------------------


def test_young_and_daly_of_ten_seconds_a_day() -> None:
    """d = 10 s, M = 24 h: Young 1315 s, Daly 1308 s, 1.5 % overhead."""
    assert round(young_interval(10, 24 * HOUR)) == 1315
    assert round(daly_interval(10, 24 * HOUR)) == 1308
    assert round(100 * expected_overhead(10, 24 * HOUR, daly_interval(10, 24 * HOUR)), 1) == 1.5


def test_the_interval_is_never_shorter_than_the_writing_beside_the_run() -> None:
    auto = AutoInterval(24 * HOUR, shortest_s=20, longest_s=2000)
    auto.measure(10.0, 1500.0)
    assert auto.seconds == 1500.0
    auto.measure(10.0, 30.0)
    assert round(auto.seconds) == 1308
    auto.measure(10.0, 3000.0)
    assert auto.seconds == 2000.0, "longest_s is a promise to the user"


def test_what_steps_took_longer_beside_a_writer_is_part_of_the_cost() -> None:
    options = CheckpointOptions(interval="auto", mtbf=24 * HOUR)
    said: list[str] = []
    schedule = Schedule(MPI.COMM_SELF, options, tell=said.append)
    schedule.committed(2.0, 60.0, 8.0, 55.0)
    facts = schedule.interval_facts
    assert facts["d"] == 10.0 and round(facts["tau"]) == 1308
    assert "cost 10 s" in said[-1]


def test_daly_is_the_mean_time_between_failures_for_a_cost_beyond_twice_that() -> None:
    assert daly_interval(7200, HOUR) == HOUR
    assert daly_interval(1e9, HOUR) == HOUR
    # At d = 2M the series gives 2M (1 + 1/3 + 1/9) - 2M = 8/9 M: close to M, as it should be.
    assert daly_interval(7199.999, HOUR) == pytest.approx(8 / 9 * HOUR, rel=1e-6)


def test_young_has_the_least_overhead_of_first_order() -> None:
    best = young_interval(30, 6 * HOUR)
    least = expected_overhead(30, 6 * HOUR, best)
    for factor in (0.5, 0.9, 1.1, 2.0):
        assert expected_overhead(30, 6 * HOUR, factor * best) > least
    assert expected_overhead(30, 6 * HOUR, best, restart_s=60) == pytest.approx(least + 60 / 21600)


def test_the_interval_follows_the_measured_cost_within_its_bounds() -> None:
    auto = AutoInterval(24 * HOUR, shortest_s=20, longest_s=2000)
    assert auto.cost_s is None and auto.seconds == 20 and auto.facts()["expected_overhead"] is None
    auto.measure(9)
    auto.measure(11)
    assert auto.cost_s == pytest.approx(10) and auto.seconds == pytest.approx(1307.9, abs=0.1)
    assert "1308 s" in auto.describe() and "1.5" in auto.describe()
    for _ in range(100):
        auto.measure(1e-6)
    assert auto.cost_s < 1e-4 and auto.seconds == 20
    for _ in range(100):
        auto.measure(1000)
    assert auto.seconds == 2000


# --- steps and minutes ---------------------------------------------------------------------------


def test_every_n_steps() -> None:
    loop = Loop(every=50)
    made = loop.run(210)
    assert list(made) == [50, 100, 150, 200]
    assert {d.reason for d in made.values()} == {"every 50 steps"}
    assert not any(d.stop for d in made.values())
    assert list(Loop(every=50, first_step=170).run(50)) == [200]
    assert list(Loop(every=50, first_step=100).run(60)) == [150], "the step it began from has one"


def test_nothing_is_asked_for_nothing_is_done() -> None:
    assert Loop().run(1000) == {}


def test_every_t_minutes() -> None:
    loop = Loop(every_minutes=0.5, step_s=0.1)
    made = loop.run(2000)
    assert {d.reason for d in made.values()} == {"every 0.5 minutes"}
    seconds = [step * 0.1 for step in made]
    # A poll interval is a second; the wish is posted one ahead of its time.
    assert seconds == pytest.approx([30, 60, 90, 120, 150, 180], abs=8)
    gaps = [b - a for a, b in pairwise(seconds)]
    assert all(28 <= gap <= 33 for gap in gaps), gaps


def test_a_checkpoint_of_another_kind_starts_the_minutes_anew() -> None:
    made = Loop(every=250, every_minutes=0.5, step_s=0.1).run(1000)
    assert list(made) == [250, 500, 750, 1000]


def test_minutes_do_not_count_the_time_of_the_checkpoint() -> None:
    made = Loop(every_minutes=0.5, step_s=0.1).run(1000, cost_s=100)
    gaps = [0.1 * (b - a) for a, b in pairwise(made)]
    assert len(gaps) >= 2 and all(28 <= gap <= 33 for gap in gaps), gaps


def test_auto_measures_first_and_then_takes_the_interval_of_daly() -> None:
    loop = Loop(interval="auto", mtbf=24 * HOUR, step_s=1.0)
    assert "first checkpoint after" in loop.lines[0]
    made = list(loop.run(3000, cost_s=10))
    assert 8 <= made[0] <= 14
    assert [b - a for a, b in pairwise(made)] == pytest.approx([1308] * 2, abs=4)
    assert "1308 s" in loop.lines[1]
    facts = loop.schedule.interval_facts
    assert facts["d"] == 10 and facts["M"] == 24 * HOUR
    assert facts["tau"] == pytest.approx(1307.9, abs=0.1)


# --- poll steps ----------------------------------------------------------------------------------


def polls(loop: Loop, steps: int) -> list[int]:
    found = []
    for _ in range(steps):
        loop.step += 1
        loop.clock.now += loop.step_s
        if loop.schedule.poll(loop.step).polled:
            found.append(loop.step)
    return found


@pytest.mark.parametrize(("step_s", "expected"), [(0.001, 1000), (0.1, 10), (0.4, 2), (30.0, 1)])
def test_poll_steps_adapt_to_a_second(step_s: float, expected: int) -> None:
    found = polls(Loop(step_s=step_s), 40 * expected + 2000)
    assert found[-1] - found[-2] == pytest.approx(expected, rel=0.01)
    assert found[0] <= 2


def test_poll_steps_adapt_to_slower_steps() -> None:
    loop = Loop(step_s=0.001)
    polls(loop, 10000)
    loop.step_s = 0.1
    found = polls(loop, 4000)
    assert found[-1] - found[-2] == 10


def test_fixed_poll_steps() -> None:
    assert polls(Loop(poll_steps=7, first_step=3), 40) == [17, 24, 31, 38]


def test_a_step_without_a_poll_costs_next_to_nothing() -> None:
    """About 100 ns are meant; the bound only tells a comparison from a system call or a message."""
    schedule = Schedule(MPI.COMM_SELF, CheckpointOptions(poll_steps=2**31 - 1))
    assert min(timeit.repeat(lambda: schedule.poll(5), number=20000, repeat=5)) / 20000 < 2e-6
    assert schedule.poll(5) is NOTHING


def test_the_background_writer_is_heard_of_at_the_next_poll_step() -> None:
    state = WriterState(busy=True)
    loop = Loop(poll_steps=5, writer=lambda: state)
    found = {}
    for step in range(1, 31):
        decision = loop.schedule.poll(step)
        if decision.polled:
            found[step] = (decision.writer_busy, decision.writer_failed)
        if step == 12:
            state = WriterState(failed=True)
    assert found == {10: (True, False), 15: (True, False), 20: (False, True), 25: (False, True),
                     30: (False, True)}  # fmt: skip


# --- signals -------------------------------------------------------------------------------------


def test_usr1_checkpoints_once_and_goes_on() -> None:
    loop = Loop(poll_steps=5)
    with loop.schedule:
        loop.run(12)
        os.kill(os.getpid(), signal.SIGUSR1)
        made = loop.run(50)
    assert list(made) == [20]
    assert made[20].reason == "SIGUSR1" and not made[20].stop


def test_a_checkpoint_since_the_wish_fulfils_it() -> None:
    loop = Loop(poll_steps=5, every=17)
    with loop.schedule:
        loop.run(12)
        os.kill(os.getpid(), signal.SIGUSR1)  # posted at 15, would be obeyed at 20
        assert list(loop.run(15)) == [17]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_stop_signal_writes_a_checkpoint_and_stops(number: signal.Signals) -> None:
    loop = Loop(poll_steps=5)
    with loop.schedule:
        loop.run(3)
        os.kill(os.getpid(), number)
        made = loop.run(50)
    assert made == {10: Decision(True, True, number.name, 10, polled=True)}


def test_the_second_stop_signal_stops_at_once() -> None:
    loop = Loop(poll_steps=5)
    with loop.schedule:
        os.kill(os.getpid(), signal.SIGTERM)
        loop.clock.now += 1.0
        os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "a third one kills"
        (decision,) = loop.run(50).values()
    assert (decision.checkpoint, decision.stop, decision.exit_code) == (False, True, 130)
    assert "SIGINT" in decision.reason


def test_one_request_may_arrive_twice() -> None:
    loop = Loop(poll_steps=5)
    with loop.schedule:
        os.kill(os.getpid(), signal.SIGINT)
        loop.clock.now += 0.02
        os.kill(os.getpid(), signal.SIGTERM)
        (decision,) = loop.run(50).values()
    assert decision.checkpoint and decision.reason == "SIGINT"


def test_an_ignored_signal_stays_ignored_and_other_handlers_come_back() -> None:
    former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.wish is Wish.NOTHING
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, former)


def test_outside_the_main_thread_no_handlers_are_installed() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Any] = []

    def body() -> None:
        with Signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join(10)
    assert seen == [before]


# --- the stop file -------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "step", "checkpoint", "code"), [
    ("", 20, True, 10), ("checkpoint\n", 15, True, 10), ("NOW", 15, False, 11),
    ("23", 23, True, 10), ("23\n", 23, True, 10), ("4", 15, True, 10), ("stpo", 15, True, 10),
])  # fmt: skip
def test_the_stop_file(
    tmp_path: Path, text: str, step: int, checkpoint: bool, code: int
) -> None:
    loop = Loop(tmp_path, poll_steps=5)
    loop.run(7)
    (tmp_path / "STOP").write_text(text)
    ((at, decision),) = loop.run(50).items()
    assert (at, decision.checkpoint, decision.stop) == (step, checkpoint, True)
    assert decision.exit_code == code and "stop file" in decision.reason
    assert not (tmp_path / "STOP").exists() and (tmp_path / "STOP.done").exists()
    assert bool(loop.lines) == (text == "stpo")


def test_a_stop_file_may_be_changed_and_taken_back(tmp_path: Path) -> None:
    loop = Loop(tmp_path, poll_steps=5)
    (tmp_path / "STOP").write_text("100")
    assert loop.run(30) == {}
    (tmp_path / "STOP").unlink()
    assert loop.run(100) == {}
    (tmp_path / "STOP").write_text("500")
    loop.run(20)
    (tmp_path / "STOP").write_text("200")
    assert list(loop.run(500)) == [200]


def test_a_file_that_is_just_being_written_is_not_taken_for_empty(tmp_path: Path) -> None:
    loop = Loop(tmp_path, poll_steps=5)
    loop.run(7)
    (tmp_path / "STOP").write_text("")
    loop.run(5)  # it is seen empty at step 10
    (tmp_path / "STOP").write_text("40")
    assert list(loop.run(100)) == [40]


def test_a_stop_file_that_cannot_be_read_stops_nothing(tmp_path: Path) -> None:
    class Broken(FileSystem):
        def call(self, kind, function, *args, **kwargs):  # type: ignore[no-untyped-def]
            raise OSError(5, "Input/output error", str(args[0]))

    loop = Loop(tmp_path, poll_steps=5, fs=Broken())
    assert loop.run(100) == {}
    assert len(loop.lines) == 1 and "Input/output error" in loop.lines[0]


def test_a_stop_file_that_cannot_be_renamed_is_told_of(tmp_path: Path) -> None:
    class ReadOnly(FileSystem):
        def rename(self, old: Path, new: Path) -> None:
            raise OSError(30, "Read-only file system", str(old))

    assert StopFile(tmp_path).obeyed() == "", "somebody took it away"
    assert "remove it before a restart" in StopFile(tmp_path, ReadOnly()).obeyed()


# --- the end of the time -------------------------------------------------------------------------


def test_the_run_stops_while_two_checkpoints_still_fit() -> None:
    loop = Loop(every=100, seconds_left=1000, step_s=1.0)
    made = loop.run(2000, cost_s=40)
    last, decision = list(made.items())[-1]
    assert decision.checkpoint and decision.stop and decision.exit_code == 10
    assert "wall time" in decision.reason
    left = 1000 - (loop.clock.now - 1000 - 40)
    assert 140 <= left <= 146, "2 x 40 s for the checkpoint, 60 s and a few poll intervals"
    assert last == loop.step


def test_no_time_limit() -> None:
    assert Loop(step_s=1e6).run(100) == {}


def test_walltime() -> None:
    assert walltime_seconds("01:30:05") == 5405 and walltime_seconds("100:00:00") == 360000
    for text in ("", "5", "1:2", "00:00:00", "1:60:00", "-1:00:00", "1:00:00.5", "a:b:c"):
        with pytest.raises(InputError, match="must be hh:mm:ss"):
            walltime_seconds(text)


def test_the_earlier_of_walltime_and_deadline_counts() -> None:
    assert seconds_left(None, environ={}) is None
    assert seconds_left("00:10:00", 100.0, {}) == 500
    assert seconds_left("00:10:00", float("nan"), {}) == 600
    assert seconds_left("00:10:00", 100.0, {"MDAPP_DEADLINE": "1700000060"}, 1.7e9) == 60
    assert seconds_left("00:00:30", 0.0, {"MDAPP_DEADLINE": "1700000060"}, 1.7e9) == 30
    for text in ("tomorrow", "-5", "nan", "1e9"):
        with pytest.raises(InputError, match="MDAPP_DEADLINE"):
            seconds_left(None, environ={"MDAPP_DEADLINE": text})


# --- failures ------------------------------------------------------------------------------------


def test_after_a_failure_the_wait_doubles_and_in_the_end_the_run_stops() -> None:
    made = Loop(every=10, max_failures=5).run(1000, fails=True)
    assert list(made) == [10, 30, 70, 150, 230, 231]
    last = made[231]
    assert (last.checkpoint, last.stop, last.exit_code) == (False, True, 13)
    assert "5 checkpoints in a row" in last.reason


def test_no_limit_of_failures() -> None:
    assert list(Loop(every=10, max_failures=0).run(500, fails=True)) == [
        10, 30, 70, 150, 230, 310, 390, 470]  # fmt: skip


def test_a_commit_ends_the_waiting() -> None:
    loop = Loop(every=10, max_failures=3)
    assert list(loop.run(69, fails=True)) == [10, 30]
    assert list(loop.run(31)) == [70, 80, 90, 100]


def test_minutes_wait_longer_after_failures() -> None:
    made = list(Loop(every_minutes=0.5, step_s=0.1, max_failures=3).run(3000, fails=True))
    assert [0.1 * s for s in made[:3]] == pytest.approx([30, 90, 210], abs=6)
    assert len(made) == 4, "and after the third failure it stops"


# --- ranks ---------------------------------------------------------------------------------------

# Each rank runs its steps at a pace of its own; a halo-like exchange keeps them within one step.
RANKS = """
import json, os, signal, sys, time
from pathlib import Path
from mpi4py import MPI
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.triggers import Schedule, WriterState

comm, case = MPI.COMM_WORLD, sys.argv[1]
left = {"walltime": 62.5 if comm.rank == comm.size - 1 else 1000.0}.get(case)
options = CheckpointOptions(every=0, every_minutes=0.02 if case == "minutes" else 0)
made, limit = [], 4000
with Schedule(comm, options, Path("."), seconds_left=left) as schedule:
    for step in range(1, limit):
        time.sleep(0.001 * (1 + comm.rank))
        comm.sendrecv(step, (comm.rank + 1) % comm.size)
        if step == 100 and comm.rank == comm.size - 1:
            numbers = {"term": signal.SIGTERM, "usr1": signal.SIGUSR1, "twice": signal.SIGINT}
            number = numbers.get(case)
            if number:
                os.kill(os.getpid(), number)
            if case == "file":
                Path("STOP").write_text("checkpoint")
            if case == "twice":
                time.sleep(0.2)
                os.kill(os.getpid(), number)
        decision = schedule.poll(step)
        if decision.checkpoint or decision.stop:
            made.append([step, decision.checkpoint, decision.stop, decision.exit_code,
                         decision.reason])
        if decision.stop or (case in ("usr1", "minutes") and len(made) == 1 + (case == "minutes")):
            break
Path(f"rank{comm.rank}.json").write_text(json.dumps(made))
comm.Barrier()
"""


@pytest.mark.parametrize(("ranks", "case", "expected"), [
    (2, "term", [True, True, 10, "SIGTERM"]),
    (3, "term", [True, True, 10, "SIGTERM"]),
    (2, "twice", [False, True, 130, "SIGINT, the second signal"]),
    (2, "usr1", [True, False, 0, "SIGUSR1"]),
    (3, "file", [True, True, 10, "stop file"]),
    (2, "walltime", [True, True, 10, "the wall time is nearly over"]),
    (2, "minutes", [True, False, 0, "every 0.02 minutes"]),
])  # fmt: skip
def test_all_ranks_decide_alike_at_the_same_step(
    mpirun: Any, tmp_path: Path, ranks: int, case: str, expected: list[Any]
) -> None:
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    began = time.monotonic()
    end = mpirun(ranks, [str(script), case], timeout=60)
    assert end.code == 0, end.stdout + end.stderr
    assert time.monotonic() - began < 40
    made = [json.loads((tmp_path / f"rank{r}.json").read_text()) for r in range(ranks)]
    assert made[1:] == made[:-1] and len(made[0]) == 1 + (case == "minutes")
    assert made[0][-1][1:] == expected
    assert made[0][-1][0] < 3999
    assert (tmp_path / "STOP.done").exists() == (case == "file")


def test_a_lone_failure_does_not_wait_for_the_others(mpirun: Any, tmp_path: Path) -> None:
    script = tmp_path / "lone.py"
    script.write_text(
        "from mpi4py import MPI\n"
        "from mdapp.storage.options import CheckpointOptions\n"
        "from mdapp.storage.triggers import Schedule\n"
        "comm = MPI.COMM_WORLD\n"
        "try:\n"
        "    with Schedule(comm, CheckpointOptions(poll_steps=1)) as schedule:\n"
        "        if comm.rank == 1:\n"
        "            schedule.poll(1)\n"
        "            raise ValueError('alone')\n"
        "        comm.recv(source=1)\n"
        "except ValueError:\n"
        "    print('left', flush=True)\n"
        "    comm.Abort(7)\n"
    )
    end = mpirun(2, [str(script)], timeout=40)
    assert end.code != 0 and "left" in end.stdout, end.stdout + end.stderr


