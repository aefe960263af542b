"""The simulation cell: an origin, three edge vectors and, per axis, periodic or open.

Fractional coordinates s and Cartesian positions r are related by r = lo + s @ edges, the rows of
`edges` being the vectors a, b, c.  A run needs an orthogonal cell (`edges` diagonal, positive);
single points take any.  An open axis has edges too: they bound the lattice that was built and the
volume that the pressure is quoted for, and are only a starting value for the decomposition, since
atoms may leave them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Box:
    """A simulation cell.

    Attributes
    ----------
    lo : (3,) float64, the corner where the edge vectors start
    edges : (3, 3) float64, rows a, b, c
    periodic : (3,) bool
    """

    lo: Vector
    edges: NDArray[np.float64]
    periodic: NDArray[np.bool_]

    @classmethod
    def orthogonal(cls, lo: ArrayLike, hi: ArrayLike,
                   periodic: ArrayLike = (True, True, True)) -> Box:
        """A rectangular cell from its lower and upper corner.

        Raises
        ------
        ValueError : an edge is not positive and finite
        """
        lo, hi = np.asarray(lo, np.float64), np.asarray(hi, np.float64)
        if not (np.isfinite(lo).all() and np.isfinite(hi).all() and (hi > lo).all()):
            raise ValueError(f"box: every edge must be positive and finite, got lo={lo} hi={hi}")
        return cls(lo, np.diag(hi - lo), np.asarray(periodic, bool))

    @classmethod
    def from_vectors(cls, edges: ArrayLike, periodic: ArrayLike = (True, True, True),
                     lo: ArrayLike = (0.0, 0.0, 0.0)) -> Box:
        """Any cell, triclinic or left-handed.

        Raises
        ------
        ValueError : the edges are not finite or span no volume
        """
        edges = np.asarray(edges, np.float64)
        if not np.isfinite(edges).all() or abs(np.linalg.det(edges)) == 0.0:
            raise ValueError("box: the edge vectors must be finite and span a volume, "
                             f"got {edges.tolist()}")
        return cls(np.asarray(lo, np.float64), edges, np.asarray(periodic, bool))

    @property
    def is_orthogonal(self) -> bool:
        """Whether the edges lie along +x, +y, +z."""
        off_diagonal = self.edges - np.diag(np.diag(self.edges))
        return bool((off_diagonal == 0).all() and (np.diag(self.edges) > 0).all())

    @property
    def lengths(self) -> Vector:
        """(3,) edge lengths of an orthogonal cell."""
        return np.diag(self.edges).copy()

    @property
    def hi(self) -> Vector:
        """(3,) the corner opposite to `lo`."""
        hi: Vector = self.lo + self.edges.sum(axis=0)
        return hi

    @property
    def volume(self) -> float:
        """Of the cell, whatever its handedness."""
        return float(abs(np.linalg.det(self.edges)))

    def heights(self) -> Vector:
        """(3,) distances between opposite faces."""
        heights: Vector = 1.0 / np.linalg.norm(np.linalg.inv(self.edges), axis=0)
        return heights

    def fractional(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) fractional coordinates of (n, 3) positions."""
        return (positions - self.lo) @ np.linalg.inv(self.edges)
