"""From a file and `--set key=value` to a checked deck, or to one error that lists all problems.

The order is: read, override, validate.  Overrides work on the plain tables before the checks, so
that an overridden key is held to exactly the rules of a written one, and so that a LAMMPS script,
which becomes the same tables, takes them too.
"""

from __future__ import annotations

import copy
import datetime
import math
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mdapp.deck.messages import dotted, nearest, problem_lines, shown
from mdapp.deck.schema import Deck
from mdapp.errors import InputError

Tables = dict[str, Any]
KeyPath = tuple[str | int, ...]


def load_deck(path: str | Path, overrides: Sequence[str] = ()) -> Deck:
    """Read a TOML deck.

    Parameters
    ----------
    path : the file
    overrides : texts `section.key=value`, as `--set` takes them

    Raises
    ------
    InputError : the file cannot be read, is not TOML, or is not a deck; one line for each problem
    """
    path = Path(path)
    text = read_text(path, "deck")
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{path}: lists or tables are nested too deeply") from None
    except ValueError as error:
        raise InputError(_syntax_message(path, text, str(error))) from None
    return build_deck(tables, source=path, overrides=overrides)


def build_deck(tables: Mapping[str, Any], *, source: Path | None = None,
               overrides: Sequence[str] = (), lines: Mapping[str, int] | None = None,
               notes: Sequence[str] = ()) -> Deck:
    """Check plain tables and make a deck of them.

    Parameters
    ----------
    tables : what a TOML file holds
    source : the file they came from; input files are found relative to its folder
    lines : line of `source` on which a dotted key was set, where that is known
    notes : passed on to `Deck.notes`

    Raises
    ------
    InputError : one line for each problem
    """
    tables = apply_overrides(tables, overrides)
    where = _locator(source, overrides, lines or {})
    odd = [f"{where(dotted(path))}{dotted(path)} = {shown(value)}: {text}"
           for path, value, text in _odd_values(tables, ())]
    if odd:
        raise InputError("\n".join(odd))
    try:
        deck = Deck.model_validate(tables)
    except ValidationError as error:
        raise InputError("\n".join(problem_lines(error, Deck, where))) from None
    deck._source = str(source) if source else ""
    deck._notes = tuple(notes)
    _require_file(deck, where)
    return deck


def deck_schema() -> dict[str, Any]:
    """Return the JSON schema of a deck, with a description, range and default for each key."""
    schema = Deck.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema,
            "title": "mdapp deck"}


def read_text(path: Path, what: str) -> str:
    """Read the text of a file that the user named.

    Raises
    ------
    InputError : no such file, a folder, not readable, not UTF-8
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such {what}{_nearby(path)}") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder, not a {what}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not a text file: byte {error.start} is not UTF-8") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot read the {what}: {reason}") from None


def _nearby(path: Path) -> str:
    try:
        near = nearest(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return f": there is no folder {path.parent}"
    return f"; did you mean {path.parent / near}?" if near else ""


def _syntax_message(path: Path, text: str, error: str) -> str:
    place = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", error)
    if not place:
        return f"{path}: not valid TOML: {error}"
    line, column = place.groups()
    if line is None:
        line, column = text.count("\n") + 1, len(text.rsplit("\n", 1)[-1]) + 1
    return f"{path}:{line}:{column}: not valid TOML: {error[:place.start()]}"


def _locator(source: Path | None, overrides: Sequence[str],
             lines: Mapping[str, int]) -> Callable[[str], str]:
    overridden = {text.partition("=")[0].strip() for text in overrides}

    def where(key: str) -> str:
        parts = key.split(".")
        for prefix in (".".join(parts[:n]) for n in range(len(parts), 0, -1)):
            if prefix in overridden:
                return "--set: "
            if prefix in lines:
                return f"{source}:{lines[prefix]}: "
        if any(text.startswith(f"{key}.") for text in overridden):
            return "--set: "    # a table that only an override made
        return f"{source}: " if source else ""

    return where


def _odd_values(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any, str]]:
    """Find what TOML can write and no deck can mean, wherever it stands."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _odd_values(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for k, item in enumerate(value):
            yield from _odd_values(item, (*path, k))
    elif isinstance(value, float) and not math.isfinite(value):
        yield path, value, "must be a finite number"
    elif isinstance(value, int) and not -2**63 <= value < 2**63:
        yield path, value, "must fit into 64 bits"
    elif isinstance(value, (datetime.date, datetime.time)):
        yield path, value, "must not be a date or time; text needs quotes"


def _require_file(deck: Deck, where: Callable[[str], str]) -> None:
    name = deck.system.file
    if name is None or deck.source is None:
        return
    path = deck.path(name)
    try:
        found = path.exists()
    except (OSError, ValueError):
        found = False
    if not found:
        hint = _nearby(path) or f" (looked for {path})"
        raise InputError(f"{where('system.file')}system.file = {shown(name)}: no such file{hint}")


def apply_overrides(tables: Mapping[str, Any], overrides: Sequence[str]) -> Tables:
    """Set keys of plain tables from texts `a.b=value`.

    Entries of a list are counted from 0, as in `output.0.every=10`.  The value is read as TOML, or
    as text where it is no TOML value; an empty value removes the key, so that its default holds.
    Tables on the way are made; whether the key exists is for the validation to say.

    Raises
    ------
    InputError : not of this form, or a path that runs through something that is not a table
    """
    result = copy.deepcopy(dict(tables))
    for text in overrides:
        key, equals, value = text.partition("=")
        path = [part.strip() for part in key.split(".")]
        if not equals or not all(path):
            raise InputError(f"--set {text}: must be of the form section.key=value, "
                             "such as run.steps=100")
        _set(result, path, value.strip(), text)
    return result


def _set(table: Any, path: list[str], value: str, text: str) -> None:
    for depth, part in enumerate(path[:-1]):
        index = _index(table, part, dotted(path[:depth]), text)
        if isinstance(table, dict):
            table.setdefault(index, {})
        table = table[index]
    index = _index(table, path[-1], dotted(path[:-1]), text)
    if value:
        table[index] = _toml_value(value)
    elif isinstance(table, list):
        del table[index]
    else:
        table.pop(index, None)


def _index(table: Any, part: str, name: str, text: str) -> Any:
    """`part` as an index into `table`, which is the thing called `name`."""
    if isinstance(table, dict):
        return part
    if not isinstance(table, list):
        raise InputError(f"--set {text}: {name} = {shown(table)} has no keys of its own")
    if not table:
        raise InputError(f"--set {text}: {name} is an empty list")
    if not (part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(table)):
        raise InputError(f"--set {text}: {name} has the entries 0 to {len(table) - 1}, "
                         f"there is no {part}")
    return int(part)


def _toml_value(text: str) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    # More keys than one means that the text held a line break: it is not one value.
    return parsed["value"] if parsed.keys() == {"value"} else text
