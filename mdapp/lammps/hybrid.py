"""`pair_style hybrid` and `hybrid/overlay`: several styles, each with its own coefficients.

    pair_style hybrid/overlay lj/cut 2.5 morse 2.0
    pair_coeff 1 1 lj/cut 1.0 1.0

A style that is named twice is numbered in pair_coeff, as in `pair_coeff 1 1 lj/cut 2 1.0 1.0`. In
`hybrid` the last command of a pair of types decides which style it belongs to. A style of elements
acts on the types whose element is not NULL. Every pair must be named by a command, be it by
`pair_coeff I J none`: unlike ones are not mixed, but belong to the style eam if both types do and
no command names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from mdapp.lammps.command import Command
from mdapp.lammps.formulas import selected_pairs
from mdapp.lammps.pair_base import PairStyle

NONE = "none"


class HybridStyle(PairStyle):
    """The styles of one command; `make` makes each, and `known` are their names."""

    def __init__(self, command: Command, make: Callable[[Command], PairStyle],
                 known: Iterable[str]) -> None:
        self.command, self.overlay = command, command.at(0) == "hybrid/overlay"
        names = set(known)
        if command.at(1) not in names:
            command.choice(1, sorted(names), "style")
        starts = [k for k, word in enumerate(command.args) if k and word in names]
        ends = [*starts[1:], len(command.args)]
        self.names = [command.args[k] for k in starts]
        self.styles = [make(replace(command, args=command.args[a:b]))
                       for a, b in zip(starts, ends, strict=True)]
        self.owned: list[set[tuple[int, int]]] = [set() for _ in self.styles]
        self.nothing: set[tuple[int, int]] = set()        # pairs that do not interact

    def coeff(self, command: Command, type_count: int) -> None:
        """Hand the command to the style that it names."""
        name, rest = command.at(2), command.args[3:]
        if name == NONE:
            if rest:
                raise command.error(f"'{rest[0]}' is too much behind none")
            self._take(set(selected_pairs(command, type_count)), None)
            return
        if name not in self.names:
            command.choice(2, [*dict.fromkeys(self.names), NONE], "style")
        which = [k for k, n in enumerate(self.names) if n == name]
        k = which[0]
        if len(which) > 1:
            number = command.integer(3)
            if not 1 <= number <= len(which):
                raise command.error(f"{name} {number}: there are {len(which)} of {name}, numbered "
                                    "from 1")
            k, rest = which[number - 1], rest[1:]
        given = replace(command, args=(*command.args[:2], *rest))
        self.styles[k].coeff(given, type_count)
        if self.styles[k].once:
            self.owned[k].clear()
        self._take(self.styles[k].pairs_of(given, type_count), k)

    def _take(self, pairs: set[tuple[int, int]], k: int | None) -> None:
        """Give pairs to style k, or to nobody."""
        if k is None or not self.overlay:
            for owned in self.owned:
                owned -= pairs
        self.nothing -= pairs
        (self.nothing if k is None else self.owned[k]).update(pairs)

    def modify(self, command: Command) -> None:
        """Hand it to all styles, as LAMMPS does."""
        for style in self.styles:
            style.modify(command)

    def masses(self) -> dict[int, float]:
        """As the files of all give them."""
        return {t: m for style in self.styles for t, m in style.masses().items()}

    def table(self, type_count: int) -> dict[str, Any]:
        """The parts with the pairs of types on which they act."""
        every = {(i, j) for i in range(1, type_count + 1) for j in range(i, type_count + 1)}
        missing = every - self.nothing.union(*self.owned)
        for style, pairs in zip(self.styles, self.owned, strict=True):
            mixed = {(i, j) for i, j in missing if {(i, i), (j, j)} <= pairs} & style.mixed()
            pairs |= mixed
            missing -= mixed
        for i, j in sorted(missing):
            raise self.command.error(f"no coefficients for types {i} {j}; give "
                                     f"'pair_coeff {i} {j} STYLE ...', or none for STYLE")
        parts = []
        for name, style, pairs in zip(self.names, self.styles, self.owned, strict=True):
            if not pairs:
                raise self.command.error(f"no coefficients for {name}; give "
                                         f"'pair_coeff TYPES TYPES {name} ...', or leave it out")
            parts.append(style.table_of(pairs, type_count))
        # Of a deck's hybrid each pair has a part; without the pairs of `none` the sum is the same.
        style_of_deck = "hybrid/overlay" if self.nothing else self.command.at(0)
        return {"style": style_of_deck, "part": parts}

    def pairs_of(self, command: Command, type_count: int) -> set[tuple[int, int]]:
        """None: a sum is no part of another."""
        return set()

    def table_of(self, pairs: set[tuple[int, int]], type_count: int) -> dict[str, Any]:
        """See `pairs_of`."""
        raise self.command.unsupported("a sum in a sum", "name all styles in one pair_style")
