"""Periodic images written down one by one: the specification of the halo."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box


def shifts(box: Box, reach: float) -> NDArray[np.float64]:
    """Lattice vectors (k, 3), zero first, by which an atom can come within `reach` of the box."""
    counts = [
        int(np.ceil(reach / length)) if p else 0
        for length, p in zip(box.lengths, box.periodic, strict=True)
    ]
    steps = [sorted(range(-n, n + 1), key=abs) for n in counts]
    cells = sorted(itertools.product(*steps), key=lambda cell: any(cell))
    return np.array(cells) * box.lengths


def ghosts(
    x: NDArray[np.float64],
    box: Box,
    reach: float,
    lo: NDArray[np.float64] | None = None,
    hi: NDArray[np.float64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Images of x (n, 3), and atoms themselves, outside a subdomain but within `reach` of it.

    Returns
    -------
    positions (m, 3), and the index (m,) in x of the atom each is an image of
    """
    lo = np.where(box.periodic, box.lo, -np.inf) if lo is None else lo
    hi = np.where(box.periodic, box.hi, np.inf) if hi is None else hi
    images = (x[None] + shifts(box, reach)[:, None]).reshape(-1, 3)
    owner = np.tile(np.arange(len(x)), len(images) // max(len(x), 1))
    near = ((images >= lo - reach) & (images < hi + reach)).all(axis=1)
    inside = ((images >= lo) & (images < hi)).all(axis=1)
    return images[near & ~inside], owner[near & ~inside]
