"""A pair formula in a file of the user's own: `style = "python:FILE.py:NAME"`.

The file has a formula, decorated, and a function that makes its coefficients of the parameters:

    def coefficients(epsilon, r0):
        return epsilon, 1 / r0

    @pair_formula("buffered", coefficients)
    def buffered(r2, c): ...

The arguments of `coefficients` are the keys of the deck; those with a default may be left out.
The keys `rc`, `pair` and `only` come with every formula (see pair/parameters.py). Nobody but the
user knows how unlike types mix, so that their pairs are named in `[[potential.pair]]` tables unless
the two types agree.

Formulas are compiled for a table of coefficients and a hash of their file: machine code that is
kept on disk belongs to one text of the file.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numba import types
from numba.core.errors import NumbaError
from numpy.typing import NDArray

from potentials.files import FileError
from potentials.own_file import load, parts_of, told_with_lines
from potentials.pair.loop import FORMULAS, LANES
from potentials.pair.parameters import (
    ONLY,
    PAIR,
    POSITIVE,
    Matrix,
    Parameter,
    matrices_of,
    signature_of,
)
from potentials.pair.potential import OfPairs
from potentials.simd import Vector

RESERVED = (PAIR, ONLY, "types", "style")
REGISTER = Vector(types.float64, LANES)


@dataclass(frozen=True)
class OwnPair(OfPairs):
    """A potential of a formula from a file; see potentials.base.Potential.

    Attributes
    ----------
    style : as it was asked for
    formula : name that the formula is registered under
    rc : (ntypes, ntypes) cutoffs, 0 where it does not act
    rows : (ntypes, ntypes, 1 + ncoefficients) float64, the squared cutoff first
    files : the file
    units : that the file says its numbers are in, or None
    """

    style: str
    formula: str
    rc: Matrix
    rows: NDArray[np.float64]
    files: tuple[str, ...]
    units: str | None = None
    known = {}    # noqa: RUF012

    @property
    def registered(self) -> str:
        """The name that its formula is registered under."""
        return self.formula

    def table(self) -> NDArray[np.float64]:
        """Coefficients of the formula."""
        return self.rows

    def strength(self) -> Matrix:
        """One unit: what a formula's typical force is, only its user knows."""
        return np.ones_like(self.rc)


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
    defaults = {p.name: None if p.default is p.empty else p.default
                for p in inspect.signature(coefficients).parameters.values()}
    for key in defaults:
        if key in RESERVED:
            raise FileError(f"{path}: {coefficients.__name__} has a parameter {key!r}, which is a "
                            "key of all formulas; give it another name")
    keys = {**defaults, "rc": None}
    parameters = [Parameter(key, POSITIVE if key == "rc" else "") for key in keys]

    def factory(ntypes: int, **given: object) -> OwnPair:
        matrices = matrices_of(parameters, ntypes, defaults | given)
        width, rows = 0, {}
        for i, j in np.argwhere(matrices["rc"] > 0):
            values = {key: float(matrix[i, j]) for key, matrix in matrices.items()}
            rows[i, j] = table_row(path, coefficients, defaults, values)
            width = len(rows[i, j])
        table = np.zeros((ntypes, ntypes, width))
        for pair, row in rows.items():
            if len(row) != width:
                raise FileError(f"{path}: {coefficients.__name__} returns {len(row) - 1} numbers "
                                f"and {width - 1}: must be as many for all pairs")
            table[pair] = row
        check(path, formula.formula, width)
        return OwnPair(style, formula.formula, matrices["rc"], table, (str(path),), units)

    keys |= {PAIR: (), ONLY: None}
    factory.__signature__ = signature_of(keys)        # type: ignore[attr-defined]
    return factory


def table_row(path: Path, coefficients: Callable[..., Any], parameters: Iterable[str],
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
