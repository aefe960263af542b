"""Crystal lattices, to the last bit as LAMMPS builds them.

A site of the lattice is an integer cell (i, j, k) plus a basis point in [0, 1)^3, and its
position is

    r = R (s (A (cell + basis))) + spacing * origin

with A the lattice vectors as columns, s the scale (lattice constant) and R the orientation.  The
spacing is the extent of one transformed cell along each axis; it is the length unit of regions,
so `region block 0 20 ...` ends at 20 spacings.  In `lj` units LAMMPS's `lattice` takes a reduced
density rho instead of a constant, and then s = (n_basis / V_cell / rho)^(1/3).

Bits matter because `velocity ... loop geom` seeds each atom's random numbers from the bytes of
its coordinates: one rounding elsewhere and the atom gets another velocity.  So every formula
below is evaluated in the order of operations of LAMMPS's documented algorithm
(https://docs.lammps.org/lattice.html), without fused multiply-adds, and the tests hold it to
hashes of what LAMMPS made.  Which sites lie in the box, and their ids, is the subject of
`lattice.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdapp.errors import InputError
from mdapp.model.elements import nearest
from mdapp.model.source import BLOCK_ATOMS

BASES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "sc": ((0.0, 0.0, 0.0),),
    "bcc": ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5)),
    "fcc": ((0.0, 0.0, 0.0), (0.5, 0.5, 0.0), (0.5, 0.0, 0.5), (0.0, 0.5, 0.5)),
    "diamond": ((0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0),
                (0.25, 0.25, 0.25), (0.25, 0.75, 0.75), (0.75, 0.25, 0.75), (0.75, 0.75, 0.25)),
}
STYLES = (*BASES, "custom")
CUBE = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True)
class Lattice:
    """A lattice with a basis, scaled, turned and shifted.

    Attributes
    ----------
    vectors : (3, 3) float64, rows a1, a2, a3, in units of `scale`
    basis : (nb, 3) float64, fractional, in [0, 1)
    scale : length of one unit of `vectors`
    rotation : (3, 3) float64, orthonormal rows
    origin : (3,) float64, shift in spacings
    spacing : (3,) float64, extent of one cell along x, y, z
    """

    vectors: NDArray[np.float64]
    basis: NDArray[np.float64]
    scale: float
    rotation: NDArray[np.float64]
    origin: NDArray[np.float64]
    spacing: NDArray[np.float64]

    @classmethod
    def make(cls, style: str, *, constant: float | None = None, density: float | None = None,
             vectors: ArrayLike | None = None, basis: ArrayLike | None = None,
             origin: ArrayLike = (0.0, 0.0, 0.0), orient: ArrayLike = CUBE) -> Lattice:
        """Make a lattice from the arguments of LAMMPS's `lattice` command.

        Parameters
        ----------
        style : sc, bcc, fcc, diamond or custom
        constant : lattice constant; or
        density : reduced density (lj units)
        vectors, basis : (3, 3) and (nb, 3), of a custom lattice only
        origin : (3,) fractions of the spacing, each in [0, 1)
        orient : (3, 3) integer rows, the lattice directions that point along x, y, z

        Raises
        ------
        InputError : names the key, its value and what it may be
        """
        vectors_, basis_ = _cell(style, vectors, basis)
        scale = _scale(vectors_, len(basis_), constant, density)
        rotation, origin_ = _rotation(orient), _floats("origin", origin, (3,))
        if not ((origin_ >= 0) & (origin_ < 1)).all():
            raise InputError(f"system.origin: {origin_.tolist()} must lie in [0, 1) on each axis")
        corners = [(i, j, k) for k in (0.0, 1.0) for j in (0.0, 1.0) for i in (0.0, 1.0)]
        unshifted = cls(vectors_, basis_, scale, rotation, origin_, np.zeros(3))
        at = np.array([unshifted.position(*corner) for corner in corners])
        return cls(vectors_, basis_, scale, rotation, origin_, at.max(axis=0) - at.min(axis=0))

    @property
    def is_separable(self) -> bool:
        """Whether each coordinate of a site depends on one cell index only."""
        return all(not np.any(m - np.diag(np.diag(m))) for m in (self.vectors, self.rotation))

    def position(self, sx: float, sy: float, sz: float) -> tuple[float, float, float]:
        """Cartesian position of the fractional site (sx, sy, sz), rounding as LAMMPS does."""
        a, r = self.vectors, self.rotation
        x = float(a[0, 0] * sx + a[1, 0] * sy + a[2, 0] * sz) * self.scale
        y = float(a[0, 1] * sx + a[1, 1] * sy + a[2, 1] * sz) * self.scale
        z = float(a[0, 2] * sx + a[1, 2] * sy + a[2, 2] * sz) * self.scale
        shift = self.spacing * self.origin
        return (float(r[0, 0] * x + r[0, 1] * y + r[0, 2] * z + shift[0]),
                float(r[1, 0] * x + r[1, 1] * y + r[1, 2] * z + shift[1]),
                float(r[2, 0] * x + r[2, 1] * y + r[2, 2] * z + shift[2]))

    def corners(self, region: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lower and upper Cartesian corner of a region xlo xhi ylo yhi zlo zhi in spacings."""
        bounds = np.asarray(region, np.float64).reshape(3, 2)
        with np.errstate(over="ignore"):          # whoever makes a box of them refuses infinity
            return self.spacing * bounds[:, 0], self.spacing * bounds[:, 1]

    def cell_range(self, lo: NDArray[np.float64], hi: NDArray[np.float64]
                   ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First and one past the last cell (3,), (3,) whose sites can lie in lo <= r <= hi.

        The cells that touch the bounding box in lattice space, and one more on either side for
        rounding and for basis points, which reach from a cell towards the next.
        """
        box = np.array([(x, y, z) for x in (lo[0], hi[0]) for y in (lo[1], hi[1])
                        for z in (lo[2], hi[2])])
        unturned = (box - self.spacing * self.origin) @ self.rotation / self.scale
        sites = unturned @ np.linalg.inv(self.vectors)
        return (np.floor(sites.min(axis=0)).astype(np.int64) - 2,
                np.floor(sites.max(axis=0)).astype(np.int64) + 2)


def _cell(style: str, vectors: ArrayLike | None, basis: ArrayLike | None
          ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if style not in STYLES:
        raise InputError(f"system.lattice: unknown style {style!r}{nearest(style, STYLES)}; "
                         f"it may be {', '.join(STYLES)}")
    if style != "custom":
        for key, given in (("vectors", vectors), ("basis", basis)):
            if given is not None:
                raise InputError(f"system.{key}: only a custom lattice takes {key}, {style} has "
                                 'its own; remove it or set lattice = "custom"')
        return np.array(CUBE), np.array(BASES[style])
    if basis is None:
        raise InputError("system.basis: a custom lattice needs at least one basis point")
    a = _floats("vectors", CUBE if vectors is None else vectors, (3, 3))
    b = _floats("basis", basis, (None, 3))
    if not 1 <= len(b) <= BLOCK_ATOMS:
        raise InputError(f"system.basis: {len(b)} points; there may be 1 to {BLOCK_ATOMS}")
    if not ((b >= 0) & (b < 1)).all():
        bad = b[~((b >= 0) & (b < 1)).all(axis=1)][0].tolist()
        raise InputError(f"system.basis: point {bad} must have its three fractions in [0, 1)")
    if _triple_product(a) == 0:
        raise InputError(f"system.vectors: {a.tolist()} span no volume")
    return a, b


def _triple_product(a: NDArray[np.float64]) -> float:
    """|a1 . (a2 x a3)|, in the order of operations that the scale of an lj lattice needs."""
    cx = a[1, 1] * a[2, 2] - a[1, 2] * a[2, 1]
    cy = a[1, 2] * a[2, 0] - a[1, 0] * a[2, 2]
    cz = a[1, 0] * a[2, 1] - a[1, 1] * a[2, 0]
    return abs(float(a[0, 0] * cx + a[0, 1] * cy + a[0, 2] * cz))


def _scale(vectors: NDArray[np.float64], nbasis: int,
           constant: float | None, density: float | None) -> float:
    if (constant is None) == (density is None):
        raise InputError("system: give the lattice `constant`, or in lj units the reduced "
                         "`density`, and only one of them")
    key, value = ("constant", constant) if density is None else ("density", density)
    assert value is not None
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"system.{key}: {value} must be positive and finite")
    if density is None:
        return float(value)
    scale = math.pow(nbasis / _triple_product(vectors) / density, 1.0 / 3.0)
    if not math.isfinite(scale):
        raise InputError(f"system.density: {density} is too small: the lattice spacing overflows")
    return scale


def _rotation(orient: ArrayLike) -> NDArray[np.float64]:
    """Orthonormal rows from three orthogonal, right-handed lattice directions."""
    rows = _floats("orient", orient, (3, 3))
    if not (rows == np.round(rows)).all() or not (rows != 0).any(axis=1).all():
        raise InputError(f"system.orient: {rows.tolist()} must be three non-zero whole-number "
                         "directions")
    products = rows @ rows.T
    if (products - np.diag(np.diag(products))).any() or np.linalg.det(rows) <= 0:
        raise InputError(f"system.orient: {rows.tolist()} must be orthogonal and right-handed")
    lengths: NDArray[np.float64] = np.array([[math.sqrt(float(row @ row))] for row in rows])
    return np.asarray(rows / lengths)


def _floats(key: str, value: ArrayLike, shape: tuple[int | None, ...]) -> NDArray[np.float64]:
    """`value` as finite numbers of that shape (None: any length), or InputError."""
    want = " x ".join("n" if n is None else str(n) for n in shape)
    try:
        array = np.array(value, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"system.{key}: {value!r} must be {want} numbers") from None
    if array.ndim != len(shape) or any(
            n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
        raise InputError(f"system.{key}: {value!r} must be {want} numbers")
    if not np.isfinite(array).all():
        raise InputError(f"system.{key}: {value!r} must be finite")
    return array
