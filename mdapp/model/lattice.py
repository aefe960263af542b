"""The atoms of a lattice in a box, made on demand: no rank holds more than a block of them.

LAMMPS walks the cells with x running fastest, then y, then z, the basis inside, and numbers the
sites that it keeps in that order.  A site is kept if lo <= r < hi on every axis of the box,
where a periodic upper face is first moved in by 2e-6 of the edge, so that a site on the face
that rounding put just inside is not made twice; and, where atoms are created in a region only,
if it also lies in the closed region.

To make one rank's atoms without walking all of them, ids must be known without counting.  For
every lattice whose vectors lie along the axes, r_x depends on i and the basis point m alone, so
"kept" is a product of three tables keep_x[i, m] keep_y[j, m] keep_z[k, m], and the number of
kept sites before any (k, j, i, m) is a sum of products of prefix sums.  That gives `natoms` at
once, and to every rank the cost of its own atoms only.  Skewed or turned lattices take the plain
way: one counting pass per z plane, then the planes that matter.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.model.crystal import CUBE, Lattice
from mdapp.model.elements import resolve_species
from mdapp.model.source import BLOCK_ATOMS, Block

UPPER_FACE = 2.0       # a periodic upper face moves in by this ...
FACE_MARGIN = 1.0e-6   # ... times this times the edge (LAMMPS's values)

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Fill:
    """One `create_atoms` command: which type goes where.

    Attributes
    ----------
    type : 1-based type of the atoms
    region : xlo xhi ylo yhi zlo zhi in spacings, closed; None: the whole box
    basis_types : 1-based types of the basis points where they differ from `type`
    """

    type: int = 1
    region: Sequence[float] | None = None
    basis_types: Sequence[int] | None = None


class LatticeSource:
    """An AtomSource of lattice atoms, positions and ids as LAMMPS makes them on one process.

    Parameters
    ----------
    style, constant, density, vectors, basis, origin, orient : see `Lattice.make`
    cells : (3,) the box reaches from 0 to this many spacings; or
    region : xlo xhi ylo yhi zlo zhi of the box in spacings
    boundary : (3,) periodic or open
    basis_types : 1-based types of the basis points (all 1 by default)
    fill : where atoms are created, in order, when it is not everywhere
    species, masses : one per type, see `resolve_species`
    units : "lj" or "metal"

    Raises
    ------
    InputError : names the key, its value and what it may be
    """

    def __init__(self, *, style: str, constant: float | None = None,
                 density: float | None = None, vectors: ArrayLike | None = None,
                 basis: ArrayLike | None = None, origin: ArrayLike = (0.0, 0.0, 0.0),
                 orient: ArrayLike = CUBE, cells: Sequence[int] | None = None,
                 region: Sequence[float] | None = None,
                 boundary: Sequence[bool] = (True, True, True),
                 basis_types: Sequence[int] | None = None, fill: Sequence[Fill] | None = None,
                 species: Sequence[str] | None = None, masses: Sequence[float] | None = None,
                 units: str = "lj") -> None:
        if density is not None and units != "lj":
            raise InputError(f"system.density: {density} is for lj units; "
                             f"in {units} give `constant`")
        self.lattice = Lattice.make(style, constant=constant, density=density, vectors=vectors,
                                    basis=basis, origin=origin, orient=orient)
        lo, hi = self.lattice.corners(_box_region(cells, region))
        self.box = _box(lo, hi, boundary)
        self._upper = np.where(boundary, hi - UPPER_FACE * ((hi - lo) * FACE_MARGIN), hi)
        fills = _fills(fill, basis_types, len(self.lattice.basis))
        types = [self._types(f) for f in fills]
        ntypes = max(1 + max(int(t.max()) for t in types), len(species or ()), len(masses or ()))
        self.species, self.mass = resolve_species(ntypes, species, masses, units)
        maker = _SeparableSites if self.lattice.is_separable else _SkewSites
        self._passes = [maker(self.lattice, lo, self._upper, *self._region(f), t)
                        for f, t in zip(fills, types, strict=True)]
        self.natoms = sum(sites.natoms for sites in self._passes)
        self.charged = False

    def blocks(self, lo: Vector | None = None, hi: Vector | None = None) -> Iterator[Block]:
        """See `AtomSource.blocks`; only cells that can reach into lo <= x <= hi are visited."""
        lo = np.full(3, -np.inf) if lo is None else np.asarray(lo, np.float64)
        hi = np.full(3, np.inf) if hi is None else np.asarray(hi, np.float64)
        first_id = 1
        for sites in self._passes:
            yield from sites.blocks(first_id, lo, hi)
            first_id += sites.natoms

    def along(self, axis: int) -> list[tuple[Vector, NDArray[np.int64]]]:
        """Where the sites of each fill lie on an axis, for counting them without making them.

        Returns
        -------
        list
            Of (n, nb) coordinates of (index, basis point) and (n, nb) 0 or 1, whether they are
            kept: a site (i, j, k, m) is made if it is kept on all axes.

        Raises
        ------
        InputError : the lattice is skewed or turned, so that its axes do not separate
        """
        if not self.lattice.is_separable:
            raise InputError("system.orient: the sites of a turned lattice cannot be counted axis "
                             "by axis")
        return [(sites.coordinate[axis], sites.keep[axis])
                for sites in self._passes if isinstance(sites, _SeparableSites)]

    def _types(self, fill: Fill) -> NDArray[np.int32]:
        """(nb,) 0-based type of each basis point."""
        nbasis = len(self.lattice.basis)
        given = [fill.type] * nbasis if fill.basis_types is None else list(fill.basis_types)
        if len(given) != nbasis:
            raise InputError(f"system.basis_types: {len(given)} given, but the lattice has "
                             f"{nbasis} basis points")
        for t in given:
            if t < 1:
                raise InputError(f"system: atom type {t} must be 1 or more")
        return np.array(given, np.int32) - 1

    def _region(self, fill: Fill) -> tuple[Vector, Vector]:
        if fill.region is None:
            return np.full(3, -np.inf), np.full(3, np.inf)
        return self.lattice.corners(_region("system.fill.region", fill.region, finite=False))


def _box(lo: Vector, hi: Vector, boundary: Sequence[bool]) -> Box:
    """The cell between two corners; InputError where spacings over- or underflow."""
    try:
        return Box.orthogonal(lo, hi, boundary)
    except ValueError:
        raise InputError(f"system: the lattice makes a box from {lo.tolist()} to {hi.tolist()}, "
                         "whose edges must be positive and finite; check constant, density and "
                         "cells against the units of the deck") from None


def _fills(fill: Sequence[Fill] | None, basis_types: Sequence[int] | None,
           nbasis: int) -> list[Fill]:
    if fill is None:
        return [Fill(basis_types=basis_types)]
    if basis_types is not None:
        raise InputError("system.basis_types: with `fill`, give basis_types inside each fill")
    if not fill:
        raise InputError("system.fill: the list is empty, no atoms would be made; "
                         "remove it to fill the box")
    return list(fill)


def _box_region(cells: Sequence[int] | None, region: Sequence[float] | None) -> list[float]:
    if (cells is None) == (region is None):
        raise InputError("system: give the box as `cells` or as `region`, and only one of them")
    if region is not None:
        return _region("system.region", region, finite=True)
    assert cells is not None
    if len(cells) != 3 or any(int(n) != n or n < 1 for n in cells):
        raise InputError(f"system.cells: {list(cells)} must be three whole numbers, each 1 or more")
    return [0.0, float(cells[0]), 0.0, float(cells[1]), 0.0, float(cells[2])]


def _region(key: str, bounds: Sequence[float], *, finite: bool) -> list[float]:
    """Check six bounds, each upper one above its lower one, infinite only where that means all."""
    values = [float(b) for b in bounds]
    if len(values) != 6:
        raise InputError(f"{key}: {values} must be six numbers xlo xhi ylo yhi zlo zhi")
    for lo, hi in zip(values[::2], values[1::2], strict=True):
        if math.isnan(lo) or math.isnan(hi) or (finite and math.isinf(hi - lo)) or not (
                lo < hi if finite else lo <= hi):
            raise InputError(f"{key}: {values} must have each lower bound below its upper bound"
                             + " and be finite" * finite)
    return values


class _SeparableSites:
    """Sites whose x, y, z depend on i, j, k alone: counted in closed form."""

    def __init__(self, lattice: Lattice, lo: Vector, upper: Vector, region_lo: Vector,
                 region_hi: Vector, types: NDArray[np.int32]) -> None:
        first, end = lattice.cell_range(lo, upper)
        self.types = types
        self.coordinate: list[Vector] = []       # per axis (n, nb): of (index, basis point)
        self.keep: list[NDArray[np.int64]] = []  # per axis (n, nb): 0 or 1
        self.before: list[NDArray[np.int64]] = []   # per axis (n + 1, nb): kept before this index
        for axis in range(3):
            index = np.arange(first[axis], end[axis])[:, None]
            fraction = index + lattice.basis[None, :, axis]
            x = lattice.vectors[axis, axis] * fraction * lattice.scale
            x = lattice.rotation[axis, axis] * x + lattice.spacing[axis] * lattice.origin[axis]
            keep = ((x >= lo[axis]) & (x < upper[axis])
                    & (x >= region_lo[axis]) & (x <= region_hi[axis])).astype(np.int64)
            self.coordinate.append(x)
            self.keep.append(keep)
            self.before.append(np.vstack([np.zeros((1, keep.shape[1]), np.int64),
                                          np.cumsum(keep, axis=0)]))
        self.natoms = int(np.prod([b[-1] for b in self.before], axis=0).sum())

    def blocks(self, first_id: int, lo: Vector, hi: Vector) -> Iterator[Block]:
        ranges = []
        for x, keep, low, high in zip(self.coordinate, self.keep, lo, hi, strict=True):
            near = np.flatnonzero(((x >= low) & (x <= high) & (keep == 1)).any(axis=1))
            if len(near) == 0:
                return
            ranges.append((int(near[0]), int(near[-1]) + 1))
        (i0, i1), (j0, j1), (k0, k1) = ranges
        cell, ncells = 0, (i1 - i0) * (j1 - j0) * (k1 - k0)
        while cell < ncells:
            id_, type_, x = _empty_block()
            n, cell = _separable_block(
                cell, i0, i1, j0, j1, k0, k1, first_id, self.types,
                *self.coordinate, *self.keep, *self.before, id_, type_, x)
            if n:
                yield Block(id_[:n], type_[:n], x[:n])


class _SkewSites:
    """Sites of any lattice: counted plane by plane, by testing each."""

    def __init__(self, lattice: Lattice, lo: Vector, upper: Vector, region_lo: Vector,
                 region_hi: Vector, types: NDArray[np.int32]) -> None:
        self.types = types
        self.basis = lattice.basis
        self.first, end = lattice.cell_range(lo, upper)
        self.dims = end - self.first
        shift = lattice.spacing * lattice.origin
        self.transform = (lattice.vectors.T.copy(), lattice.scale, lattice.rotation, shift)
        self.bounds = np.array([lo, upper, region_lo, region_hi])
        nx, ny, nz = self.dims
        counts = np.array([self._walk(nx * ny * k, nx * ny * (k + 1), None)[0]
                           for k in range(nz)], np.int64)
        self.before_plane = np.concatenate([[0], np.cumsum(counts)])
        self.natoms = int(self.before_plane[-1])

    def blocks(self, first_id: int, lo: Vector, hi: Vector) -> Iterator[Block]:
        nx, ny, nz = (int(n) for n in self.dims)
        for k in range(nz):
            if self.before_plane[k] == self.before_plane[k + 1] or self._is_far(k, lo, hi):
                continue
            next_id = first_id + int(self.before_plane[k])
            cell = nx * ny * k
            while cell < nx * ny * (k + 1):
                block = _empty_block()
                n, cell = self._walk(cell, nx * ny * (k + 1), block)
                id_, type_, x = block
                id_[:n] = np.arange(next_id, next_id + n)
                next_id += n
                if n:
                    yield Block(id_[:n], type_[:n], x[:n])

    def _walk(self, cell: int, end: int,
              block: tuple[NDArray[np.int64], NDArray[np.int32], Vector] | None) -> tuple[int, int]:
        _, type_, x = block or (None, np.empty(0, np.int32), np.empty((0, 3)))
        n, cell = _skew_block(cell, end, self.first, self.dims, self.basis, *self.transform,
                              self.bounds, self.types, type_, x, block is not None)
        return int(n), int(cell)

    def _is_far(self, k: int, lo: Vector, hi: Vector) -> bool:
        """Whether no site of plane k can lie in lo <= r <= hi."""
        columns, scale, rotation, shift = self.transform
        low = self.first + np.array([0, 0, k])
        high = self.first + np.array([self.dims[0], self.dims[1], k + 1])
        corners = np.array([(i, j, m) for i in (low[0], high[0]) for j in (low[1], high[1])
                            for m in (low[2], high[2])], np.float64)
        at = (corners @ columns.T * scale) @ rotation.T + shift
        return bool((at.max(axis=0) < lo - scale).any() or (at.min(axis=0) > hi + scale).any())


def _empty_block() -> tuple[NDArray[np.int64], NDArray[np.int32], Vector]:
    return (np.empty(BLOCK_ATOMS, np.int64), np.empty(BLOCK_ATOMS, np.int32),
            np.empty((BLOCK_ATOMS, 3)))


@njit(cache=True)
def _separable_block(                             # type: ignore[no-untyped-def]
        cell, i0, i1, j0, j1, k0, k1, first_id, types, xs, ys, zs, keep_x, keep_y, keep_z,
        before_x, before_y, before_z, out_id, out_type, out_x):
    """Fill a block from `cell` of the range on: number of atoms, and the cell to go on with."""
    nb = len(types)
    ni, nj, nk = i1 - i0, j1 - j0, k1 - k0
    total_x, total_y = before_x[-1], before_y[-1]
    n = 0
    while cell < ni * nj * nk:
        i = i0 + cell % ni
        j = j0 + (cell // ni) % nj
        k = k0 + cell // (ni * nj)
        next_id = first_id
        for m in range(nb):                        # planes below, rows before, cells before
            next_id += (before_z[k, m] * total_y[m] * total_x[m]
                        + keep_z[k, m] * (before_y[j, m] * total_x[m]
                                          + keep_y[j, m] * before_x[i, m]))
        while i < i1:                              # the rest of this row
            if n + nb > len(out_id):
                return n, cell
            for m in range(nb):
                if keep_x[i, m] & keep_y[j, m] & keep_z[k, m]:
                    out_id[n] = next_id
                    out_type[n] = types[m]
                    out_x[n, 0], out_x[n, 1], out_x[n, 2] = xs[i, m], ys[j, m], zs[k, m]
                    n += 1
                    next_id += 1
            i += 1
            cell += 1
    return n, cell


@njit(cache=True)
def _skew_block(                                  # type: ignore[no-untyped-def]
        cell, end, first, dims, basis, a, scale, r, shift, bounds, types, out_type, out_x, store):
    """Keep (or only count) the sites of cells [cell, end); stops early when the block is full."""
    nb = len(basis)
    n = 0
    while cell < end:
        if store and n + nb > len(out_x):
            break
        i = first[0] + cell % dims[0]
        j = first[1] + (cell // dims[0]) % dims[1]
        k = first[2] + cell // (dims[0] * dims[1])
        for m in range(nb):
            sx, sy, sz = i + basis[m, 0], j + basis[m, 1], k + basis[m, 2]
            x1 = (a[0, 0] * sx + a[0, 1] * sy + a[0, 2] * sz) * scale
            y1 = (a[1, 0] * sx + a[1, 1] * sy + a[1, 2] * sz) * scale
            z1 = (a[2, 0] * sx + a[2, 1] * sy + a[2, 2] * sz) * scale
            x = r[0, 0] * x1 + r[0, 1] * y1 + r[0, 2] * z1 + shift[0]
            y = r[1, 0] * x1 + r[1, 1] * y1 + r[1, 2] * z1 + shift[1]
            z = r[2, 0] * x1 + r[2, 1] * y1 + r[2, 2] * z1 + shift[2]
            if (x >= bounds[0, 0] and y >= bounds[0, 1] and z >= bounds[0, 2]
                    and x < bounds[1, 0] and y < bounds[1, 1] and z < bounds[1, 2]
                    and x >= bounds[2, 0] and y >= bounds[2, 1] and z >= bounds[2, 2]
                    and x <= bounds[3, 0] and y <= bounds[3, 1] and z <= bounds[3, 2]):
                if store:
                    out_type[n] = types[m]
                    out_x[n, 0], out_x[n, 1], out_x[n, 2] = x, y, z
                n += 1
        cell += 1
    return n, cell
