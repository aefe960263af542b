"""Deep Potential (se_e2_a, se_e2_r): a native model of DeePMD-kit and the elements of the types.

L. Zhang et al. 2018, doi 10.1103/PhysRevLett.120.143001, and arXiv:1805.09003; J. Zeng et al.
2023, doi 10.1063/5.0155600; tables: D. Lu et al. 2022, doi 10.1021/acs.jctc.2c00102.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from potentials.deep_potential.descriptor import descriptor_length
from potentials.deep_potential.embedding import POWERS
from potentials.deep_potential.format import read_model
from potentials.deep_potential.kernel import BATCH, DeepPotentialKernel
from potentials.deep_potential.model import Model
from potentials.deep_potential.table import Table, tabulated
from potentials.files import FileError, find_file
from potentials.gemm import WORTH, gflops, has_bf16
from potentials.operations import ELEMENTARY, Operations, Within

TOLERANCE = 1e-8            # of the table
PRECISIONS = ("double", "mixed", "bf16") if has_bf16() else ("double", "mixed")
ABSENT = {} if has_bf16() else {"bf16": "this processor does not multiply numbers of bf16"}


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
    precisions: tuple[str, ...] = PRECISIONS
    absent: Mapping[str, str] = field(default_factory=lambda: ABSENT)
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def cutoff(self) -> float:
        """Of the environment."""
        return self.model.cutoff

    def operations(self, within: Within) -> Operations:
        """Operations of one atom and step; within(r) is its mean number of neighbours."""
        m, pairs = self.model, within(self.cutoff)
        columns, first = 1 if m.radial else 4, m.fittings[0].widths[1]
        # A neighbour's row and what it pulls; sums over neighbours, derivatives by rows.
        of_pair = 100 + (6 * columns + 2) * m.outputs
        products = 4.0 * (descriptor_length(m) - m.inputs) * first     # pairs of columns are one
        products += sum(4 * n * k + (ELEMENTARY + 8) * k for n, k in pairwise(m.fittings[0].widths))
        if self.table is not None:
            of_pair += 6 * (POWERS - 1) * m.outputs                    # values twice, slopes once
        else:                              # values and slopes, which are no way back but forward
            widths = m.embeddings[0].widths
            products += pairs * sum(4 * n * k + (ELEMENTARY + 8) * k for n, k in pairwise(widths))
        of_descriptor = 0 if m.radial else 8 * columns * descriptor_length(m)
        return Operations(pairs * of_pair + of_descriptor, products,
                          (BATCH, descriptor_length(m), first))

    def remarks(self, precision: str) -> tuple[str, ...]:
        """What is to be known of a run in a precision: whether bf16 is worth its errors here."""
        if precision != "bf16":
            return ()
        shape = (BATCH, descriptor_length(self.model), self.model.fittings[0].widths[1])
        half, single = (gflops(shape, kind) for kind in ("bf16", "single"))
        if half > WORTH * single:
            return ()
        return (f"products in bf16 run at {half:.0f} Gflop/s here, in single precision at "
                f"{single:.0f}: precision mixed is no slower, and more exact",)

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
        return DeepPotentialKernel(self.model, self.kinds, self.table, precision,
                                   deterministic)


def _tolerance(compress: object) -> float | None:
    if compress is True or compress is False:
        return TOLERANCE if compress else None
    if not isinstance(compress, (int, float)) or not 0 < compress <= 1e-2:
        raise ValueError(f"compress = {compress!r}: must be true, false, or the largest error of "
                         "the table, greater than 0 and at most 0.01")
    return float(compress)
