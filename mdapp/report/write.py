"""A report as files in a folder; each one is there whole or not at all.

A file is written beside its place and renamed, so that a page that somebody has open, or that a
killed command leaves behind, is never half of one. Numbers come first and the page, whose pictures
are drawn last, at the end: whatever goes wrong there, the numbers are on disk.
"""

from __future__ import annotations

import os
from pathlib import Path

from mdapp.report.csv_file import csv_name, csv_text
from mdapp.report.document import Report
from mdapp.report.junit import junit_text
from mdapp.report.page import page
from mdapp.report.plain import json_text
from mdapp.report.text import text


def write(report: Report, folder: Path, *, html: Path | None = None, json: Path | None = None,
          junit: Path | None = None) -> list[Path]:  # fmt: skip
    """Write `report.json`, `report.txt`, a CSV a table, `junit.xml` of checks, and `report.html`.

    Parameters
    ----------
    folder : made if it is not there
    html, json, junit : further copies at these paths; their folders are made too

    Returns
    -------
    list of Path
        What was written, in that order.

    Raises
    ------
    ValueError : see `mdapp.report.plain.as_json`
    OSError : a file cannot be written
    """
    numbers = json_text(report)
    written = [
        write_text(folder / "report.json", numbers),
        write_text(folder / "report.txt", text(report)),
        *(write_text(folder / csv_name(table), csv_text(table)) for table in report.tables()),
    ]
    if json is not None:
        written.append(write_text(json, numbers))
    if report.checks() or junit is not None:
        cases = junit_text(report)
        places = [folder / "junit.xml"] if report.checks() else []
        written += [write_text(p, cases) for p in (*places, *([junit] if junit else []))]
    document = page(report)
    written += [write_text(p, document)
                for p in (folder / "report.html", *([html] if html else []))]  # fmt: skip
    return written


def write_text(path: Path, content: str) -> Path:
    """Put a file in its place, whole; returns where.

    Raises
    ------
    OSError : it cannot be written; what was there before is still there
    """
    return write_bytes(path, content.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> Path:
    """As `write_text`, for pictures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return path
