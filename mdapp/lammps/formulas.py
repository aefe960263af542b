"""Pair formulas of a script: pair_style, pair_coeff and pair_modify as a potential table.

LAMMPS sets the coefficients of pairs i <= j one command after the other, the last one winning, and
mixes a pair of different types only if no command has set it, even where `*` did.  A deck has
coefficients of each type and a list of pairs that are not mixed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mdapp.lammps.command import Command
from mdapp.lammps.pair_base import PairStyle
from potentials.pair.parameters import LENGTHS, NOT_NEGATIVE, POSITIVE
from potentials.registry import PAIR_FORMULAS


@dataclass(frozen=True)
class Form:
    """How the commands of a style name the numbers of its formula.

    Attributes
    ----------
    style : numbers behind its name: options, or the last coefficients for all pairs
    coeff : numbers of pair_coeff that must be there
    last : those that may follow, all or none
    """

    style: tuple[str, ...]
    coeff: tuple[str, ...]
    last: tuple[str, ...] = ("rc",)


FORMS = {
    "lj/cut": Form(("rc",), ("epsilon", "sigma")),
    "lj/smooth/linear": Form(("rc",), ("epsilon", "sigma")),
    "lj/smooth": Form(("rin", "rc"), ("epsilon", "sigma"), ("rin", "rc")),
    "morse": Form(("rc",), ("d0", "alpha", "r0")),
    "buck": Form(("rc",), ("a", "rho", "c")),
    "born": Form(("rc",), ("a", "rho", "sigma", "c", "d")),
    "yukawa": Form(("kappa", "rc"), ("a",)),
    "soft": Form(("rc",), ("a",)),
    "gauss": Form(("rc",), ("a", "b")),
    "coul/cut": Form(("rc",), ()),
    "coul/dsf": Form(("alpha", "rc"), (), ()),
    "coul/wolf": Form(("alpha", "rc"), (), ()),
}
FORMULAS = {formula.style: formula for formula in PAIR_FORMULAS}


class OfSelected(PairStyle):
    """A style whose commands name pairs of types."""

    def pairs_of(self, command: Command, type_count: int) -> set[tuple[int, int]]:
        """The pairs i <= j that the first two words select."""
        return set(selected_pairs(command, type_count))


class PairFormula(OfSelected):
    """A style of FORMS."""

    def __init__(self, command: Command) -> None:
        self.command, self.name = command, command.at(0)
        self.form, self.formula = FORMS[self.name], FORMULAS[self.name]
        self.bounds = {p.name: p.bound for p in self.formula.parameters}
        self.bounds |= {o.name: o.bound for o in self.formula.options}
        if len(command.args) != 1 + len(self.form.style):
            raise command.error("wrong number of arguments; the form is: pair_style "
                                f"{self.name} {' '.join(map(str.upper, self.form.style))}")
        self.common = {name: self._number(command, k, name)
                       for k, name in enumerate(self.form.style, 1)}
        self.mix, self.shift = "geometric", False
        self.pairs: dict[tuple[int, int], dict[str, float]] = {}

    @property
    def mixes(self) -> bool:
        """Whether unlike pairs may be left out."""
        return any(p.mixes for p in self.formula.parameters)

    def coeff(self, command: Command, type_count: int) -> None:
        """Set the pairs i <= j that the two ranges of types select."""
        selected = selected_pairs(command, type_count)
        names, given = self.form.coeff + self.form.last, len(command.args) - 2
        if given not in (len(self.form.coeff), len(names)):
            raise command.error(f"wrong number of arguments; the form is: {self.usage}")
        values = {name: self.common[name] for name in self.form.last}
        for k, name in enumerate(names[:given], 2):
            values[name] = self._number(command, k, name)
        for pair in selected:
            self.pairs[pair] = values

    @property
    def usage(self) -> str:
        """The form of pair_coeff."""
        last = " ".join(map(str.upper, self.form.last))
        words = [*map(str.upper, self.form.coeff), *([f"[{last}]"] if last else [])]
        return " ".join(["pair_coeff TYPES TYPES", *words])

    def modify(self, command: Command) -> None:
        """Set the mixing rule and the energy shift."""
        for k in range(0, len(command.args), 2):
            key = command.args[k]
            if key == "shift" and (self.formula.shifts or not command.boolean(k + 1)):
                self.shift = command.boolean(k + 1)
            elif key == "mix" and self.mixes:
                self.mix = command.choice(k + 1, LENGTHS, "mixing rule")
            elif key != "tail" or command.boolean(k + 1):
                known = ["shift yes|no"] * self.formula.shifts
                known += [f"mix {'|'.join(LENGTHS)}"] * self.mixes
                raise command.unsupported(
                    f"pair_modify {key}",
                    f"of {self.name} mdapp has {', '.join([*known, 'tail no'])}; remove it")

    def table(self, type_count: int) -> dict[str, Any]:
        """Return coefficients of each type, and of the pairs that were set themselves."""
        for i in range(1, type_count + 1):
            for j in range(i, type_count + 1):
                if (i, j) not in self.pairs and not (i != j and self.mixes):
                    which = f"type {i}" if i == j else f"types {i} {j}"
                    coefficients = " ".join(map(str.upper, self.form.coeff))
                    raise self.command.error(f"no coefficients for {which}; give "
                                             f"'pair_coeff {i} {j} {coefficients}'")
        types = range(1, type_count + 1)
        table, names = self._head(), self.form.coeff + self.form.last
        for name in names:
            column = [self.pairs[t, t][name] for t in types]
            same = len(set(column)) == 1
            table[name] = column[0] if same else column
        unmixed = [{"types": list(pair), **values} for pair, values in sorted(self.pairs.items())
                   if pair[0] != pair[1] and names]
        return table | ({"pair": unmixed} if unmixed else {})

    def table_of(self, pairs: set[tuple[int, int]], type_count: int) -> dict[str, Any]:
        """The table as a part of a sum, which acts on these pairs and no others."""
        entries = [{"types": list(pair), **self.pairs[pair]} for pair in sorted(pairs)
                   if self.pairs[pair]]
        table = self._head() | ({"pair": entries} if entries else {})
        return table | {"only": [list(pair) for pair in sorted(pairs)]}

    def _head(self) -> dict[str, Any]:
        """Style and options."""
        table: dict[str, Any] = {"style": self.name}
        table |= {o.name: self.common[o.name] for o in self.formula.options}
        if self.mixes:
            table["mix"] = self.mix
        if self.formula.shifts:
            table["shift"] = self.shift
        return table

    def _number(self, command: Command, k: int, name: str) -> float:
        value, bound = command.number(k), self.bounds[name]
        if (bound == POSITIVE and value <= 0) or (bound == NOT_NEGATIVE and value < 0):
            what = "the cutoff" if name == "rc" else name
            raise command.error(f"{what} is {value:g}: it must be {bound} 0")
        return value


class ZBLStyle(OfSelected):
    """`pair_style zbl INNER OUTER` with `pair_coeff I J Z_I Z_J`."""

    def __init__(self, command: Command) -> None:
        command.expect(3)
        self.command = command
        self.inner, self.outer = command.number(1), command.number(2)
        if not 0 < self.inner < self.outer:
            raise command.error(f"the radii {self.inner:g} {self.outer:g} must be 0 < INNER < "
                                "OUTER")
        self.z: dict[int, float] = {}

    def coeff(self, command: Command, type_count: int) -> None:
        """Set the atomic numbers of the types that the two ranges select."""
        command.expect(4)
        for pair in selected_pairs(command, type_count):
            for t, k in zip(pair, (2, 3), strict=True):
                z = command.number(k)
                if z <= 0:
                    raise command.error(f"the atomic number is {z:g}: it must be greater than 0")
                if self.z.setdefault(t, z) != z:
                    raise command.error(f"type {t} has the atomic number {self.z[t]:g} already, "
                                        f"and now {z:g}")

    def modify(self, command: Command) -> None:
        """Refuse: it is switched, and its mixing is part of it."""
        raise command.unsupported(f"pair_modify {command.at(0)}",
                                  "pair_style zbl has nothing to modify")

    def table(self, type_count: int) -> dict[str, Any]:
        """Atomic numbers of all types."""
        for t in range(1, type_count + 1):
            if t not in self.z:
                raise self.command.error(f"no atomic number for type {t}; give "
                                         f"'pair_coeff {t} {t} Z Z'")
        z = [self.z[t] for t in range(1, type_count + 1)]
        return {"style": "zbl", "z": z, "inner": self.inner, "outer": self.outer}

    def table_of(self, pairs: set[tuple[int, int]], type_count: int) -> dict[str, Any]:
        """The table as a part of a sum, which acts on these pairs and no others."""
        z = [self.z.get(t, 1.0) for t in range(1, type_count + 1)]    # 1 where it does not act
        return {"style": "zbl", "z": z,
                "inner": self.inner, "outer": self.outer,
                "only": [list(pair) for pair in sorted(pairs)]}


class TableStyle(OfSelected):
    """`pair_style table linear|spline N` with `pair_coeff I J FILE SECTION [RC]`."""

    def __init__(self, command: Command) -> None:
        command.expect(3)
        self.command = command
        self.interpolation = command.choice(1, ("linear", "spline"), "interpolation")
        self.points = command.integer(2)
        self.file = ""
        self.pairs: dict[tuple[int, int], dict[str, Any]] = {}

    def coeff(self, command: Command, type_count: int) -> None:
        """Set the section of the pairs i <= j that the two ranges of types select."""
        command.expect(4, 5)
        if self.file not in ("", command.at(2)):
            raise command.unsupported(f"a second file {command.at(2)}",
                                      f"put all sections into one file, {self.file}")
        self.file = command.at(2)
        values: dict[str, Any] = {"section": command.at(3)}
        if len(command.args) == 5:
            values["rc"] = command.number(4)
        for pair in selected_pairs(command, type_count):
            self.pairs[pair] = values

    def modify(self, command: Command) -> None:
        """Refuse: a table is what its file says."""
        raise command.unsupported(f"pair_modify {command.at(0)}",
                                  "pair_style table has nothing to modify")

    def table(self, type_count: int) -> dict[str, Any]:
        """The sections of all pairs."""
        every = {(i, j) for i in range(1, type_count + 1) for j in range(i, type_count + 1)}
        for i, j in sorted(every - set(self.pairs)):
            raise self.command.error(f"no section for types {i} {j}; give "
                                     f"'pair_coeff {i} {j} FILE SECTION'")
        return self._of(every)

    def table_of(self, pairs: set[tuple[int, int]], type_count: int) -> dict[str, Any]:
        """The table as a part of a sum, which acts on these pairs and no others."""
        return self._of(pairs) | {"only": [list(pair) for pair in sorted(pairs)]}

    def _of(self, pairs: set[tuple[int, int]]) -> dict[str, Any]:
        return {"style": "table", "file": self.file, "points": self.points,
                "interpolation": self.interpolation,
                "pair": [{"types": list(p), **self.pairs[p]} for p in sorted(pairs)]}


def selected_pairs(command: Command, type_count: int) -> list[tuple[int, int]]:
    """The pairs i <= j that the first two words select."""
    first, second = command.types(0, type_count), command.types(1, type_count)
    if command.args[0].isdigit() and command.args[1].isdigit() and first[0] > second[0]:
        first, second = second, first
    selected = [(i, j) for i in first for j in second if i <= j]
    if not selected:
        raise command.error("selects no pair: the first type must not exceed the second")
    return selected
