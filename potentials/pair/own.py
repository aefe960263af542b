"""A pair formula in a file of the user's own: `style = "python:FILE.py:NAME"`.

The file has a formula, decorated, and a function that makes its coefficients of the parameters:

    def coefficients(epsilon, r0):
        return epsilon, 1 / r0

    @pair_formula("buffered", coefficients)
    def buffered(r2, c): ...

The arguments of `coefficients` are the keys of the deck; those with a default may be left out.
The key `rc` comes with every formula. A value holds for all types, or there is one a type; nobody
but the user knows how unlike types mix, so that their pairs are named in `[[potential.pair]]`
tables unless the two types agree.

Formulas are compiled for a table of coefficients and a hash of their file: machine code that is
kept on disk belongs to one text of the file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from potentials.files import FileError
from potentials.own_file import load, parts_of, told_with_lines
from potentials.pair.kernel import PairKernel
from potentials.pair.loop import FORMULAS, LANES
from potentials.simd import Vector

FORCE_SCALE = 1.0       # deterministic sums resolve 2^-36 of it and hold forces below 2^15 of it
REGISTER = Vector(types.float64, LANES)


@dataclass(frozen=True)
class OwnPair:
    """A potential of a formula from a file; see potentials.base.Potential.

    Attributes
    ----------
    style : as it was asked for
    formula : name that the formula is registered under
    table : (ntypes, ntypes, 1 + ncoefficients) float64, the squared cutoff first
    files : the file
    units : that the file says its numbers are in, or None
    """

    style: str
    formula: str
    table: NDArray[np.float64]
    files: tuple[str, ...]
    units: str | None = None
    lists: str = "clusters"
    precisions: tuple[str, ...] = ("double", "mixed", "single")
    known: Mapping[str, str] = field(default_factory=dict)

    @property
    def cutoff(self) -> float:
        """The largest of all pairs."""
        return float(np.sqrt(self.table[..., 0].max()))

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.table)

    def compiled(self, precision: str, deterministic: bool = False, span: float = 0.0
                 ) -> PairKernel:
        """The kernel for one of `precisions`; span: cutoff of the lists, where it is longer."""
        return PairKernel(self.formula, self.table, max(self.cutoff, span), FORCE_SCALE, precision,
                          deterministic)


def own_pair(style: str) -> Callable[..., OwnPair]:
    """The function that makes a potential of `python:FILE.py:NAME` from the keys of a deck.

    Raises
    ------
    FileError : the file cannot be run, or has no such formula
    """
    file, name = parts_of(style)
    path, module = load(file)
    found = {f.formula.partition("@")[0]: f for f in vars(module).values()
             if isinstance(getattr(f, "formula", None), str) and f.__module__ == module.__name__}
    if name not in found:
        there = f"it has {', '.join(found)}" if found else "it has none"
        raise FileError(f"{path}: no function is decorated with @pair_formula({name!r}); {there}")
    formula, coefficients = found[name], found[name].coefficients
    if coefficients is None:
        raise FileError(f"{path}: @pair_formula({name!r}) needs a function of its parameters that "
                        f"returns the coefficients: @pair_formula({name!r}, coefficients)")
    units = getattr(module, "UNITS", None)
    if units not in (None, "lj", "metal"):
        raise FileError(f'{path}: UNITS = {units!r}: must be "lj" or "metal"')
    parameters = {p.name: p.default for p in inspect.signature(coefficients).parameters.values()}
    keys = {**parameters, "rc": inspect.Parameter.empty}

    def factory(ntypes: int, pair: Sequence[Mapping[str, object]] = (), **given: object) -> OwnPair:
        values = {key: per_pair(key, given.get(key, default), ntypes)
                  for key, default in keys.items()}
        unusual(values, pair, ntypes)
        refuse_missing(values)
        rows = np.array([[table_row(path, coefficients, parameters,
                                    {key: float(v[i, j]) for key, v in values.items()})
                          for j in range(ntypes)] for i in range(ntypes)])
        check(path, formula.formula, rows.shape[-1])
        return OwnPair(style, formula.formula, rows, (str(path),), units)

    keyword = inspect.Parameter.KEYWORD_ONLY
    factory.__signature__ = inspect.Signature([       # type: ignore[attr-defined]
        inspect.Parameter("ntypes", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        *(inspect.Parameter(key, keyword) for key in (*keys, "pair"))])
    return factory


def per_pair(key: str, given: object, ntypes: int) -> NDArray[np.float64]:
    """(ntypes, ntypes) values of one, or one a type; NaN where types differ or nothing is given."""
    if given is inspect.Parameter.empty:
        return np.full((ntypes, ntypes), np.nan)
    listed = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    if len(listed) not in (1, ntypes):
        raise ValueError(f"{key}: {len(listed)} values for {ntypes} atom types; "
                         "give one, or one a type")
    own = np.broadcast_to([number(key, value) for value in listed], ntypes)
    return np.where(own[:, None] == own, own, np.nan)


def unusual(values: dict[str, NDArray[np.float64]], pair: object, ntypes: int) -> None:
    """Write the values of `[[potential.pair]]` tables, {types = [i, j], key = value, ...}."""
    if not isinstance(pair, Sequence) or not all(isinstance(table, Mapping) for table in pair):
        raise ValueError(f"pair = {pair!r}: must be a list of tables, [[potential.pair]]")
    for table in pair:
        kinds = table.get("types")
        if not (isinstance(kinds, Sequence) and len(kinds) == 2
                and all(type(t) is int and 1 <= t <= ntypes for t in kinds)):
            raise ValueError(f"pair.types = {kinds!r}: must be two atom types from 1 to {ntypes}")
        for key, value in table.items():
            if key != "types" and key not in values:
                raise ValueError(f"pair.{key}: unknown key; it takes types, {', '.join(values)}")
            if key != "types":
                i, j = kinds[0] - 1, kinds[1] - 1
                values[key][i, j] = values[key][j, i] = number(f"pair.{key}", value)


def refuse_missing(values: Mapping[str, NDArray[np.float64]]) -> None:
    """Raise ValueError where a pair has no value, or no cutoff that can be."""
    for key, matrix in values.items():
        for i, j in product(range(len(matrix)), repeat=2):
            if np.isnan(matrix[i, j]):
                way = (f"give {key}" if i == j else
                       f"add a [[potential.pair]] with types = [{i + 1}, {j + 1}]")
                raise ValueError(f"{key} of types {i + 1} {j + 1} is missing: {way}")
    if not (values["rc"] > 0).all():
        raise ValueError(f"rc = {values['rc'].min():g}: must be greater than 0")


def number(key: str, value: object) -> float:
    """A finite number; a text or a truth value is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise ValueError(f"{key} = {value!r}: must be a finite number")
    return float(value)


