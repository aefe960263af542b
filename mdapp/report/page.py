"""A report as one HTML file that needs nothing else: no network, no scripts, no other files.

What a reader must know stands first: the summary, then the warnings. Pictures are SVG between the
tables of their numbers (figures.py). The JSON of the report lies in the page, for whoever gets only
that; so do all rows, up to sizes that a mail and a browser bear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from mdapp.report.document import Check, Note, Plot, Report, Table
from mdapp.report.figures import anchor, svg
from mdapp.report.plain import clean, heading, is_number, json_text, shown
from mdapp.report.text import measure, tally, warnings

MOST_ROWS = 1000              # of one table; beyond, the first and the last are shown
MOST_JSON = 1_000_000         # characters

# A shape for each verdict, so that it is told without its colour.
SIGNS = {"PASS": "✓", "WARN": "▲", "FAIL": "✗", "XFAIL": "⊘", "XPASS": "◆", "SKIP": "○",
         "NOT_RESOLVED": "?", "NA": "!"}  # fmt: skip


def page(report: Report) -> str:
    """The page.

    Raises
    ------
    ValueError : see `mdapp.report.plain.as_json`
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    numbers = json_text(report)
    templates = Environment(loader=PackageLoader("mdapp.report", "."), autoescape=True,
                            undefined=StrictUndefined, trim_blocks=True,
                            lstrip_blocks=True)  # fmt: skip
    template = templates.get_template("page.html.jinja")
    checks = report.checks()
    return template.render(
        title=clean(report.title), summary=[clean(line) for line in report.summary],
        tally=tally(checks), warnings=[clean(note.text) for note in warnings(report)],
        sections=[{"title": clean(section.title), "text": clean(section.text),
                   "blocks": _blocks(section.blocks)} for section in report.sections],
        environment=_facts(report.environment), schema=report.schema, version=report.version,
        numbers=_embedded(numbers) if len(numbers) <= MOST_JSON else None)  # fmt: skip


def _blocks(blocks: Sequence[Any]) -> list[dict[str, Any]]:
    """What the template shows; checks that follow each other make one table."""
    views = []
    for kind, members in groupby(blocks, type):
        if kind is Check:
            views.append(_checks(list(members)))
        else:
            views += [_view(block) for block in members]
    return views


def _view(block: Table | Plot | Note) -> dict[str, Any]:
    if isinstance(block, Note):
        return {"kind": "note", "text": clean(block.text), "level": block.level}
    if isinstance(block, Plot):
        return {"kind": "plot", "id": anchor(block.name), "svg": svg(block),
                "caption": clean(block.caption), "width": block.size[0],
                "table": block.table, "table_id": anchor(block.table)}  # fmt: skip
    return _table(block)


def _table(table: Table) -> dict[str, Any]:
    rows, cut = list(table.rows), 0
    if len(rows) > MOST_ROWS:
        cut = len(rows) - MOST_ROWS
        rows = rows[:MOST_ROWS // 2] + rows[-MOST_ROWS // 2:]
    return {
        "kind": "table", "id": anchor(table.name), "name": clean(table.name),
        "caption": clean(table.caption), "heads": [heading(c) for c in table.columns], "cut": cut,
        "right": [any(is_number(row.get(c.key)) for row in rows) for c in table.columns],
        "rows": [[shown(row.get(c.key), c.form) for c in table.columns] for row in rows],
        "before_cut": MOST_ROWS // 2,
    }  # fmt: skip


def _checks(checks: Sequence[Check]) -> dict[str, Any]:
    groups = []
    for category in dict.fromkeys(check.category for check in checks):
        members = [check for check in checks if check.category == category]
        groups.append({
            "title": clean(category) or "checks", "tally": tally(members),
            "rows": [{"id": anchor(c.name), "name": clean(c.name), "status": c.status,
                      "sign": SIGNS[c.status], "grade": c.grade, "measure": measure(c),
                      "seconds": f"{c.seconds:.2g}" if c.seconds else "",
                      "message": clean(c.message),
                      "details": [clean(line) for line in c.details]} for c in members],
        })  # fmt: skip
    return {"kind": "checks", "groups": groups}


def _facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            facts += [(clean(f"{key}.{name}"), shown(item, ".6g")) for name, item in value.items()]
        else:
            facts.append((clean(key), shown(value, ".6g")))
    return facts


def _embedded(numbers: str) -> Any:
    """JSON that cannot end the script element that it lies in."""
    from markupsafe import Markup

    for sign in "<>&":
        numbers = numbers.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(numbers)
