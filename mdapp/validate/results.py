"""From outcomes to the report, and the verdict: tables, checks, the JSON of the schema."""

from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import mdapp
from mdapp.perf.environment import Environment, read_environment
from mdapp.report.document import Check, Column, Note, Report, Section, Table
from mdapp.validate.pictures import pictures
from mdapp.validate.registry import CHECKS
from mdapp.validate.runner import Outcome

SCHEMA, VERSION = "mdapp.validate", 1
CATEGORIES = {
    "mandatory": "No parallel run without these.",
    "consistency": "Contradictions within the model.",
    "informational": "About the model, not about the code: these never fail the whole.",
}
THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "XLA_FLAGS",
           "JAX_ENABLE_X64")


def exit_code(outcomes: Sequence[Outcome], strict: bool) -> int:
    """0, 1 where a mandatory or consistency check failed, 3 where a check itself broke."""
    if any(o.fails for o in outcomes):
        return 1
    if strict and any(o.status in ("XPASS", "WARN") for o in outcomes):
        return 1
    return 3 if any(o.status == "NA" for o in outcomes) else 0


def report_of(subject: Mapping[str, Any], outcomes: Sequence[Outcome], run: Mapping[str, Any],
              code: int) -> Report:
    """Everything that was found."""
    environment = read_environment()
    sections = [Section("Not tested here", [Note(text) for text in not_there(run)])]
    for category in reversed(CATEGORIES):
        chosen = [o for o in outcomes if o.category == category]
        if chosen:
            sections.insert(0, Section(category.capitalize(), [check_of(o) for o in chosen],
                                       CATEGORIES[category]))
    sections += pictures(outcomes)
    sections.append(Section("Measures", [measures_table(outcomes)]))
    sections.append(Section("The potential", [potential_table(subject)]))
    return Report(
        SCHEMA, VERSION, f"mdapp validate {subject['name']}", summary(subject, outcomes, code),
        [s for s in sections if s.blocks], environment_of(environment),
        {"run": {**run, "git": environment.commit, "mdapp_version": mdapp.__version__},
         "potential": dict(subject), "layout": {"ranks": run["ranks"]},
         "results": [as_json(o) for o in outcomes],
         "summary_of_checks": {"by_category": counts(outcomes), "exit_code": code,
                               "worst_mandatory": worst_mandatory(outcomes)}})


def run_facts(level: str, seed: int, ranks: Sequence[int], seconds: float, compile_seconds: float,
              deterministic: bool, started: datetime.datetime) -> dict[str, Any]:
    """What is written about the run itself."""
    return {"id": f"{started:%Y%m%dT%H%M%S}-{os.getpid()}", "command": ["mdapp", *sys.argv[1:]],
            "level": level, "seed": seed, "started": started.isoformat(timespec="seconds"),
            "seconds": round(seconds, 3), "compile_seconds": round(compile_seconds, 3),
            "ranks": list(ranks), "deterministic": deterministic}


def counts(outcomes: Sequence[Outcome]) -> dict[str, dict[str, int]]:
    """Statuses of each category."""
    table: dict[str, dict[str, int]] = {}
    for o in outcomes:
        row = table.setdefault(o.category, {})
        row[o.status] = row.get(o.status, 0) + 1
    return table


