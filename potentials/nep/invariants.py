"""Components of a descriptor that are products of sums of three degrees.

Of the sums over neighbours s_1, s_2, s_3, s_4 of the harmonics of the degrees 1 to 4, called b, a,
c, d here, these polynomials do not change under rotations. They are kept as lists of terms, each a
number and three sums, from which values and derivatives follow alike. The component 1111 is not
among them: it is 7/15 of the square of q_1.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray

from potentials.nep.harmonics import first

QUARTIC = 7 / 15                        # q1111 over the square of q_1
LETTERS = {"b": 1, "a": 2, "c": 3, "d": 4}
N1, N2, N3, N4 = sqrt(3 / (4 * pi)), sqrt(5 / (16 * pi)), sqrt(7 / (16 * pi)), sqrt(9 / (256 * pi))
CUBIC = {
    "222": (-sqrt(2 / 35) * N2**3, """
        1 a0a0a0   18 a0a1a1   18 a0a2a2   -9 a0a3a3   -9 a0a4a4   54 a1a1a3   -54 a2a2a3
        108 a1a2a4"""),
    "112": (sqrt(2 / 15) * N1**2 * N2, """
        1 b0b0a0   6 b0b1a1   6 b0b2a2   -0.5 b1b1a0   -0.5 b2b2a0   1.5 b1b1a3   -1.5 b2b2a3
        3 b1b2a4"""),
    "123": (-0.5 * sqrt(3 / 35) * N1 * N2 * N3, """
        20 b1c3a1   20 b1c4a2   20 b2c4a1   -20 b2c3a2   10 b0c3a3   10 b0c4a4   5 b1c5a3
        5 b1c6a4   5 b2c6a3   -5 b2c5a4   8 b0c1a1   8 b0c2a2   2 b0c0a0   2 b1c1a0   2 b2c2a0
        1 b2c2a3   -1 b1c2a4   -1 b2c1a4   -1 b1c1a3   -4 b1c0a1   -4 b2c0a2"""),
    "233": (sqrt(4 / 105) * N2 * N3**2 / 8, """
        8 c0c0a0   9 c1c1a0   9 c2c2a0   18 c1c1a3   -18 c2c2a3   24 c0c1a1   24 c0c2a2
        -25 c5c5a0   -25 c6c6a0   30 c2c5a4   -30 c1c6a4   -30 c1c5a3   -30 c2c6a3   36 c1c2a4
        -120 c0c3a3   -120 c0c4a4   180 c1c3a1   180 c1c4a2   180 c2c4a1   -180 c2c3a2
        300 c3c5a1   300 c4c6a1   300 c3c6a2   -300 c4c5a2"""),
    "134": (sqrt(4 / 63) * N1 * N3 * N4 / 4, """
        -3 b1c1d0   -3 b2c2d0   4 b0c0d0   5 b2c5d4   -5 b1c5d3   -5 b1c6d4   -5 b2c6d3
        15 b1c1d3   15 b1c2d4   15 b2c1d4   -15 b2c2d3   20 b1c0d1   20 b2c0d2   30 b0c1d1
        30 b0c2d2   -30 b1c3d1   -30 b1c4d2   30 b2c3d2   -30 b2c4d1   35 b1c5d7   35 b1c6d8
        35 b2c5d8   -35 b2c6d7   60 b0c3d3   60 b0c4d4   70 b0c5d5   70 b0c6d6   210 b1c3d5
        210 b1c4d6   210 b2c3d6   -210 b2c4d5"""),
}  # fmt: skip


def terms(name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Factors (n,) and the places (n, 3) of three sums of each term, among all harmonics."""
    norm, text = CUBIC[name]
    words = text.split()
    factors = norm * np.array([float(word) for word in words[::2]])
    places = [[first(LETTERS[w[k]]) + int(w[k + 1]) for k in (0, 2, 4)] for w in words[1::2]]
    return factors, np.array(places, np.int64)
