"""What a user writes for a potential on a command line: a shorthand, or the name of a TOML file.

    lj/cut:epsilon=1,sigma=1,rc=2.5          style, then options
    lj/cut:1:1:2.5                           values alone fill the style's keys in their order
    lj/cut:epsilon=1,2,sigma=1,1.1,rc=2.5    a value may be a list: one for each type
    lj/cut:epsilon=1,sigma=1,rc=2.5:shift=true
    python:my.py:mine:depth=1,rc=5           a formula of one's own file (potentials/README.md)
    melt.toml                                its [potential] table; the file may be a whole deck

Fields are separated by colons.  A field whose first value is preceded by `key=` holds options;
what follows a comma without a key of its own belongs to the list before it.  Quotes keep colons,
commas and equal signs together.  A number is a number, `true` and `false` are booleans, everything
else is text, and a single value is no list.

`species` goes with every style: the names of the types, in their order.
"""

from __future__ import annotations

import inspect
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from potentials.base import Potential
from potentials.own_file import split_style, table_beside
from potentials.registry import PotentialError, find_style, make_potential, nearest

DECK_SECTIONS = ("units", "system", "potential", "neighbors", "run", "thermo", "output",
                 "checkpoint")
_PIECE = re.compile(r"""([A-Za-z_]\w*=)?("[^"]*"|'[^']*'|[^"',:]*)(,|:|$)""")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan|infinity)",
                     re.IGNORECASE)


@dataclass(frozen=True)
class PotentialSpec:
    """A potential as it was asked for, before the number of atom types is known.

    Attributes
    ----------
    style : its name
    parameters : the keys of its table, without `style` and `species`
    species : names of the types; empty where none were given
    units : of the file it came from, None where none were given
    """

    style: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    species: tuple[str, ...] = ()
    units: str | None = None

    def make(self, ntypes: int, species: Sequence[str] = ()) -> Potential:
        """Make the potential for `ntypes` atom types.

        Parameters
        ----------
        species : names of the types, where the potential was not asked for with its own

        Raises
        ------
        PotentialError : the style or a key is unknown, or a value cannot be used
        """
        return make_potential(self.style, self.parameters, ntypes, species or self.species)


def read_potential(text: str) -> PotentialSpec:
    """Understand a shorthand, or read the file it names.

    Raises
    ------
    PotentialError : says what of it cannot be used, and the nearest thing that can
    """
    if text.endswith(".toml"):
        return read_toml(Path(text))
    style, colon, rest = split_style(text)
    try:
        keys = style_keys(style)
    except PotentialError as error:
        if not colon and Path(text).is_file():
            raise PotentialError(f"{text}: a file with a [potential] table must be named *.toml"
                                 ) from None
        raise PotentialError(f"{text!r}: {error}") from None
    return _spec(style, _parsed(text, rest, keys) if colon else {}, None)


def read_toml(path: Path) -> PotentialSpec:
    """Read the [potential] table of a TOML file, and `units` and `system.species` if it has them.

    Raises
    ------
    PotentialError : the file cannot be read, is not TOML, or has no such table
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PotentialError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:                   # not TOML, or not UTF-8
        raise PotentialError(f"{path}: not valid TOML: {error}") from None
    for key in tables:
        if key not in DECK_SECTIONS:
            raise PotentialError(f"{path}: {key}: unknown key{nearest(key, [*DECK_SECTIONS])}; a "
                                 f"deck has {', '.join(DECK_SECTIONS)}")
    table = tables.get("potential")
    if not isinstance(table, dict) or not isinstance(table.get("style"), str):
        raise PotentialError(f"{path}: needs a [potential] table with style = \"...\"")
    parameters = table_beside(table, path.parent)
    style = parameters.pop("style")
    system = tables.get("system")
    if isinstance(system, dict) and "species" in system:
        parameters.setdefault("species", system["species"])
    try:
        style_keys(style)
        return _spec(style, parameters, tables.get("units"))
    except PotentialError as error:
        raise PotentialError(f"{path}: {error}") from None


def style_keys(style: str) -> list[str]:
    """Keys that a style takes, in the order in which values without a key fill them.

    Raises
    ------
    PotentialError : the style is unknown
    """
    parameters = inspect.signature(find_style(style)).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


def _spec(style: str, parameters: Mapping[str, Any], units: Any) -> PotentialSpec:
    if units not in (None, "lj", "metal"):
        raise PotentialError(f'units = {units!r}: must be "lj" or "metal"')
    parameters = dict(parameters)
    species = parameters.pop("species", ())
    names = (species,) if isinstance(species, str) else species
    if not isinstance(names, (list, tuple)) or not all(isinstance(s, str) and s for s in names):
        raise PotentialError(f"species = {species!r}: must be names of types, such as Cu,Ni")
    return PotentialSpec(style, parameters, tuple(names), units)


def _parsed(text: str, rest: str, keys: list[str]) -> dict[str, Any]:
    """Options of the fields behind the style, by key."""
    found: dict[str, Any] = {}
    free = iter(keys)
    named = False
    for pieces in _fields(text, rest):
        key = pieces[0][0]
        named = named or key is not None
        if key is None:
            if named:
                raise PotentialError(f"{text!r}: {pieces[0][1]!r} needs a key, as in key="
                                     f"{pieces[0][1]}: values alone come before those with keys")
            key = next(free, None)
            if key is None:
                raise PotentialError(f"{text!r}: too many values; the style takes "
                                     f"{', '.join(keys)}")
        values: list[Any] = []
        for name, value in pieces:
            if name is not None and values:
                _put(found, key, values, keys, text)
                key, values = name, []
            values.append(_value(value, key, text))
        _put(found, key, values, keys, text)
    return found


def _fields(text: str, rest: str) -> Iterator[list[tuple[str | None, str]]]:
    """The (key or None, value) pieces of each field."""
    pieces: list[tuple[str | None, str]] = []
    at = 0
    while True:
        match = _PIECE.match(rest, at)
        if match is None:
            raise PotentialError(f"{text!r}: cannot be understood from {rest[at:]!r} on: a quote "
                                 "is not closed, or stands within a word")
        key, value, end = match.groups()
        pieces.append((key[:-1] if key else None, value))
        if end != ",":
            yield pieces
            pieces = []
        if not end:
            return
        at = match.end()


def _put(found: dict[str, Any], key: str, values: list[Any], keys: list[str], text: str) -> None:
    known = [*keys, "species"]
    if key not in known:
        raise PotentialError(f"{text!r}: unknown key {key!r}{nearest(key, known)}; the style takes "
                             f"{', '.join(dict.fromkeys(known))}")
    if key in found:
        raise PotentialError(f"{text!r}: {key} is given twice")
    found[key] = values[0] if len(values) == 1 else values


def _value(text: str, key: str, whole: str) -> int | float | bool | str:
    if text[:1] in ("'", '"'):
        return text[1:-1]
    if not text:
        raise PotentialError(f"{whole!r}: {key} has no value; write {key}=VALUE")
    if text in ("true", "false"):
        return text == "true"
    if not _NUMBER.fullmatch(text):
        return text
    if re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if not math.isfinite(float(text)):
        raise PotentialError(f"{whole!r}: {key} = {text}: must be a finite number")
    return float(text)
