"""Atoms in awkward places: what lists, halos and kernels are tried on.

Every system has its seed in its name's entry and is the same in each process.  Distances are in
units in which the reach of the lists is 1, so that one table serves all cutoffs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box

Positions = NDArray[np.float64]
PERIODIC, OPEN, SLAB = (True, True, True), (False, False, False), (True, True, False)


@dataclass(frozen=True)
class System:
    """Positions x (n, 3) in a box."""

    x: Positions
    box: Box

    def scaled(self, factor: float) -> System:
        """The same system with lengths multiplied by `factor`."""
        box = Box.orthogonal(self.box.lo * factor, self.box.hi * factor, self.box.periodic)
        return System(self.x * factor, box)


def _system(x: Positions, lo, hi, periodic) -> System:
    return System(np.ascontiguousarray(x), Box.orthogonal(lo, hi, periodic))


def lattice(
    cells: tuple[int, int, int],
    spacing: float,
    noise: float,
    seed: int,
    periodic=PERIODIC,
    lo=(0.0, 0.0, 0.0),
) -> System:
    """Face-centred cubic sites of a lattice constant, each moved by up to `noise` spacings."""
    basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    corners = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), -1).reshape(-1, 1, 3)
    x = (corners + basis).reshape(-1, 3)
    x = x + np.random.default_rng(seed).uniform(-noise, noise, x.shape)
    lengths = spacing * np.array(cells)
    x = x * spacing
    x = np.where(periodic, x % lengths, x)
    return _system(x + lo, np.array(lo), lengths + lo, periodic)


def uniform(n: int, lengths, seed: int, periodic=PERIODIC, lo=(0.0, 0.0, 0.0)) -> System:
    """Independent positions, as close to each other as chance has it."""
    x = np.random.default_rng(seed).uniform(0, 1, (n, 3)) * lengths + lo
    return _system(x, np.array(lo), np.array(lengths) + lo, periodic)


def apart(system: System, distance: float) -> System:
    """The system without the atoms that come closer than `distance` to one that is kept."""
    kept = np.empty((0, 3))
    for x in system.x:
        d = x - kept
        d -= np.where(system.box.periodic, np.round(d / system.box.lengths) * system.box.lengths, 0)
        if (np.einsum("nc,nc->n", d, d) >= distance**2).all():
            kept = np.vstack([kept, x])
    return System(kept, system.box)


def _droplet() -> System:
    liquid = lattice((6, 6, 6), 0.6, 0.1, 4, OPEN, (-1.8, -1.8, -1.8))
    ball = liquid.x[np.linalg.norm(liquid.x, axis=1) < 1.7]
    vapour = uniform(20, (40.0, 40.0, 40.0), 5, OPEN, (-20.0, -20.0, -20.0)).x
    return _system(np.vstack([ball, vapour]), (-20.0,) * 3, (20.0,) * 3, OPEN)


def _slab() -> System:
    layer = lattice((5, 5, 3), 0.6, 0.1, 3)
    return _system(layer.x, (0.0, 0.0, -8.0), (3.0, 3.0, 9.0), PERIODIC)


def _one_plane() -> System:
    flat = uniform(400, (5.0, 5.0, 5.0), 6)
    flat.x[:, 2] = 2.5 + 1e-9 * np.random.default_rng(7).standard_normal(400)
    return flat


def _column() -> System:
    rod = uniform(300, (8.0, 8.0, 8.0), 8)
    rod.x[:, :2] = 4.0 + 1e-7 * (rod.x[:, :2] - 4.0)
    return rod


def _corner() -> System:
    heap = uniform(200, (9.0, 9.0, 9.0), 9)
    return System(heap.x * 0.09, heap.box)


def _far_apart() -> System:
    """Two dense heaps and some loners, very far from each other."""
    heap = uniform(60, (1.5, 1.5, 1.5), 10, OPEN).x
    loners = uniform(30, (900.0, 900.0, 900.0), 11, OPEN, (-400.0,) * 3).x
    return _system(np.vstack([heap, heap + 300.0, loners]), (-400.0,) * 3, (500.0,) * 3, OPEN)


SYSTEMS: dict[str, Callable[[], System]] = {
    "liquid": lambda: lattice((6, 6, 6), 0.6, 0.12, 1),
    "perfect crystal": lambda: lattice((6, 5, 5), 0.6, 0.0, 0),
    "gas": lambda: uniform(500, (6.0, 6.0, 6.0), 2),
    "sparse gas": lambda: uniform(80, (30.0, 30.0, 30.0), 12),
    "slab and vacuum": _slab,
    "droplet and vapour": _droplet,
    "all at one z": _one_plane,
    "all on one line": _column,
    "all in one corner": _corner,
    "heaps far apart": _far_apart,
    "needle": lambda: uniform(400, (60.0, 1.3, 1.2), 13),
    "plate": lambda: uniform(400, (1.2, 12.0, 14.0), 14, SLAB),
    "box of one reach": lambda: uniform(40, (1.0, 1.0, 1.0), 15),
    "reach wider than the box": lambda: uniform(12, (0.45, 0.7, 0.3), 16),
    "one atom": lambda: uniform(1, (0.6, 0.6, 0.6), 17),
    "one free atom": lambda: uniform(1, (5.0, 5.0, 5.0), 18, OPEN),
    "no atoms": lambda: uniform(0, (3.0, 3.0, 3.0), 19),
    "many at one place": lambda: _system(np.full((9, 3), 0.25), (0.0,) * 3, (2.5,) * 3, PERIODIC),
    "far from the origin": lambda: lattice((3, 3, 3), 0.6, 0.1, 20, lo=(1e5, -1e5, 3e4)),
}
