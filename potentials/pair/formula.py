"""What all pair formulas share: parameters of types and of pairs, mixing, messages.

A formula is a class with its parameters as fields, each a symmetric matrix over the types, and a
declaration of what a deck may give: `parameters` (one value, or one a type, and tables
`[[potential.pair]]` for unusual pairs) and `options` (one value for all). From the declaration come
the keys, the mixing of unlike types and the messages. What remains to a formula is its equation and
the table of coefficients that the loop looks up.

A parameter without a rule of mixing holds for all pairs if one value is given; if one a type is
given, tables must set the unlike pairs. `only` restricts a formula to some pairs of types: to the
others its cutoff is 0.
"""

from __future__ import annotations

import difflib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from potentials.pair.kernel import PairKernel

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
MIX, SHIFT, PAIR, ONLY = "mix", "shift", "pair", "only"


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


class PairPotential(ABC):
    """Base of the formulas; a subclass is a frozen dataclass, see potentials.base.Potential.

    The fields of the subclass are its parameters, then its options, then `shift` if energies can
    be shifted to vanish at the cutoff; `rc` is a parameter of each.
    """

    style: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]
    options: ClassVar[tuple[Option, ...]] = ()
    shifts: ClassVar[bool] = True
    lists: ClassVar[str] = "clusters"
    precisions: ClassVar[tuple[str, ...]] = ("double", "mixed", "single")
    rc: Matrix
    shift: bool

    @property
    def known(self) -> Mapping[str, str]:
        """What is not claimed: the formulas are cut off."""
        cut = {"continuous_force": "cut off, not smoothed"}
        return cut if self.shift else cut | {"continuous_energy": "cut off, not shifted"}

    @property
    def cutoff(self) -> float:
        """The largest of all pairs."""
        return float(self.rc.max())

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.rc)

    @abstractmethod
    def energy(self, r: Matrix) -> Matrix:
        """Energies of all pairs of types at distances r (ntypes, ntypes), not shifted."""

    @abstractmethod
    def table(self) -> NDArray[np.float64]:
        """(ntypes, ntypes, n) coefficients of the formula, the squared cutoff first."""

    def functions(self) -> NDArray[np.float64] | None:
        """(n,) tabulated functions, for a formula that looks them up."""
        return None

    def offset(self) -> Matrix:
        """The energies that are taken off: those at the cutoff, if `shift`."""
        return self.energy(self.rc) if self.shift else np.zeros_like(self.rc)

    def strength(self) -> Matrix:
        """Typical forces, which set the units of deterministic sums: those at a third of rc."""
        r, h = self.rc / 3, 1e-4
        return np.abs(self.energy(r * (1 + h)) - self.energy(r * (1 - h))) / (2 * h * r)

    def compiled(self, precision: str, deterministic: bool = False, span: float = 0.0
                 ) -> PairKernel:
        """The kernel for one of `precisions`.

        span : cutoff of the lists, where they are made for one that is longer than this
        """
        acts = self.rc > 0
        with np.errstate(all="ignore"):
            table, strength = self.table(), self.strength()
        table = np.where(acts[..., None], table, 0.0)
        strongest = float(np.max(strength[acts & np.isfinite(strength)], initial=0.0)) or 1.0
        scale = 2.0 ** np.ceil(np.log2(strongest))
        return PairKernel(self.style, table, max(self.cutoff, span), scale, precision,
                          deterministic, self.functions())

    @classmethod
    def from_options(cls, ntypes: int, **given: Any) -> Self:
        """From the keys of a deck; see the head of the module.

        Raises
        ------
        ValueError : a key is unknown, a value is missing, of the wrong number, not in its range,
            or a rule or type is unknown
        """
        names, known = [p.name for p in cls.parameters], cls.keys()
        for key in given:
            if key not in known:
                raise ValueError(f"{key}: unknown key{_hint(key, known)}; "
                                 f"it takes {', '.join(known)}")
        rule = mixing_rule(given.get(MIX, "geometric"))
        single = {option.name: option_value(option, given.get(option.name))
                  for option in cls.options}
        if cls.shifts:
            single[SHIFT] = truth(SHIFT, given.get(SHIFT, False))
        entries = [PairEntry.from_table(table, ntypes, names)
                   for table in tables_of(given.get(PAIR, ()))]
        acts = acting(given.get(ONLY), ntypes)
        matrices = all_pairs(cls.parameters, ntypes, given, entries, rule)
        for parameter in cls.parameters:
            check(parameter, matrices[parameter.name], acts)
            matrices[parameter.name][~acts] = 0.0 if parameter.name == "rc" else 1.0
        return cls(**matrices, **single)

    @classmethod
    def keys(cls) -> dict[str, Any]:
        """The keys that a deck may give, with their defaults."""
        keys: dict[str, Any] = {p.name: None for p in cls.parameters}
        keys |= {o.name: o.default for o in cls.options}
        if any(p.mixes for p in cls.parameters):
            keys[MIX] = "geometric"
        if cls.shifts:
            keys[SHIFT] = False
        return keys | {PAIR: (), ONLY: None}

    @classmethod
    def factory(cls) -> Callable[..., PairPotential]:
        """`from_options` with a signature that names the keys, as the registry reads it."""
        def make(ntypes: int, **given: Any) -> PairPotential:
            return cls.from_options(ntypes, **given)

        kinds = inspect.Parameter
        words = [kinds(name, kinds.KEYWORD_ONLY, default=default)
                 for name, default in cls.keys().items()]
        make.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [kinds("ntypes", kinds.POSITIONAL_OR_KEYWORD), *words])
        make.makes = cls  # type: ignore[attr-defined]
        return make


