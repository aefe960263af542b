"""The variables of a script: index, equal and string style, with LAMMPS's rules of who wins.

An index variable keeps its first definition, which is why `-var` overrides it; a string or an
equal variable takes the last one; and a variable cannot change its style.  An equal variable is
a formula that is evaluated whenever it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mdapp.deck.messages import nearest
from mdapp.lammps.formula import FormulaError, evaluate

NAME = re.compile(r"\w+", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
FORMAT = re.compile(r"%[-+ 0#]?\d{0,2}(\.\d{1,2})?[eEfFgG]", re.ASCII)
STYLES = ("index", "equal", "string")


@dataclass
class Variables:
    """Names and what they stand for.

    Attributes
    ----------
    entries : style and text of each variable
    used : names that the script has defined or read
    """

    entries: dict[str, tuple[str, str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @classmethod
    def from_command_line(cls, given: Mapping[str, str]) -> Variables:
        """Start with the variables of `-var name value`, which are of index style."""
        for name in given:
            if not NAME.fullmatch(name):
                raise FormulaError(f"-var {name}: a name consists of letters, digits and _")
        return cls({name: ("index", str(value)) for name, value in given.items()})

    def define(self, name: str, style: str, values: Sequence[str]) -> None:
        """Carry out `variable NAME STYLE VALUES...`.

        Raises
        ------
        FormulaError : a name, style or number of values that LAMMPS or mdapp does not take
        """
        if not NAME.fullmatch(name):
            raise FormulaError(f"variable name '{name}': use letters, digits and _ only")
        if style not in STYLES:
            raise FormulaError(f"variable style '{style}' is not supported; "
                               f"there are {', '.join(STYLES)}")
        self.used.add(name)
        old_style = self.entries.get(name, (style, ""))[0]
        if old_style == "index" and style == "index" and name in self.entries:
            return
        if old_style != style and style != "index":
            raise FormulaError(f"variable '{name}' has the style {old_style} already and cannot "
                               f"become {style}")
        if not values:
            raise FormulaError(f"variable '{name}': a value is missing")
        if style != "index" and len(values) != 1:
            raise FormulaError(f"variable '{name}': style {style} takes one value; put quotes "
                               "around a value with blanks")
        if old_style == style:
            self.entries[name] = (style, values[0])

    def text(self, name: str) -> str:
        """Return what `${name}` is replaced by: LAMMPS writes the number of a formula with %.15g.

        Raises
        ------
        FormulaError : no such variable, or a formula without a value
        """
        style, text = self._entry(name)
        return f"{self._evaluate(text):.15g}" if style == "equal" else text

    def immediate(self, inside: str) -> str:
        """Return what `$(formula)` or `$(formula:%format)` is replaced by.

        Raises
        ------
        FormulaError : a formula without a value, or a format that is not one of a double
        """
        formula, colon, form = inside.rpartition(":%")
        if not colon:
            return f"{self._evaluate(inside):.20g}"
        if not FORMAT.fullmatch("%" + form):
            raise FormulaError(f"format '%{form}' must be one of a floating-point number, "
                               "such as %.3f or %10.4g")
        return ("%" + form) % self._evaluate(formula)

    def number(self, name: str) -> float:
        """Return what `v_name` stands for in a formula.

        Raises
        ------
        FormulaError : no such variable, or one whose value is not a number
        """
        style, text = self._entry(name)
        if style == "equal":
            return self._evaluate(text)
        if not NUMBER.fullmatch(text.strip()):
            raise FormulaError(f"variable '{name}' is '{text}', which is not a number")
        return float(text)

    def _evaluate(self, formula: str) -> float:
        return evaluate(formula, self.number)

    def _entry(self, name: str) -> tuple[str, str]:
        self.used.add(name)
        if name not in self.entries:
            hint = nearest(name, self.entries)
            raise FormulaError(f"variable '{name}' is not defined"
                               + (f"; did you mean {hint}?" if hint else
                                  f"; define it, or give it with -var {name} VALUE"))
        return self.entries[name]
