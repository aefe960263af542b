"""The line through a conserved quantity, and whether its error is honest."""

import math

import numpy as np
import pytest

from mdapp.analysis.drift import correlation_time, drift


def wobble(rng: np.random.Generator, n: int, memory: float) -> np.ndarray:
    """(n,) of a process that forgets a share 1 - memory of itself each sample; variance 1."""
    noise = rng.normal(size=n) * math.sqrt(1 - memory**2)
    noise[0] = rng.normal()
    for k in range(1, n):
        noise[k] += memory * noise[k - 1]
    return noise


def test_a_straight_line_is_found_exactly() -> None:
    t = np.linspace(3.0, 9.0, 50)
    found = drift(t, 2.0 - 0.25 * t)
    assert found.slope == pytest.approx(-0.25, rel=1e-12)
    assert found.intercept == pytest.approx(2.0, rel=1e-12) and found.error < 1e-12


@pytest.mark.parametrize(("memory", "tau"), [(0.0, 0.5), (0.8, 4.5), (0.95, 19.5)])
def test_the_correlation_time_is_that_of_the_process(memory: float, tau: float) -> None:
    """Integrated time of an AR(1) process: 1/2 + m / (1 - m)."""
    found = [correlation_time(wobble(np.random.default_rng(k), 20_000, memory)) for k in range(4)]
    assert np.mean(found) == pytest.approx(tau, rel=0.1)


@pytest.mark.parametrize("memory", [0.0, 0.9])
def test_the_error_covers_what_it_says(memory: float) -> None:
    """400 runs without a drift: two standard errors hold 95.4 % of the slopes.

    The number of those outside is binomial with a standard deviation of 4.2. For correlated noise
    the estimate of tau is biased low by a few per cent of so short a series, which lets out up to
    8 %. Without the correlation half of the slopes would be outside.
    """
    slopes = [drift(np.arange(2000.0), wobble(np.random.default_rng(k), 2000, memory))
              for k in range(400)]  # fmt: skip
    outside = sum(found.resolved for found in slopes)
    assert 18.4 - 4 * 4.2 < outside < (18.4 + 4 * 4.2 if memory == 0 else 0.08 * 400 + 4 * 4.2)


def test_too_few_samples_say_so() -> None:
    assert math.isnan(drift([1.0], [2.0]).slope) and math.isnan(drift([1.0, 1.0], [2, 3]).slope)
    few = drift([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    assert few.slope == 1.0 and math.isnan(few.error) and not few.resolved
