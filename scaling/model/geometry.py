"""Subdomains of a large system, and how many ghosts their six messages carry.

The box is a cube of N / rho, cut by the grid of least surface, the same function that a run uses.
With edges l and reach R = cutoff + skin the three-stage exchange sends, per direction,

    m_x = rho R l_y l_z,   m_y = rho R (l_x + 2R) l_z,   m_z = rho R (l_x + 2R)(l_y + 2R),

because what came along x goes on along y. The six messages together are all ghosts,

    m = rho ((l_x + 2R)(l_y + 2R)(l_z + 2R) - l_x l_y l_z).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mdapp.parallel.grid import least_surface_grid


@dataclass(frozen=True)
class Subdomain:
    """The part of one rank.

    Attributes
    ----------
    atoms : owned, mean over ranks
    edges : l along x, y, z
    grid : ranks along x, y, z
    reach : R
    density : atoms a volume
    """

    atoms: float
    edges: tuple[float, float, float]
    grid: tuple[int, int, int]
    reach: float
    density: float

    @property
    def messages(self) -> tuple[float, float, float]:
        """Ghosts in one message along x, y, z."""
        lx, ly, lz = self.edges
        r, rho = self.reach, self.density
        return (rho * r * ly * lz, rho * r * (lx + 2 * r) * lz,
                rho * r * (lx + 2 * r) * (ly + 2 * r))

    @property
    def ghosts(self) -> float:
        """Ghosts in all."""
        grown = math.prod(edge + 2 * self.reach for edge in self.edges)
        return self.density * (grown - math.prod(self.edges))


def divide(natoms: float, ranks: int, density: float, reach: float) -> Subdomain:
    """Cut a cube of `natoms` atoms for so many ranks."""
    length = (natoms / density) ** (1 / 3)
    grid = least_surface_grid(ranks, np.full(3, length))
    x, y, z = (length / p for p in grid)
    return Subdomain(natoms / ranks, (x, y, z), grid, reach, density)
