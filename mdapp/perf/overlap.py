"""How much of a checkpoint's cost a run does not notice when it is written beside it.

    eta = 1 - (T_C - T_A) / (T_B - T_A)

with the times T of the same steps without checkpoints (A), with checkpoints that the run waits for
(B), and with checkpoints that are written beside it (C). 1: all of it is hidden; 0: nothing is
gained; below: it would be better to wait. Where waiting costs no more than three times the noise,
eta is a quotient of noises, and is not given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mdapp.perf.statistics import FEWEST_ROUNDS, RESAMPLES, Interval

NOISE = 3.0                     # times the noise that waiting must cost


def efficiency(a: float, b: float, c: float, noise: float) -> float | None:
    """Eta; None where it is not measurable.

    Parameters
    ----------
    a, b, c : times of the three kinds of run, s
    noise : of the difference b - a, s
    """
    cost = b - a
    return None if cost <= NOISE * noise else 1.0 - (c - a) / cost


def noise_of(pairs: Sequence[tuple[float, float]]) -> float:
    """Noise floor: median difference of two runs of the same kind that followed one another, s."""
    return float(np.median([abs(x - y) for x, y in pairs]))


def overlap(
    a: Sequence[float], b: Sequence[float], c: Sequence[float], noise: float, *,
    level: float = 0.95, seed: int = 0,
) -> Interval | None:  # fmt: skip
    """Eta of medians with its bootstrap interval over rounds; None where it is not measurable.

    Parameters
    ----------
    a, b, c : (n,) times of the rounds, s; element i of all comes from round i
    noise : see `noise_of`
    level : confidence of the interval; fewer than three rounds have none
    seed : of the generator that draws rounds

    Raises
    ------
    ValueError
        The rounds are none, or cannot be paired.
    """
    times = np.array([a, b, c], np.float64)
    if times.ndim != 2 or not times.shape[1]:
        raise ValueError("eta needs the same number of rounds of A, B and C, at least one")
    medians = [float(m) for m in np.median(times, axis=1)]
    value = efficiency(medians[0], medians[1], medians[2], noise)
    if value is None:
        return None
    n = times.shape[1]
    if n < FEWEST_ROUNDS:
        return Interval(value, math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(0, n, size=(RESAMPLES, n))
    ta, tb, tc = np.median(times[:, drawn], axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = 1.0 - (tc - ta) / (tb - ta)
    tail = 50.0 * (1.0 - level)
    low, high = np.nanpercentile(values, [tail, 100.0 - tail])
    return Interval(value, float(low), float(high))
