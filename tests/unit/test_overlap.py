"""ST6: eta on times that are made up."""

import numpy as np
import pytest

from mdapp.perf.overlap import efficiency, noise_of, overlap

A = [10.0, 10.1, 9.9, 10.05, 9.95]
B = [12.0, 12.1, 11.9, 12.05, 11.95]


def test_what_costs_nothing_is_hidden_and_what_costs_as_much_is_not() -> None:
    hidden, none, worse = (overlap(A, B, c, 0.1) for c in (A, B, [x + 2.0 for x in B]))
    assert (hidden.value, none.value, worse.value) == pytest.approx((1.0, 0.0, -1.0))
    assert hidden.low == pytest.approx(1.0) and hidden.high == pytest.approx(1.0)


def test_half_is_half_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(4)
    a, b, c = (t + rng.normal(0, 0.05, 9) for t in (10.0, 12.0, 11.0))
    found = overlap(a, b, c, 0.05)
    assert found.low <= 0.5 <= found.high and found.high - found.low < 0.3


def test_noise_is_not_measured() -> None:
    noisy = [10.0, 11.0, 9.0, 10.5, 9.5]
    noise = noise_of([(10.0, 10.7), (9.9, 10.6), (10.2, 9.4)])
    assert noise == pytest.approx(0.7)
    assert overlap(noisy, B, noisy, noise) is None
    assert efficiency(10.0, 10.29, 10.0, 0.1) is None
    assert efficiency(10.0, 10.31, 10.0, 0.1) == 1.0


def test_two_rounds_have_no_interval_and_rounds_must_pair() -> None:
    found = overlap(A[:2], B[:2], A[:2], 0.1)
    assert found.value == pytest.approx(1.0) and np.isnan(found.low)
    with pytest.raises(ValueError):
        overlap(A, B, A[:2], 0.1)
