"""A potential that acts on the atoms of some types and does not see the others.

In a sum a potential of many atoms may belong to a part of the types, as in a layer of carbon over
silicon. Its kernel is given a smaller system: these atoms alone, numbered anew with owned ones
first, and the rows of the lists without the others; of clusters, the slots of others are empty. So
no kernel need know of it, and none pays for types that it has no parameters for. The atoms are
chosen again when lists are new.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, Kernel, PairList, Potential, Result, Rows, Want
from potentials.files import NOBODY


@dataclass(frozen=True)
class Subset:
    """A potential on some types; see potentials.base.Potential.

    Attributes
    ----------
    part : the potential, of the types that it sees
    acts : (ntypes,) bool, which those are
    """

    part: Potential
    acts: NDArray[np.bool_]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "part" not in vars(self):
            raise AttributeError(name)
        return getattr(self.part, name)

    @property
    def ntypes(self) -> int:
        """Number of all types."""
        return len(self.acts)

    def compiled(self, precision: str, deterministic: bool = False) -> SubsetKernel:
        """The kernel for one of `precisions`."""
        return SubsetKernel(self.part.compiled(precision, deterministic), self.acts)


@dataclass
class FewerRows:
    """The rows of one chunk without the atoms that are not seen."""

    first: int
    last: int
    start: NDArray[np.int64]
    neighbors: NDArray[np.int32]

    @classmethod
    def of(cls, rows: Rows, slot_atom: NDArray[np.int32], number: NDArray[np.int32]) -> FewerRows:
        """Of all rows; number: (ntotal,) of each atom among those that are seen, or -1.

        slot_atom : numbered anew
        """
        seen = np.repeat(slot_atom[rows.first:rows.last] >= 0, np.diff(rows.start))
        neighbors = number[rows.neighbors]
        seen &= neighbors >= 0
        place = np.concatenate([np.zeros(1, np.int64), np.cumsum(seen)])
        return cls(rows.first, rows.last, place[rows.start], neighbors[seen])


@dataclass(frozen=True)
class FewerPairs:
    """What of a list has to be made anew for the atoms that are seen.

    Attributes
    ----------
    atoms : (n,) of those that are seen, owned ones first
    nlocal : how many of them are owned
    slot_atom, rows : of the atoms numbered anew
    of : what this was made of: the chunks, which it does not keep alive, and the types of all atoms
    """

    atoms: NDArray[np.int64]
    nlocal: int
    slot_atom: NDArray[np.int32]
    rows: Sequence[Rows]
    of: tuple[list[weakref.ref[Any]], NDArray[np.int32]]

    @classmethod
    def choose(cls, pairs: PairList, seen: NDArray[np.bool_], type_: NDArray[np.int32],
               nlocal: int) -> FewerPairs:
        """Of all pairs; seen: (ntotal,)."""
        atoms = np.flatnonzero(seen)
        number = np.full(len(seen) + 1, -1, np.int32)    # the last is for slots without an atom
        number[atoms] = np.arange(len(atoms), dtype=np.int32)
        slot_atom = number[pairs.slot_atom]
        rows = [FewerRows.of(r, slot_atom, number) for r in pairs.rows]
        return cls(atoms, int(np.searchsorted(atoms, nlocal)), slot_atom, rows,
                   ([weakref.ref(c) for c in pairs.chunks], type_.copy()))

    def stands_for(self, pairs: PairList, type_: NDArray[np.int32]) -> bool:
        """Whether the list and the types are still those that this was made of."""
        chunks, types = self.of
        return (len(chunks) == len(pairs.chunks) and np.array_equal(types, type_)
                and all(a() is b for a, b in zip(chunks, pairs.chunks, strict=True)))


@dataclass(frozen=True)
class SeenPairs:
    """The list of the atoms that are seen; see potentials.base.PairList.

    Clusters and their pairs are those of all atoms. So a kernel of clusters must leave out what
    slot_atom has no atom for; the formulas of pairs do not, and have `only` instead.
    """

    seen: FewerPairs
    pairs: PairList
    x: NDArray[np.float64]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pairs, name)

    @property
    def slot_atom(self) -> NDArray[np.int32]:
        """The atom in each slot, of those that are seen."""
        return self.seen.slot_atom

    @property
    def rows(self) -> Sequence[Rows]:
        """Their rows."""
        return self.seen.rows

    def coordinates(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions packed by clusters, those of all atoms."""
        return self.pairs.coordinates(self.x)

    def fixed_coordinates(self, x: NDArray[np.float64], unit: float) -> NDArray[np.int32]:
        """The same in whole multiples of `unit`."""
        return self.pairs.fixed_coordinates(self.x, unit)

    def types(self, type_: NDArray[np.int32]) -> NDArray[np.int32]:
        """Types of the atoms that are seen, packed by slots."""
        return np.where(self.slot_atom >= 0, type_[self.slot_atom], 0).astype(np.int32)


