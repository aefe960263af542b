"""mdapp's potentials as an ASE calculator: `atoms.calc = Calculator("lj/cut:...")`.

ASE hands over atoms again and again, mostly the same ones a little moved. The potential and its
compiled kernel are therefore made at the first call and kept; ASE itself keeps results until the
atoms change. Everything else is `mdapp.evaluate.single_point`, so that any cell will do.

A potential numbers its types, ASE knows symbols. The types are named by `species`; a style that
looks its elements up in a file needs no order of them and takes whatever symbols it meets; a
potential of one type without a name takes atoms of one kind, whatever it is. Two kinds of atoms
and no names are an error: guessing which is which gives wrong energies silently.

Numbers are not converted: ASE's units are eV and Angstrom, which are those of `units = "metal"`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mdapp.charges import needs_charges
from mdapp.errors import InputError
from mdapp.evaluate import Structure, single_point
from mdapp.model.elements import nearest
from mdapp.structures.ase_io import box_of
from potentials.base import Kernel, Potential, precisions_of
from potentials.registry import PotentialError
from potentials.shorthand import PotentialSpec, read_potential, style_keys

try:
    from ase.calculators import calculator as base
except ImportError as error:
    raise ImportError("mdapp.ase needs ASE, which is not installed; install mdapp[ase]") from error


class Calculator(base.Calculator):  # type: ignore[misc]
    """An ASE calculator of a potential of mdapp.

    A potential between charges takes the initial charges of the atoms.

    Parameters
    ----------
    potential : a shorthand such as "eam/alloy:file=CuNi.eam.alloy,species=Cu,Ni", the name of a
        TOML file with a [potential] table, a PotentialSpec, or a Potential
    species : symbols of the types in their order, instead of those that `potential` names
    precision : one that the potential can do: double, mixed, single
    deterministic : sum in integers: the same bits for any order of the atoms

    Raises
    ------
    InputError : the potential cannot be used; from calculations: the atoms do not suit it
    """

    name = "mdapp"
    implemented_properties = ("energy", "free_energy", "forces", "stress", "energies",
                              "stresses")

    def __init__(self, potential: str | Path | PotentialSpec | Potential, *,
                 species: Sequence[str] = (), precision: str = "double",
                 deterministic: bool = False):
        super().__init__()
        if isinstance(potential, (str, Path)):
            try:
                potential = read_potential(str(potential))
            except PotentialError as error:
                raise InputError(str(error)) from None
        self.precision, self.deterministic = precision, deterministic
        self.asked = potential
        named = potential.species if isinstance(potential, PotentialSpec) else ()
        self.species: tuple[str, ...] = tuple(
            [species] if isinstance(species, str) else species) or named
        self.potential: Potential | None = None
        self._kernel: Kernel | None = None
        self.ignored_changes = {"initial_magmoms", "initial_charges"}
        self._fixed = bool(self.species)
        if self._fixed or not self._takes_elements:
            self._make()

    @property
    def _takes_elements(self) -> bool:
        """Whether types mean nothing to the potential beyond the elements they stand for."""
        return isinstance(self.asked, PotentialSpec) and "species" in style_keys(self.asked.style)

    def set(self, **changes: Any) -> dict[str, Any]:
        """Refuse: the arguments of the constructor hold for good.

        Raises
        ------
        InputError : anything is to be changed
        """
        if changes:
            raise InputError(f"mdapp.ase.Calculator: {', '.join(changes)} cannot be changed; "
                             "make another calculator")
        return {}

    def calculate(self, atoms: Any = None, properties: Sequence[str] = ("energy",),
                  system_changes: Sequence[str] = base.all_changes) -> None:
        """Evaluate the potential; ASE calls this where `atoms` are not those of the last call.

        All properties come at once: forces cost nearly all of the time. There are no stresses
        where the cell is not periodic along all its edges.

        Raises
        ------
        InputError : a symbol that is none of the species, positions that are not finite, atoms on
            top of each other, a cell that cannot be
        """
        super().calculate(atoms, properties, system_changes)
        types = self._types(self.atoms.get_chemical_symbols())
        x = self.atoms.get_positions()
        if not np.isfinite(x).all():
            raise InputError("atoms: a position is not finite (atom "
                             f"{int(np.argmin(np.isfinite(x).all(axis=1))) + 1})")
        assert self.potential is not None
        charged = needs_charges(self.potential)
        charges = self.atoms.arrays.get("initial_charges") if charged else None
        if charged and charges is None:
            raise InputError(f"atoms: {self.potential.style} acts between charges, and they have "
                             "none; give them with atoms.set_initial_charges")
        structure = Structure.of_arrays(box_of("atoms", self.atoms, x), x, types,
                                        self.species or ("1",), charges)
        point = single_point(structure, self.potential, self.precision, self.deterministic,
                             units="metal", kernel=self._kernel)
        self.results = {"energy": point.energy, "free_energy": point.energy,
                        "forces": point.forces, "energies": point.energies}
        if point.volume is not None:
            self.results["stress"] = point.stress
            self.results["stresses"] = -point.virials / point.volume

    def _types(self, symbols: Sequence[str]) -> NDArray[np.int32]:
        """(n,) types from 0 of the atoms of these symbols."""
        kinds = sorted(set(symbols))
        if not self._fixed and self._takes_elements:
            if not set(kinds) <= set(self.species) or self.potential is None:
                self.species = tuple(sorted({*self.species, *kinds})) or ("X",)
                self._make()
        elif not self.species:
            if len(kinds) > 1:
                raise InputError(f"the atoms are {', '.join(kinds)}, and the potential does not "
                                 "say which of them its types are; give species = "
                                 f"{kinds} in the order of its types")
            return np.zeros(len(symbols), np.int32)
        for symbol in kinds:
            if symbol not in self.species:
                raise InputError(f"atoms: species {symbol!r} is none of {', '.join(self.species)}"
                                 f"{nearest(symbol, self.species)}; the potential was made for "
                                 "those")
        return np.array([self.species.index(symbol) for symbol in symbols], np.int32)

    def _make(self) -> None:
        """Make the potential and its kernel for the species."""
        count = len(self.species) or 1
        try:
            if isinstance(self.asked, PotentialSpec):
                self.potential = self.asked.make(count, self.species)
            else:
                self.potential = self.asked
        except PotentialError as error:
            raise InputError(str(error)) from None
        ntypes = getattr(self.potential, "ntypes", count)
        if ntypes != count:
            raise InputError(f"species = {list(self.species)}: {self.potential.style} was made for "
                             f"{ntypes} types; name each of them")
        if self.precision not in self.potential.precisions:
            raise InputError(f"precision = {self.precision!r}: "
                             f"{precisions_of(self.potential, self.precision)}")
        if needs_charges(self.potential):
            self.ignored_changes.discard("initial_charges")
        self._kernel = self.potential.compiled(self.precision, self.deterministic)
