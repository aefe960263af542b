"""Sorting atoms in space: columns along z over a grid of the xy plane, sorted by z within each.

The order serves twice: atoms that are close in space come close in memory, and four consecutive
atoms of a column make a compact cluster.  It depends on positions and ids alone, not on the order
the atoms come in, so that a restart sorts alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

SLENDER = 1.1         # columns are narrower in area than a cube of four atoms; measured, see README
CELLS_PER_ATOM = 2    # the grid never has more cells than this, however sparse the atoms are


@dataclass(frozen=True)
class ColumnGrid:
    """Columns along z, cut into slices; a position outside counts to the nearest column and slice.

    Attributes
    ----------
    origin : (3,) float64, corner of the grid
    edges : (3,) float64, cross-section of a column along x and y, height of a slice
    shape : (3,) int64, columns along x and y, slices along z
    cluster_height : length of a column that holds four atoms on average
    """

    origin: NDArray[np.float64]
    edges: NDArray[np.float64]
    shape: NDArray[np.int64]
    cluster_height: float

    @property
    def ncolumns(self) -> int:
        """Number of columns."""
        return int(self.shape[0] * self.shape[1])


def column_grid(x: NDArray[np.float64], nlocal: int, reach: float) -> ColumnGrid:
    """The grid over all atoms of x (n, 3); its columns suit the density of the owned `nlocal`."""
    lo, hi = bounding_box(x)
    cube = 4.0 / occupied_density(x[:nlocal], reach) if nlocal else reach**3
    edge = (cube ** (1 / 3)) / np.sqrt(SLENDER)
    height = cube / edge**2
    wanted = np.array([edge, edge, height])
    shape = np.maximum(1, np.round((hi - lo) / wanted))
    excess = shape.prod() / (CELLS_PER_ATOM * len(x) + 64)
    if excess > 1:                         # a sparse or scattered system: coarser, not larger
        shape = np.maximum(1, np.floor(shape / excess ** (1 / np.count_nonzero(shape > 1))))
    shape = shape.astype(np.int64)
    edges = np.maximum((hi - lo) / shape, 1e-3 * reach)
    return ColumnGrid(lo, edges, shape, float(height))


@njit(cache=True, nogil=True, error_model="numpy")
def bounding_box(x):
    """Smallest and largest coordinate on each axis of x (n, 3); zeros where there are no atoms."""
    lo, hi = np.zeros(3), np.zeros(3)
    for d in range(3):
        if len(x):
            lo[d] = hi[d] = x[0, d]
    for i in range(len(x)):
        for d in range(3):
            lo[d] = min(lo[d], x[i, d])
            hi[d] = max(hi[d], x[i, d])
    return lo, hi


@njit(cache=True, nogil=True, error_model="numpy")
def occupied_density(x, reach):
    """Atoms per volume of the cells of edge `reach` that hold an atom: vacuum does not count."""
    lo, hi = bounding_box(x)
    shape = np.empty(3, np.int64)
    edge = np.empty(3)
    for d in range(3):
        shape[d] = max(1, min(int((hi[d] - lo[d]) / reach), int(2 * len(x) ** (1 / 3)) + 1))
        edge[d] = max((hi[d] - lo[d]) / shape[d], 1e-3 * reach)
    taken = np.zeros(shape[0] * shape[1] * shape[2], np.bool_)
    for i in range(len(x)):
        a = cell_of(x[i, 0], lo[0], edge[0], shape[0])
        b = cell_of(x[i, 1], lo[1], edge[1], shape[1])
        c = cell_of(x[i, 2], lo[2], edge[2], shape[2])
        taken[(a * shape[1] + b) * shape[2] + c] = True
    return len(x) / (taken.sum() * edge[0] * edge[1] * edge[2])


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def cell_of(value, origin, edge, count):
    """Index, 0..count-1, of the cell of a coordinate; outside the grid that of the nearest one."""
    return min(max(np.int64((value - origin) / edge), 0), count - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def sort_by_column(x, ids, first, last, origin, edges, shape, order, column_start):
    """Order the atoms first..last-1 by column, then z, then id.

    Counting sort into the slices of the columns, then a comparison sort of the few atoms of a
    slice.

    order : (last - first,) int32, out, atom indices
    column_start : (columns + 1,) int64, out, where each column starts in `order`
    """
    n = last - first
    nx, ny, nz = shape[0], shape[1], shape[2]
    ncells = nx * ny * nz
    starts = np.zeros(ncells + 1, np.int32)
    cell = np.empty(n, np.int32)
    for k in range(n):
        i = first + k
        cx = cell_of(x[i, 0], origin[0], edges[0], nx)
        cy = cell_of(x[i, 1], origin[1], edges[1], ny)
        cz = cell_of(x[i, 2], origin[2], edges[2], nz)
        c = (cx * ny + cy) * nz + cz
        cell[k] = c
        starts[c + 1] += 1
    for c in range(ncells):
        starts[c + 1] += starts[c]
    for c in range(nx * ny):
        column_start[c] = starts[c * nz]
    column_start[nx * ny] = n
    for k in range(n):
        c = cell[k]
        order[starts[c]] = first + k
        starts[c] += 1                                   # ends as the start of the next slice
    begin = 0
    for c in range(ncells):
        end = starts[c]
        if end - begin > 64:
            _merge_sort(order, begin, end, x, ids)
        else:
            _insertion_sort(order, begin, end, x, ids)
        begin = end


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _before(a, b, x, ids):
    return x[a, 2] < x[b, 2] or (x[a, 2] == x[b, 2] and ids[a] < ids[b])


@njit(cache=True, nogil=True, error_model="numpy")
def _insertion_sort(order, begin, end, x, ids):
    for k in range(begin + 1, end):
        atom = order[k]
        m = k
        while m > begin and _before(atom, order[m - 1], x, ids):
            order[m] = order[m - 1]
            m -= 1
        order[m] = atom


@njit(cache=True, nogil=True, error_model="numpy")
def _merge_sort(order, begin, end, x, ids):
    scratch = np.empty(end - begin, order.dtype)
    width = 1
    while width < end - begin:
        for lo in range(begin, end, 2 * width):
            mid, hi = min(lo + width, end), min(lo + 2 * width, end)
            a, b = lo, mid
            for k in range(lo, hi):
                if b >= hi or (a < mid and not _before(order[b], order[a], x, ids)):
                    scratch[k - begin] = order[a]
                    a += 1
                else:
                    scratch[k - begin] = order[b]
                    b += 1
        for k in range(begin, end):
            order[k] = scratch[k - begin]
        width *= 2
