"""How the box is divided: a rectilinear grid of ranks, one subdomain each.

Rank (cx, cy, cz) owns the atoms between planes[d][c_d] and planes[d][c_d + 1] on each axis d; the
planes need not be evenly spaced.  Along an open axis the outermost subdomains reach to infinity,
so every atom has an owner wherever it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box

NOBODY = -1                  # the neighbour across an open face

Index = TypeVar("Index", int, NDArray[np.int64])


def least_surface_grid(nranks: int, lengths: NDArray[np.float64]) -> tuple[int, int, int]:
    """The factors of `nranks` that cut a box of edge `lengths` (3,) with the least surface."""
    best, best_surface = (nranks, 1, 1), np.inf
    for px in (p for p in range(1, nranks + 1) if nranks % p == 0):
        for py in (p for p in range(1, nranks // px + 1) if (nranks // px) % p == 0):
            shape = (px, py, nranks // (px * py))
            a, b, c = lengths / shape
            surface = a * b + b * c + c * a
            if surface < best_surface * (1 - 1e-12):
                best, best_surface = shape, surface
    return best


def coords_of(rank: Index, shape: tuple[int, int, int]) -> tuple[Index, Index, Index]:
    """Position in the grid of a rank, or of each of many; ranks are numbered with z fastest."""
    _, py, pz = shape
    return rank // (py * pz), rank // pz % py, rank % pz


@dataclass(frozen=True)
class RankGrid:
    """The subdomain of one rank and the way to its neighbours.

    Attributes
    ----------
    box : orthogonal cell
    shape : ranks along x, y, z
    coords : position of this rank in the grid; ranks are numbered with z fastest
    planes : for each axis (shape + 1,) float64, ascending, from box.lo to box.hi
    """

    box: Box
    shape: tuple[int, int, int]
    coords: tuple[int, int, int]
    planes: tuple[NDArray[np.float64], ...]

    @classmethod
    def for_rank(cls, rank: int, nranks: int, box: Box,
                 shape: Sequence[int] | None = None) -> RankGrid:
        """Evenly spaced planes in the given grid, or in the one of least surface.

        Raises
        ------
        InputError : the box is not orthogonal, or the grid is not one of `nranks` ranks
        """
        if not box.is_orthogonal:
            raise InputError("box: runs need an orthogonal cell; use an orthogonal supercell, "
                             "or `mdapp eval` for one point")
        if shape is None:
            shape = least_surface_grid(nranks, box.lengths)
        px, py, pz = (int(p) for p in shape)
        if px * py * pz != nranks:
            raise InputError(f"run.grid = [{px}, {py}, {pz}]: makes {px * py * pz} subdomains for "
                             f"{nranks} ranks; its product must be {nranks}, or leave it out")
        coords = coords_of(rank, (px, py, pz))
        planes = tuple(box.lo[d] + box.lengths[d] * np.arange(p + 1) / p
                       for d, p in enumerate((px, py, pz)))
        return cls(box, (px, py, pz), coords, planes)

    @property
    def nranks(self) -> int:
        """Ranks in the grid."""
        px, py, pz = self.shape
        return px * py * pz

    def rank_at(self, coords: Sequence[Index]) -> Index:
        """Rank at a position inside the grid, or at each of many."""
        return (coords[0] * self.shape[1] + coords[1]) * self.shape[2] + coords[2]

    def neighbor(self, axis: int, direction: int) -> tuple[int, float]:
        """(rank, shift) of the next subdomain below (-1) or above (+1) on an axis.

        `shift` is what must be added to a coordinate of this rank to make it that rank's ghost.
        Across an open face the rank is NOBODY.
        """
        c = self.coords[axis] + direction
        p, shift = self.shape[axis], 0.0
        if not 0 <= c < p:
            if not self.box.periodic[axis]:
                return NOBODY, 0.0
            shift = float(-direction * self.box.lengths[axis])
            c %= p
        coords = list(self.coords)
        coords[axis] = c
        return self.rank_at(coords), shift

    @property
    def lo(self) -> NDArray[np.float64]:
        """(3,) lower corner of this rank's subdomain, -inf where it reaches out of an open face."""
        return np.array([-np.inf if c == 0 and not self.box.periodic[d] else self.planes[d][c]
                         for d, c in enumerate(self.coords)])

    @property
    def hi(self) -> NDArray[np.float64]:
        """(3,) upper corner, inf where the subdomain reaches out of an open face."""
        last = [c == p - 1 for c, p in zip(self.coords, self.shape, strict=True)]
        return np.array([np.inf if last[d] and not self.box.periodic[d] else self.planes[d][c + 1]
                         for d, c in enumerate(self.coords)])

    def hops(self, axis: int, reach: float) -> int:
        """How many subdomains away atoms within `reach` of a face can lie: the most of any rank."""
        widths = np.diff(self.planes[axis])
        p = self.shape[axis]
        most = 0
        for c in range(p):
            for direction in (-1, 1):
                covered, k = 0.0, 0
                while covered < reach:
                    k += 1
                    other = c + direction * k
                    if not self.box.periodic[axis] and not 0 <= other < p:
                        k -= 1
                        break
                    covered += widths[other % p]
                most = max(most, k)
        return most

    def owners(self, x: NDArray[np.float64]) -> NDArray[np.int64]:
        """(n,) rank that owns each of the wrapped positions x (n, 3)."""
        cx, cy, cz = (self.layer_of(d, x[:, d]) for d in range(3))
        return (cx * self.shape[1] + cy) * self.shape[2] + cz

    def layer_of(self, axis: int, coordinate: NDArray[np.float64]) -> NDArray[np.int64]:
        """Index of the layer of subdomains that owns each coordinate, at an open end the last."""
        inner = self.planes[axis][1:-1]
        return np.searchsorted(inner, coordinate, side="right")
