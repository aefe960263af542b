"""Between lists of neighbours and the padded arrays of a model: into them, and the forces back.

A model sees batches of fixed shape: for each of a few atoms as many vectors to neighbours as there
is room for, (rows, room, 3), and a mask. What is no neighbour lies beyond the cutoff, where the
model is zero anyway, so that nothing is singular there. All loops over pairs that are not the
model's own are here, compiled by Numba; what they cost does not show beside a model.

In deterministic mode the neighbours of an atom are put in an order that their vectors decide, and
forces are sums of integers: potentials/order.py and sums.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit, types

from potentials.order import put_in_order
from potentials.static import Static
from potentials.sums import keep_largest, summand, zero_sum


@dataclass(frozen=True)
class Mode(Static):
    """The constants that the way back is compiled for: whether forces are summed as integers."""

    deterministic: bool
    single_sums: bool = False

    @property
    def real(self) -> types.Float:
        """Type of sums, whatever the model computes in."""
        return types.float64


@njit(cache=True, nogil=True, error_model="numpy")
def count_neighbors(x, slot_atom, first, start, neighbors, cut2, counts):
    """counts[k] = listed neighbours of slot first + k within the cutoff; -1 where it is empty.

    Returns the square of the largest distance of a listed pair.
    """
    farthest = 0.0
    for k in range(len(start) - 1):
        i = slot_atom[first + k]
        counts[k] = -1
        if i < 0:
            continue
        near = 0
        for c in range(start[k], start[k + 1]):
            j = neighbors[c]
            px, py, pz = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
            r2 = px * px + py * py + pz * pz
            near += r2 < cut2
            farthest = max(farthest, r2)
        counts[k] = near
    return farthest


@njit(cache=True, nogil=True, error_model="numpy")
def fill_batch(x, kinds, slot_atom, first, start, neighbors, cut2, ordered, picked, far,
               atoms, near, r, kind_i, kind_j, mask):
    """Write the neighbours of picked slots into the rows of a batch, padding what is left.

    Parameters
    ----------
    kinds : (ntotal,) int32, the model's types
    ordered : whether neighbours are sorted by their vectors
    picked : (n,) int64, slots from `first` on, at most as many as the batch has rows
    far : a coordinate beyond the cutoff
    atoms : (rows,) int32, out, the atoms of the rows
    near : (rows, room) int32, out, the neighbours
    r, kind_i, kind_j, mask : out, what the model sees
    """
    for row in range(len(atoms)):
        n, i = 0, -1
        kind_i[row] = 0
        if row < len(picked):
            k = picked[row]
            i = slot_atom[first + k]
            kind_i[row] = kinds[i]
            for c in range(start[k], start[k + 1]):
                j = neighbors[c]
                px, py, pz = x[j, 0] - x[i, 0], x[j, 1] - x[i, 1], x[j, 2] - x[i, 2]
                if px * px + py * py + pz * pz < cut2:
                    near[row, n] = j
                    n += 1
            if ordered:
                put_in_order(n, i, x, kinds, near[row])
        atoms[row] = i
        for q in range(n):
            j = near[row, q]
            for c in range(3):
                r[row, q, c] = x[j, c] - x[i, c]
            kind_j[row, q] = kinds[j]
            mask[row, q] = True
        for q in range(n, r.shape[1]):
            r[row, q, 0], r[row, q, 1], r[row, q, 2] = far, far, far
            kind_j[row, q] = 0
            mask[row, q] = False


@njit(cache=True, nogil=True, error_model="numpy")
def add_forces(mode, atoms, near, mask, slope, per, f):
    """Add the forces of a batch to f (ntotal, 3); returns the largest component, where it matters.

    Parameters
    ----------
    slope : (rows, room, 3), dE/dr of each vector
    per : deterministic units in one unit of force
    """
    largest = 0.0
    for row in range(len(atoms)):
        i = atoms[row]
        if i < 0:
            break
        sx, sy, sz = zero_sum(mode), zero_sum(mode), zero_sum(mode)
        for q in range(slope.shape[1]):
            if not mask[row, q]:
                break
            gx, gy, gz = (np.float64(slope[row, q, 0]), np.float64(slope[row, q, 1]),
                          np.float64(slope[row, q, 2]))
            largest = keep_largest(mode, largest, gx, gy, gz)
            hx, hy, hz = summand(mode, gx, per), summand(mode, gy, per), summand(mode, gz, per)
            j = near[row, q]
            f[j, 0] -= hx
            f[j, 1] -= hy
            f[j, 2] -= hz
            sx, sy, sz = sx + hx, sy + hy, sz + hz
        f[i, 0] += sx
        f[i, 1] += sy
        f[i, 2] += sz
    return largest


@njit(cache=True, nogil=True, error_model="numpy")
def share_out(atoms, mask, r, energy, slope, energies, virials):
    """Write energy and virial -sum r dE/dr of the atoms of a batch; (nlocal,) and (nlocal, 6)."""
    for row in range(len(atoms)):
        i = atoms[row]
        if i < 0:
            break
        energies[i] = energy[row]
        for q in range(slope.shape[1]):
            if not mask[row, q]:
                break
            dx, dy, dz = (np.float64(r[row, q, 0]), np.float64(r[row, q, 1]),
                          np.float64(r[row, q, 2]))
            gx, gy, gz = (np.float64(slope[row, q, 0]), np.float64(slope[row, q, 1]),
                          np.float64(slope[row, q, 2]))
            virials[i, 0] -= dx * gx
            virials[i, 1] -= dy * gy
            virials[i, 2] -= dz * gz
            virials[i, 3] -= dy * gz
            virials[i, 4] -= dx * gz
            virials[i, 5] -= dx * gy
