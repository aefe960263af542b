"""The embedding as a table: quintic Hermite polynomials between values of the network.

An embedding is a function of one number, s. On an interval of width h, with t = (s - left) / h in
0 .. 1, the polynomial of fifth degree that has the network's value, slope and curvature at both
ends is continuous with two derivatives, and off by f^(6) h^6 t^3 (1 - t)^3 / 720 inside: halving h
makes the error 64 times smaller. So h is not a matter of taste. It is halved until the table,
compared with the network in every interval, is as good as was asked for: values in the middle, and
slopes where theirs are worst, at t = (1 -+ 1/sqrt 5) / 2.

The table reaches from s of an empty slot, where w is 0, to s of a pair as near as `NEAREST` of the
shortest distance in the training data; from there on it goes on as a straight line.

Source: D. Lu et al. 2022, doi 10.1021/acs.jctc.2c00102, with coarser and fixed intervals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.deep_potential.embedding import POWERS
from potentials.deep_potential.model import Model, Network

NEAREST, LEAST = 0.5, 0.1           # of the shortest distance; and in Angstrom
WITHOUT_DATA = 0.4                  # in Angstrom, where the shortest distance is not known
WIDEST_INTERVAL = 0.08
LARGEST = 1 << 29                   # bytes
WORST = (1 - np.sqrt(0.2)) / 2      # where the slope is worst
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Of all embedding networks of a model, with the same intervals.

    Attributes
    ----------
    lower, stride : where the first interval begins, and its width
    coefficients : (networks, intervals + 1, POWERS, outputs), of powers of t; the last is a
        straight line
    error : largest difference from the networks, of values and of slopes
    nearest : distance of a pair at the end of the table, in Angstrom
    """

    lower: float
    stride: float
    coefficients: Array
    error: float
    nearest: float

    @property
    def intervals(self) -> int:
        """Without the straight line."""
        return int(self.coefficients.shape[1]) - 1

    def blocks(self, width: int) -> Array:
        """The coefficients as the kernel wants them: (networks, intervals + 1, blocks, 6, width).

        The last of the blocks is filled up with zeros.
        """
        n, intervals, _, ng = self.coefficients.shape
        blocks = -(-ng // width)
        padded = np.zeros((n, intervals, POWERS, blocks * width))
        padded[..., :ng] = self.coefficients
        padded = padded.reshape(n, intervals, POWERS, blocks, width)
        return padded.transpose(0, 1, 3, 2, 4).copy()


def tabulated(model: Model, tolerance: float) -> Table:
    """The table of a model whose error is at most `tolerance`.

    Raises
    ------
    ValueError : it would be too large, or rounding is in the way
    """
    nearest = WITHOUT_DATA if model.nearest is None else max(NEAREST * model.nearest, LEAST)
    nearest = min(nearest, 0.5 * model.cutoff)
    lower = float((-model.mean[:, 0] / model.scale[:, 0]).min())
    rise = 1 / (nearest + model.protection)
    upper = float(((rise - model.mean[:, 0]) / model.scale[:, 0]).max())
    stride, best = WIDEST_INTERVAL, np.inf
    of_interval = 8 * POWERS * model.outputs * len(model.embeddings)
    while True:
        size = of_interval * ((upper - lower) / stride + 2)
        if not size < LARGEST:
            raise ValueError(f"needs a table of {size / 2**20:.4g} MiB, more than "
                             f"{LARGEST / 2**20:.0f}; allow a larger error, or give false")
        count = int(np.ceil((upper - lower) / stride))
        points: Array = lower + stride * np.arange(count + 1, dtype=np.float64)
        parts = [_hermite(net, points, stride) for net in model.embeddings]
        error = max(error for _, error in parts)
        if error <= tolerance:
            return Table(lower, stride, np.stack([c for c, _ in parts]), error, nearest)
        if not error < best:
            raise ValueError(f"rounding allows {best:.1g} at the least")
        stride, best = stride / 2, error


def _hermite(network: Network, points: Array, h: float) -> tuple[Array, float]:
    """Coefficients (intervals + 1, POWERS, outputs) and the error."""
    values, slopes, curvatures = network.derivatives(points)
    y0, y1 = values[:-1], values[1:]
    a0, a1, b0, b1 = slopes[:-1] * h, slopes[1:] * h, curvatures[:-1] * h**2, curvatures[1:] * h**2
    d = y1 - y0
    inside = np.stack([y0, a0, b0 / 2, (20 * d - 8 * a1 - 12 * a0 + b1 - 3 * b0) / 2,
                       (-30 * d + 14 * a1 + 16 * a0 - 2 * b1 + 3 * b0) / 2,
                       (12 * d - 6 * (a1 + a0) + b1 - b0) / 2], axis=1)
    error = 0.0
    for t in (0.5, WORST, 1 - WORST):
        value, slope, _ = network.derivatives(points[:-1] + t * h)
        powers = t ** np.arange(POWERS)
        by_t = np.arange(1, POWERS) * powers[:-1] / h
        error = max(error, abs(np.einsum("npg,p->ng", inside, powers) - value).max(),
                    abs(np.einsum("npg,p->ng", inside[:, 1:], by_t) - slope).max())
    line = np.zeros((1, POWERS, inside.shape[2]))
    line[0, 0], line[0, 1] = values[-1], slopes[-1] * h
    return np.concatenate([inside, line]), float(error)
