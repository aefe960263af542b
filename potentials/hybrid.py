"""Sums of potentials: `hybrid/overlay`, and `hybrid` where each pair of types belongs to one.

A part is a potential like any other, made from a table `[[potential.part]]` with its own style and
keys. The engine gives the sum lists that reach as far as the farthest part wants, in every form
that a part wants; each part tests its own cutoff. Forces, energies and virials are added in the
order of the parts, so that deterministic parts have a deterministic sum. Which pairs of types a
formula acts on is its own key, `only`. Other potentials act on all types, or do not see those that
their `species` call NULL (subset.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from potentials.base import (
    Exchange,
    Kernel,
    PairList,
    Potential,
    Result,
    Rows,
    Want,
    remarks_of,
)
from potentials.pair.potential import OfPairs
from potentials.subset import Subset, of_seen_types

SUMS = ("hybrid", "hybrid/overlay", "committee")
Make = Callable[[str, Mapping[str, Any], int, Sequence[str]], Potential]


@dataclass(frozen=True)
class Hybrid:
    """A sum of parts; see potentials.base.Potential."""

    parts: tuple[Potential, ...]
    ntypes: int
    style: str

    @property
    def cutoff(self) -> float:
        """The longest of the parts."""
        return max(part.cutoff for part in self.parts)

    @property
    def lists(self) -> str:
        """The forms that the parts want, joined by plus signs."""
        return "+".join(sorted({part.lists for part in self.parts}))

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that all parts have."""
        return tuple(p for p in self.parts[0].precisions
                     if all(p in part.precisions for part in self.parts))

    @property
    def known(self) -> Mapping[str, str]:
        """What any of the parts does not claim."""
        return {key: f"{part.style}: {text}" for part in self.parts
                for key, text in part.known.items()}

    @property
    def units(self) -> str | None:
        """Those that the numbers of a part are in, or None."""
        return next((units for units in map(units_of, self.parts) if units), None)

    @property
    def charges(self) -> bool:
        """Whether a part acts between charges."""
        return any(getattr(part, "charges", False) for part in self.parts)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of all parts."""
        return tuple(name for part in self.parts for name in getattr(part, "files", ()))

    @classmethod
    def from_options(cls, ntypes: int, part: object, species: Sequence[str], style: str,
                     make: Make) -> Self:
        """From the tables of the parts; `make` makes a potential of one.

        Raises
        ------
        ValueError : a table cannot be used, or, of `hybrid`, a pair of types has no part or several
        """
        if (not isinstance(part, Sequence) or isinstance(part, str) or not part
                or not all(isinstance(table, Mapping) for table in part)):
            raise ValueError(f"part = {part!r}: must be a list of tables, [[potential.part]]")
        made = []
        for k, table in enumerate(part, 1):
            keys = {key: value for key, value in table.items() if key != "style"}
            own = table.get("style")
            if not isinstance(own, str) or own in SUMS:
                raise ValueError(f"part {k}: style = {own!r}: must be a potential that is no sum")
            try:
                keys, names, seen = of_seen_types(keys, species, ntypes)
                of_seen = make(own, keys, int(seen.sum()), names)
                made.append(of_seen if seen.all() else Subset(of_seen, seen))
            except ValueError as error:
                raise ValueError(f"part {k}: {error}") from None
        systems = [units for units in map(units_of, made) if units]
        if len(set(systems)) > 1:
            raise ValueError(f"the numbers of the parts are in different units: "
                             f"{', '.join(sorted(set(systems)))}")
        if style == "hybrid":
            refuse_shared_pairs(made, ntypes)
        return cls(tuple(made), ntypes, style)

    def remarks(self, precision: str) -> tuple[str, ...]:
        """Those of the parts, each once."""
        return tuple(dict.fromkeys(text for part in self.parts
                                   for text in remarks_of(part, precision)))

    def compiled(self, precision: str, deterministic: bool = False) -> HybridKernel:
        """The kernels of the parts for one precision, added up."""
        return HybridKernel(self.kernels(precision, deterministic),
                            [part.lists for part in self.parts])

    def kernels(self, precision: str, deterministic: bool) -> list[Kernel]:
        """A kernel of each part, for lists that reach as far as the farthest of them."""
        return [part.compiled(precision, deterministic, self.cutoff) if isinstance(part, OfPairs)
                else part.compiled(precision, deterministic) for part in self.parts]


def units_of(part: Potential) -> str | None:
    """The units that its numbers are in, or None where a deck's are."""
    units: str | None = getattr(part, "units", None)
    return units


def refuse_shared_pairs(parts: Sequence[Potential], ntypes: int) -> None:
    """Raise ValueError for a pair of types on which no part acts, or more than one."""
    count = np.sum([acts_on(part, ntypes) for part in parts], axis=0)
    for i, j in np.argwhere(np.triu(count != 1)):
        raise ValueError(f"types {i + 1} {j + 1} belong to {count[i, j]} parts, and of hybrid each "
                         "pair of types belongs to one: name the pairs of a formula in `only`, "
                         "types that others do not see as NULL in `species`, or take "
                         "hybrid/overlay, which adds the parts")


def acts_on(part: Potential, ntypes: int) -> NDArray[np.bool_]:
    """(ntypes, ntypes) bool, the pairs of types on which a part acts."""
    if isinstance(part, OfPairs):
        return part.rc > 0
    seen = part.acts if isinstance(part, Subset) else np.ones(ntypes, bool)
    return seen[:, None] & seen


@dataclass(frozen=True)
class OneForm:
    """A list as a part wants it: the rows are those of its form."""

    pairs: PairList
    form: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pairs, name)

    @property
    def rows(self) -> Sequence[Rows]:
        """Rows of the form."""
        return self.pairs.rows_of(self.form)


class HybridKernel:
    """Kernels whose results are added; see potentials.base.Kernel.

    Parameters
    ----------
    kernels : of the parts
    forms : of the lists that they want
    """

    def __init__(self, kernels: Sequence[Kernel], forms: Sequence[str]):
        self.kernels, self.forms = kernels, forms
        self._forces: NDArray[np.float64] = np.empty((0, 3))

    def accept_box(self, edges: NDArray[np.float64], periodic: NDArray[np.bool_]) -> None:
        """Hand the cell to the parts that need it; see potentials.base."""
        for kernel in self.kernels:
            accept = getattr(kernel, "accept_box", None)
            if accept is not None:
                accept(edges, periodic)

    def accept_charges(self, q: NDArray[np.float64], coulomb: float) -> None:
        """Hand the charges to the parts that act between them; see potentials.base."""
        for kernel in self.kernels:
            accept = getattr(kernel, "accept_charges", None)
            if accept is not None:
                accept(q, coulomb)

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        if self._forces.shape != f.shape:
            self._forces = np.empty_like(f)
        results = []
        for k, (kernel, form) in enumerate(zip(self.kernels, self.forms, strict=True)):
            own = self._forces if k else f
            results.append(kernel.compute(x, type_, nlocal, OneForm(pairs, form), own, want,
                                          exchange))
            if k:
                f[:nlocal] += own[:nlocal]
        return total(results)


def total(results: Sequence[Result]) -> Result:
    """The sum of results, each number that all of them have."""
    first, *others = results
    for other in others:
        first.energy += other.energy
        for name in ("virial", "energies", "virials"):
            mine, theirs = getattr(first, name), getattr(other, name)
            setattr(first, name, None if mine is None or theirs is None else mine + theirs)
    return first
