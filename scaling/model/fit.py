"""Costs of an atom and a ghost from a saturation study.

The step time is linear in the costs once atoms n, ghosts m and steps between builds k are known:

    t = a n + b m + d n/k + e m/k + t_py

Non-negative least squares, weighted by the variance of each point, which is not taken for smaller
than a hundredth of its time: the smallest points would otherwise not count, and the largest rule.
Where the points cannot tell two costs apart (condition of the weighted, scaled design above 1000;
k hardly changes with n, so that n and n/k often look alike) the less important is left out and said
to be part of the other. Intervals come from resampling rounds. The test of the model is to leave
each point out, fit the others, and predict it.

C. L. Lawson, R. J. Hanson, Solving Least Squares Problems, 1974, ch. 23.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from scaling.model.costs import NAMES, Cost

CONDITION = 1e3
RESAMPLES = 1000
FEWEST = 5                   # sizes, so that every fit without one of them still has four
LEAST_SIGMA = 0.01
MERGED = {"e": "b", "d": "a", "b": "a"}      # in this order, and into what


@dataclass(frozen=True)
class Sample:
    """A point of the fit.

    Attributes
    ----------
    atoms, ghosts : of a rank
    k : steps between builds; infinite if there was none
    times : s a step, by round
    """

    name: str
    atoms: float
    ghosts: float
    k: float
    times: Sequence[float]

    @property
    def time(self) -> float:
        """Median of the rounds."""
        return float(np.median(self.times))


@dataclass(frozen=True)
class Fit:
    """Costs, and how far they can be trusted.

    Attributes
    ----------
    costs : of the terms that were kept, with intervals
    condition : of the weighted, scaled design that was solved
    merged : (left out, part of) for costs that the points could not tell apart
    residuals : fitted over measured less one, by point
    left_out : predicted over measured less one, of each point from all others
    off : names of points more than three of their own standard deviations from the curve
    """

    costs: dict[str, Cost]
    condition: float
    merged: tuple[tuple[str, str], ...]
    residuals: dict[str, float]
    left_out: dict[str, float]
    off: tuple[str, ...]

    def inner(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Of `left_out` those that lie between other points; the ends are extrapolated."""
        ordered = sorted(samples, key=lambda s: s.atoms)
        return {s.name: self.left_out[s.name] for s in ordered[1:-1]}


def columns(samples: Sequence[Sample]) -> NDArray[np.float64]:
    """(points, 5) design in the order of NAMES."""
    n = np.array([s.atoms for s in samples])
    m = np.array([s.ghosts for s in samples])
    k = np.array([s.k for s in samples])
    return np.stack([n, m, n / k, m / k, np.ones(len(n))], axis=1)


def fit(samples: Sequence[Sample], seed: int = 0) -> Fit:
    """Fit the costs.

    Raises
    ------
    ValueError
        Too few points.
    """
    if len(samples) < FEWEST:
        raise ValueError(f"{len(samples)} sizes cannot tell costs apart: {FEWEST} at least")
    design, times = columns(samples), np.array([s.time for s in samples])
    sigma = np.array([_sigma(s) for s in samples])
    kept, condition, merged = _separable(design, sigma)
    values = _solve(design[:, kept], times, sigma)
    drawn = _resampled(samples, seed)
    spread = np.array([_solve(design[:, kept], draw, sigma) for draw in drawn])
    low, high = np.percentile(spread, [2.5, 97.5], axis=0)
    costs = {NAMES[c]: Cost(float(v), float(a), float(b), "measured")
             for c, v, a, b in zip(kept, values, low, high, strict=True)}
    fitted = design[:, kept] @ values
    left = {}
    for i, s in enumerate(samples):
        others = np.arange(len(samples)) != i
        again = _solve(design[others][:, kept], times[others], sigma[others])
        left[s.name] = float(design[i, kept] @ again / times[i] - 1)
    off = tuple(s.name for s, f, t, g in zip(samples, fitted, times, sigma, strict=True)
                if abs(f - t) > 3 * max(g, 0.05 * t))
    residuals = {s.name: float(f / t - 1)
                 for s, f, t in zip(samples, fitted, times, strict=True)}
    return Fit(costs, condition, merged, residuals, left, off)


def _sigma(s: Sample) -> float:
    own = float(np.std(s.times, ddof=1)) / np.sqrt(len(s.times)) if len(s.times) > 1 else 0.0
    return max(own, LEAST_SIGMA * s.time)


def _solve(design: NDArray[np.float64], times: NDArray[np.float64],
           sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted non-negative least squares; columns are scaled, since they span decades."""
    weighted = design / sigma[:, None]
    scale = np.linalg.norm(weighted, axis=0)
    scale[scale == 0.0] = 1.0
    solution, _ = nnls(weighted / scale, times / sigma)
    return np.asarray(solution / scale)


def _separable(design: NDArray[np.float64], sigma: NDArray[np.float64]
               ) -> tuple[list[int], float, tuple[tuple[str, str], ...]]:
    """Columns that the points can tell apart, the condition, and what was left out."""
    kept, merged = list(range(len(NAMES))), []
    kept = [c for c in kept if design[:, c].any()]
    for name, into in MERGED.items():
        condition = _condition(design[:, kept], sigma)
        if condition <= CONDITION and len(kept) < len(design):
            break
        if NAMES.index(name) in kept:
            kept.remove(NAMES.index(name))
            merged.append((name, into))
    return kept, _condition(design[:, kept], sigma), tuple(merged)


def _condition(design: NDArray[np.float64], sigma: NDArray[np.float64]) -> float:
    weighted = design / sigma[:, None]
    norms = np.linalg.norm(weighted, axis=0)
    return float(np.linalg.cond(weighted / np.where(norms == 0.0, 1.0, norms)))


def _resampled(samples: Sequence[Sample], seed: int) -> NDArray[np.float64]:
    """(RESAMPLES, points) medians of resampled rounds, the same rounds for all points of a draw."""
    draw = np.random.default_rng(seed)
    rounds = min(len(s.times) for s in samples)
    chosen = draw.integers(0, rounds, size=(RESAMPLES, rounds))
    table = np.array([list(s.times)[:rounds] for s in samples])
    return np.asarray(np.median(table[:, chosen], axis=2).T)
