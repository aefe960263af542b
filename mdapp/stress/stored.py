"""Reports of earlier runs, read back."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mdapp.errors import InputError
from mdapp.stress.page import SCHEMA, VERSION

NEEDED = ("meta", "phases", "exit_code")


def read_runs(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Bodies of runs, in the order of `paths`; a report of several gives all of them.

    Parameters
    ----------
    paths : folders with a report.json, or such files

    Raises
    ------
    InputError
        One is no report of `mdapp stress`, or of another version.
    OSError
        One cannot be read.
    """
    bodies: list[dict[str, Any]] = []
    for path in paths:
        file = path / "report.json" if path.is_dir() else path
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:
            raise InputError(f"{file}: is no JSON; name a report of mdapp stress") from None
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise InputError(f"{file}: is no report of mdapp stress (its schema is not {SCHEMA})")
        if content.get("version") != VERSION:
            raise InputError(f"{file}: has version {content.get('version')} and not {VERSION}; use "
                             "the mdapp that wrote it")
        runs = content.get("runs") or [content]
        if not all(isinstance(r, dict) and all(k in r for k in NEEDED) for r in runs):
            raise InputError(f"{file}: lacks {', '.join(NEEDED)}; name a whole report")
        bodies += runs
    return bodies
