"""The same case with more or fewer atoms: the box of a lattice in other numbers of spacings.

Density, structure and initial temperature stay; ids and with them velocities follow the lattice. A
system that comes from a file has one size only, and what a script fills in part keeps its shape
only in whole multiples.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdapp.errors import InputError
from mdapp.initial import source_of

if TYPE_CHECKING:
    from mdapp.deck import Deck

Extent = tuple[int, int, int]


@dataclass(frozen=True)
class Resizer:
    """Makes overrides that give a deck another size.

    Attributes
    ----------
    extent : lattice spacings of its box along x, y, z
    per_cell : atoms in a cell of one spacing each way
    key : the key of the deck that holds the extent
    """

    extent: Extent
    per_cell: float
    key: str

    def atoms(self, extent: Sequence[int]) -> int:
        """Atoms of a box."""
        return round(self.per_cell * math.prod(extent))

    def override(self, extent: Sequence[int]) -> str:
        """The change of the deck that makes a box."""
        if self.key == "system.cells":
            return f"system.cells={[int(n) for n in extent]}"
        bounds = [float(b) for n in extent for b in (0, n)]
        return f"system.region={bounds}"

    def nearest(self, atoms: int) -> Extent:
        """The box with nearly so many atoms that is nearest to the deck's own in shape."""
        factor = (atoms / self.atoms(self.extent)) ** (1 / 3)
        choices = [{max(1, math.floor(n * factor)), max(1, math.ceil(n * factor))}
                   for n in self.extent]
        boxes = [(a, b, c) for a, b, c in itertools.product(*map(sorted, choices))]
        return min(boxes, key=lambda box: (abs(math.log(self.atoms(box) / atoms)), max(box)))

    def times(self, extent: Sequence[int], factors: Sequence[int]) -> Extent:
        """A box repeated so often along each axis."""
        x, y, z = (n * f for n, f in zip(extent, factors, strict=True))
        return x, y, z


def resizer_of(deck: Deck, study: str) -> Resizer:
    """Look at how a deck's size can be changed.

    Raises
    ------
    InputError
        It cannot: the atoms come from a file, or are placed in parts of the box.
    """
    system = deck.system
    where = deck.source or "the deck"
    if system.file is not None or system.lattice is None:
        raise InputError(f"{where}: a {study} study needs a lattice, whose size can be changed; "
                         "system.file has one size: take `mdapp scale strong`")
    if system.fill is not None and any(f.region is not None for f in system.fill):
        raise InputError(f"{where}: a {study} study changes the size of the box, and system.fill "
                         "places atoms in parts of it: leave fill.region out")
    if system.cells is not None:
        a, b, c = system.cells
        extent, key = (a, b, c), "system.cells"
    else:
        bounds = system.region or ()
        whole = all(lo == 0 and hi == int(hi) for lo, hi in zip(bounds[::2], bounds[1::2],
                                                                strict=True))
        if not whole:
            raise InputError(f"{where}: system.region = {list(bounds)}: a {study} study needs a "
                             "box from 0 to whole numbers of lattice spacings")
        x, y, z = (int(hi) for hi in bounds[1::2])
        extent, key = (x, y, z), "system.region"
    natoms = source_of(deck).natoms
    return Resizer(extent, natoms / math.prod(extent), key)


def natoms_of(deck: Deck) -> int:
    """Count the atoms of a deck, by its lattice or its file."""
    return int(source_of(deck).natoms)
