"""The neighbours of a frame as vectors, and of each vector the one that points back.

The energy of atom i depends on the vectors to its neighbours, and with g_ij = dE_i/dr_ij

    F_i = sum_j (g_ij - g_ji)        W = - sum_ij r_ij g_ij

Force on an atom is thus a sum over its own neighbours, if it is known where in the list the vector
from j back to i stands. That is found once: pair (i, j, shift) goes with (j, i, -shift), and with a
number for each pair the place is looked up. A small cell meets its own images in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from mdapp.neighbors.atom_lists import FULL
from mdapp.neighbors.clusters import ClusterList
from mdapp.neighbors.images import with_images

MARGIN = 1e-5                   # of the cutoff, by which the search reaches further


@dataclass(frozen=True)
class Pairs:
    """Vectors of a frame, in the order of their first atoms.

    Attributes
    ----------
    start : (n + 1,) int64, those of atom i are start[i]:start[i + 1]
    r : (p, 3) float64, from i to j
    j : (p,) int32
    back : (p,) int32, the place of the vector from j to i
    """

    start: NDArray[np.int64]
    r: NDArray[np.float64]
    j: NDArray[np.int32]
    back: NDArray[np.int32]


def pairs_of(box: Box, x: NDArray[np.float64], cutoff: float) -> Pairs:
    """All vectors shorter than the cutoff.

    Raises
    ------
    InputError : the cell is absurdly small beside the cutoff
    """
    n = len(x)
    reach = cutoff * (1 + MARGIN)
    images = with_images(box, x, reach)
    clusters = ClusterList(reach, exact=True, form=FULL)
    clusters.build(images.x, images.of_all(np.arange(1, n + 1)), n)
    i, k = listed(clusters)
    r = images.x[k] - images.x[i]
    near = (r * r).sum(axis=1) < cutoff * cutoff
    i, k, r = i[near], k[near], r[near]
    j = np.concatenate([np.arange(n), images.owner])[k]
    shift = np.concatenate([np.zeros((n, 3), np.int64), images.shift])[k]
    there, here = key(i, j, shift, n), key(j, i, -shift, n)
    both = np.isin(there, here)           # rounding may see one of two at the cutoff
    order = np.argsort(there[both])
    i, j, there, here = (a[both][order] for a in (i, j, there, here))
    r = r[both][order]
    start = np.searchsorted(i, np.arange(n + 1)).astype(np.int64)
    return Pairs(start, r, j.astype(np.int32), np.searchsorted(there, here).astype(np.int32))


def key(i: NDArray[np.int64], j: NDArray[np.int64], shift: NDArray[np.int64], n: int
        ) -> NDArray[np.int64]:
    """A number for each pair (i, j, shift), rising with i."""
    widest = int(abs(shift).max(initial=0))
    sx, sy, sz = (shift + widest).T
    wide = 2 * widest + 1
    number: NDArray[np.int64] = (((i * n + j) * wide + sx) * wide + sy) * wide + sz
    return number


def listed(clusters: ClusterList) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Both atoms of all pairs of a full list."""
    first, second = [], []
    for rows in clusters.rows:
        first.append(np.repeat(clusters.slot_atom[rows.first:rows.last], np.diff(rows.start)))
        second.append(rows.neighbors[:rows.start[-1]])
    none = np.empty(0, np.int32)
    return np.concatenate([none, *first]).astype(np.int64), np.concatenate([none, *second])
