"""Pair styles of a script: what pair_style, pair_coeff and pair_modify say, as a potential table.

Those whose coefficients are in files are here, pair formulas in formulas.py, sums in hybrid.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from mdapp.lammps.command import Command
from mdapp.lammps.formulas import FORMS, PairFormula, TableStyle, ZBLStyle
from mdapp.lammps.hybrid import HybridStyle
from mdapp.lammps.pair_base import PairStyle
from potentials.registry import PotentialError, make_potential


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


class PairStyles:
    """The pair styles that a script may use, by name."""

    KNOWN: ClassVar[dict[str, Callable[[Command], PairStyle]]] = {
        **dict.fromkeys(FORMS, PairFormula), "zbl": ZBLStyle, "table": TableStyle, "eam": Funcfl,
        **dict.fromkeys(("eam/alloy", "eam/fs", "sw", "tersoff", "tersoff/mod", "tersoff/zbl"),
                        Elements),
        "snap": Descriptors}
    SUMS = ("hybrid", "hybrid/overlay")
    ACCELERATED = ("opt", "omp", "intel", "gpu", "kk")

    @classmethod
    def make(cls, command: Command) -> PairStyle:
        """Make the style that a pair_style command names."""
        name = command.at(0)
        base, _, suffix = name.rpartition("/")
        if suffix in cls.ACCELERATED and base in cls.KNOWN:
            raise command.unsupported(f"pair_style {name}", f"write {base}; mdapp has one kernel "
                                                            "for it, the fast one")
        if name in cls.SUMS:
            return HybridStyle(command, cls.make, cls.KNOWN)
        if name not in cls.KNOWN:
            known = ", ".join([*cls.KNOWN, *cls.SUMS])
            raise command.unsupported(f"pair_style {name}", f"mdapp has {known}")
        return cls.KNOWN[name](command)
