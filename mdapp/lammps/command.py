"""One command of a script: its words as typed arguments, and errors that name its line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mdapp.deck.messages import nearest
from mdapp.errors import InputError
from mdapp.lammps.variables import NUMBER

INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
BOOLEAN = {"yes": True, "on": True, "true": True, "no": False, "off": False, "false": False}


@dataclass(frozen=True)
class Command:
    """A command with its arguments.

    Attributes
    ----------
    path, line : where it stands
    name : its first word
    args : the others
    usage : the form that mdapp supports, for messages
    """

    path: Path
    line: int
    name: str
    args: tuple[str, ...]
    usage: str = ""

    def error(self, text: str) -> InputError:
        """Make an error that names the line and the command."""
        return InputError(f"{self.path}:{self.line}: {self.name}: {text}")

    def unsupported(self, what: str, instead: str) -> InputError:
        """Make the error for something that LAMMPS has and mdapp has not."""
        return InputError(f"{self.path}:{self.line}: command '{what}' is not supported: "
                          f"{instead}")

    def expect(self, least: int, most: int | None = None) -> None:
        """Check the number of arguments; `most` is `least` where it is not given."""
        if not least <= len(self.args) <= (least if most is None else most):
            raise self.error(f"wrong number of arguments; the form is: {self.usage}")

    def at(self, k: int) -> str:
        """Return argument k, which must be there."""
        if k >= len(self.args):
            raise self.error(f"an argument is missing; the form is: {self.usage}")
        return self.args[k]

    def number(self, k: int) -> float:
        """Return argument k as a finite number."""
        word = self.at(k)
        if not NUMBER.fullmatch(word) or not math.isfinite(float(word)):
            raise self.error(f"'{word}' must be a number")
        return float(word)

    def numbers(self, first: int, count: int) -> list[float]:
        """Return `count` arguments from `first` on as numbers."""
        return [self.number(k) for k in range(first, first + count)]

    def integer(self, k: int) -> int:
        """Return argument k as a whole number, written without a point or an exponent."""
        word = self.at(k)
        if not INTEGER.fullmatch(word):
            raise self.error(f"'{word}' must be a whole number")
        return int(word)

    def boolean(self, k: int) -> bool:
        """Return argument k, one of yes, on, true, no, off, false."""
        return BOOLEAN[self.choice(k, BOOLEAN, "argument")]

    def choice(self, k: int, known: Iterable[str], what: str) -> str:
        """Return argument k, which must be one of the known words."""
        word = self.at(k)
        known = list(known)
        if word not in known:
            hint = nearest(word, known)
            raise self.error(f"{what} '{word}' is not supported; there are {', '.join(known)}"
                             + (f"; did you mean {hint}?" if hint else ""))
        return word

    def group_all(self, k: int) -> None:
        """Check that argument k is the group of all atoms, the only one there is."""
        if self.at(k) != "all":
            raise self.error(f"group '{self.at(k)}' is not supported: mdapp has no groups but all")

    def types(self, k: int, count: int) -> range:
        """Return the types, 1 to `count`, that argument k selects: 2, *, 2*, *3 or 2*3."""
        word = self.at(k)
        match = re.fullmatch(r"(\d{0,9})(\*?)(\d{0,9})", word, re.ASCII)
        if not match or not word or (match[3] and not match[2]):
            raise self.error(f"type '{word}' must be a number or a range such as * or 1*2")
        first = int(match[1] or 1)
        last = int(match[3] or count) if match[2] else first
        if not 1 <= first <= last <= count:
            raise self.error(f"type '{word}' is outside the types 1 to {count}")
        return range(first, last + 1)
