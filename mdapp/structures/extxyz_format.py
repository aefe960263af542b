"""Extended XYZ frames: what `ExtxyzSource`, ASE and OVITO read back.

Species that are no element ("1" in lj units) are written as X, ASE's name for an unknown atom,
and a `type` column then tells them apart.  Positions keep ten digits.  `velo` is what OVITO calls
velocities, in the units of the run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.model.elements import SYMBOLS, nearest
from mdapp.structures.lammps_dump import Arrays

EXTXYZ_COLUMNS = {       # column: (array, Properties, format of its numbers)
    "id": ("id", "I:1", "%d"), "type": ("type", "I:1", "%d"),
    "initial_charges": ("q", "R:1", "real"), "velo": ("v", "R:3", "real"),
    "forces": ("f", "R:3", "real"), "image": ("image", "I:3", "%d")}
DEFAULT_COLUMNS = ("id", "velo")
CHARGED_COLUMNS = ("id", "initial_charges", "velo")      # ASE's name of them


class ExtxyzFormat:
    """The text of extended XYZ frames: species, pos and the given further columns.

    Parameters
    ----------
    columns : of EXTXYZ_COLUMNS
    species : of the types
    real : format of floating-point columns

    Raises
    ------
    InputError : a column that is unknown
    """

    def __init__(self, columns: Sequence[str], species: Sequence[str],
                 real: str = "%.10g") -> None:
        for name in columns:
            if name not in EXTXYZ_COLUMNS:
                raise InputError(f"output.columns: unknown extxyz column {name!r}"
                                 f"{nearest(name, list(EXTXYZ_COLUMNS))}; beside species and pos "
                                 f"there are {' '.join(EXTXYZ_COLUMNS)}")
        self._species = np.array([s if s in SYMBOLS else "X" for s in species], object)
        nameless = not all(s in SYMBOLS for s in species)
        self.names = (*columns, "type") if nameless and "type" not in columns else tuple(columns)
        self.needs = frozenset({"type", "x", *(EXTXYZ_COLUMNS[n][0] for n in self.names)})
        formats = ["%s"] + [real] * 3
        for name in self.names:
            _, shape, number = EXTXYZ_COLUMNS[name]
            formats += [real if number == "real" else number] * int(shape[-1])
        self.line = " ".join(formats) + "\n"

    def header(self, step: int, time: float, box: Box, natoms: int) -> str:
        """Write the count and the comment line."""
        lattice = " ".join(f"{e:.16g}" for e in box.edges.ravel())
        origin = f'Origin="{" ".join(f"{o:.16g}" for o in box.lo)}" ' if box.lo.any() else ""
        properties = ":".join(["species:S:1:pos:R:3",
                               *(f"{n}:{EXTXYZ_COLUMNS[n][1]}" for n in self.names)])
        pbc = " ".join("T" if p else "F" for p in box.periodic)
        return (f'{natoms}\nLattice="{lattice}" {origin}Properties={properties} pbc="{pbc}" '
                f"step={step} time={time:.16g}\n")

    def columns(self, arrays: Arrays, box: Box) -> list[NDArray[np.generic]]:
        """One array (n,) per number or word of a line."""
        type_ = arrays["type"].astype(np.int64)
        out: list[NDArray[np.generic]] = [self._species[type_], *arrays["x"].T]
        for name in self.names:
            array = arrays[EXTXYZ_COLUMNS[name][0]]
            if name == "type":
                out.append(type_ + 1)
            else:
                out += [array] if array.ndim == 1 else list(array.T)
        return out
