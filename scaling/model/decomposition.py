"""The decomposition of every rank of a run that is too large to make, with a run's own functions.

Nothing is estimated: the crystal is the one that a deck would make, its sites are counted axis by
axis with the rule that decides who owns an atom (`RankGrid.layer_of`), and numbers of atoms become
first ids and offsets by prefix sums of 64-bit integers. Ranks are looked at in pieces, all of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdapp.model.lattice import LatticeSource
from mdapp.parallel.grid import RankGrid, coords_of

PIECE = 1 << 18
SAMPLED = 64
PER_CELL = {"fcc": 4, "diamond": 8, "bcc": 2, "sc": 1}
ASPECT = 2.0


@dataclass(frozen=True)
class Crystal:
    """A crystal of nearly cubic shape; `exact`: whether it has as many atoms as were asked for."""

    lattice: str
    cells: tuple[int, int, int]
    atoms: int
    exact: bool


def crystal_of(natoms: int) -> Crystal:
    """Find a crystal of exactly `natoms` atoms, or else the fcc crystal with the nearest number."""
    for lattice, each in PER_CELL.items():
        if natoms % each == 0 and (cells := _box_of(natoms // each)) is not None:
            return Crystal(lattice, cells, natoms, True)
    edge = max(1, round((natoms / 4) ** (1 / 3)))
    cells = (edge, edge, max(1, round(natoms / 4 / edge**2)))
    return Crystal("fcc", cells, 4 * math.prod(cells), False)


def _box_of(cells: int) -> tuple[int, int, int] | None:
    """Three factors of a number that differ by a factor of two at most, the most alike."""
    best, best_aspect = None, ASPECT
    for a in _divisors(cells):
        if a**3 > cells:
            break
        for b in _divisors(cells // a):
            if b < a or a * b * b > cells:
                continue
            c = cells // (a * b)
            if c / a <= best_aspect:
                best, best_aspect = (a, b, c), c / a
    return best


def _divisors(n: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0] if n < 1 << 40 else _factored(n)
    return sorted({*small, *(n // d for d in small)})


def _factored(n: int) -> list[int]:
    """Divisors of a large number from its small prime factors; what is left is taken as one."""
    found, rest = [1], n
    for p in [2, *range(3, 1 << 16, 2)]:
        power = 1
        base = list(found)
        while rest % p == 0:
            rest, power = rest // p, power * p
            found += [d * power for d in base]
    return found + ([d * rest for d in found] if rest > 1 else [])


@dataclass(frozen=True)
class Decomposition:
    """Who owns how many atoms.

    Attributes
    ----------
    crystal, grid : what is divided, and how
    counts : (ranks,) int64 atoms of each rank
    first : (ranks,) int64 atoms of all ranks before it
    hops : subdomains that the reach spans along each axis
    """

    crystal: Crystal
    grid: RankGrid
    counts: NDArray[np.int64]
    first: NDArray[np.int64]
    hops: tuple[int, int, int]


def decompose(crystal: Crystal, ranks: int, density: float, reach: float) -> Decomposition:
    """Count the atoms of every rank."""
    source = LatticeSource(style=crystal.lattice, density=density, cells=crystal.cells)
    if source.natoms != crystal.atoms:
        raise ArithmeticError(f"the lattice has {source.natoms} sites, not {crystal.atoms}")
    grid = RankGrid.for_rank(0, ranks, source.box)
    layers = [_layers(source, grid, axis) for axis in range(3)]
    counts = np.empty(ranks, np.int64)
    for piece in pieces(ranks):
        x, y, z = coords_of(piece, grid.shape)
        counts[piece] = (layers[0][x] * layers[1][y] * layers[2][z]).sum(axis=1)
    first = np.cumsum(counts) - counts
    hx, hy, hz = (grid.hops(axis, reach) for axis in range(3))
    return Decomposition(crystal, grid, counts, first, (hx, hy, hz))


def pieces(ranks: int) -> Iterator[NDArray[np.int64]]:
    """All ranks, some at a time."""
    for begin in range(0, ranks, PIECE):
        yield np.arange(begin, min(begin + PIECE, ranks), dtype=np.int64)


def _layers(source: LatticeSource, grid: RankGrid, axis: int) -> NDArray[np.int64]:
    """(ranks along the axis, basis points) sites in each layer of subdomains."""
    ((x, keep),) = source.along(axis)
    table = np.zeros((grid.shape[axis], x.shape[1]), np.int64)
    for m in range(x.shape[1]):
        np.add.at(table[:, m], grid.layer_of(axis, x[:, m]), keep[:, m])
    return table


def faults_of(made: Decomposition) -> dict[str, str]:
    """What is wrong with a decomposition, by check; empty text where nothing is."""
    ranks, total = made.grid.nranks, made.crystal.atoms
    ends = made.first + made.counts
    return {
        "atoms of all ranks are the atoms of the crystal": _unless(
            int(made.counts.sum()) == total, f"{int(made.counts.sum())} instead of {total}"),
        "every rank has atoms": _unless(
            bool((made.counts > 0).all()), f"{int((made.counts == 0).sum())} ranks have none"),
        "ranges of ids follow each other from 1 to N": _unless(
            bool((made.first[1:] == ends[:-1]).all()) and made.first[0] == 0
            and int(ends[-1]) == total, "there is a gap or an overlap"),
        "every rank owns the centre of its subdomain": _centres(made.grid, ranks),
        "the neighbour of a neighbour is the rank itself": _neighbours(made.grid, ranks),
    }


def _unless(good: bool, text: str) -> str:
    return "" if good else text


def _centres(grid: RankGrid, ranks: int) -> str:
    middles = [(planes[:-1] + planes[1:]) / 2 for planes in grid.planes]
    for piece in pieces(ranks):
        at = coords_of(piece, grid.shape)
        x = np.stack([middle[c] for middle, c in zip(middles, at, strict=True)], axis=1)
        wrong = np.flatnonzero(grid.owners(x) != piece)
        if len(wrong):
            return f"rank {piece[wrong[0]]} does not"
    return ""


def _neighbours(grid: RankGrid, ranks: int) -> str:
    """Of all ranks by arrays; of a sample also against what each rank finds for itself."""
    sample = np.unique(np.linspace(0, ranks - 1, SAMPLED).astype(np.int64))
    own = {int(r): RankGrid.for_rank(int(r), ranks, grid.box, grid.shape) for r in sample}
    for axis in range(3):
        for direction in (-1, 1):
            for piece in pieces(ranks):
                there = _moved(grid, piece, axis, direction)
                if (_moved(grid, there, axis, -direction) != piece).any():
                    return f"not along axis {axis}"
                for rank in own.keys() & set(piece[np.isin(piece, sample)].tolist()):
                    if own[rank].neighbor(axis, direction)[0] != there[rank - piece[0]]:
                        return f"rank {rank} disagrees about its neighbour along axis {axis}"
    return ""


def _moved(grid: RankGrid, ranks: NDArray[np.int64], axis: int, step: int) -> NDArray[np.int64]:
    coords = list(coords_of(ranks, grid.shape))
    coords[axis] = (coords[axis] + step) % grid.shape[axis]
    return grid.rank_at(coords)
