"""Neuroevolution potential (NEP): a file, and the elements of the types.

Z. Fan et al. 2021, doi 10.1103/PhysRevB.104.104309; Z. Fan et al. 2022, doi 10.1063/5.0106617;
K. Song et al. 2024, doi 10.1038/s41467-024-54554-x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from potentials.files import FileError, find_file
from potentials.nep.format import read_nep
from potentials.nep.kernel import NEPKernel
from potentials.nep.model import NEPModel
from potentials.nep.tables import ranges


@dataclass(frozen=True)
class NEP:
    """A neuroevolution potential; see potentials.base.Potential.

    Attributes
    ----------
    model : of the file
    rows : elements of the types, as places in the model's
    files : that it was read from
    """

    model: NEPModel
    rows: tuple[int, ...]
    files: tuple[str, ...] = ()
    style: str = "nep"
    lists: str = "full"
    units: str = "metal"
    precisions: tuple[str, ...] = ("double", "mixed", "single")
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def cutoff(self) -> float:
        """The largest of all pairs of types, of functions and of the repulsion of nuclei."""
        return float(ranges(self.model, self.rows).max())

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.rows)

    @classmethod
    def from_options(cls, ntypes: int, *, file: str, species: Sequence[str] | str = ()) -> NEP:
        """From a model file; `species` are elements, one a type, in any order.

        Raises
        ------
        ValueError : the file is missing or cannot be used, or species are not one a type
        """
        path = find_file(file)
        model = read_nep(path)
        names = [species] if isinstance(species, str) else list(species)
        if not names and ntypes == len(model.elements) == 1:
            names = list(model.elements)
        if len(names) != ntypes:
            raise ValueError(f"species = {names}: {ntypes} atom types need an element each")
        for name in names:
            if name not in model.elements:
                raise FileError(f"{path}: has no element {name!r}; it has "
                                f"{', '.join(model.elements)}")
        return cls(model, tuple(model.elements.index(name) for name in names), (str(path),))

    def compiled(self, precision: str, deterministic: bool = False) -> NEPKernel:
        """The kernel for one of `precisions`."""
        if precision not in self.precisions:
            raise ValueError(f"precision {precision!r}: nep has {', '.join(self.precisions)}")
        return NEPKernel(self.model, self.rows, precision, deterministic)
