"""The canonical text of a deck: plain values in, TOML or JSON out; equal values, equal text.

Python reads TOML but does not write it.  A deck needs tables, lists of tables and one-line values
only, which is a page; `repr` of a float is the shortest text that reads back to the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any


def dumps_json(table: Mapping[str, Any]) -> str:
    """JSON with sorted keys, one space of indent and a final newline."""
    return json.dumps(table, indent=1, sort_keys=True, allow_nan=False) + "\n"


def dumps_toml(table: Mapping[str, Any]) -> str:
    """TOML of nested tables; plain values come before sub-tables, both in the order given."""
    return "\n".join(_lines(table, ())).strip() + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    tables = {k: v for k, v in table.items() if isinstance(v, Mapping) or _is_table_list(v)}
    for key, value in table.items():
        if key not in tables:
            yield f"{_key(key)} = {_value(value)}"
    for key, value in tables.items():
        here = (*path, key)
        name = ".".join(map(_key, here))
        for header, entry in ([(f"[{name}]", value)] if isinstance(value, Mapping)
                              else [(f"[[{name}]]", entry) for entry in value]):
            yield ""
            yield header
            yield from _lines(entry, here)


def _is_table_list(value: Any) -> bool:
    return (isinstance(value, (list, tuple)) and len(value) > 0
            and all(isinstance(item, Mapping) for item in value))


def _key(key: str) -> str:
    plain = key.isascii() and key.replace("_", "").replace("-", "").isalnum()
    return key if plain else _string(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return repr(value)


def _string(text: str) -> str:
    # JSON's escapes are a subset of TOML's, but for DEL, which TOML wants escaped too.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
