"""The embedded-atom method: which files hold the functions of which type.

`eam` has one file an element, `eam/alloy` one file of several, and in `eam/fs` (Finnis-Sinclair)
the density depends on both elements.

M. S. Daw and M. I. Baskes, Phys. Rev. B 29, 6443 (1984), doi 10.1103/PhysRevB.29.6443;
M. W. Finnis and J. E. Sinclair, Philos. Mag. A 50, 45 (1984), doi 10.1080/01418618408244210.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from potentials.eam.files import combine, read_funcfl, read_setfl
from potentials.eam.kernel import EAMKernel
from potentials.eam.tables import Tables
from potentials.files import find_file


@dataclass(frozen=True)
class EmbeddedAtom:
    """A potential of one of the three styles; see potentials.base.Potential.

    Attributes
    ----------
    tables : functions of the types
    style : eam, eam/alloy or eam/fs
    files : that they were read from
    """

    tables: Tables
    style: str
    files: tuple[str, ...]
    lists: str = "clusters"
    units: str = "metal"
    precisions: tuple[str, ...] = ("double", "mixed", "single")
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def cutoff(self) -> float:
        """Range of the interaction of a site."""
        return self.tables.cutoff

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return self.tables.ntypes

    @classmethod
    def eam(cls, ntypes: int, *, file: str | Sequence[str]) -> EmbeddedAtom:
        """From funcfl files: one for all types, or one a type.

        Raises
        ------
        ValueError : a file is missing or cannot be used
        """
        names = [file] if isinstance(file, str) else list(file)
        if len(names) not in (1, ntypes):
            raise ValueError(f"file: {len(names)} files for {ntypes} atom types; give one a type")
        paths = [find_file(name) for name in names]
        read = [read_funcfl(path) for path in paths]
        return cls(combine(read * ntypes if len(read) == 1 else read), "eam",
                   tuple(map(str, paths)))

    @classmethod
    def alloy(cls, ntypes: int, *, file: str, species: Sequence[str] | str = ()) -> EmbeddedAtom:
        """From a setfl file; `species` are its elements, one a type."""
        return cls._of_setfl(ntypes, file, species, "eam/alloy")

    @classmethod
    def finnis_sinclair(cls, ntypes: int, *, file: str,
                        species: Sequence[str] | str = ()) -> EmbeddedAtom:
        """From the Finnis-Sinclair form of a setfl file."""
        return cls._of_setfl(ntypes, file, species, "eam/fs")

    @classmethod
    def _of_setfl(cls, ntypes: int, file: str, species: Sequence[str] | str,
                  style: str) -> EmbeddedAtom:
        names = [species] if isinstance(species, str) else list(species)
        if len(names) != ntypes:
            raise ValueError(f"species = {names}: {ntypes} atom types need an element each")
        path = find_file(file)
        return cls(read_setfl(path, names, style == "eam/fs"), style, (str(path),))

    def compiled(self, precision: str, deterministic: bool = False) -> EAMKernel:
        """The kernel for one of `precisions`."""
        return EAMKernel(self.tables, precision, deterministic)
