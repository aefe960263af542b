"""A report as plain values: the JSON of every command, and how one value is printed.

JSON has no NaN and no infinity: what is not a number becomes null. Text may come from anywhere (the
name of a file, an error of a library): what XML and terminals cannot bear is replaced, not passed.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mdapp.report.document import Column, Report

MISSING = "-"
RESERVED = ("schema", "version", "title", "tables")
# Control characters but tab and line feed, halves of surrogate pairs, and what XML leaves out.
UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def as_json(report: Report) -> dict[str, Any]:
    """The whole report as plain values.

    The command's own `data` stands between the head and the tables; where it has `summary`,
    `environment` or `checks` of its own, those are taken.

    Raises
    ------
    ValueError : two tables, plots or checks share a name, a plot names a table that is not there,
        or `data` has a key that belongs to the report
    """
    refuse_ambiguous(report)
    own = report.data
    body = {
        "schema": report.schema, "version": report.version, "title": report.title,
        "summary": own.get("summary", list(report.summary)),
        "environment": own.get("environment", report.environment),
        **{key: value for key, value in own.items() if key not in ("summary", "environment")},
        "tables": {table.name: list(table.rows) for table in report.tables()},
        "checks": own.get("checks", [asdict(check) for check in report.checks()]),
    }  # fmt: skip
    return {key: finite(value) for key, value in body.items()}


def json_text(report: Report) -> str:
    """The report as a JSON document, ending with a line feed."""
    return json.dumps(as_json(report), indent=2, allow_nan=False) + "\n"


def refuse_ambiguous(report: Report) -> None:
    """Names are keys, anchors and names of files: each may stand for one thing only.

    Raises
    ------
    ValueError : see `as_json`
    """
    for kind, blocks in (("tables", report.tables()), ("plots", report.plots()),
                         ("checks", report.checks())):  # fmt: skip
        names = [block.name for block in blocks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"report {report.title!r}: several {kind} are called {twice[0]!r}")
    known = {table.name for table in report.tables()}
    for plot in report.plots():
        if plot.table and plot.table not in known:
            raise ValueError(f"plot {plot.name!r}: there is no table {plot.table!r}")
    if taken := [key for key in RESERVED if key in report.data]:
        raise ValueError(f"report {report.title!r}: data has the report's own key {taken[0]!r}")


def finite(value: Any) -> Any:
    """Plain values that JSON can hold; numbers and arrays of numpy become Python's."""
    if isinstance(value, Mapping):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    return value


def shown(value: Any, form: str = "") -> str:
    """A value as people read it, in the column's form; a dash for what is missing.

    Whole numbers keep all their digits unless the form says how many decimals they have.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and form[-1:] not in ("f", "e", "E", "%", "d", "x"):
        return str(value)
    if isinstance(value, (int, float)):
        return format(value, form)
    if isinstance(value, (list, tuple)):
        return ", ".join(shown(item, form) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(key)} {shown(item, form)}" for key, item in value.items())
    return clean(value)


def heading(column: Column) -> str:
    """Title and unit of a column."""
    title = column.title or column.key
    return clean(f"{title}, {column.unit}" if column.unit else title)


def is_number(value: Any) -> bool:
    """Whether a value is a number, so that it stands to the right."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def clean(value: object) -> str:
    """Text without the characters that XML and terminals cannot bear."""
    return UNFIT.sub("\ufffd", str(value))


def width(text: str) -> int:
    """Columns of a terminal that a text takes: accents none, wide characters two."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF")
               for c in text)  # fmt: skip
