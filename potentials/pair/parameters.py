"""Parameters of pairs: what a deck says of types and pairs becomes a matrix over the types.

A parameter is given as one value, or as one a type, and tables `[[potential.pair]]` say what is
different for a pair. Pairs of unlike types have the value that both types have, or a mixed one if
the parameter has a rule, or else one from a table: nobody guesses it. `only` restricts a formula to
some pairs of types; on the others its cutoff is 0, and they need no values.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]       # (ntypes, ntypes), symmetric
LENGTHS: Mapping[str, Callable[..., Any]] = {
    "geometric": lambda si, sj: np.sqrt(si * sj),
    "arithmetic": lambda si, sj: (si + sj) / 2,
    "sixthpower": lambda si, sj: ((si**6 + sj**6) / 2) ** (1 / 6),
}
ENERGIES: Mapping[str, Callable[..., Any]] = {
    "geometric": lambda ei, ej, si, sj: np.sqrt(ei * ej),
    "arithmetic": lambda ei, ej, si, sj: np.sqrt(ei * ej),
    "sixthpower": lambda ei, ej, si, sj: (2 * np.sqrt(ei * ej) * si**3 * sj**3
                                          / (si**6 + sj**6)),
}
POSITIVE, NOT_NEGATIVE = "greater than", "at least"
PAIR, ONLY = "pair", "only"


@dataclass(frozen=True)
class Parameter:
    """A number that depends on the two types of a pair.

    Attributes
    ----------
    name : the key
    bound : "greater than" or "at least" 0, or nothing
    mixes : as a "length" or an "energy", or not at all
    size : of an energy, the length that goes with it in the rule sixthpower; none: both are 1
    """

    name: str
    bound: str = ""
    mixes: str = ""
    size: str = ""


@dataclass(frozen=True)
class Option:
    """A number that is the same for all pairs; without a default it must be given."""

    name: str
    bound: str = ""
    default: float | None = None


def matrices_of(parameters: Sequence[Parameter], ntypes: int, given: Mapping[str, Any],
                rule: str = "geometric") -> dict[str, Matrix]:
    """The matrix of each parameter; where the formula does not act `rc` is 0 and others are 1.

    Raises
    ------
    ValueError : a value is missing, of the wrong number, not in its range, or a key is unknown
    """
    names = [p.name for p in parameters]
    entries = [PairEntry.from_table(table, ntypes, names) for table in tables_of(given.get(PAIR))]
    acts = acting(given.get(ONLY), ntypes)
    matrices = all_pairs(parameters, ntypes, given, entries, rule)
    for parameter in parameters:
        check(parameter, matrices[parameter.name], acts)
        matrices[parameter.name][~acts] = 0.0 if parameter.name == "rc" else 1.0
    return matrices


def all_pairs(parameters: Sequence[Parameter], ntypes: int, given: Mapping[str, Any],
              entries: Sequence[PairEntry], rule: str) -> dict[str, Matrix]:
    """Matrices of parameters: those of like types, mixed, and what pair tables say; NaN if not."""
    told = {p.name: per_type(p.name, given.get(p.name), ntypes) for p in parameters}
    own = {name: values.copy() for name, values in told.items()}
    for entry in entries:                       # a pair of a type with itself defines that type
        if entry.i == entry.j:
            for name, value in entry.values.items():
                own[name][entry.i] = value
    matrices = {}
    for p in parameters:
        values = own[p.name]
        if p.mixes:
            size = own[p.size] if p.size else np.ones(ntypes)
            with np.errstate(invalid="ignore"):
                matrix = (LENGTHS[rule](values[:, None], values) if p.mixes == "length" else
                          ENERGIES[rule](values[:, None], values, size[:, None], size))
        else:
            same = told[p.name][:, None] == told[p.name]
            matrix = np.where(same, told[p.name], np.nan)
        np.fill_diagonal(matrix, values)
        matrices[p.name] = matrix
    for entry in entries:
        for name, value in entry.values.items():
            matrices[name][entry.i, entry.j] = matrices[name][entry.j, entry.i] = value
    return matrices


def check(parameter: Parameter, matrix: Matrix, acts: NDArray[np.bool_]) -> None:
    """Raise ValueError for a pair whose value is missing or out of range."""
    name = parameter.name
    for i, j in np.argwhere(acts & ~np.isfinite(matrix)):
        raise ValueError(f"{name} of types {i + 1} {j + 1} is missing: " + (
            f"give {name}" if i == j else
            f"add a [[potential.pair]] with types = [{i + 1}, {j + 1}]"))
    for value in matrix[acts]:
        in_range(name, float(value), parameter.bound)


def in_range(name: str, value: float, bound: str) -> float:
    """The value, which must be greater than 0, or at least 0, if a bound says so."""
    if (bound == POSITIVE and value <= 0) or (bound == NOT_NEGATIVE and value < 0):
        raise ValueError(f"{name} = {value:g}: must be {bound} 0")
    return value


@dataclass(frozen=True)
class PairEntry:
    """A table of the list `pair`: what it says of the types i and j, from 0."""

    i: int
    j: int
    values: dict[str, float]

    @classmethod
    def from_table(cls, table: Mapping[str, object], ntypes: int, names: Sequence[str]
                   ) -> PairEntry:
        """Raises ValueError for an unknown key, or a value that is no number."""
        i, j = two_types("pair.types", table.get("types"), ntypes)
        refuse_unknown(table, ["types", *names], "pair.")
        values = {name: number(f"pair.{name}", table[name]) for name in names if name in table}
        return cls(i, j, values)


def refuse_unknown(keys: Iterable[str], known: Sequence[str], where: str = "") -> None:
    """Raise ValueError for a key that is not known."""
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ValueError(f"{where}{key}: unknown key{hint}; it takes {', '.join(known)}")


def two_types(name: str, kinds: object, ntypes: int) -> tuple[int, int]:
    """Two types of a deck, 1 to ntypes, as numbers from 0."""
    if not (isinstance(kinds, Sequence) and len(kinds) == 2
            and all(type(t) is int and 1 <= t <= ntypes for t in kinds)):
        raise ValueError(f"{name} = {kinds!r}: must be two atom types from 1 to {ntypes}")
    return kinds[0] - 1, kinds[1] - 1


def acting(only: object, ntypes: int) -> NDArray[np.bool_]:
    """(ntypes, ntypes) pairs of types that the key `only` names; all where it is not given."""
    if only is None:
        return np.ones((ntypes, ntypes), bool)
    if not isinstance(only, Sequence) or isinstance(only, str) or not only:
        raise ValueError(f"only = {only!r}: must be a list of pairs of types, "
                         "such as [[1, 1], [1, 2]]")
    acts = np.zeros((ntypes, ntypes), bool)
    for kinds in only:
        i, j = two_types(ONLY, kinds, ntypes)
        acts[i, j] = acts[j, i] = True
    return acts


def tables_of(pair: object) -> Sequence[Mapping[str, object]]:
    """The key `pair`, which must be a list of tables if it is given."""
    if pair is None:
        return ()
    if not isinstance(pair, Sequence) or not all(isinstance(table, Mapping) for table in pair):
        raise ValueError(f"pair = {pair!r}: must be a list of tables, [[potential.pair]]")
    return pair


def mixing_rule(rule: object) -> str:
    """A rule of mixing by its name."""
    if not isinstance(rule, str) or rule not in LENGTHS:
        raise ValueError(f"mix = {rule!r}: must be one of {', '.join(LENGTHS)}")
    return rule


def option_value(option: Option, value: object) -> float:
    """One number for all pairs, its default where it is not given."""
    if value is None:
        value = option.default
    if value is None:
        raise ValueError(f"{option.name} is missing: give {option.name} = a number")
    return in_range(option.name, number(option.name, value), option.bound)


def truth(name: str, value: object) -> bool:
    """True or false, and nothing that could stand for them."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} = {value!r}: must be true or false")
    return value


def number(name: str, value: object) -> float:
    """A finite number; a text or a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"{name} = {value!r}: must be a finite number")
    return float(value)


def per_type(name: str, value: object, ntypes: int) -> NDArray[np.float64]:
    """(ntypes,) values of a key that holds one, or one a type; NaN where it is not given."""
    if value is None:
        return np.full(ntypes, np.nan)
    given = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    values = [number(name, v) for v in given]
    if len(values) not in (1, ntypes):
        raise ValueError(f"{name}: {len(values)} values for {ntypes} atom types; "
                         "give one, or one a type")
    return np.broadcast_to(np.array(values), ntypes).copy()


def signature_of(keys: Mapping[str, Any]) -> inspect.Signature:
    """Of a function of `ntypes` and these keys with their defaults, as the registry reads it."""
    kinds = inspect.Parameter
    return inspect.Signature([kinds("ntypes", kinds.POSITIONAL_OR_KEYWORD),
                              *(kinds(name, kinds.KEYWORD_ONLY, default=default)
                                for name, default in keys.items())])
