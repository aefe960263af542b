"""The drift of a conserved quantity: a straight line through its samples, with an honest error.

    E(t) = a + b t,   se(b) = sqrt(2 tau) se_0(b),   se_0(b)^2 = sum r^2 / ((n - 2) sum (t - <t>)^2)

Samples of a run are not independent: the residuals r are correlated over an integrated time of tau
samples, so that n of them say as much as n / (2 tau). Without that factor a wobble of the energy
passes for a drift. tau is summed up to the first window of five times itself (A. Sokal's rule, in
Functional Integration, NATO ASI B 361, 131 (1997), doi:10.1007/978-1-4899-0319-8_6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FEWEST = 5
WINDOW = 5.0


@dataclass(frozen=True)
class Drift:
    """A straight line through samples.

    Attributes
    ----------
    slope, error : per unit of time, and its standard error; NaN where there are too few samples
    intercept : value at time 0
    correlation : integrated autocorrelation time of the residuals, in samples; at least 1/2
    """

    slope: float
    error: float
    intercept: float
    correlation: float

    @property
    def resolved(self) -> bool:
        """Whether the slope is more than two standard errors from none."""
        return bool(abs(self.slope) > 2 * self.error)


def drift(time: ArrayLike, value: ArrayLike) -> Drift:
    """Fit a line by least squares.

    Parameters
    ----------
    time, value : (n,), equally spaced samples; fewer than five have no error, fewer than two
        different times no slope
    """
    t, y = np.asarray(time, np.float64), np.asarray(value, np.float64)
    if len(t) < 2 or np.ptp(t) == 0:
        return Drift(math.nan, math.nan, math.nan, math.nan)
    centred = t - t.mean()
    spread = float(centred @ centred)
    slope = float(centred @ (y - y.mean())) / spread
    intercept = float(y.mean() - slope * t.mean())
    if len(t) < FEWEST:
        return Drift(slope, math.nan, intercept, math.nan)
    rest = y - y.mean() - slope * centred
    tau = correlation_time(rest)
    error = math.sqrt(2 * tau * float(rest @ rest) / ((len(t) - 2) * spread))
    return Drift(slope, error, intercept, tau)


def correlation_time(rest: NDArray[np.float64]) -> float:
    """Integrated autocorrelation time of samples (n,) of mean zero, in samples; at least 1/2."""
    n = len(rest)
    power = float(rest @ rest)
    if power == 0.0:
        return 0.5
    transform = np.fft.rfft(rest, 2 * n)             # zeros behind, so that the ends do not meet
    correlation = np.fft.irfft(np.abs(transform) ** 2)[:n] / power
    tau = 0.5 + np.cumsum(correlation[1:])
    inside = np.arange(1, n) >= WINDOW * tau
    window = int(np.argmax(inside)) if inside.any() else n - 2
    return max(float(tau[window]), 0.5)
