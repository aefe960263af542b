"""What every pair style of a script does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from mdapp.lammps.command import Command


class PairStyle(ABC):
    """A pair style with its coefficients so far."""

    @abstractmethod
    def coeff(self, command: Command, type_count: int) -> None:
        """Take a pair_coeff command."""

    @abstractmethod
    def modify(self, command: Command) -> None:
        """Take a pair_modify command."""

    def masses(self) -> dict[int, float]:
        """Masses of types that its files give."""
        return {}

    @abstractmethod
    def table(self, type_count: int) -> dict[str, Any]:
        """Return the [potential] table, or raise an InputError for what is missing."""
