"""Where everything stands: index lists and coupling coefficients, made once when a file is read.

A matrix U_j has (j + 1)^2 elements, rows mb and columns ma from 0 to j; all momenta j are doubled.
Since

    U_j[j - mb, j - ma] = (-1)^(ma - mb) conj U_j[mb, ma]

half of the rows is enough. The neighbours' matrices are made without their square roots: with

    U_j[mb, ma] = g V_j[mb, ma],    g^2 = (j - ma)! ma! / ((j - mb)! mb!)

the recursion over j is bare, V_j[mb, ma] = conj(a) V_{j-1}[mb, ma] - conj(b) V_{j-1}[mb, ma - 1].
V is held by the lower half of its rows (`Halves`), and where j is odd one row more, a mirror image
from which the middle row of j + 1 is made.

What couples two matrices to a third (`Couplings`) is

    Z_j[mb, ma] = sum C(j1 ma1 j2 ma2 | j ma) C(j1 mb1 j2 mb2 | j mb) U_j1[mb1, ma1] U_j2[mb2, ma2]

A bispectrum component B = Re sum conj(U_j) Z_j is linear in each of its three matrices; turning it
round exchanges momenta, B(j1 j2 j) / (j + 1) = B(j j2 j1) / (j1 + 1), so that its derivative by
each of the three is another Z. `Couplings` lists which coefficients each Z collects.

A. P. Thompson et al. 2015, doi 10.1016/j.jcp.2014.12.018; for several kinds of neighbours
M. A. Cusentino et al. 2020, doi 10.1021/acs.jpca.0c02450.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from math import factorial, sqrt
from typing import Any, NamedTuple

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


class Couplings(NamedTuple):
    """Products of two matrices, and what becomes of them.

    Attributes
    ----------
    channels, size : kinds of neighbours with matrices of their own; elements of all j of one
    diagonal : (n,) int64, elements with ma = mb
    share : (size,) float64, elements that one of the lower half stands for: 2, 1 or none
    pairs : (ngroups + 1,) int64, where the pairs of elements of each group begin
    left, right : (npairs,) int32, their places in the full matrices of all channels
    uses : (ngroups + 1,) int64, where the uses of each group begin
    use : (nuses, 3) int64, number of the product Z, place of its element, first coefficient
    cg : (n,) coefficients, one a pair of the group
    needed : (nz,) bool, whether components of the bispectrum are made of a product
    to : (n, 2) int64, z * channels + channel, and the term of the energy whose coefficient ...
    factor : (n,) float64, ... times this is the weight of that Z in dE/dU of that channel
    made_of : (nterms, 2) int64, z and channel of the third matrix of each term of the energy
    norm : (nterms,) float64, factor of it
    """

    channels: int
    size: int
    diagonal: NDArray[np.int64]
    share: NDArray[np.float64]
    pairs: NDArray[np.int64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    uses: NDArray[np.int64]
    use: NDArray[np.int64]
    cg: NDArray[Any]
    needed: NDArray[np.bool_]
    to: NDArray[np.int64]
    factor: NDArray[np.float64]
    made_of: NDArray[np.int64]
    norm: NDArray[np.float64]


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


def couplings(twojmax: int, channels: int, normalised: bool) -> Couplings:
    """All couplings for momenta up to twojmax.

    Parameters
    ----------
    channels : kinds of neighbours with matrices of their own
    normalised : components are divided by j + 1
    """
    numbers: dict[tuple[int, ...], int] = {}       # of the products Z
    weights: dict[tuple[int, int, int], float] = {}
    made_of: list[tuple[int, int]] = []
    norms: list[float] = []

    def number(j1: int, j2: int, j: int, first: int, second: int) -> int:
        if j1 == j2 and first > second:            # the product does not change
            first, second = second, first
        return numbers.setdefault((j1, j2, j, first, second), len(numbers))

    def collect(z: int, channel: int, term: int, factor: float) -> None:
        key = (z, channel, term)
        weights[key] = weights.get(key, 0.0) + factor

    triples = [(a, b, c) for a in range(channels) for b in range(channels)
               for c in range(channels)]
    for a, b, c in triples:
        for j1, j2, j in bispectrum_terms(twojmax):
            term, norm = len(made_of), 1 / (j + 1) if normalised else 1.0
            z = number(j1, j2, j, a, b)
            made_of.append((z, c))
            norms.append(norm)
            collect(z, c, term, norm)
            collect(number(j, j2, j1, c, b), a, term, norm * (j + 1) / (j1 + 1))
            collect(number(j, j1, j2, c, a), b, term, norm * (j + 1) / (j2 + 1))
    first = full_first(twojmax)
    share = np.zeros(first[-1])
    for j in range(twojmax + 1):
        share[first[j]:first[j] + (j + 1) ** 2 // 2] = 2.0
        if j % 2 == 0:
            share[first[j] + (j + 1) ** 2 // 2] = 1.0
    needed = np.zeros(len(numbers), bool)
    needed[[z for z, _ in made_of]] = True
    return Couplings(
        channels, int(first[-1]),
        np.concatenate([first[j] + np.arange(j + 1) * (j + 2) for j in range(twojmax + 1)]), share,
        *_groups(list(numbers), first), needed,
        np.array([(z * channels + channel, term) for z, channel, term in weights], np.int64),
        np.array(list(weights.values())), np.array(made_of, np.int64), np.array(norms))


def _groups(products: list[tuple[int, ...]], first: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """`pairs` to `cg` of the Couplings, for products (j1, j2, j, channel, channel)."""
    members: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for z, (j1, j2, j, a, b) in enumerate(products):
        members.setdefault((j1, j2, a, b), []).append((j, z))
    pairs, uses, left, right = [0], [0], [], []
    use: list[tuple[int, int, int]] = []
    known: dict[tuple[int, ...], int] = {}
    cg: list[NDArray[np.float64]] = []
    ncg = 0
    size = int(first[-1])
    for (j1, j2, a, b), some in members.items():
        one, two = a * size + first[j1], b * size + first[j2]
        alike = one == two               # then a pair of elements and its exchange have one product
        low = (j1 + j2 - max(some)[0]) // 2
        for rows, columns in _sums(j1 + j2, low):
            mb, ma = _parts(rows, j1, j2), _parts(columns, j1, j2)
            here = (one + np.add.outer(mb * (j1 + 1), ma)).ravel()
            there = (two + np.add.outer((rows - mb) * (j2 + 1), columns - ma)).ravel()
            times = np.sign(there - here) + 1.0 if alike else np.ones(len(here))
            kept = np.flatnonzero(times)
            filler = np.zeros(len(kept) % 2)
            left += [here[kept], here[kept[:len(filler)]]]
            right += [there[kept], there[kept[:len(filler)]]]
            pairs.append(pairs[-1] + len(kept) + len(filler))
            for j, z in some:
                shift = (j1 + j2 - j) // 2
                if rows < shift or not 0 <= columns - shift <= j:
                    continue
                key = (j1, j2, j, rows, columns, alike)
                if key not in known:
                    known[key] = ncg
                    both = np.outer(_coefficients(j1, j2, j, rows),
                                    _coefficients(j1, j2, j, columns)).ravel()
                    cg += [(both * times)[kept], filler]
                    ncg += len(kept) + len(filler)
                place = first[j] + (rows - shift) * (j + 1) + columns - shift
                use.append((z, int(place), known[key]))
            uses.append(len(use))
    return (np.array(pairs, np.int64), np.concatenate(left).astype(np.int32),
            np.concatenate(right).astype(np.int32), np.array(uses, np.int64),
            np.array(use, np.int64), np.concatenate(cg))


def _sums(j12: int, low: int) -> list[tuple[int, int]]:
    """mb1 + mb2 and ma1 + ma2 of the lower halves of the matrices, from `low` on."""
    return [(rows, columns) for rows in range(low, j12 // 2 + 1)
            for columns in range(low, j12 - low + 1) if 2 * rows < j12 or columns <= rows]


def _parts(total: int, j1: int, j2: int) -> NDArray[np.int64]:
    """All m1 of m1 + m2 = total."""
    return np.arange(max(0, total - j2), min(j1, total) + 1)


@cache
def _coefficients(j1: int, j2: int, j: int, total: int) -> NDArray[np.float64]:
    """Those of `_parts`."""
    return np.array([clebsch_gordan(j1, 2 * int(m) - j1, j2, 2 * int(total - m) - j2, j)
                     for m in _parts(total, j1, j2)])


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
