"""Which checkpoints go: a plain function of what is there."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mdapp.storage.options import CheckpointOptions
from mdapp.storage.retention import Committed, to_remove


def some(*steps: int, size: int = 10) -> list[Committed]:
    return [Committed(s, f"{s:032x}", size) for s in steps]


def removed(steps, verified=(), **options) -> list[int]:
    marks = frozenset(f"{s:032x}" for s in verified)
    return [c.step for c in to_remove(some(*steps), CheckpointOptions(**options), marks)]


def test_the_newest_stay() -> None:
    assert removed([5, 1, 3, 2, 4]) == [1, 2]
    assert removed([5, 1, 3, 2, 4], keep_last=2) == [1, 2, 3]
    assert removed([1, 2]) == []


def test_multiples_stay() -> None:
    assert removed(range(10, 100, 10), keep_every=40) == [10, 20, 30, 50, 60]


def test_the_last_verified_stays() -> None:
    assert removed([1, 2, 3, 4, 5, 6], verified=[1, 2]) == [1, 3]
    assert removed([1, 2, 3, 4, 5, 6], verified=[2, 6]) == [1, 2, 3]


def test_a_limit_of_bytes() -> None:
    assert removed(range(1, 9), keep_last=8, max_bytes=45) == [1, 2, 3, 4]
    assert removed(range(1, 9), keep_last=8, max_bytes=1) == [1, 2, 3, 4, 5, 6]
    assert removed(range(1, 9), keep_last=8, max_bytes=35, verified=[2]) == [1, 3, 4, 5, 6]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    st.sets(st.integers(0, 100), max_size=20),
    st.sets(st.integers(0, 100), max_size=5),
    st.integers(2, 6), st.integers(0, 20), st.integers(0, 300),
)  # fmt: skip
def test_always_two_and_the_last_verified(steps, verified, last, every, limit) -> None:
    gone = set(removed(sorted(steps), verified, keep_last=last, keep_every=every, max_bytes=limit))
    stay = sorted(steps - gone)
    assert stay[-2:] == sorted(steps)[-2:]
    proven = sorted(steps & verified)
    assert not proven or proven[-1] in stay
    if not limit:
        assert stay[-last:] == sorted(steps)[-last:]
        assert not every or all(s in stay for s in steps if s % every == 0)
