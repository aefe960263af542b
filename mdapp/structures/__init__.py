"""Structures in and out: readers that yield an AtomSource, writers that append frames."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from mdapp.model.source import AtomSource
from mdapp.structures.ase_io import from_ase, read_with_ase
from mdapp.structures.extxyz import ExtxyzSource
from mdapp.structures.frames import FrameWriter
from mdapp.structures.lammps_data import LammpsDataSource
from mdapp.structures.text import open_binary

__all__ = [
    "ExtxyzSource",
    "FrameWriter",
    "LammpsDataSource",
    "from_ase",
    "open_source",
    "read_with_ase",
]

DATA_SUFFIXES = (".data", ".lmp", ".lammps", ".lammps-data")
XYZ_SUFFIXES = (".extxyz", ".xyz")
SNIFFED_BYTES = 4096


def open_source(path: Path | str, *, index: int = -1, species: Sequence[str] | None = None,
                masses: Sequence[float] | None = None, units: str = "lj",
                boundary: Sequence[bool] | None = None) -> AtomSource:
    """Open a structure file of any known format, chosen by its name and else by its first lines.

    Parameters
    ----------
    path : LAMMPS data (`*.data`, `data.*`, `*.lmp`), extended XYZ, or what ASE reads
    index : which frame of a file with several; -1 is the last
    species : names of the types, in their order
    masses : one per type; else those of the file, of the periodic table (metal), or 1 (lj)
    units : "lj" or "metal"
    boundary : (3,) periodic or open, instead of what the file says

    Raises
    ------
    InputError : `file:line: ...`
    """
    path = Path(path)
    match _format(path):
        case "data":
            return LammpsDataSource(path, species=species, masses=masses, units=units,
                                    boundary=boundary)
        case "extxyz":
            return ExtxyzSource(path, index=index, species=species, masses=masses, units=units,
                                boundary=boundary)
        case _:
            return read_with_ase(path, index=index, species=species, masses=masses, units=units,
                                 boundary=boundary)


def _format(path: Path) -> str:
    with open_binary(path) as handle:
        head = handle.read(SNIFFED_BYTES).decode(errors="replace")
    name = path.name.lower()
    if name.endswith(DATA_SUFFIXES) or name.startswith("data."):
        return "data"
    if name.endswith(XYZ_SUFFIXES):
        return "extxyz"
    if re.search(r"^\s*\d+\s+atoms\b", head, re.MULTILINE):
        return "data"
    if re.match(r"\s*\d+\s*\n[^\n]*(Properties|Lattice)=", head):
        return "extxyz"
    return "ase"
