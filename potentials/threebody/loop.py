"""The loop over atoms of a potential that is a sum of atoms' energies, each of its neighbours.

Stillinger-Weber and Tersoff share one form: E = sum_i E_i, where E_i depends on the vectors from
atom i to its neighbours in range, half of each pair energy being either atom's. A formula then has
one task, the value and the gradient of one E_i; forces, virial and everything between threads and
ranks follow from them here: the force on neighbour j is -dE_i/dd_j, that on i is its opposite, and
the virial -sum_j d_j dE_i/dd_j is atom i's. So forces go to neighbours, ghosts among them, and come
back from there once a step; energies and virials do not.

Lists reach farther than the potential: of 28 listed neighbours in silicon four are in range. They
are packed first without a branch, and all that follows loops over short rows.

In deterministic mode the packed neighbours of an atom are sorted by their vectors, which are the
same bits on every rank. All that is summed within E_i is then summed in one order, and only the
forces, which come from several atoms, are sums of integers (as in potentials/pair/loop.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit, types

from potentials.base import Want
from potentials.order import arrange
from potentials.static import Static, variant
from potentials.sums import keep_largest, real_of, summand, zero_sum

GEOMETRY = 8              # rows of the scratch that the loop itself needs
FORMULAS: dict[str, Any] = {}


def atom_formula(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register the energy of one atom under a name.

    The decorated function gets (mode, n, kind_i, kinds, space, table, ntypes) and returns E_i.
    Rows of `space` hold, for the n neighbours, the vector from atom i (0..2) and the distance (3);
    it writes dE_i/dd_j to rows 4..6, which are 0 before. Rows from GEOMETRY on are its own.
    """
    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        FORMULAS[name] = function
        return function
    return register


@dataclass(frozen=True)
class Mode(Static):
    """The constants that the loop is compiled for.

    Attributes
    ----------
    formula : name of the atom formula
    single : arithmetic in single precision; positions are subtracted in double before
    many_types : parameters are looked up by types
    want : value of a Want
    deterministic : neighbours sorted, forces summed as integers
    options : of the formula
    """

    formula: str
    single: bool
    many_types: bool
    want: int
    deterministic: bool
    options: tuple[str, ...] = ()
    single_sums: bool = False

    @property
    def real(self) -> types.Float:
        """Type of the arithmetic."""
        return types.float32 if self.single else types.float64


@variant
def atom_energy(mode):
    """The formula of the mode."""
    return FORMULAS[mode.formula]


@variant
def entry(mode):
    """Row of the table for the types of a triple, or of a pair if the last two are the same."""
    if mode.many_types:
        return lambda mode, ntypes, a, b, c: (np.int64(a) * ntypes + b) * ntypes + c
    return lambda mode, ntypes, a, b, c: 0


@variant
def kind_of(mode):
    """The type of an atom, where types matter."""
    if mode.many_types:
        return lambda mode, type_, i: type_[np.uint64(i)]
    return lambda mode, type_, i: np.int32(0)


@variant
def add_share(mode):
    """Energy and virial of atom i, to the atom or to the total of all."""
    if mode.want == Want.FORCES.value:
        return lambda mode, i, energy, n, space, e_out, w_out: None
    per_atom = mode.want == Want.PER_ATOM.value

    def add_share(mode, i, energy, n, space, e_out, w_out):
        at = i if per_atom else 0
        e_out[at] += energy
        dx, dy, dz = space[0], space[1], space[2]
        gx, gy, gz = space[4], space[5], space[6]
        for q in range(n):
            w_out[at, 0] -= dx[q] * gx[q]
            w_out[at, 1] -= dy[q] * gy[q]
            w_out[at, 2] -= dz[q] * gz[q]
            w_out[at, 3] -= dy[q] * gz[q]
            w_out[at, 4] -= dx[q] * gz[q]
            w_out[at, 5] -= dx[q] * gy[q]
    return add_share


@njit(cache=True, nogil=True, error_model="numpy")
def forces_of_atoms(mode, x, type_, slot_atom, first, start, neighbors, cut2, table, ntypes, per,
                    near, kinds, space, f, e_out, w_out):
    """Add the forces of the energies of a chunk's atoms to f, and what is wanted to e_out, w_out.

    Returns the largest component of a force on one neighbour, in deterministic mode.

    Parameters
    ----------
    first, start, neighbors : of the chunk, full rows; see mdapp.neighbors.atom_lists.Rows
    cut2 : square of the largest cutoff
    table, ntypes : parameters, a row for each triple of types
    per : deterministic units in one unit of force
    near, kinds, space : (room,) int32, (room,) int32, (rows, room) real, room for a row and 1 more
    f : (ntotal, 3) sums
    e_out, w_out : (nlocal,) and (nlocal, 6) float64, or (1,) and (1, 6)
    """
    largest = 0.0
    dx, dy, dz, r = space[0], space[1], space[2], space[3]
    gx, gy, gz = space[4], space[5], space[6]
    for k in range(len(start) - 1):
        i = slot_atom[first + k]
        if i < 0:
            continue
        xi, yi, zi = x[i, 0], x[i, 1], x[i, 2]
        packed = np.uint64(0)                              # unsigned: no wrap-around test
        for c in range(np.uint64(start[k]), np.uint64(start[k + 1])):
            j = np.uint64(neighbors[c])
            px, py, pz = x[j, 0] - xi, x[j, 1] - yi, x[j, 2] - zi
            near[packed] = np.int32(j)
            packed += np.uint64(px * px + py * py + pz * pz < cut2)
        n = np.int64(packed)
        arrange(mode, n, i, x, type_, near)
        for q in range(n):
            j = np.uint64(near[q])
            px, py, pz = x[j, 0] - xi, x[j, 1] - yi, x[j, 2] - zi
            dx[q], dy[q], dz[q] = real_of(mode, px), real_of(mode, py), real_of(mode, pz)
            r[q] = real_of(mode, np.sqrt(px * px + py * py + pz * pz))
            gx[q], gy[q], gz[q] = real_of(mode, 0.0), real_of(mode, 0.0), real_of(mode, 0.0)
            kinds[q] = kind_of(mode, type_, j)
        energy = atom_energy(mode, n, kind_of(mode, type_, i), kinds, space, table, ntypes)
        sx, sy, sz = zero_sum(mode), zero_sum(mode), zero_sum(mode)
        for q in range(n):
            largest = keep_largest(mode, largest, gx[q], gy[q], gz[q])
            j = np.uint64(near[q])
            hx, hy, hz = (summand(mode, np.float64(gx[q]), per),
                          summand(mode, np.float64(gy[q]), per),
                          summand(mode, np.float64(gz[q]), per))
            f[j, 0] -= hx
            f[j, 1] -= hy
            f[j, 2] -= hz
            sx, sy, sz = sx + hx, sy + hy, sz + hz
        f[i, 0] += sx
        f[i, 1] += sy
        f[i, 2] += sz
        add_share(mode, i, energy, n, space, e_out, w_out)
    return largest
