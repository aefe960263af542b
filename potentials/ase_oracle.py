"""Any ASE calculator as a potential: `style = "ase:MODULE:CALLABLE"`, or `ase:FILE.py:CALLABLE`.

For a first look at numbers of another code through the same commands, and as an oracle for a
kernel that is being written. It is no kernel: the calculator gets the whole system with its cell
at every step and looks for its own neighbours, so that there can be one rank only. The ghosts and
lists that the engine makes for it are a formality, and as narrow as can be.

Shares of single atoms are the calculator's where it has them, and equal otherwise.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, KernelError, PairList, Result, Want
from potentials.files import FileError
from potentials.own_file import attribute, load, parts_of, told_with_lines

NOT_CLAIMED = {"ranks": "an ASE calculator sees the whole system: use one rank",
               "deterministic": "the sums of an ASE calculator are its own",
               "per_atom": "equal shares where the calculator has none of single atoms"}


@dataclass(frozen=True)
class Oracle:
    """A potential of an ASE calculator; see potentials.base.Potential.

    Attributes
    ----------
    style : as it was asked for
    make : makes the calculator
    species : symbols of the types
    files : the file, if it came from one
    """

    style: str
    make: Callable[[], Any]
    species: tuple[str, ...]
    files: tuple[str, ...] = ()
    units: str = "metal"
    cutoff: float = 1.0
    lists: str = "clusters"
    precisions: tuple[str, ...] = ("double",)
    known: Mapping[str, str] = field(default_factory=lambda: dict(NOT_CLAIMED))

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.species)

    def compiled(self, precision: str, deterministic: bool = False) -> OracleKernel:
        """A calculator of its own."""
        return OracleKernel(self.style, self.make(), self.species)


class OracleKernel:
    """An ASE calculator behind the interface of a kernel; see potentials.base.Kernel."""

    def __init__(self, style: str, calculator: Any, species: Sequence[str]):
        self.style, self.calculator, self.species = style, calculator, np.array(species)
        self.cell: tuple[NDArray[np.float64], NDArray[np.bool_]] | None = None
        self._atoms: Any = None

    def accept_box(self, edges: NDArray[np.float64], periodic: NDArray[np.bool_]) -> None:
        """Take the cell of the atoms to come; before, there is nothing to compute."""
        self.cell = edges, periodic
        if self._atoms is not None:
            self._atoms.set_cell(edges)
            self._atoms.set_pbc(periodic)

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and all that `want` can ask for.

        Raises
        ------
        KernelError : the calculator fails, or has no stress though the cell is periodic
        """
        if self.cell is None or nlocal == 0:
            f[:nlocal] = 0
            return Result(0.0, np.zeros(6), np.zeros(nlocal), np.zeros((nlocal, 6)))
        try:
            atoms = self._present(x[:nlocal], self.species[type_[:nlocal]])
            f[:nlocal] = atoms.get_forces(apply_constraint=False)
            if want is Want.FORCES:
                return Result()
            energy = float(atoms.get_potential_energy())
            energies = self._shares(atoms, "energies", energy)
            virials = self._virials(atoms)
        except KernelError:
            raise
        except Exception as error:        # a calculator may raise whatever it likes
            raise KernelError(f"{self.style}: {type(error).__name__}: "
                              f"{(str(error).splitlines() or [''])[0]}") from None
        return Result(energy, virials.sum(axis=0), energies, virials)

    def _present(self, x: NDArray[np.float64], symbols: NDArray[np.str_]) -> Any:
        """The atoms; the same object with new positions where their order has not changed."""
        from ase import Atoms

        if self._atoms is None or list(self._atoms.symbols) != symbols.tolist():
            assert self.cell is not None
            self._atoms = Atoms(symbols.tolist(), x, cell=self.cell[0], pbc=self.cell[1],
                                calculator=self.calculator)
        self._atoms.positions[:] = x
        return self._atoms

    def _shares(self, atoms: Any, name: str, total: Any) -> NDArray[np.float64]:
        """Values of single atoms, or equal parts of the total."""
        if name in self.calculator.implemented_properties:
            return np.array(self.calculator.get_property(name, atoms), np.float64)
        return np.repeat(np.array(total, np.float64)[None] / len(atoms), len(atoms), axis=0)

    def _virials(self, atoms: Any) -> NDArray[np.float64]:
        """(n, 6) shares of -stress * volume, or of the sum of r f of atoms without a cell."""
        if not atoms.pbc.any():
            r, f = atoms.positions, atoms.get_forces(apply_constraint=False)
            shares: NDArray[np.float64] = np.stack(
                [r[:, a] * f[:, b] for a, b in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))],
                axis=-1)
            return shares
        if "stress" not in self.calculator.implemented_properties:
            raise KernelError(f"{self.style}: the calculator has no stress, which periodic cells "
                              "need")
        volume = atoms.get_volume()
        stress = -volume * atoms.get_stress(apply_constraint=False)
        if "stresses" in self.calculator.implemented_properties:
            virials: NDArray[np.float64] = -volume * np.asarray(
                self.calculator.get_property("stresses", atoms), np.float64)
            if virials.shape == (len(atoms), 6) and np.allclose(virials.sum(axis=0), stress):
                return virials
        return np.repeat(stress[None] / len(atoms), len(atoms), axis=0)


def ase_oracle(style: str) -> Callable[..., Oracle]:
    """The function that makes a potential of `ase:MODULE:CALLABLE` from the keys of a deck.

    Its keys are `species` and the arguments of the callable, or of the ASE calculator's
    `default_parameters`.

    Raises
    ------
    FileError : the module or file cannot be imported, or ASE is missing
    """
    place, name = parts_of(style)
    try:
        from ase.data import atomic_numbers
    except ImportError:
        raise FileError("needs ASE, which is not installed; install mdapp[ase]") from None
    path, module = load(place) if place.endswith(".py") else (None, imported(place))
    make = attribute(name, module, "calculator")

    def factory(ntypes: int, *, species: Sequence[str] | str = (), **given: Any) -> Oracle:
        symbols = (species,) if isinstance(species, str) else tuple(species)
        if len(symbols) != ntypes:
            raise ValueError(f"species = {list(symbols)}: {ntypes} atom types need an element each")
        for symbol in symbols:
            if symbol not in atomic_numbers:
                raise ValueError(f"species = {list(symbols)}: {symbol!r} is no element")

        def made() -> Any:
            with told_with_lines(path or Path(place)):
                return make(**given)

        if not hasattr(made(), "get_property"):
            raise ValueError(f"{name} of {place} makes no ASE calculator")
        return Oracle(style, made, symbols, (str(path),) if path else ())

    keyword = inspect.Parameter.KEYWORD_ONLY
    factory.__signature__ = inspect.Signature([       # type: ignore[attr-defined]
        inspect.Parameter("ntypes", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        *(inspect.Parameter(key, keyword) for key in dict.fromkeys(["species", *options(make)]))])
    return factory


def imported(name: str) -> Any:
    """A module by its name.

    Raises
    ------
    FileError : it cannot be imported
    """
    try:
        return importlib.import_module(name)
    except Exception as error:            # whatever its import runs into
        raise FileError(f"module {name} cannot be imported: {type(error).__name__}: {error}; a "
                        "file is named with its ending .py") from None


def options(make: Callable[..., Any]) -> list[str]:
    """Names of the arguments that a callable says it takes."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        named = [p.name for p in inspect.signature(make).parameters.values() if p.kind in kinds]
    except ValueError:                    # some extension types have no signature
        named = []
    return [*named, *getattr(make, "default_parameters", {})]