def table_row(path: Path, coefficients: Callable[..., Any], parameters: Mapping[str, Any],
              values: Mapping[str, float]) -> list[float]:
    """The squared cutoff of a pair and what the user's function makes of its parameters."""
    with told_with_lines(path):
        made = coefficients(**{key: values[key] for key in parameters})
        row = [float(c) for c in (made if isinstance(made, Sequence) else [made])]
    if not np.isfinite(row).all():
        raise FileError(f"{path}: {coefficients.__name__}({dict(values)}) returns {row}: must be "
                        "finite numbers")
    return [values["rc"] ** 2, *row]


def check(path: Path, formula: str, ncoefficients: int) -> None:
    """Compile a formula by itself, so that its mistakes are told as such.

    Raises
    ------
    FileError : it cannot be compiled, or does not return energy and force / r
    """
    signature = REGISTER, types.UniTuple(REGISTER, ncoefficients)
    try:
        FORMULAS[formula].compile(signature)
    except NumbaError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if not line.startswith("Failed in")), "")
        line = getattr(getattr(error, "loc", None), "line", None)
        raise FileError(f"{path}{f':{line}' if line else ''}: the formula cannot be compiled for "
                        f"{ncoefficients} coefficients, rc^2 among them: {reason}") from None
    returned = FORMULAS[formula].overloads[signature].signature.return_type
    if returned != types.UniTuple(REGISTER, 2):
        raise FileError(f"{path}: the formula {formula.partition('@')[0]!r} must return two values "
                        "that depend on r2: energy and force / r")
