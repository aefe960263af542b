"""Centre, spread and ratios of repeated measurements.

A study runs every point once in each round, in random order. Whatever drifts slowly (temperature
of the machine, a neighbour on the node) then hits all points of a round alike, so a ratio is far
better known than either of its parts, provided that the pairing by round is kept. That is why the
bootstrap resamples whole *rounds* and not the two samples by themselves.

Medians, because one disturbed round must not move the result; nothing is ever removed. Intervals
are percentiles of the bootstrap distribution (B. Efron, Ann. Statist. 7, 1 (1979),
doi:10.1214/aos/1176344552), with a seeded generator, so that a table can be computed again.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

RESAMPLES = 10_000
CV_LIMIT = 0.05
FEWEST_ROUNDS = 3


@dataclass(frozen=True)
class Spread:
    """A sample of repeated measurements.

    Attributes
    ----------
    median, min, max
        In the unit of the sample.
    cv
        Coefficient of variation: standard deviation (n - 1) over mean; 0 for a single value.
    noisy
        Whether `cv` exceeds 5 %: such a point cannot decide anything.
    """

    median: float
    min: float
    max: float
    cv: float

    @property
    def noisy(self) -> bool:
        """Whether the coefficient of variation exceeds its limit."""
        return self.cv > CV_LIMIT

    def as_json(self) -> dict[str, float | bool]:
        """Return the numbers and the mark as plain values."""
        return {**asdict(self), "noisy": self.noisy}


@dataclass(frozen=True)
class Interval:
    """An estimate and the interval that holds it with the stated confidence.

    `low` and `high` are NaN where there are too few rounds to say.
    """

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float]:
        """Return the three numbers as plain values."""
        return asdict(self)


def spread(values: Sequence[float]) -> Spread:
    """Describe a sample.

    Raises
    ------
    ValueError
        The sample is empty.
    """
    sample = _sample(values)
    deviation = float(sample.std(ddof=1)) if len(sample) > 1 else 0.0
    mean = float(sample.mean())
    cv = deviation / abs(mean) if mean else 0.0
    return Spread(float(np.median(sample)), float(sample.min()), float(sample.max()), cv)


def paired_ratio(
    numerator: Sequence[float],
    denominator: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return median(numerator) / median(denominator) with its bootstrap interval over rounds.

    Fewer than three rounds have a ratio but no interval.

    Parameters
    ----------
    numerator, denominator : (n,)
        Measurements of two points; element i of both comes from round i. Positive.
    level
        Confidence of the interval.
    resamples
        How many times n rounds are drawn with replacement.
    seed
        Of the generator that draws them.

    Raises
    ------
    ValueError
        The samples are empty, of different length, or not positive.
    """
    over, under = _sample(numerator), _sample(denominator)
    if over.shape != under.shape:
        raise ValueError(f"{len(over)} and {len(under)} rounds cannot be paired")
    if min(over.min(), under.min()) <= 0.0:
        raise ValueError("a ratio of times needs positive times")
    n, value = len(over), float(np.median(over) / np.median(under))
    if n < FEWEST_ROUNDS:
        return Interval(value, math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    return _within(value, np.median(over[drawn], axis=1) / np.median(under[drawn], axis=1), level)


def median_interval(
    values: Sequence[float], *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the median with its bootstrap interval; fewer than three values have none.

    Raises
    ------
    ValueError
        The sample is empty.
    """
    sample = _sample(values)
    n, value = len(sample), float(np.median(sample))
    if n < FEWEST_ROUNDS:
        return Interval(value, math.nan, math.nan)
    drawn = np.random.default_rng(seed).integers(0, n, size=(resamples, n))
    return _within(value, np.median(sample[drawn], axis=1), level)


def unpaired_ratio(
    numerator: Sequence[float],
    denominator: Sequence[float],
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Return median(numerator) / median(denominator) of samples from different days.

    Both are resampled, each by itself. Fewer than three values in either have no interval.

    Raises
    ------
    ValueError
        A sample is empty, or not positive.
    """
    over, under = _sample(numerator), _sample(denominator)
    if min(over.min(), under.min()) <= 0.0:
        raise ValueError("a ratio of times needs positive times")
    value = float(np.median(over) / np.median(under))
    if min(len(over), len(under)) < FEWEST_ROUNDS:
        return Interval(value, math.nan, math.nan)
    draw = np.random.default_rng(seed)
    tops = np.median(over[draw.integers(0, len(over), (resamples, len(over)))], axis=1)
    bottoms = np.median(under[draw.integers(0, len(under), (resamples, len(under)))], axis=1)
    return _within(value, tops / bottoms, level)


def _sample(values: Sequence[float]) -> np.ndarray:
    sample = np.asarray(values, np.float64)
    if sample.ndim != 1 or not len(sample):
        raise ValueError("an empty sample has no centre")
    return sample


def _within(value: float, resampled: np.ndarray, level: float) -> Interval:
    """An estimate with the percentiles of its bootstrap distribution."""
    tail = 50.0 * (1.0 - level)
    low, high = np.percentile(resampled, [tail, 100.0 - tail])
    return Interval(value, float(low), float(high))