@dataclass(frozen=True)
class FewerAtoms:
    """The exchange with ghosts for values of some atoms; see potentials.base.Exchange."""

    exchange: Exchange
    atoms: NDArray[np.int64]
    ntotal: int

    def to_ghosts(self, values: NDArray[Any]) -> None:
        """Copy the values of owned atoms to their ghosts."""
        self._among_all(values, self.exchange.to_ghosts)

    def from_ghosts(self, values: NDArray[Any]) -> None:
        """Add the values of ghosts to those of their owners."""
        self._among_all(values, self.exchange.from_ghosts)

    def _among_all(self, values: NDArray[Any], send: Callable[[NDArray[Any]], None]) -> None:
        every = np.zeros((self.ntotal, *values.shape[1:]), values.dtype)
        every[self.atoms] = values
        send(every)
        values[:] = every[self.atoms]


class SubsetKernel:
    """A kernel that is given the atoms of some types; see potentials.base.Kernel.

    Parameters
    ----------
    kernel : of the potential of these types
    acts : (ntypes,) bool, which they are
    """

    def __init__(self, kernel: Kernel, acts: NDArray[np.bool_]):
        self.kernel, self.acts = kernel, acts
        self.kinds = (np.cumsum(acts) - 1).astype(np.int32)
        self._chosen: FewerPairs | None = None

    def accept_box(self, edges: NDArray[np.float64], periodic: NDArray[np.bool_]) -> None:
        """Hand the cell on to a kernel that needs it."""
        accept = getattr(self.kernel, "accept_box", None)
        if accept is not None:
            accept(edges, periodic)

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        if self._chosen is None or not self._chosen.stands_for(pairs, type_):
            self._chosen = FewerPairs.choose(pairs, self.acts[type_], type_, nlocal)
        few, owned = self._chosen, self._chosen.atoms[:self._chosen.nlocal]
        forces = np.zeros((len(few.atoms), 3))
        result = self.kernel.compute(
            x[few.atoms], self.kinds[type_[few.atoms]], few.nlocal, SeenPairs(few, pairs, x),
            forces, want, FewerAtoms(exchange, few.atoms, len(x)))
        f[:nlocal] = 0.0
        f[owned] = forces[:few.nlocal]
        for name in ("energies", "virials"):
            values = getattr(result, name)
            if values is not None:
                every = np.zeros((nlocal, *values.shape[1:]))
                every[owned] = values
                setattr(result, name, every)
        return result


def of_seen_types(table: Mapping[str, Any], species: Sequence[str], ntypes: int
                  ) -> tuple[dict[str, Any], list[str], NDArray[np.bool_]]:
    """The table of a part and the species of a run without the types that it calls NULL.

    They are named in `species`, or in `file` where a style has one file a type.

    Returns
    -------
    The table, the species, and (ntypes,) bool, which types are left.

    Raises
    ------
    ValueError : there is not a word for each type, or no type is left
    """
    for key in ("species", "file"):
        words = table.get(key)
        if isinstance(words, (list, tuple)) and NOBODY in words:
            if len(words) != ntypes:
                raise ValueError(f"{key} = {list(words)}: {ntypes} atom types need a word each")
            seen = np.array([word != NOBODY for word in words])
            if not seen.any():
                raise ValueError(f"{key} = {list(words)}: acts on no type; name one, or leave the "
                                 "part out")
            left = [word for word in words if word != NOBODY]
            of_run = [s for s, kept in zip(species, seen, strict=False) if kept]
            return {**table, key: left}, of_run, seen
    return dict(table), list(species), np.ones(ntypes, bool)
