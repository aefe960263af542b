"""Cubic splines through tabulated functions, with the slopes that LAMMPS gives them.

Slopes at the knots are those of a five-point formula, one-sided at the ends, so that a spline
depends on a few neighbouring values only. A row holds the polynomial of the interval that begins
at its knot,

    f(p) = ((a p + b) p + c) p + d,      0 <= p <= 1 in units of the spacing

and its last row, of the last knot, the value and slope there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cubic_spline(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 4) rows a, b, c, d of the spline through n >= 5 equidistant values."""
    f = np.asarray(values, np.float64)
    slope = np.empty_like(f)
    slope[2:-2] = ((f[:-4] - f[4:]) + 8.0 * (f[3:-1] - f[1:-3])) / 12.0
    slope[0], slope[1] = f[1] - f[0], 0.5 * (f[2] - f[0])
    slope[-2], slope[-1] = 0.5 * (f[-1] - f[-3]), f[-1] - f[-2]
    rows = np.zeros((len(f), 4))
    step = f[1:] - f[:-1]
    rows[:-1, 0] = slope[:-1] + slope[1:] - 2.0 * step
    rows[:-1, 1] = 3.0 * step - 2.0 * slope[:-1] - slope[1:]
    rows[:, 2], rows[:, 3] = slope, f
    return rows
