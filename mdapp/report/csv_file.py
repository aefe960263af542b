"""A table as CSV: keys of the columns in the first line, numbers with all their digits."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

from mdapp.report.document import Table
from mdapp.report.plain import clean, finite


def csv_text(table: Table) -> str:
    """The rows as RFC 4180 has them, lines ending with a line feed.

    Keys that rows have beside the columns come behind them. What is missing or not a number is an
    empty field.
    """
    listed = [column.key for column in table.columns]
    keys = list(dict.fromkeys([*listed, *(key for row in table.rows for key in row)]))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(clean(key) for key in keys)
    writer.writerows([_field(row.get(key)) for key in keys] for row in table.rows)
    return out.getvalue()


def csv_name(table: Table) -> str:
    """The name of a table's file."""
    return re.sub(r"[^\w.+-]+", "_", table.name).lstrip(".") + ".csv"


def _field(value: Any) -> Any:
    plain = finite(value)
    if isinstance(plain, (dict, list)):
        return json.dumps(plain)
    if isinstance(plain, str):
        return clean(plain)
    return plain
