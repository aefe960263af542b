"""Which numbers of atoms a problem can have: boxes of one shape, that differ in size only."""

from collections.abc import Mapping
from dataclasses import dataclass

from mdapp.errors import InputError


@dataclass(frozen=True)
class Cells:
    """Boxes of n times as many cells each way.

    Attributes
    ----------
    problem
        Name on the command line.
    atoms
        In the box of n = 1.
    shape
        The box in words.
    least
        Smallest n.
    """

    problem: str
    atoms: int
    shape: str
    least: int

    def variables(self, atoms: int, steps: int) -> Mapping[str, str]:
        """Return `cells` (n) and `steps`.

        Raises
        ------
        InputError
            No box has so many atoms; names the sizes next to it.
        """
        edge = (max(atoms, 0) / self.atoms) ** (1 / 3)
        cells = round(edge)
        if cells < self.least or self.atoms * cells**3 != atoms:
            below = max(self.least, int(edge))
            raise InputError(
                f"--sizes {atoms}: {self.problem} is {self.shape} and has {self.atoms} n^3 atoms, "
                f"n >= {self.least}; the nearest are {self.atoms * below**3} and "
                f"{self.atoms * (below + 1) ** 3}"
            )
        return {"cells": str(cells), "steps": str(steps)}