def worst_mandatory(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The mandatory measure nearest to its threshold, or beyond it."""
    worst, share = {}, -1.0
    for o in outcomes:
        m = o.decisive if o.category == "mandatory" else None
        if m is None or not m.threshold or m.value is None:
            continue
        if m.value / m.threshold > share:
            share = m.value / m.threshold
            worst = {"check": o.spec.key, "precision": o.precision, "measure": m.name,
                     "value": m.value, "threshold": m.threshold, "unit": m.unit}
    return worst


def summary(subject: Mapping[str, Any], outcomes: Sequence[Outcome], code: int) -> list[str]:
    """The verdict in a few lines."""
    failed = [o for o in outcomes if o.fails]
    verdict = {0: "No mandatory or consistency check failed.",
               1: f"FAILED: {', '.join(o.name for o in failed) or 'as --strict counts'}.",
               3: "A check itself broke, which is a defect of mdapp: "
                  f"{', '.join(o.name for o in outcomes if o.status == 'NA')}."}[code]
    lines = [verdict]
    for category, row in counts(outcomes).items():
        lines.append(f"{category}: {', '.join(f'{n} {status}' for status, n in row.items())}")
    worst = worst_mandatory(outcomes)
    if worst:
        lines.append(f"Nearest to its limit of the mandatory: {worst['check']} "
                     f"[{worst['precision']}], {worst['measure']} {worst['value']:.3g} of "
                     f"{worst['threshold']:.3g} {worst['unit']}.".replace(" .", "."))
    return lines


def check_of(o: Outcome) -> Check:
    """An outcome in the words of the report."""
    m = o.decisive
    details = [str(measure) for measure in o.finding.measures]
    details += [f"worst: {o.finding.worst.what}"] if o.finding.worst else []
    details += [f"structure: {o.worst_file}"] if o.worst_file else []
    if o.digits_lost is not None:
        details.append(f"digits lost: {o.digits_lost:.1f}")
    return Check(o.name, o.status, o.category, o.category != "informational",
                 m.value if m else None, m.threshold if m else None, m.unit if m else "",
                 f"{o.grade} ({o.precision})" if o.error is not None else o.grade, o.seconds,
                 o.message or o.spec.title, details)


def as_json(o: Outcome) -> dict[str, Any]:
    """An outcome in the words of the schema."""
    worst = o.finding.worst
    return {
        "id": o.spec.number, "key": o.spec.key, "title": o.spec.title, "category": o.category,
        "level": o.spec.level, "status": o.status, "grade": o.grade or None,
        "digits_lost": o.digits_lost, "precision": o.precision, "ranks": o.finding.ranks,
        "threads": 1, "n_atoms": o.finding.natoms, "seed": o.seed, "seconds": o.seconds,
        "measures": [m.as_json() for m in o.finding.measures],
        "worst": {"file": o.worst_file, "frame": 0, "atom": worst.atom} if worst else None,
        "message": o.message, "known": o.known.as_json() if o.known else None,
        "data": o.finding.data}


def measures_table(outcomes: Sequence[Outcome]) -> Table:
    """Every measure, a row each."""
    rows = [{"check": o.name, "measure": m.name, "value": m.value, "threshold": m.threshold,
             "unit": m.unit, "ok": {True: "yes", False: "no", None: ""}[m.ok]}
            for o in outcomes for m in o.finding.measures]
    return Table("measures", [Column("check"), Column("measure"), Column("value", form=".3g"),
                              Column("threshold", "at most", form=".3g"), Column("unit"),
                              Column("ok", "good")], rows,
                 "Relative errors are over norms of the whole structure, not of single elements.")


def potential_table(subject: Mapping[str, Any]) -> Table:
    """What was validated."""
    declare = subject["declare"]
    rows = [{"what": "style", "value": subject["family"]},
            {"what": "species", "value": ", ".join(subject["species"])},
            *({"what": key.replace("_", " "), "value": text(value)}
              for key, value in declare.items()),
            *({"what": f"file {f['path']}", "value": f"sha256 {f['sha256']}"}
              for f in subject["files"]),
            *({"what": f"declared failure of {k['check']}", "value": f"{k['what']}: {k['reason']}"}
              for k in subject["known"])]
    return Table("potential", [Column("what"), Column("value")], rows)


def text(value: Any) -> str:
    """A plain value in a table."""
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value}"


def not_there(run: Mapping[str, Any]) -> list[str]:
    """Sentences on what a reader may miss."""
    missing = [f"{c.number} {c.key}" for c in CHECKS if not c.function]
    lines = [f"Planned, not there yet: {', '.join(missing)}."] if missing else []
    if run["level"] == "full":
        lines.append("Level full has what standard has: the checks that it would add are not "
                     "there yet.")
    return lines


def environment_of(environment: Environment) -> dict[str, Any]:
    """Machine, software, and the variables that decide threads."""
    return {**environment.as_json(),
            "variables": {name: os.environ[name] for name in THREADS if name in os.environ}}
