"""Steps inside and outside of write windows, with a clock of the test's own."""

import time

import pytest

import mdapp.perf.step_times
from mdapp.perf.step_times import KEPT, StepTimes
from mdapp.storage.metrics import totals


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]
    monkeypatch.setattr(mdapp.perf.step_times, "perf_counter", lambda: now[0])

    def steps(times: StepTimes, *seconds: float) -> None:
        for spent in seconds:
            now[0] += spent
            times.tick()

    steps.now = now
    return steps


def test_the_slow_down_is_what_steps_inside_took_longer(clock) -> None:
    times = StepTimes()
    clock(times, *[1.0] * 9, 11.0)          # mean 2
    assert times.slow_down_s == 0.0
    clock.now[0] += 100.0                   # a checkpoint, which is no step
    times.resume()
    times.open()
    clock(times, 3.0, 3.0, 5.0)
    times.close()
    clock(times, 2.0)
    assert times.slow_down_s == pytest.approx(11.0 - 3 * 2.0)
    facts = times.facts()
    assert facts["inside"] == pytest.approx({"steps": 3, "p50": 3.0, "p95": 4.8, "p99": 4.96})
    assert facts["outside"]["steps"] == 11 and facts["outside"]["p50"] == 1.0

    times.open()
    clock(times, 0.5)                       # a fast one is no gain to boast of
    times.close()
    assert times.slow_down_s == 0.0 and times.facts()["inside"]["steps"] == 1


def test_without_steps_there_is_nothing_to_say(clock) -> None:
    times = StepTimes()
    times.open()
    clock(times, 1.0)
    times.close()
    assert times.slow_down_s == 0.0, "with nothing to compare to"
    assert set(times.facts()) == {"inside"} and StepTimes().facts() == {}


def test_only_the_last_steps_are_kept_but_all_of_a_window_count(clock) -> None:
    times = StepTimes()
    clock(times, *[9.0] * 10, *[1.0] * KEPT)
    times.open()
    clock(times, *[1.5] * (2 * KEPT))
    times.close()
    assert times.facts()["inside"]["steps"] == times.facts()["outside"]["steps"] == KEPT
    assert times.slow_down_s == pytest.approx(KEPT)


def test_a_step_is_noted_in_less_than_a_microsecond() -> None:
    """The best of many rounds: what the code takes, not what the machine was busy with."""
    times = StepTimes()
    times.open()
    best = float("inf")
    for _ in range(50):
        began = time.perf_counter()
        for _ in range(1000):
            times.tick()
        best = min(best, time.perf_counter() - began)
    assert best / 1000 < 1e-6


def test_totals() -> None:
    written = {"result": "committed", "bytes": 4 * 10**9, "stall_s": 2.0, "canonical_s": 0.5,
               "slow_down_s": 0.25, "gbytes_per_s": 1.0}
    twice_as_fast = {**written, "gbytes_per_s": 2.0}
    failed = {"result": "failed", "error": "why"}
    refused = {**written, "result": "failed", "bytes": 0, "gbytes_per_s": 0.0, "stall_s": 1.0}
    others = [{"result": "skipped"}, {"result": "coalesced"}, {"result": "undurable"}]
    found = totals([written, twice_as_fast, failed, refused, *others], 50.0)
    assert (found["committed"], found["failed"], found["skipped"]) == (3, 2, 2)
    assert found["stall_s"] == 5.0 and found["stalled_share"] == pytest.approx(0.1)
    assert found["gbytes_per_s"] == pytest.approx(8 / 6)
    assert found["perceived_gbytes_per_s"] == pytest.approx(8 / 5)
    assert found["bytes"] == 8 * 10**9
    nothing = totals([], 0.0)
    assert not any(nothing.values())
