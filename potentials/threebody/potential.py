"""What potentials have in common whose parameters are those of triples of types."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from potentials.files import find_file
from potentials.threebody.entries import Entries, one_a_type
from potentials.threebody.kernel import AtomEnergyKernel


@dataclass(frozen=True)
class OfTriples(ABC):
    """Base of such potentials; see potentials.base.Potential.

    Attributes
    ----------
    entries : parameters of each triple of types
    files : that they were read from
    """

    entries: Entries
    files: tuple[str, ...] = ()
    style: str = ""
    lists: str = "full"
    units: str = "metal"
    precisions: tuple[str, ...] = ("double", "mixed", "single")
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.entries.elements)

    @property
    @abstractmethod
    def cutoff(self) -> float:
        """Range of the interaction of a site."""

    @staticmethod
    @abstractmethod
    def read(path: Path, elements: Sequence[str]) -> Entries:
        """Read a file of entries and check that they make sense; raises FileError."""

    @classmethod
    def from_options(cls, ntypes: int, *, file: str, species: Sequence[str] | str = ()) -> Self:
        """From a file of entries; `species` are its elements, one a type.

        Raises
        ------
        ValueError : the file is missing or cannot be used, or species are not one a type
        """
        path = find_file(file)
        return cls(cls.read(path, one_a_type(species, ntypes)), (str(path),))

    @abstractmethod
    def compiled(self, precision: str, deterministic: bool = False) -> AtomEnergyKernel:
        """The kernel for one of `precisions`."""
