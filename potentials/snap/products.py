"""What couples matrices of an atom: products of two of them, and what becomes of each.

Two matrices U make a third,

    Z_j[mb, ma] = sum C(j1 ma1 j2 ma2 | j ma) C(j1 mb1 j2 mb2 | j mb) U_j1[mb1, ma1] U_j2[mb2, ma2]

A bispectrum component B = Re sum conj(U_j) Z_j is linear in each of its three matrices; turning it
round exchanges momenta, B(j1 j2 j) / (j + 1) = B(j j2 j1) / (j1 + 1), so that its derivative by
each of the three is another Z. `Couplings` lists which coefficients each Z collects.

An element of Z is a sum over pairs of elements, and which pairs these are is fixed by mb1 + mb2 and
ma1 + ma2: different j take the same pairs with other coefficients. So pairs are listed in groups,
each for all j of two matrices (`Couplings`), and multiplied once. Of a matrix with itself half of
the pairs are exchanges of the others; these are left out, and the others count twice. Groups are
filled up to even numbers, by a pair with coefficient 0.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from potentials.snap.indices import bispectrum_terms, clebsch_gordan, full_first

Groups = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int64],
               NDArray[np.int64], NDArray[np.float64]]


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


@cache
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
    pairs, left, right, uses, use, cg = _groups(list(numbers), first)
    needed = np.zeros(len(numbers), bool)
    needed[[z for z, _ in made_of]] = True
    return Couplings(
        channels, int(first[-1]),
        np.concatenate([first[j] + np.arange(j + 1) * (j + 2) for j in range(twojmax + 1)]), share,
        pairs, left, right, uses, use, cg, needed,
        np.array([(z * channels + channel, term) for z, channel, term in weights], np.int64),
        np.array(list(weights.values())), np.array(made_of, np.int64), np.array(norms))


def _groups(products: list[tuple[int, ...]], first: NDArray[np.int64]) -> Groups:
    """`pairs` to `cg` of the Couplings, for products (j1, j2, j, channel, channel)."""
    of_matrices: dict[tuple[int, ...], list[tuple[int, int]]] = {}
    for z, (j1, j2, j, a, b) in enumerate(products):
        of_matrices.setdefault((j1, j2, a, b), []).append((j, z))
    size, pairs, uses, left, right = int(first[-1]), [0], [0], [], []
    use: list[tuple[int, int, int]] = []
    cg = Blocks()
    for (j1, j2, a, b), some in of_matrices.items():
        one, two = a * size + first[j1], b * size + first[j2]
        low = (j1 + j2 - max(some)[0]) // 2
        for rows, columns in sums(j1 + j2, low):
            mb, ma = parts(rows, j1, j2), parts(columns, j1, j2)
            here = (one + np.add.outer(mb * (j1 + 1), ma)).ravel()
            there = (two + np.add.outer((rows - mb) * (j2 + 1), columns - ma)).ravel()
            times = np.sign(there - here) + 1.0 if one == two else np.ones(len(here))
            kept = np.flatnonzero(times)
            left += [here[kept], here[kept[:len(kept) % 2]]]
            right += [there[kept], there[kept[:len(kept) % 2]]]
            pairs.append(pairs[-1] + len(kept) + len(kept) % 2)
            for j, z in some:
                before = (j1 + j2 - j) // 2
                if rows >= before and 0 <= columns - before <= j:
                    place = int(first[j]) + (rows - before) * (j + 1) + columns - before
                    use.append((z, place, cg.first_of(j1, j2, j, rows, columns, times)))
            uses.append(len(use))
    return (np.array(pairs, np.int64), np.concatenate(left).astype(np.int32),
            np.concatenate(right).astype(np.int32), np.array(uses, np.int64),
            np.array(use, np.int64), np.concatenate(cg.blocks))


class Blocks:
    """Coefficients of the pairs of a group, once for each j and each way of counting the pairs."""

    def __init__(self) -> None:
        self.blocks: list[NDArray[np.float64]] = []
        self._known: dict[tuple[int, ...], int] = {}
        self._count = 0

    def first_of(self, j1: int, j2: int, j: int, rows: int, columns: int,
                 times: NDArray[np.float64]) -> int:
        """Where the block of a group begins; `times` says how often each of its pairs counts."""
        key = (j1, j2, j, rows, columns, bool((times != 1.0).any()))
        if key not in self._known:
            block = np.outer(projections(j1, j2, j, rows), projections(j1, j2, j, columns)).ravel()
            block = (block * times)[times > 0]
            self._known[key] = self._count
            self.blocks += [block, np.zeros(len(block) % 2)]
            self._count += len(block) + len(block) % 2
        return self._known[key]


def sums(j12: int, low: int) -> list[tuple[int, int]]:
    """mb1 + mb2 and ma1 + ma2 of the lower halves of the matrices, from `low` on."""
    return [(rows, columns) for rows in range(low, j12 // 2 + 1)
            for columns in range(low, j12 - low + 1) if 2 * rows < j12 or columns <= rows]


def parts(total: int, j1: int, j2: int) -> NDArray[np.int64]:
    """All m1 of m1 + m2 = total."""
    return np.arange(max(0, total - j2), min(j1, total) + 1)


@cache
def projections(j1: int, j2: int, j: int, total: int) -> NDArray[np.float64]:
    """Coupling coefficients of all `parts`."""
    return np.array([clebsch_gordan(j1, 2 * int(m) - j1, j2, 2 * int(total - m) - j2, j)
                     for m in parts(total, j1, j2)])
