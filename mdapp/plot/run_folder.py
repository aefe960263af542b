"""What a run has left in its folder, finished, going on or killed; nothing is changed.

    thermo.jsonl        legs and thermo rows (mdapp/run_record.py)
    run.json            the report, if the run ended by itself
    ckpt-metrics.jsonl  attempts at checkpoints, and restarts (mdapp/storage/metrics.py)
    checkpoints/        the checkpoints

Each of them may be missing. The file of `mdapp run --json` alone will do too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mdapp.errors import InputError
from mdapp.model.units import UNITS, Units
from mdapp.run_record import REPORT, THERMO, parsed
from mdapp.storage.catalogue import DEFAULT_FOLDER, checkpoint_folder
from mdapp.storage.names import METRICS, step_of


@dataclass
class Run:
    """A run, as far as it can be seen.

    Attributes
    ----------
    path : folder or file
    legs : beginnings of the run and of its restarts, in order; the last says most
    rows : thermo rows, in order of steps
    report : of `mdapp run --json`; empty if the run has not ended by itself
    attempts : at checkpoints, in order
    restarts : from checkpoints, in order
    checkpoints : folders of checkpoints, newest first
    """

    path: Path
    legs: list[dict[str, Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    attempts: list[dict[str, Any]] = field(default_factory=list)
    restarts: list[dict[str, Any]] = field(default_factory=list)
    checkpoints: list[Path] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """What ran: of the last leg, or else of the report."""
        return self.legs[-1] if self.legs else self.report

    @property
    def units(self) -> Units | None:
        """Of all numbers; None if nothing says so."""
        return UNITS.get(str(self.facts.get("units")))

    @property
    def name(self) -> str:
        """What to call it."""
        return self.path.resolve().name


def read_run(path: Path) -> Run:
    """Read what there is.

    Raises
    ------
    InputError : there is nothing of a run
    OSError : it cannot be read
    """
    if not path.exists():
        raise InputError(f"{path}: no such folder or file; give the folder of `mdapp run --out`, "
                         "or the file of `mdapp run --json`")
    if not path.is_dir():
        return _from_report(path)
    run = Run(path)
    if (path / THERMO).exists():
        for entry in _lines(path / THERMO):
            (run.legs if "schema" in entry else run.rows).append(entry)
    if (path / REPORT).exists():
        run.report = _report(path / REPORT)
        run.rows = run.rows or run.report["thermo"]
    if (path / METRICS).exists():
        for entry in _lines(path / METRICS):
            (run.restarts if entry.get("event") == "restart" else run.attempts).append(entry)
    folder = path / str(run.facts.get("checkpoints", DEFAULT_FOLDER))
    if folder.is_dir():
        folder = checkpoint_folder(folder)
        found = [(step, p) for p in folder.iterdir() if (step := step_of(p.name)) is not None]
        run.checkpoints = [p for _, p in sorted(found, reverse=True)]
    if not (run.rows or run.attempts or run.checkpoints):
        raise InputError(f"{path}: nothing of a run is here (no {THERMO}, {REPORT}, {METRICS} or "
                         f"{DEFAULT_FOLDER}/ with content); give the folder of `mdapp run --out`")
    return run


def _from_report(path: Path) -> Run:
    report = _report(path)
    return Run(path, rows=report["thermo"], report=report,
               attempts=[e for e in report["checkpoints"] if "total_s" in e])


def _report(path: Path) -> dict[str, Any]:
    """A report of `mdapp run`.

    Raises
    ------
    InputError : the file is none
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        report = None
    if not isinstance(report, dict) or report.get("schema") != "mdapp.run":
        raise InputError(f"{path}: is no report of `mdapp run --json` (JSON with the schema "
                         "mdapp.run)")
    if report.get("version") != 1:
        raise InputError(f"{path}: is a report of version {report.get('version')}; this mdapp "
                         "reads version 1")
    return report


def _lines(path: Path) -> list[dict[str, Any]]:
    """Entries of a log of lines; what a kill has torn or an editor spoilt is left out."""
    with path.open("rb") as file:
        return [entry for line in file if (entry := parsed(line)) is not None]
