"""LAMMPS text dumps: what `dump ... atom` and `dump ... custom` write, atoms in the order of ids.

    ITEM: TIMESTEP
    100
    ITEM: NUMBER OF ATOMS
    32000
    ITEM: BOX BOUNDS pp pp pp
    0.0000000000000000e+00 3.3591923827650150e+01     (x; then y and z)
    ITEM: ATOMS id type xs ys zs
    1 1 0.0123 0.999 0.5

Headings and numbers look as LAMMPS writes them (`%d`, `%g`; bounds `%-1.16e`), so that OVITO,
ASE and the scripts that people have read them.  Wrapped coordinates belong to the image flags at
the moment of the frame, so that xu = x + ix Lx holds in every frame. Format:
https://docs.lammps.org/dump.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.model.elements import nearest

Arrays = Mapping[str, NDArray[np.generic]]

ATOM_COLUMNS = ("id", "type", "xs", "ys", "zs")
_AXES = {"x": 0, "y": 1, "z": 2}
_VECTORS = {             # column with the axis as *: arrays that it needs
    "*": ("x",), "*s": ("x",), "*u": ("x", "image"), "i*": ("image",), "v*": ("v",), "f*": ("f",)}
CUSTOM_COLUMNS = ("id", "type", "element", "mass", "q",
                  *(pattern.replace("*", axis) for pattern in _VECTORS for axis in _AXES))


class DumpFormat:
    """The text of dump frames with given columns.

    Parameters
    ----------
    columns : of CUSTOM_COLUMNS
    species, mass : of the types
    real : format of floating-point columns

    Raises
    ------
    InputError : a column that is unknown
    """

    def __init__(self, columns: Sequence[str], species: Sequence[str],
                 mass: NDArray[np.float64], real: str = "%g") -> None:
        for name in columns:
            if name not in CUSTOM_COLUMNS:
                raise InputError(f"output.columns: unknown dump column {name!r}"
                                 f"{nearest(name, CUSTOM_COLUMNS)}; "
                                 f"there are {' '.join(CUSTOM_COLUMNS)}")
        if not columns:
            raise InputError("output.columns: the list is empty; name at least one column")
        self.names = tuple(columns)
        self._species = np.array(species, object)
        self._mass = mass
        self._getters = [self._getter(name) for name in columns]
        self.needs = frozenset().union(*(_needs(name) for name in columns))
        self.line = " ".join(_format(name, real) for name in columns) + "\n"

    def header(self, step: int, time: float, box: Box, natoms: int) -> str:
        """Lines above the atoms; LAMMPS writes no time unless asked to."""
        return (f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{natoms}\n"
                f"ITEM: BOX BOUNDS {_bounds(box)}ITEM: ATOMS {' '.join(self.names)}\n")

    def columns(self, arrays: Arrays, box: Box) -> list[NDArray[np.generic]]:
        """One array (n,) per column."""
        return [getter(arrays, box) for getter in self._getters]

    def _getter(self, name: str) -> Callable[[Arrays, Box], NDArray[np.generic]]:
        match name:
            case "id":
                return lambda a, _: a["id"]
            case "q":
                return lambda a, _: a["q"]
            case "type":
                return lambda a, _: a["type"] + 1
            case "element":
                return lambda a, _: self._species[a["type"].astype(np.int64)]
            case "mass":
                return lambda a, _: self._mass[a["type"].astype(np.int64)]
        axis = next(k for letter, k in _AXES.items() if letter in name)
        return {
            "*": lambda a, _: a["x"][:, axis],
            "*s": lambda a, box: box.fractional(a["x"])[:, axis],
            "*u": lambda a, box: (a["x"] + a["image"] @ box.edges)[:, axis],
            "i*": lambda a, _: a["image"][:, axis],
            "v*": lambda a, _: a["v"][:, axis],
            "f*": lambda a, _: a["f"][:, axis],
        }[_pattern(name)]


def _pattern(name: str) -> str:
    for axis in _AXES:
        name = name.replace(axis, "*")
    return name


def _needs(name: str) -> tuple[str, ...]:
    match name:
        case "id":
            return ("id",)
        case "q":
            return ("q",)
        case "type" | "element" | "mass":
            return ("type",)
    return _VECTORS[_pattern(name)]


def _format(name: str, real: str) -> str:
    if name == "element":
        return "%s"
    return "%d" if name in ("id", "type", "ix", "iy", "iz") else real


def _bounds(box: Box) -> str:
    """Write flags and bounds; a tilted box is given by its bounding box and tilts."""
    flags = " ".join("pp" if p else "ff" for p in box.periodic)
    lo, hi = box.lo, box.lo + np.diag(box.edges)
    if box.is_orthogonal:
        rows = [f"{a:.16e} {b:.16e}" for a, b in zip(lo, hi, strict=True)]
        return "\n".join([flags, *rows, ""])
    if np.triu(box.edges, 1).any() or (np.diag(box.edges) <= 0).any():
        raise InputError("output: a LAMMPS dump needs a along x and b in the xy plane; "
                         'write kind = "extxyz" for other cells')
    xy, (xz, yz) = box.edges[1, 0], box.edges[2, :2]
    lows = [lo[0] + min(0.0, xy, xz, xy + xz), lo[1] + min(0.0, yz), lo[2]]
    highs = [hi[0] + max(0.0, xy, xz, xy + xz), hi[1] + max(0.0, yz), hi[2]]
    rows = [f"{a:.16e} {b:.16e} {t:.16e}"
            for a, b, t in zip(lows, highs, (xy, xz, yz), strict=True)]
    return "\n".join([f"xy xz yz {flags}", *rows, ""])
