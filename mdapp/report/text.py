"""A report as text for the terminal: aligned columns, no colours, words for verdicts.

Pictures have no place here; each one names the table that holds its numbers.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from mdapp.report.document import Block, Check, Note, Plot, Report, Section, Status, Table
from mdapp.report.plain import clean, heading, is_number, shown, width

WIDEST = 60                   # columns of a cell; longer text goes on in a line below
LINE = 100
ORDER: tuple[Status, ...] = (
    "FAIL", "NA", "XPASS", "WARN", "NOT_RESOLVED", "XFAIL", "SKIP", "PASS")  # worst first


def text(report: Report) -> str:
    """The report for the terminal, ending with a line feed.

    Raises
    ------
    ValueError : see `mdapp.report.plain.as_json`
    """
    lines = [*titled(report.title, "="), *(wrapped(line) for line in report.summary)]
    if checks := report.checks():
        lines.append(f"checks: {tally(checks)}")
    lines += [f"warning: {wrapped(note.text)}" for note in warnings(report)]
    for section in report.sections:
        lines += ["", *section_lines(section)]
    if report.environment:
        lines += ["", *titled("Environment", "-"), *facts(report.environment)]
    return "\n".join(lines) + "\n"


def warnings(report: Report) -> list[Note]:
    """Notes that weaken a conclusion; they come before everything that they weaken."""
    return [block for section in report.sections for block in section.blocks
            if isinstance(block, Note) and block.level == "warning"]  # fmt: skip


def tally(checks: Sequence[Check]) -> str:
    """How many checks ended how, the worst first."""
    counts = Counter(check.status for check in checks)
    return ", ".join(f"{counts[status]} {status}" for status in ORDER if counts[status])


def section_lines(section: Section) -> list[str]:
    """Heading, text and blocks of a section; checks that follow each other make one table."""
    lines = titled(section.title, "-")
    if section.text:
        lines += [wrapped(section.text), ""]
    for kind, members in groupby(section.blocks, type):
        blocks = list(members)
        lines += check_lines(blocks) if kind is Check else block_lines(blocks)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def block_lines(blocks: Sequence[Block]) -> list[str]:
    """Tables and notes; a picture leaves no trace, and warnings have been said."""
    lines = []
    for block in blocks:
        if isinstance(block, Note):
            lines += [] if block.level == "warning" else [wrapped(block.text)]
        elif isinstance(block, Table):
            if block.caption:
                lines.append(wrapped(block.caption))
            lines += [*table_lines(block), ""]
        else:
            assert isinstance(block, Plot)
    return lines


def table_lines(table: Table) -> list[str]:
    """A table in aligned columns; one that has no rows says so."""
    if not table.rows:
        return [f"{table.name}: no rows"]
    cells = [[shown(row.get(c.key), c.form) for c in table.columns] for row in table.rows]
    right = [any(is_number(row.get(c.key)) for row in table.rows) for c in table.columns]
    return aligned([[heading(c) for c in table.columns], *cells], right)


def check_lines(checks: Sequence[Any]) -> list[str]:
    """Verdicts by category, each with what decided it and what was seen."""
    rows = [[f"  {c.status}", clean(c.name), c.grade, measure(c), _seconds(c)] for c in checks]
    laid_out = row_lines(rows, [False, False, False, False, True])
    lines_of = dict(zip((c.name for c in checks), laid_out, strict=True))
    lines = []
    for category in dict.fromkeys(check.category for check in checks):
        members = [check for check in checks if check.category == category]
        lines.append(f"{clean(category) or 'checks'}: {tally(members)}")
        for check in members:
            lines += lines_of[check.name]
            said = [check.message, *check.details] if check.status != "PASS" else [check.message]
            lines += [textwrap.fill(clean(line), LINE, initial_indent=" " * 6,
                                    subsequent_indent=" " * 6) for line in said if line]
        lines.append("")
    return lines


def _seconds(check: Check) -> str:
    return f"{check.seconds:.2g} s" if check.seconds else ""


def measure(check: Check) -> str:
    """The measure that decided, against its threshold; empty where there is none."""
    if check.value is None:
        return ""
    against = "" if check.threshold is None else f" / {shown(check.threshold, '.3g')}"
    return clean(f"{shown(check.value, '.3g')}{against} {check.unit}".rstrip())


def facts(values: Mapping[str, Any]) -> list[str]:
    """Names and values in two columns; a mapping within makes lines of its own."""
    rows = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += [[clean(f"{key}.{name}"), shown(item, ".6g")] for name, item in value.items()]
        else:
            rows.append([clean(key), shown(value, ".6g")])
    return aligned(rows, [False, False])


def aligned(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Lines of columns; a cell that is too wide goes on in lines below."""
    return [line for lines in row_lines(rows, right) for line in lines]


def row_lines(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[list[str]]:
    """As `aligned`, with the lines of each row by themselves."""
    broken = [[_broken(cell) for cell in row] for row in rows]
    widths = [max((width(part) for cell in column for part in cell), default=0)
              for column in zip(*broken, strict=True)]  # fmt: skip
    return [
        ["  ".join(_padded(*cell) for cell in zip(
            [cell[k] if k < len(cell) else "" for cell in row], widths, right, strict=True)
        ).rstrip() for k in range(max(map(len, row), default=0))]
        for row in broken
    ]  # fmt: skip


def _broken(cell: str) -> list[str]:
    return [part for line in cell.expandtabs().split("\n")
            for part in textwrap.wrap(line, WIDEST) or [""]]  # fmt: skip


def _padded(part: str, wide: int, right: bool) -> str:
    space = " " * (wide - width(part))
    return space + part if right else part + space


def titled(title: str, rule: str) -> list[str]:
    """A heading with a line under it."""
    return [clean(title), rule * width(clean(title))]


def wrapped(words: str) -> str:
    """A paragraph in lines that fit a terminal."""
    return "\n".join(textwrap.fill(line, LINE) for line in clean(words).split("\n"))
