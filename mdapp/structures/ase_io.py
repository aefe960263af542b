"""Everything else that ASE reads: POSCAR, CIF, PDB and sixty more, when ASE is installed.

ASE holds all atoms in memory, and on every rank; that is right for the structures that come in
these formats, which are small.  Large systems come as LAMMPS data or extended XYZ, which mdapp
reads in pieces itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.model.elements import nearest, resolve_species
from mdapp.model.source import ArraySource, Block
from mdapp.model.units import UNITS
from mdapp.structures.checks import bounding_box, wrap


def read_with_ase(path: Path | str, *, index: int = -1, species: Sequence[str] | None = None,
                  masses: Sequence[float] | None = None, units: str = "metal",
                  boundary: Sequence[bool] | None = None) -> ArraySource:
    """Read a structure through `ase.io.read`.

    Parameters
    ----------
    path, index : the file and which of its frames
    species, masses, units, boundary : see `ExtxyzSource`

    Raises
    ------
    InputError : ASE is missing, or does not read the file
    """
    try:
        import ase.io
    except ImportError:
        raise InputError(f"{path}: not a LAMMPS data file nor extended XYZ, and ASE, which reads "
                         "other formats, is not installed; install mdapp[ase]") from None
    try:
        atoms = ase.io.read(path, index=index)
    except Exception as error:     # ASE's readers raise whatever their parsing runs into
        raise InputError(f"{path}: neither LAMMPS data nor extended XYZ, and ASE cannot read it: "
                         f"{type(error).__name__}: {error}") from None
    if not hasattr(atoms, "get_chemical_symbols"):
        raise InputError(f"{path}: ASE found no single structure in it; "
                         "give one frame by its index")
    return from_ase(atoms, where=str(path), species=species, masses=masses, units=units,
                    boundary=boundary)


def from_ase(atoms: Any, *, where: str = "atoms", species: Sequence[str] | None = None,
             masses: Sequence[float] | None = None, units: str = "metal",
             boundary: Sequence[bool] | None = None) -> ArraySource:
    """Make a source of an `ase.Atoms`; ids are 1, 2, ... in its order.

    Raises
    ------
    InputError : a species that is not listed, numbers that are not finite, a cell without volume
    """
    symbols = list(atoms.get_chemical_symbols())
    names = list(species) if species is not None else list(dict.fromkeys(symbols)) or ["X"]
    for symbol in dict.fromkeys(symbols):
        if symbol not in names:
            raise InputError(f"{where}: species {symbol!r} is none of {', '.join(names)}"
                             f"{nearest(symbol, names)}; add it to system.species")
    names_, mass = resolve_species(len(names), names, masses, units)
    x = np.array(atoms.get_positions(), np.float64).reshape(-1, 3)
    if not np.isfinite(x).all():
        bad = int(np.argmax(~np.isfinite(x).all(axis=1)))
        raise InputError(f"{where}: atom {bad + 1} has a position that is not finite: "
                         f"{x[bad].tolist()}")
    type_ = np.array([names.index(s) for s in symbols], np.int32)
    momenta = atoms.arrays.get("momenta")
    v = None
    if momenta is not None:
        v = np.array(momenta) / mass[type_][:, None] * UNITS[units].mvv2e ** -0.5
        if not np.isfinite(v).all():
            raise InputError(f"{where}: momenta that are not finite")
    q = atoms.arrays.get("initial_charges")
    if q is not None:
        q = np.array(q, np.float64)
        if not np.isfinite(q).all():
            raise InputError(f"{where}: initial charges that are not finite")
    box = box_of(where, atoms, x, boundary)
    x, image = wrap(box, x, None, where)
    return ArraySource(box, mass, names_,
                       Block(np.arange(1, len(x) + 1), type_, x, v, image, q))


def box_of(where: str, atoms: Any, x: np.ndarray[Any, np.dtype[np.float64]],
           boundary: Sequence[bool] | None = None) -> Box:
    """Make the box of an `ase.Atoms`, around its positions x (n, 3) where it has no cell.

    Raises
    ------
    InputError : a cell without volume, or no vector along a periodic axis
    """
    periodic = list(atoms.pbc) if boundary is None else list(boundary)
    cell = np.array(atoms.cell.complete() if any(atoms.cell.lengths()) else atoms.cell)
    missing = atoms.cell.lengths() == 0
    if (missing & np.array(periodic)).any():
        raise InputError(f"{where}: periodic along an axis for which the file gives no cell vector")
    if missing.all():
        if len(x) == 0:
            return bounding_box(np.zeros(3), np.zeros(3))
        return bounding_box(x.min(axis=0), x.max(axis=0))
    try:
        return Box.from_vectors(cell, periodic)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
