"""`pair_style hybrid` and `hybrid/overlay`: several styles, each with its own coefficients.

    pair_style hybrid/overlay lj/cut 2.5 morse 2.0
    pair_coeff 1 1 lj/cut 1.0 1.0

A style that is named twice is numbered in pair_coeff, as in `pair_coeff 1 1 lj/cut 2 1.0 1.0`. In
`hybrid` the last command of a pair of types decides which style it belongs to. Every pair must be
named by a command: unlike ones are not mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from mdapp.lammps.command import Command
from mdapp.lammps.formulas import PairFormula, TableStyle, ZBLStyle, selected_pairs
from mdapp.lammps.pair_base import PairStyle

Formula = (PairFormula, ZBLStyle, TableStyle)


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

    def coeff(self, command: Command, type_count: int) -> None:
        """Hand the command to the style that it names."""
        name, rest = command.at(2), command.args[3:]
        if name not in self.names:
            command.choice(2, dict.fromkeys(self.names), "style")
        which = [k for k, n in enumerate(self.names) if n == name]
        k = which[0]
        if len(which) > 1:
            number = command.integer(3)
            if not 1 <= number <= len(which):
                raise command.error(f"{name} {number}: there are {len(which)} of {name}, numbered "
                                    "from 1")
            k, rest = which[number - 1], rest[1:]
        self.styles[k].coeff(replace(command, args=(*command.args[:2], *rest)), type_count)
        pairs = set(selected_pairs(command, type_count))
        if not self.overlay:
            for other in self.owned:
                other -= pairs
        self.owned[k] |= pairs

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
        for i, j in sorted(every - set().union(*self.owned)):
            raise self.command.error(f"no coefficients for types {i} {j}; give "
                                     f"'pair_coeff {i} {j} STYLE ...'")
        parts = []
        for name, style, pairs in zip(self.names, self.styles, self.owned, strict=True):
            if not pairs:
                raise self.command.error(f"no coefficients for {name}; give "
                                         f"'pair_coeff TYPES TYPES {name} ...', or leave it out")
            if isinstance(style, Formula):
                parts.append(style.table_of(pairs, type_count))
            elif pairs == every:
                parts.append(style.table(type_count))
            else:
                raise self.command.unsupported(f"{name} for some types only",
                                               "mdapp has it for all types of a run")
        return {"style": self.command.at(0), "part": parts}
