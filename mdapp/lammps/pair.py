"""Pair styles of a script: what pair_style, pair_coeff and pair_modify say, as a potential table.

LAMMPS sets the coefficients of pairs i <= j one command after the other, the last one winning, and
mixes a pair of different types only if no command has set it, even where `*` did.  A deck has
coefficients of each type and a list of pairs that are not mixed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from mdapp.lammps.command import Command

MIXING = ("geometric", "arithmetic", "sixthpower")


class PairStyle(ABC):
    """A pair style with its coefficients so far."""

    @abstractmethod
    def coeff(self, command: Command, type_count: int) -> None:
        """Take a pair_coeff command."""

    @abstractmethod
    def modify(self, command: Command) -> None:
        """Take a pair_modify command."""

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


def _positive(command: Command, k: int, what: str) -> float:
    value = command.number(k)
    if value <= 0:
        raise command.error(f"{what} is {value:g}: it must be greater than 0")
    return value


class PairStyles:
    """The pair styles that a script may use, by name."""

    KNOWN: ClassVar[dict[str, type[LJCut]]] = {"lj/cut": LJCut}
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
