"""Every problem of a deck as one line: `deck.toml: run.timestep = -1: must be greater than 0`.

Pydantic finds the problems; its words are for programmers.  Here each kind of error gets a
sentence for somebody who edits a deck: the key as a dotted path, the value as it was written, the
allowed range, and for a name that is not known the nearest one that is.  The names come from the
schema itself, so that they cannot be out of date.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Path = tuple[str | int, ...]

MISSING: dict[Path, str] = {
    ("units",): 'missing: give units = "lj" or units = "metal"',
    ("system",): "missing: give a [system] table with lattice = ... or file = ...",
    ("potential",): 'missing: give a [potential] table, such as style = "lj/cut"',
    ("potential", "style"): 'missing: give the name of a potential, such as style = "lj/cut"',
    ("run",): "missing: give a [run] table with steps = ...",
    ("run", "steps"): "missing: give the number of steps",
}
LIMITS = {
    "greater_than": ("must be greater than {}", "gt"),
    "greater_than_equal": ("must be at least {}", "ge"),
    "less_than": ("must be less than {}", "lt"),
    "less_than_equal": ("must be at most {}", "le"),
}
TYPES = {
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text in quotes",
    "tuple_type": "must be a list",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "finite_number": "must be a finite number",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be a name of letters, digits and _ that starts with a letter",
}


def dotted(path: Iterable[str | int]) -> str:
    """Join the parts of a key."""
    return ".".join(map(str, path))


def shown(value: Any) -> str:
    """Write a value as a deck does, cut where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that `word` most likely misspells."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def problem_lines(error: ValidationError, deck: type[BaseModel],
                  where: Callable[[str], str]) -> list[str]:
    """One line a problem.

    Parameters
    ----------
    deck : the model that was validated, for the names it knows
    where : text to put before the problem of a dotted key, such as `in.lj:17: `
    """
    lines = []
    for details in error.errors(include_url=False):
        if details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]:
            continue  # a list counts as short when an entry is wrong, which has a line of its own
        for path, text in _problems(details, deck):
            lines.append(f"{where(dotted(path))}{text}")
    return list(dict.fromkeys(lines))


def _problems(details: ErrorDetails, deck: type[BaseModel]) -> Iterator[tuple[Path, str]]:
    path: Path = tuple(details["loc"])
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    name = dotted(path)
    if kind == "together":
        for key, text in context["problems"]:
            here = (*path, *(key.split(".") if key else ()))
            yield here, f"{dotted(here)}{_found(value, key)}: {text}"
    elif kind == "missing":
        yield path, f"{name}: {MISSING.get(path, 'missing')}"
    elif kind == "extra_forbidden":
        yield path, f"{name}: unknown key{_instead(path, deck)}"
    else:
        yield path, f"{name} = {shown(value)}: {_sentence(details, kind, value, context)}"


def _found(section: Any, key: str) -> str:
    """` = value` of a key that a check of the whole section complains about, where it has one."""
    value = section
    for part in key.split(".") if key else ():
        if isinstance(value, dict):
            value = value.get(part)
        elif isinstance(value, (list, tuple)) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            value = getattr(value, part, None)
    return "" if value is None or value is section else f" = {shown(value)}"


def _sentence(details: ErrorDetails, kind: str, value: Any, context: dict[str, Any]) -> str:
    if kind in LIMITS:
        words, key = LIMITS[kind]
        limit = context[key]
        return words.format(f"{limit:g}" if isinstance(limit, float) else limit)
    if kind in ("too_short", "too_long"):
        bound = "at least" if kind == "too_short" else "at most"
        count = context["min_length" if kind == "too_short" else "max_length"]
        return f"must have {bound} {count} {'entry' if count == 1 else 'entries'}, not {len(value)}"
    if kind == "literal_error":
        return _choice(value, context["expected"])
    return TYPES.get(kind, details["msg"])


def _choice(value: Any, expected: str) -> str:
    names = expected.replace(" or ", ", ").replace("'", "").split(", ")
    hint = nearest(value, names) if isinstance(value, str) else None
    suffix = f"; did you mean {hint}?" if hint else ""
    return f"must be {'one of ' if len(names) > 1 else ''}{', '.join(names)}{suffix}"


def _instead(path: Path, deck: type[BaseModel]) -> str:
    *parents, key = path
    known = _fields(deck, parents)
    hint = nearest(str(key), known)
    if hint:
        return f"; did you mean {dotted((*parents, hint))}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _fields(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Names of the keys of the table at `path`."""
    for part in path:
        if isinstance(part, str):
            field = model.model_fields.get(part)
            found = next(_models(field.annotation), None) if field else None
            if found is None:
                return []
            model = found
    return list(model.model_fields)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
