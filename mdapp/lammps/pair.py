"""Pair styles of a script: what pair_style, pair_coeff and pair_modify say, as a potential table.

Those whose coefficients are in files are here, pair formulas in formulas.py, sums in hybrid.py.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from mdapp.lammps.command import Command
from mdapp.lammps.formulas import FORMS, PairFormula, TableStyle, ZBLStyle
from mdapp.lammps.hybrid import HybridStyle
from mdapp.lammps.pair_base import PairStyle
from potentials.files import NOBODY, files_beside
from potentials.registry import PotentialError, make_potential


class OfFile(PairStyle):
    """A style whose coefficients are in files, and which has nothing to modify."""

    def __init__(self, command: Command) -> None:
        if len(command.args) > 1:
            name, *more = command.args
            raise command.unsupported(f"pair_style {name} {' '.join(more)}",
                                      f"mdapp has no options of {name}; write pair_style {name}")
        self.command = command

    def modify(self, command: Command) -> None:
        """Refuse: mixing rules and shifts mean nothing here."""
        raise command.unsupported(f"pair_modify {command.at(0)}",
                                  f"pair_style {self.command.at(0)} has nothing to modify")

    @abstractmethod
    def table_for(self, types: set[int], type_count: int) -> dict[str, Any]:
        """The table for types that have an element; the others are NULL."""

    def table_of(self, pairs: set[tuple[int, int]], type_count: int) -> dict[str, Any]:
        """The table as a part of a sum, which acts on these pairs and no others."""
        types = {t for pair in pairs for t in pair}
        for i, j in sorted(square(types) - pairs):
            raise self.command.unsupported(
                f"{self.command.at(0)} without types {i} {j}",
                "it acts on all pairs of the types that it sees; write NULL for the element of "
                f"type {i} or {j}, which it is then not to see at all")
        return self.table_for(types, type_count)

    def _made(self, command: Command, table: dict[str, Any], ntypes: int) -> Any:
        """The potential of a table, to see whether its files are good, and for their masses."""
        keys = {k: v for k, v in table.items() if k != "style"}
        keys["file"] = files_beside(keys["file"], Path(command.path).parent)
        try:
            return make_potential(table["style"], keys, ntypes)
        except PotentialError as error:
            raise command.error(str(error)) from None


def square(types: set[int]) -> set[tuple[int, int]]:
    """All pairs i <= j of some types."""
    return {(i, j) for i in types for j in types if i <= j}


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

    def pairs_of(self, command: Command, type_count: int) -> set[tuple[int, int]]:
        """The pairs of the same type that both words select."""
        return {(t, t) for t in command.types(0, type_count) if t in command.types(1, type_count)}

    def mixed(self) -> set[tuple[int, int]]:
        """All pairs of the types that have a file."""
        return square(set(self.files))

    def table_for(self, types: set[int], type_count: int) -> dict[str, Any]:
        """One file, or one a type."""
        files = [self.files[t] if t in types else NOBODY for t in range(1, type_count + 1)]
        return {"style": "eam", "file": files[0] if len(set(files)) == 1 else files}

    def table(self, type_count: int) -> dict[str, Any]:
        """The files of all types."""
        for t in range(1, type_count + 1):
            if t not in self.files:
                raise self.command.error(f"no file for type {t}; give 'pair_coeff {t} {t} FILE'")
        return self.table_for(set(self.files), type_count)


class Elements(OfFile):
    """A style with `pair_coeff * * FILE ELEMENT...`, an element for each type."""

    WORDS = "FILE ELEMENT..."
    STYLE = ""                    # mdapp's name, where it is another one
    once = True

    def __init__(self, command: Command) -> None:
        super().__init__(command)
        self._table: dict[str, Any] = {}
        self._elements: dict[int, str] = {}
        self._given = command
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
        named = {t: e for t, e in enumerate(elements, 1) if e != NOBODY}
        if not named:
            raise command.error("all elements are NULL; name one, or leave the command out")
        table = {"style": self.STYLE or self.command.at(0), "file": file,
                 "species": list(named.values())}
        made = self._made(command, table, len(named))
        masses = getattr(getattr(made, "tables", None), "mass", ())
        self._masses = {t: float(m) for t, m in zip(named, masses, strict=False)}
        self._table, self._elements, self._given = table, named, command

    def masses(self) -> dict[int, float]:
        """As the file gives them."""
        return self._masses

    def pairs_of(self, command: Command, type_count: int) -> set[tuple[int, int]]:
        """All pairs i <= j of the types that have an element."""
        return square(set(self._elements))

    def table_for(self, types: set[int], type_count: int) -> dict[str, Any]:
        """The file and the elements."""
        elements = [self._elements[t] if t in types else NOBODY for t in range(1, type_count + 1)]
        return self._table | {"species": elements}

    def table(self, type_count: int) -> dict[str, Any]:
        """The file and the elements of all types."""
        if not self._table:
            raise self.command.error(f"no coefficients; give 'pair_coeff * * {self.WORDS}'")
        if len(self._elements) < type_count:
            raise self._given.error("NULL, a type that the style does not see, is for pair_style "
                                    "hybrid and hybrid/overlay; name an element")
        return self.table_for(set(self._elements), type_count)


class Descriptors(Elements):
    """`pair_style snap` with `pair_coeff * * FILE.snapcoeff FILE.snapparam ELEMENT...`."""

    WORDS = "FILE.snapcoeff FILE.snapparam ELEMENT..."

    def coeff(self, command: Command, type_count: int) -> None:
        """Take the two files and the elements."""
        if tuple(command.args[:2]) != ("*", "*") or len(command.args) < 4:
            raise command.error(f"must be 'pair_coeff * * {self.WORDS}'")
        self._take(command, list(command.args[2:4]), list(command.args[4:]), type_count)


class Networks(Elements):
    """`pair_style nep [FILE]` with `pair_coeff * * [FILE] ELEMENT...`; the file once or twice."""

    WORDS = "FILE ELEMENT..."

    def __init__(self, command: Command) -> None:
        command.expect(1, 2)
        self.command = command
        self._table: dict[str, Any] = {}
        self._masses: dict[int, float] = {}

    def coeff(self, command: Command, type_count: int) -> None:
        """Take the file and the elements."""
        if tuple(command.args[:2]) != ("*", "*"):
            raise command.error(f"must be 'pair_coeff * * {self.WORDS}'")
        file, words = self.command.args[1:2], list(command.args[2:])
        if not file or len(words) > type_count:
            file, words = tuple(words[:1]), words[1:]
            if not file or self.command.args[1:2] not in ((), file):
                raise command.error(f"must be 'pair_coeff * * {self.WORDS}', with the file of "
                                    "pair_style if that names one")
        self._take(command, file[0], words, type_count)


class DeepModels(Elements):
    """`pair_style deepmd FILE... [out_file F] [out_freq N]` with `pair_coeff * * ELEMENT...`.

    Of several models the first drives the run, and a file tells how much all of them disagree.
    """

    WORDS = "ELEMENT..."
    STYLE = "deep_potential"
    OPTIONS = ("out_file", "out_freq", "fparam", "aparam", "fparam_from_compute",
               "aparam_from_compute", "ttm", "atomic", "relative", "relative_v", "virtual_len",
               "spin_norm")

    def __init__(self, command: Command) -> None:
        command.at(1)
        super().__init__(replace(command, args=command.args[:1]))
        words = command.args
        end = next((k for k in range(1, len(words)) if words[k] in self.OPTIONS), len(words))
        self.files, self.deviation = words[1:end], "model_devi.out"
        self.every, self.several = 100, command
        if not self.files:
            raise command.error("no model before the options; the form is: pair_style deepmd "
                                "FILE... [out_file F] [out_freq N]")
        for k in range(end, len(words), 2):
            if words[k] == "out_file":
                self.deviation = command.at(k + 1)
            elif words[k] == "out_freq":
                self.every = command.integer(k + 1)
            else:
                raise command.unsupported(f"pair_style deepmd ... {words[k]}",
                                          "mdapp has out_file and out_freq")

    def coeff(self, command: Command, type_count: int) -> None:
        """Take the elements, which all models must have."""
        if tuple(command.args[:2]) != ("*", "*"):
            raise command.error(f"must be 'pair_coeff * * {self.WORDS}'")
        for file in reversed(self.files):
            self._take(command, file, list(command.args[2:]), type_count)

    def table_of(self, pairs: set[tuple[int, int]], type_count: int) -> dict[str, Any]:
        """The table of the only model, as a part of a sum."""
        if len(self.files) > 1:
            raise self.several.unsupported("pair_style hybrid with several models of deepmd",
                                           "give one model, or pair_style deepmd alone")
        return super().table_of(pairs, type_count)

    def table(self, type_count: int) -> dict[str, Any]:
        """The model, or a committee of them."""
        table = super().table(type_count)
        if len(self.files) == 1:
            return table
        return {"style": "committee", "part": [table | {"file": file} for file in self.files]}

    def outputs(self) -> list[dict[str, Any]]:
        """The file of deviations of several models."""
        if len(self.files) == 1:
            return []
        return [{"kind": "deviation", "every": self.every, "file": self.deviation}]


class PairStyles:
    """The pair styles that a script may use, by name."""

    KNOWN: ClassVar[dict[str, Callable[[Command], PairStyle]]] = {
        **dict.fromkeys(FORMS, PairFormula), "zbl": ZBLStyle, "table": TableStyle, "eam": Funcfl,
        **dict.fromkeys(("eam/alloy", "eam/fs", "sw", "tersoff", "tersoff/mod", "tersoff/zbl"),
                        Elements),
        "snap": Descriptors, "nep": Networks, "deepmd": DeepModels}
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
