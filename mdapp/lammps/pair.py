"""Pair styles of a script: what pair_style, pair_coeff and pair_modify say, as a potential table.

LAMMPS sets the coefficients of pairs i <= j one command after the other, the last one winning, and
mixes a pair of different types only if no command has set it, even where `*` did.  A deck has
coefficients of each type and a list of pairs that are not mixed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from mdapp.lammps.command import Command
from potentials.registry import PotentialError, make_potential

MIXING = ("geometric", "arithmetic", "sixthpower")


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


class LJCut(PairStyle):
    """`pair_style lj/cut RC` with `pair_coeff I J EPSILON SIGMA [RC]`."""

    def __init__(self, command: Command) -> None:
        command.expect(2)
        self.command = command
        self.cutoff = _positive(command, 1, "the cutoff")
        self.mix, self.shift = "geometric", False
        self.pairs: dict[tuple[int, int], tuple[float, float, float]] = {}

    def coeff(self, command: Command, type_count: int) -> None:
        """Set the pairs i <= j that the two ranges of types select."""
        command.expect(4, 5)
        first, second = command.types(0, type_count), command.types(1, type_count)
        if command.args[0].isdigit() and command.args[1].isdigit() and first[0] > second[0]:
            first, second = second, first
        selected = [(i, j) for i in first for j in second if i <= j]
        if not selected:
            raise command.error("selects no pair: the first type must not exceed the second")
        sigma = _positive(command, 3, "sigma")
        cutoff = _positive(command, 4, "the cutoff") if len(command.args) == 5 else self.cutoff
        for pair in selected:
            self.pairs[pair] = (command.number(2), sigma, cutoff)

    def modify(self, command: Command) -> None:
        """Set the mixing rule and the energy shift."""
        for k in range(0, len(command.args), 2):
            key = command.args[k]
            if key == "shift":
                self.shift = command.boolean(k + 1)
            elif key == "mix":
                self.mix = command.choice(k + 1, MIXING, "mixing rule")
            elif key != "tail" or command.boolean(k + 1):
                raise command.unsupported(f"pair_modify {key}", "mdapp has shift yes|no, "
                                          f"mix {'|'.join(MIXING)} and tail no; remove it")

    def table(self, type_count: int) -> dict[str, Any]:
        """Return coefficients of each type, and of the pairs that were set themselves."""
        types = range(1, type_count + 1)
        for t in types:
            if (t, t) not in self.pairs:
                raise self.command.error(f"no coefficients for type {t}; give "
                                         f"'pair_coeff {t} {t} EPSILON SIGMA'")
        columns = [[self.pairs[t, t][k] for t in types] for k in range(3)]
        table: dict[str, Any] = {"style": "lj/cut"}
        for key, column in zip(("epsilon", "sigma", "rc"), columns, strict=True):
            table[key] = column[0] if len(set(column)) == 1 else column
        table |= {"mix": self.mix, "shift": self.shift}
        unmixed = [{"types": list(pair), "epsilon": epsilon, "sigma": sigma, "rc": cutoff}
                   for pair, (epsilon, sigma, cutoff) in sorted(self.pairs.items())
                   if pair[0] != pair[1]]
        return table | ({"pair": unmixed} if unmixed else {})


class OfFile(PairStyle):
    """A style whose coefficients are in files, and which has nothing to modify."""

    def __init__(self, command: Command) -> None:
        command.expect(1)
        self.command = command

    def modify(self, command: Command) -> None:
        """Refuse: mixing rules and shifts mean nothing here."""
        raise command.unsupported(f"pair_modify {command.at(0)}",
                                  f"pair_style {self.command.at(0)} has nothing to modify")

    def _made(self, command: Command, table: dict[str, Any], ntypes: int) -> Any:
        """The potential of a table, to see whether its files are good, and for their masses."""
        keys = {k: v for k, v in table.items() if k != "style"}
        names = [keys["file"]] if isinstance(keys["file"], str) else keys["file"]
        paths = [Path(command.path).parent / name for name in names]
        found = [str(path) if path.is_file() else name
                 for path, name in zip(paths, names, strict=True)]
        keys["file"] = found[0] if isinstance(keys["file"], str) else found
        try:
            return make_potential(table["style"], keys, ntypes)
        except PotentialError as error:
            raise command.error(str(error)) from None


class Funcfl(OfFile):
    """`pair_style eam` with `pair_coeff I I FILE` of each type."""

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self.files: dict[int, str] = {}
        self._masses: dict[int, float] = {}

    def coeff(self, command: Command, type_count: int) -> None:
        """Set the file of the types that both words select."""
        command.expect(3)
        first, second = command.types(0, type_count), command.types(1, type_count)
        selected = [t for t in first if t in second]
        if not selected:
            raise command.error("selects no type: both words must name the same")
        table = {"style": "eam", "file": command.at(2)}
        mass = float(self._made(command, table, 1).tables.mass[0])
        for t in selected:
            self.files[t], self._masses[t] = command.at(2), mass

    def masses(self) -> dict[int, float]:
        """As the files give them."""
        return self._masses

    def table(self, type_count: int) -> dict[str, Any]:
        """One file, or one a type."""
        for t in range(1, type_count + 1):
            if t not in self.files:
                raise self.command.error(f"no file for type {t}; give 'pair_coeff {t} {t} FILE'")
        files = [self.files[t] for t in range(1, type_count + 1)]
        return {"style": "eam", "file": files[0] if len(set(files)) == 1 else files}


class Elements(OfFile):
    """A style with `pair_coeff * * FILE ELEMENT...`, an element for each type."""

    WORDS = "FILE ELEMENT..."

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self._table: dict[str, Any] = {}
        self._masses: dict[int, float] = {}

    def coeff(self, command: Command, type_count: int) -> None:
        """Take the file and the elements."""
        if tuple(command.args[:2]) != ("*", "*"):
            raise command.error(f"must be 'pair_coeff * * {self.WORDS}'")
        self._take(command, command.at(2), list(command.args[3:]), type_count)

    def _take(self, command: Command, file: str | list[str], elements: list[str],
              type_count: int) -> None:
        """Keep the table, once its files have turned out to be good."""
        if len(elements) != type_count:
            raise command.error(f"{len(elements)} elements for {type_count} atom types; "
                                "give one a type")
        if "NULL" in elements:
            raise command.unsupported("the element NULL", "mdapp has one potential for all types")
        table = {"style": self.command.at(0), "file": file, "species": elements}
        made = self._made(command, table, type_count)
        masses = getattr(getattr(made, "tables", None), "mass", ())
        self._masses = {t: float(m) for t, m in enumerate(masses, 1)}
        self._table = table

    def masses(self) -> dict[int, float]:
        """As the file gives them."""
        return self._masses

    def table(self, type_count: int) -> dict[str, Any]:
        """The file and the elements."""
        if not self._table:
            raise self.command.error(f"no coefficients; give 'pair_coeff * * {self.WORDS}'")
        return self._table


class Descriptors(Elements):
    """`pair_style snap` with `pair_coeff * * FILE.snapcoeff FILE.snapparam ELEMENT...`."""

    WORDS = "FILE.snapcoeff FILE.snapparam ELEMENT..."

    def coeff(self, command: Command, type_count: int) -> None:
        """Take the two files and the elements."""
        if tuple(command.args[:2]) != ("*", "*") or len(command.args) < 4:
            raise command.error(f"must be 'pair_coeff * * {self.WORDS}'")
        self._take(command, list(command.args[2:4]), list(command.args[4:]), type_count)


def _positive(command: Command, k: int, what: str) -> float:
    value = command.number(k)
    if value <= 0:
        raise command.error(f"{what} is {value:g}: it must be greater than 0")
    return value


class PairStyles:
    """The pair styles that a script may use, by name."""

    KNOWN: ClassVar[dict[str, Callable[[Command], PairStyle]]] = {
        "lj/cut": LJCut, "eam": Funcfl, "eam/alloy": Elements, "eam/fs": Elements,
        "sw": Elements, "snap": Descriptors}
    ACCELERATED = ("opt", "omp", "intel", "gpu", "kk")

    @classmethod
    def make(cls, command: Command) -> PairStyle:
        """Make the style that a pair_style command names."""
        name = command.at(0)
        base, _, suffix = name.rpartition("/")
        if suffix in cls.ACCELERATED and base in cls.KNOWN:
            raise command.unsupported(f"pair_style {name}", f"write {base}; mdapp has one kernel "
                                                            "for it, the fast one")
        if name not in cls.KNOWN:
            raise command.unsupported(f"pair_style {name}", f"mdapp has {', '.join(cls.KNOWN)}")
        return cls.KNOWN[name](command)
