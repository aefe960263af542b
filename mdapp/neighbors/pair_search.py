"""The search for pairs of clusters in reach of each other; see clusters.py for what is listed.

Columns of clusters lie on a grid in x and y, sorted along z. For each column the stretches of
others that may be in reach are laid out once, and along a stretch the window that is near in z only
moves up: so no cluster is looked at that is not near in two directions at least.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from potentials import simd


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _gap(alo, ahi, blo, bhi):
    """Distance between two intervals, 0 where they overlap."""
    return max(0.0, max(blo - ahi, alo - bhi))


@njit(cache=True, nogil=True, error_model="numpy")
def find_pairs(packed, bounds, own_columns, ghost_columns, own_rectangles, ghost_rectangles,
               column, edges, shape, reach, chunk_first, chunk_last,
               start, middle, partners, masks, own_masks, used):
    """List the partners of the clusters of a chunk, from column `column` on.

    For each column of the chunk the stretches of clusters that may be in reach are laid out once,
    own ones that obey the third law first.  Along a stretch z only grows, as it does along the
    column, so the window that is near in z only moves up.  Candidates pass a test of bounding
    boxes, then of all sixteen distances; both write first and count afterwards, because what a
    branch would cost in mispredictions is more than the tests.

    Returns (next column, entries used): with a next column short of the last, `partners` is full
    and must grow.

    start, middle, partners, masks, own_masks : out, see Chunk; masks of length 0 are not kept
    """
    nx, ny = shape[0], shape[1]
    reach2 = reach * reach
    exact = len(masks) > 0
    rx, ry = np.int64(np.ceil(reach / edges[0])), np.int64(np.ceil(reach / edges[1]))
    most_stretches = 4 * min(2 * rx + 1, nx) * min(2 * ry + 1, ny)
    begin, end = np.empty(most_stretches, np.int64), np.empty(most_stretches, np.int64)
    stop = np.empty(most_stretches, np.int64)
    candidates = np.empty(0, np.int64)
    while column < nx * ny:
        c0, c1 = max(own_columns[column], chunk_first), min(own_columns[column + 1], chunk_last)
        if c0 >= c1:
            column += 1
            continue
        nhalf = nall = 0
        for both in (True, False):
            for jx in range(max(column // ny - rx, 0), min(column // ny + rx + 1, nx)):
                for jy in range(max(column % ny - ry, 0), min(column % ny + ry + 1, ny)):
                    j = jx * ny + jy
                    own_near = _rectangles_near(own_rectangles, column, own_rectangles, j, reach2)
                    first, last = own_columns[j], own_columns[j + 1]
                    if both:
                        nall = _add(max(first, c0), min(last, chunk_last), own_near,
                                    begin, end, nall)
                        nhalf = nall
                    else:
                        nall = _add(first, min(last, chunk_first), own_near, begin, end, nall)
                        nall = _add(max(first, chunk_last), last, own_near, begin, end, nall)
                        ghost_near = _rectangles_near(own_rectangles, column,
                                                      ghost_rectangles, j, reach2)
                        nall = _add(ghost_columns[j], ghost_columns[j + 1], ghost_near,
                                    begin, end, nall)
        most = 0
        for s in range(nall):
            most += end[s] - begin[s]
        stop[:nall] = begin[:nall]
        if len(candidates) < most + 1:
            candidates = np.empty(most + 1, np.int64)
        if (used + most * (c1 - c0) >= len(partners)
                and used + _count_upper(bounds, begin, end, nall, c0, c1, reach) >= len(partners)):
            return column, used
        for i in range(c0, c1):
            k = i - chunk_first
            xlo, xhi, ylo = bounds[i, 0], bounds[i, 1], bounds[i, 2]
            yhi, zlo, zhi = bounds[i, 3], bounds[i, 4], bounds[i, 5]
            xi = simd.spread(simd.load(packed, 12 * i, 4), 4, 0, 4)
            yi = simd.spread(simd.load(packed, 12 * i + 4, 4), 4, 0, 4)
            zi = simd.spread(simd.load(packed, 12 * i + 8, 4), 4, 0, 4)
            if exact:
                dx = xi - simd.tile(simd.load(packed, 12 * i, 4), 4)
                dy = yi - simd.tile(simd.load(packed, 12 * i + 4, 4), 4)
                dz = zi - simd.tile(simd.load(packed, 12 * i + 8, 4), 4)
                near = simd.fma(dz, dz, simd.fma(dy, dy, dx * dx)) < reach2
                own_masks[k] = simd.bits_of_mask(near & simd.off_diagonal(4))
            found = 0
            for s in range(nall):
                if s == nhalf:
                    nhalf_found = found
                b, e = begin[s], stop[s]
                while b < end[s] and bounds[b, 5] < zlo - reach:
                    b += 1
                while e < end[s] and bounds[e, 4] <= zhi + reach:
                    e += 1
                begin[s], stop[s] = b, e
                for j in range(max(b, i + 1) if s < nhalf else b, e):
                    gx = _gap(xlo, xhi, bounds[j, 0], bounds[j, 1])
                    gy = _gap(ylo, yhi, bounds[j, 2], bounds[j, 3])
                    gz = _gap(zlo, zhi, bounds[j, 4], bounds[j, 5])
                    candidates[found] = j
                    found += gx * gx + gy * gy + gz * gz < reach2
            if nall == nhalf:
                nhalf_found = found
            for c in range(found):
                if c == nhalf_found:
                    middle[k] = used
                j = candidates[c]
                dx = xi - simd.tile(simd.load(packed, 12 * j, 4), 4)
                dy = yi - simd.tile(simd.load(packed, 12 * j + 4, 4), 4)
                dz = zi - simd.tile(simd.load(packed, 12 * j + 8, 4), 4)
                bits = simd.bits_of_mask(simd.fma(dz, dz, simd.fma(dy, dy, dx * dx)) < reach2)
                partners[used] = j
                if exact:
                    masks[used] = bits
                used += bits != 0
            if nhalf_found == found:
                middle[k] = used
            start[k + 1] = used
        column += 1
    return column, used


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _rectangles_near(a, i, b, j, reach2):
    gx = _gap(a[i, 0], a[i, 1], b[j, 0], b[j, 1])
    gy = _gap(a[i, 2], a[i, 3], b[j, 2], b[j, 3])
    return gx * gx + gy * gy < reach2


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _add(b, e, near, begin, end, count):
    if near and b < e:
        begin[count], end[count] = b, e
        return count + 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def _count_upper(bounds, begin, end, nall, c0, c1, reach):
    """How many candidates the clusters c0..c1-1 have by z alone: a bound on the entries needed."""
    count = 0
    for i in range(c0, c1):
        for s in range(nall):
            for j in range(begin[s], end[s]):
                count += (bounds[j, 5] >= bounds[i, 4] - reach
                          and bounds[j, 4] <= bounds[i, 5] + reach)
    return count