def all_pairs(parameters: Sequence[Parameter], ntypes: int, given: Mapping[str, Any],
              entries: Sequence[PairEntry], rule: str) -> dict[str, Matrix]:
    """Matrices of parameters: those of like types, mixed, and what pair tables say; NaN if not."""
    own = {p.name: per_type(p.name, given.get(p.name), ntypes) for p in parameters}
    for entry in entries:                       # a pair of a type with itself defines that type
        if entry.i == entry.j:
            for name, value in entry.values.items():
                own[name][entry.i] = value
    matrices = {}
    for p in parameters:
        matrix = np.full((ntypes, ntypes), np.nan)
        values = own[p.name]
        if p.mixes:
            size = own[p.size] if p.size else np.ones(ntypes)
            with np.errstate(invalid="ignore"):
                matrix = (LENGTHS[rule](values[:, None], values) if p.mixes == "length" else
                          ENERGIES[rule](values[:, None], values, size[:, None], size))
        elif not isinstance(given.get(p.name), Sequence) and given.get(p.name) is not None:
            matrix[:] = per_type(p.name, given[p.name], ntypes)[0]
        np.fill_diagonal(matrix, values)
        matrices[p.name] = matrix
    for entry in entries:
        for name, value in entry.values.items():
            matrices[name][entry.i, entry.j] = matrices[name][entry.j, entry.i] = value
    return matrices


def check(parameter: Parameter, matrix: Matrix, acts: NDArray[np.bool_]) -> None:
    """Raise ValueError for a pair whose value is missing or out of range."""
    name = parameter.name
    missing = acts & ~np.isfinite(matrix)
    if missing.any():
        i, j = np.argwhere(missing)[0]
        raise ValueError(f"{name} of types {i + 1} {j + 1} is missing: "
                         f"give {name}, or a pair table for these types")
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
        for key in table:
            if key not in ("types", *names):
                raise ValueError(f"pair.{key}: unknown key{_hint(key, names)}; "
                                 f"it takes types, {', '.join(names)}")
        values = {name: number(f"pair.{name}", table[name]) for name in names if name in table}
        return cls(i, j, values)


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
    """The key `pair`, which must be a list of tables."""
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


def _hint(key: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
