"""Deep Potential (se_e2_a, se_e2_r): a native model of DeePMD-kit and the elements of the types.

L. Zhang et al. 2018, doi 10.1103/PhysRevLett.120.143001, and arXiv:1805.09003; J. Zeng et al.
2023, doi 10.1063/5.0155600; tables: D. Lu et al. 2022, doi 10.1021/acs.jctc.2c00102.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from potentials.deep_potential.format import read_model
from potentials.deep_potential.kernel import DeepPotentialKernel
from potentials.deep_potential.model import Model
from potentials.deep_potential.table import Table, tabulated
from potentials.files import FileError, find_file

TOLERANCE = 1e-8            # of the table


@dataclass(frozen=True)
class DeepPotential:
    """A Deep Potential; see potentials.base.Potential.

    Attributes
    ----------
    model : as the file has it
    kinds : which of its types each type of the atoms is
    table : of the embedding; None: its networks are evaluated
    files : that it was read from
    """

    model: Model
    kinds: tuple[int, ...]
    table: Table | None = None
    files: tuple[str, ...] = ()
    style: str = "deep_potential"
    lists: str = "full"
    units: str = "metal"
    precisions: tuple[str, ...] = ("double", "mixed")
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def cutoff(self) -> float:
        """Of the environment."""
        return self.model.cutoff

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.kinds)

    @classmethod
    def from_options(cls, ntypes: int, *, file: str, species: Sequence[str] | str = (),
                     compress: bool | float = True) -> DeepPotential:
        """From a `.dp` or `.yaml` file; `species` are its elements, one a type.

        compress : evaluate the embedding from a table: true, or the largest error of its values and
            slopes; false: evaluate its networks

        Raises
        ------
        ValueError : the file is missing or cannot be used
        """
        path = find_file(file)
        model = read_model(path)
        names = [species] if isinstance(species, str) else list(species)
        if len(names) != ntypes:
            raise ValueError(f"species = {names}: {ntypes} atom types need an element each; "
                             f"{path} has {', '.join(model.elements)}")
        try:
            kinds = tuple(model.of_elements(names))
        except ValueError as error:
            raise FileError(f"{path}: {error}") from None
        tolerance = _tolerance(compress)
        try:
            table = None if tolerance is None else tabulated(model, tolerance)
        except ValueError as error:
            raise FileError(f"{path}: compress = {tolerance:g}: {error}") from None
        return cls(model, kinds, table, (str(path),))

    def compiled(self, precision: str, deterministic: bool = False) -> DeepPotentialKernel:
        """The kernel for one of `precisions`."""
        if precision not in self.precisions:
            raise ValueError(f"precision {precision!r}: {self.style} has "
                             f"{', '.join(self.precisions)}")
        return DeepPotentialKernel(self.model, self.kinds, self.table, precision != "double",
                                   deterministic)


def _tolerance(compress: object) -> float | None:
    if compress is True or compress is False:
        return TOLERANCE if compress else None
    if not isinstance(compress, (int, float)) or not 0 < compress <= 1e-2:
        raise ValueError(f"compress = {compress!r}: must be true, false, or the largest error of "
                         "the table, greater than 0 and at most 0.01")
    return float(compress)
