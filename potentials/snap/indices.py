"""Where everything stands: index lists and coupling coefficients, made once when a file is read.

A matrix U_j has (j + 1)^2 elements, rows mb and columns ma from 0 to j; all momenta j are doubled.
Since

    U_j[j - mb, j - ma] = (-1)^(ma - mb) conj U_j[mb, ma]

half of the rows is enough. The neighbours' matrices are made without their square roots: with

    U_j[mb, ma] = g V_j[mb, ma],    g^2 = (j - ma)! ma! / ((j - mb)! mb!)

the recursion over j is bare, V_j[mb, ma] = conj(a) V_{j-1}[mb, ma] - conj(b) V_{j-1}[mb, ma - 1].
V is held by the lower half of its rows (`Halves`), and where j is odd one row more, a mirror image
from which the middle row of j + 1 is made.

What couples two matrices to a third is in potentials/snap/products.py.

A. P. Thompson et al. 2015, doi 10.1016/j.jcp.2014.12.018; for several kinds of neighbours
M. A. Cusentino et al. 2020, doi 10.1021/acs.jpca.0c02450.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Halves(NamedTuple):
    """Elements of the V of one neighbour, all j one after the other.

    Attributes
    ----------
    twojmax, size : largest j; number of elements
    start : (twojmax + 1,) int64, first element of each j
    share : (size,) float64, elements of the full matrix that it stands for: 2, 1 or none
    scale : (size,) float64, g
    place, mirror : (size,) int64, of it and of its mirror image in the full matrices
    sign : (size,) float64, of the mirror image
    """

    twojmax: int
    size: int
    start: NDArray[np.int64]
    share: NDArray[np.float64]
    scale: NDArray[np.float64]
    place: NDArray[np.int64]
    mirror: NDArray[np.int64]
    sign: NDArray[np.float64]


def bispectrum_terms(twojmax: int) -> list[tuple[int, int, int]]:
    """(j1, j2, j) with j2 <= j1 <= j that can be coupled, in the order of coefficient files."""
    return [(j1, j2, j) for j1 in range(twojmax + 1) for j2 in range(j1 + 1)
            for j in range(j1 - j2, min(twojmax, j1 + j2) + 1, 2) if j >= j1]


def clebsch_gordan(j1: int, m1: int, j2: int, m2: int, j: int) -> float:
    """<j1 m1 j2 m2 | j m>, all doubled, by Racah's formula; its sum in whole numbers."""
    m = m1 + m2
    if abs(m) > j:
        return 0.0
    f = factorial
    a, b, c = (j1 + j2 - j) // 2, (j1 - m1) // 2, (j2 + m2) // 2
    d, e = (j - j2 + m1) // 2, (j - j1 - m2) // 2
    total = sum(Fraction((-1) ** k, f(k) * f(a - k) * f(b - k) * f(c - k) * f(d + k) * f(e + k))
                for k in range(max(0, -d, -e), min(a, b, c) + 1))
    square = Fraction((j + 1) * f(a) * f((j1 - j2 + j) // 2) * f((j2 - j1 + j) // 2),
                      f((j1 + j2 + j) // 2 + 1))
    for momentum, projection in ((j1, m1), (j2, m2), (j, m)):
        square *= f((momentum + projection) // 2) * f((momentum - projection) // 2)
    return (1 if total >= 0 else -1) * sqrt(square * total * total)


@cache
def halves(twojmax: int) -> Halves:
    """The elements of V for momenta up to twojmax."""
    start: list[int] = []
    rows: list[tuple[float, ...]] = []
    first = full_first(twojmax)
    for j in range(twojmax + 1):
        start.append(len(rows))
        for mb in range(j // 2 + 1 + j % 2):
            for ma in range(j + 1):
                share = 2.0 if 2 * mb < j or (2 * mb == j and ma < mb) else 0.0
                if 2 * mb == j and ma == mb:
                    share = 1.0
                scale = sqrt(Fraction(factorial(j - ma) * factorial(ma),
                                      factorial(j - mb) * factorial(mb)))
                rows.append((share, scale, first[j] + mb * (j + 1) + ma,
                             first[j] + (j - mb) * (j + 1) + j - ma, (-1.0) ** (ma - mb)))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    return Halves(twojmax, len(rows), np.array(start, np.int64), columns[0], columns[1],
                  columns[2].astype(np.int64), columns[3].astype(np.int64), columns[4])


def full_first(twojmax: int) -> NDArray[np.int64]:
    """(twojmax + 2,) where each j begins in the full matrices, and where they end."""
    sizes = [(j + 1) ** 2 for j in range(twojmax + 1)]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def self_terms(twojmax: int, channels: int, normalised: bool, own: int, to_all: bool
               ) -> NDArray[np.float64]:
    """(nterms,) bispectrum of an atom of the channel `own` without neighbours.

    to_all : an atom counts in the matrices of all channels, not in its own only
    """
    one = np.array([1.0 if normalised else j + 1.0 for _, _, j in bispectrum_terms(twojmax)])
    present = np.arange(channels) == own if not to_all else np.ones(channels, bool)
    triple = (present[:, None, None] & present[None, :, None] & present[None, None, :]).ravel()
    found: NDArray[np.float64] = np.outer(triple, one).ravel()
    return found
