"""What every pair style of a script does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from mdapp.lammps.command import Command


class PairStyle(ABC):
    """A pair style with its coefficients so far.

    Attributes
    ----------
    once : whether a second pair_coeff replaces the first, as where it gives the elements of all
    """

    once: ClassVar[bool] = False

    @abstractmethod
    def coeff(self, command: Command, type_count: int) -> None:
        """Take a pair_coeff command."""

    @abstractmethod
    def modify(self, command: Command) -> None:
        """Take a pair_modify command."""

    def outputs(self) -> list[dict[str, Any]]:
        """Tables of what it writes by itself."""
        return []

    def masses(self) -> dict[int, float]:
        """Masses of types that its files give."""
        return {}

    @abstractmethod
    def pairs_of(self, command: Command, type_count: int) -> set[tuple[int, int]]:
        """The pairs i <= j of types on which a pair_coeff command, already taken, makes it act."""

    def mixed(self) -> set[tuple[int, int]]:
        """Pairs of unlike types on which it acts in a sum without being told."""
        return set()

    @abstractmethod
    def table_of(self, pairs: set[tuple[int, int]], type_count: int) -> dict[str, Any]:
        """The table as a part of a sum, which acts on these pairs and no others."""

    @abstractmethod
    def table(self, type_count: int) -> dict[str, Any]:
        """Return the [potential] table, or raise an InputError for what is missing."""
