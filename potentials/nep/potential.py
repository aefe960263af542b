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
from potentials.operations import ELEMENTARY, Operations, Within


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
    absent: Mapping[str, str] = field(default_factory=lambda: {
        "bf16": "its network, one layer, is a small part of its work"})
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def cutoff(self) -> float:
        """The largest of all pairs of types, of functions and of the repulsion of nuclei."""
        return float(ranges(self.model, self.rows).max())

    def operations(self, within: Within) -> Operations:
        """Operations of one atom and step; within(r) is its mean number of neighbours."""
        m = self.model
        rows = list(self.rows)
        radial = within(float(m.radial_cutoff[rows].max()))
        angular = within(float(m.angular_cutoff[rows].max()))
        harmonics, functions = m.l_max * (m.l_max + 2), m.n_max[1] + 1
        # A neighbour: its distance and switch; T_k, its sum and its part in the force.
        of_radial = 60 + 10 * (m.basis_size[0] + 1)
        # g_n and g_n' from T_k; harmonics and their gradients; sums of g_n y, and what they pull.
        of_angular = (4 * functions * (m.basis_size[1] + 1) + 20 * harmonics
                      + 2 * functions * harmonics + 4 * functions * harmonics + 8 * harmonics)
        neurons, dim = m.w0.shape[1:]
        return Operations(radial * of_radial + angular * of_angular,
                          4 * neurons * dim + (ELEMENTARY + 4) * neurons)

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
