"""Files of entries: three elements and a row of numbers, over as many lines as they need.

Such a file may hold more elements than a run has, and LAMMPS takes the entries it needs. Nothing in
the file says how many numbers an entry has, so a number too many or too few would shift everything
that follows. Each entry therefore has to begin on a line of its own, with names where names belong.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentials.files import FileError, Reader

Triple = tuple[int, int, int]
ROUNDED = 1e-5            # relative difference of numbers that are the same but for their rounding


@dataclass(frozen=True)
class Entries:
    """The entries of all triples of some types.

    Attributes
    ----------
    path : of the file
    fields : names of the numbers
    elements : one a type
    values : (ntypes, ntypes, ntypes, len(fields)) float64; the first index is the centre's type
    lines : (ntypes, ntypes, ntypes) int64, on which each entry begins
    """

    path: Path
    fields: tuple[str, ...]
    elements: tuple[str, ...]
    values: NDArray[np.float64]
    lines: NDArray[np.int64]

    def __getitem__(self, field: str) -> NDArray[np.float64]:
        """(ntypes, ntypes, ntypes), one field of every triple."""
        column: NDArray[np.float64] = self.values[..., self.fields.index(field)]
        return column

    def of_pairs(self, field: str) -> NDArray[np.float64]:
        """(ntypes, ntypes), one field of the entries i j j, which hold the parameters of a pair."""
        of_pairs: NDArray[np.float64] = np.einsum("ijj->ij", self[field])
        return of_pairs

    def error(self, triple: Triple, text: str) -> FileError:
        """An error at the entry of some types."""
        return FileError(f"{self.path}:{self.lines[triple]}: {self.name(triple)}: {text}")

    def name(self, triple: Triple) -> str:
        """The elements of some types."""
        return " ".join(self.elements[t] for t in triple)

    def require(self, good: NDArray[np.bool_], field: str, text: str, pairs: bool = False) -> None:
        """Raise FileError for the first entry whose `field` is not good, and `text` says why.

        good : (ntypes, ntypes, ntypes), or with `pairs` (ntypes, ntypes), of the entries i j j
        """
        bad = np.argwhere(~good)
        if len(bad):
            at = tuple(int(t) for t in bad[0])
            triple = (at[0], at[1], at[1]) if pairs else (at[0], at[1], at[2])
            raise self.error(triple, f"{field} = {self[field][triple]:g} {text}")

    def require_one_of(self, field: str, known: Sequence[float]) -> None:
        """Raise FileError for the first entry whose `field` is none of some numbers."""
        good: NDArray[np.bool_] = np.isin(self[field], known)
        self.require(good, field, f"must be {' or '.join(f'{k:g}' for k in known)}")

    def require_same_pairs(self, fields: Sequence[str]) -> None:
        """Raise FileError where the entries i j j and j i i, which describe one pair, disagree."""
        for field in fields:
            column = self.of_pairs(field)
            for i, j in np.argwhere(column != column.T):
                raise self.error((i, j, j), f"{field} = {column[i, j]:g}, but the entry "
                                 f"{self.name((j, i, i))} has {column[j, i]:g}; they must agree")

    def require_same_angles(self, name: str, values: NDArray[np.float64]) -> None:
        """Raise FileError where values (ntypes, ntypes, ntypes) of i j k and i k j disagree.

        They describe one angle. Published files have them rounded, so a small difference is none.
        """
        same = np.isclose(values, values.swapaxes(1, 2), rtol=ROUNDED, atol=0.0)
        for i, j, k in np.argwhere(~same):
            raise self.error((i, j, k), f"{name} = {values[i, j, k]:g}, but the entry "
                             f"{self.name((i, k, j))} has {values[i, k, j]:g}; they must agree")


def read_entries(path: Path, elements: Sequence[str], fields: Sequence[str]) -> Entries:
    """Read the entries of all triples of some elements.

    Parameters
    ----------
    elements : one a type; an element may stand for several types
    fields : names of the numbers of an entry, in the order of the file

    Raises
    ------
    FileError : a number is none or not finite, an entry has too few or too many of them, is
        missing, or is there twice; names the file and line
    """
    reader = Reader(path)
    found: dict[tuple[str, ...], tuple[int, NDArray[np.float64]]] = {}
    names: set[str] = set()
    while words := reader.next_line():
        line = reader.at
        key, numbers = tuple(words[:3]), words[3:]
        if len(key) < 3 or any(_is_number(name) for name in key):
            raise reader.error(f"{' '.join(words)[:60]!r}: an entry must begin with three elements "
                               f"and have {len(fields)} numbers: {' '.join(fields)}")
        while len(numbers) < len(fields):
            numbers += reader.line(f"{fields[len(numbers)]} of the entry of line {line}")
        if len(numbers) > len(fields):
            raise reader.error(f"the entry {' '.join(key)} of line {line} must have {len(fields)} "
                               f"numbers; with this line it has {len(numbers)}")
        values = np.array([reader.number(w, f) for w, f in zip(numbers, fields, strict=True)])
        names.update(key)
        if key in found and set(key) <= set(elements):
            raise FileError(f"{path}:{line}: the entry {' '.join(key)} is there twice, first on "
                            f"line {found[key][0]}")
        found[key] = line, values
    return _chosen(path, tuple(elements), tuple(fields), found, names)


def one_a_type(species: Sequence[str] | str, ntypes: int) -> list[str]:
    """The elements, or ValueError if there is not one for each type."""
    names = [species] if isinstance(species, str) else list(species)
    if len(names) != ntypes:
        raise ValueError(f"species = {names}: {ntypes} atom types need an element each")
    return names


def _chosen(path: Path, elements: tuple[str, ...], fields: tuple[str, ...],
            found: dict[tuple[str, ...], tuple[int, NDArray[np.float64]]], names: set[str]
            ) -> Entries:
    """The entries of the triples of types."""
    for element in elements:
        if element not in names:
            known = ", ".join(sorted(names)) or "none"
            raise FileError(f"{path}: has no element {element!r}; it has {known}")
    n = len(elements)
    values, lines = np.empty((n, n, n, len(fields))), np.empty((n, n, n), np.int64)
    for triple in itertools.product(range(n), repeat=3):
        key = tuple(elements[t] for t in triple)
        if key not in found:
            raise FileError(f"{path}: has no entry {' '.join(key)}")
        lines[triple], values[triple] = found[key]
    return Entries(path, fields, elements, values, lines)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return word.lower() not in ("nan", "inf", "infinity")
