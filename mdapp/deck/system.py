"""The [system] section: which atoms there are at the start, and how they move.

Atoms come from a file or from a lattice, and most keys belong to one of the two; the checks at the
end say which goes with which.  What a lattice means in detail (spacings, orientation, which sites
lie in a box) is defined by `mdapp.model.crystal` and `mdapp.model.lattice`.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Annotated, Literal

from pydantic import Field

from mdapp.deck.fields import LIST, SIX, THREE, Name, Positive, PositiveInt, Problems, Section

BASIS_ATOMS = {"sc": 1, "bcc": 2, "fcc": 4, "diamond": 8}
MAX_ATOMS = 2**62
LATTICE_KEYS = ("lattice", "constant", "density", "vectors", "basis", "basis_types", "origin",
                "orient", "cells", "region", "fill")

Lattice = Literal["sc", "bcc", "fcc", "diamond", "custom"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Cells = Annotated[tuple[PositiveInt, ...], THREE]
Triple = Annotated[tuple[float, ...], THREE]
Direction = Annotated[tuple[Annotated[int, Field(ge=-1000, le=1000)], ...], THREE]
Region = Annotated[tuple[float, ...], SIX]
BasisTypes = Annotated[tuple[PositiveInt, ...], LIST]
Symbol = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]


def _region_problems(region: tuple[float, ...] | None) -> Problems:
    if region is not None:
        for axis, lo, hi in zip("xyz", region[0::2], region[1::2], strict=True):
            if not lo < hi:
                yield "region", f"{axis}lo must be less than {axis}hi, not {lo:g} and {hi:g}"


class Fill(Section):
    """One group of atoms placed on the lattice sites of a part of the box."""

    type: PositiveInt
    """Type of the atoms, counted from 1."""
    region: Region | None = None
    """[xlo, xhi, ylo, yhi, zlo, zhi] of the part to fill, in lattice spacings, faces included;
    default: the whole box."""
    basis_types: BasisTypes | None = None
    """Type of each basis atom, where they differ from type."""

    def _problems(self) -> Problems:
        yield from _region_problems(self.region)


class System(Section):
    """The atoms at the start, from a file or on a lattice; their types and velocities."""

    file: Name | None = None
    """Structure file, relative to the folder of the deck."""
    format: Literal["auto", "lammps-data", "extxyz", "ase"] = "auto"
    """Format of file; auto: by its name."""
    lattice: Lattice | None = None
    """Crystal lattice, instead of a file."""
    constant: Positive | None = None
    """Lattice constant (length); with lattice = custom the factor that multiplies vectors."""
    density: Positive | None = None
    """Reduced number density, instead of constant (lj units only)."""
    vectors: Annotated[tuple[Triple, ...], THREE] | None = None
    """Rows a1, a2, a3 of a custom unit cell, in units of constant; default: the unit cube."""
    basis: Annotated[tuple[Triple, ...], LIST] | None = None
    """Fractional coordinates, 0 <= f < 1, of the atoms of a custom unit cell."""
    basis_types: BasisTypes | None = None
    """Type (from 1) of each basis atom; default: all 1."""
    origin: Annotated[tuple[Fraction, ...], THREE] = (0.0, 0.0, 0.0)
    """Shift of the lattice, in lattice spacings."""
    orient: Annotated[tuple[Direction, ...], THREE] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    """Lattice directions, orthogonal and right-handed, that point along x, y and z."""
    cells: Cells | None = None
    """[nx, ny, nz]: the box reaches from 0 to this many lattice spacings."""
    region: Region | None = None
    """[xlo, xhi, ylo, yhi, zlo, zhi] of the box in lattice spacings, instead of cells."""
    fill: Annotated[tuple[Fill, ...], LIST] | None = None
    """What to place where; default: every site of the box gets a basis atom."""
    species: Annotated[tuple[Symbol, ...], LIST] | None = None
    """Name of each type: chemical symbols in metal units."""
    masses: Annotated[tuple[Positive, ...], LIST] | None = None
    """Mass of each type; default: 1 in lj units, the element's in metal units."""
    charges: Annotated[tuple[float, ...], LIST] | None = None
    """Charge of each type, in e in metal units; default: the charges of the file, if it has any."""
    boundary: str | None = None
    """One letter for each of x, y, z: p periodic, f open (atoms may leave the box);
    default: as the file says, else periodic."""
    temperature: Annotated[float, Field(ge=0)] | None = None
    """Temperature of the initial velocities; not given: the velocities of the file, or rest."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    """Seed of the initial velocities."""
    velocities: Literal["counter", "lammps-geom", "lammps-all"] = "counter"
    """Generator of the initial velocities: by atom id, or LAMMPS's with loop geom or all."""
    distribution: Literal["uniform", "gaussian"] = "gaussian"
    """Distribution of each velocity component before it is scaled to the temperature."""
    zero_momentum: bool = True
    """Whether the initial total momentum is removed."""
    zero_rotation: bool = False
    """Whether the initial total angular momentum is removed."""

    @property
    def periodic(self) -> tuple[bool, bool, bool] | None:
        """Which of the axes x, y, z are periodic; None where that is left to the file."""
        if self.boundary is None:
            return None if self.lattice is None else (True, True, True)
        x, y, z = (letter == "p" for letter in self.boundary.split(" "))
        return x, y, z

    @property
    def basis_count(self) -> int | None:
        """Atoms in the unit cell; None where the system comes from a file."""
        if self.lattice == "custom":
            return len(self.basis or ())
        return BASIS_ATOMS[self.lattice] if self.lattice else None

    @property
    def type_count(self) -> int | None:
        """Number of types of a lattice (named, weighed or placed); None where a file decides."""
        if self.lattice is None:
            return None
        return max(self._placed_types(), len(self.species or ()), len(self.masses or ()))

    def _placed_types(self) -> int:
        placed = [1, *(self.basis_types or ())]
        if self.fill is not None:
            placed = [t for f in self.fill for t in (f.basis_types or (f.type,))]
        return max(placed)

    def _problems(self) -> Problems:
        letters = (self.boundary or "p p p").split(" ")
        if self.boundary == "" or len(letters) != 3 or not set(letters) <= {"p", "f"}:
            yield "boundary", 'must be three letters p (periodic) or f (open), such as "p p f"'
        if self.species and self.masses and len(self.species) != len(self.masses):
            yield "masses", (f"must have one mass for each of the {len(self.species)} species, "
                             f"not {len(self.masses)}")
        if self.velocities != "counter" and not 1 <= self.seed < 2**31:
            yield "seed", f"velocities = {self.velocities} needs a seed from 1 to {2**31 - 1}"
        yield from (self._file_problems() if self.file is not None else self._lattice_problems())

    def _file_problems(self) -> Problems:
        for key in LATTICE_KEYS:
            if getattr(self, key) != System.model_fields[key].default:
                yield key, "not together with file: the file gives the box and the atoms"

    def _lattice_problems(self) -> Problems:
        if self.lattice is None:
            yield "lattice", "missing: give lattice = sc|bcc|fcc|diamond|custom or file = ..."
            return
        if self.format != "auto":
            yield "format", "only together with file"
        yield from self._one_of("constant", "density")
        yield from self._one_of("cells", "region")
        yield from _region_problems(self.region)
        if self.lattice == "custom" and self.basis is None:
            yield "basis", "missing: lattice = custom needs the fractional coordinates of its atoms"
        yield from self._cell_problems()
        yield from self._type_problems()

    def _one_of(self, first: str, second: str) -> Problems:
        given = [key for key in (first, second) if getattr(self, key) is not None]
        if not given:
            yield first, f"missing: a lattice needs {first} or {second}"
        elif len(given) == 2:
            yield second, f"give either {first} or {second}, not both"

    def _cell_problems(self) -> Problems:
        if any(_dot(a, b) for a, b in combinations(self.orient, 2)) or not _volume(self.orient) > 0:
            yield "orient", "the three directions must be orthogonal and right-handed"
        if self.lattice != "custom":
            for key in ("vectors", "basis"):
                if getattr(self, key) is not None:
                    yield key, f"only with lattice = custom; {self.lattice} has its own"
            return
        if self.vectors is not None and _volume(self.vectors) == 0:
            yield "vectors", "the three vectors must span a volume"
        for k, site in enumerate(self.basis or ()):
            if not all(0 <= c < 1 for c in site):
                yield f"basis.{k}", "fractional coordinates must be at least 0 and less than 1"

    def _type_problems(self) -> Problems:
        where = [("", self.basis_types)]
        where += [(f"fill.{k}.", f.basis_types) for k, f in enumerate(self.fill or ())]
        for prefix, types in where:
            if types is not None and self.basis_count and len(types) != self.basis_count:
                yield f"{prefix}basis_types", ("must have one type for each of the "
                                               f"{self.basis_count} basis atoms, not {len(types)}")
        if self.fill is not None and self.basis_types is not None:
            yield "basis_types", "not together with fill: give it in the entries of fill"
        for key in ("species", "masses", "charges"):
            given = getattr(self, key)
            if given is not None and len(given) < self._placed_types():
                yield key, (f"must have an entry for each of the {self._placed_types()} types, "
                            f"not {len(given)}")
        if self.cells and math.prod(self.cells) * (self.basis_count or 1) > MAX_ATOMS:
            yield "cells", f"gives more than {MAX_ATOMS} atoms"


def _dot(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum(p * q for p, q in zip(a, b, strict=True))


def _volume(rows: tuple[tuple[float, ...], ...]) -> float:
    """Volume that three vectors span, negative where they are left-handed."""
    a, (bx, by, bz), (cx, cy, cz) = rows
    return _dot(a, (by * cz - bz * cy, bz * cx - bx * cz, bx * cy - by * cx))
