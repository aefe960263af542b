"""Runs as a report: validity first, then rates, latencies, and what each was measured with.

It is made from the JSON of runs, not from their objects, so that `mdapp stress report` can put any
number of them, of other days and machines, on one page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mdapp.report.document import Check, Column, Note, Report, Section, Table
from mdapp.stress.page_interference import eta_sentence, interference_section, verdicts
from mdapp.stress.page_phases import (
    phase_plots,
    phase_rows,
    phase_table,
    title_of,
    wrong_data,
)

SCHEMA, VERSION = "mdapp.stress", 1
NO_SCORE = ("It has IO500's formula and is not an IO500 score, which takes IO500's own program and "
            "its rules of submission.")
Body = Mapping[str, Any]


def report_of(bodies: Sequence[Body]) -> Report:
    """One page for one run, or for several that are compared.

    Parameters
    ----------
    bodies : see `summary.body_of`
    """
    several = len(bodies) > 1
    names = [name_of(b, n) for n, b in enumerate(bodies)]
    sections: list[Section] = []
    for name, body in zip(names, bodies, strict=True):
        where = f" ({name})" if several else ""
        sections += sections_of(body, where, f"{name}-" if several else "")
    if several:
        sections.insert(0, compared(names, bodies))
    first = bodies[0]
    return Report(
        SCHEMA, VERSION, "mdapp stress: " + (f"{len(bodies)} runs" if several else names[0]),
        [line for name, body in zip(names, bodies, strict=True)
         for line in summary(body, f"{name}: " if several else "")],
        sections, environment_of(first), {"runs": list(bodies)} if several else first,
    )  # fmt: skip


def brief(report: Report) -> Report:
    """What fits a terminal: the verdict and the rates."""
    wanted = ("phases", "compared", "eta", "fio")
    tables = [t for t in report.tables() if t.name.split("-")[-1] in wanted]
    return replace(report, sections=[Section("", [t]) for t in tables], environment={})


def name_of(body: Body, number: int) -> str:
    """Short, and different for each run of a page."""
    meta = body["meta"]
    return f"{meta['profile']}-{meta['ranks']}" + (f"-{number + 1}" if number else "")


def summary(body: Body, name: str = "") -> list[str]:
    """The verdict."""
    phases, code = body["phases"], body["exit_code"]
    if "interference" in body:
        return [f"{name}load {one['load']:g}: {eta_sentence(one)}." for one in
                body["interference"]["cadences"]] + (
                    [] if code == 0 else [f"{name}the runs are not comparable (exit code {code})."])
    invalid = [p for p in phases if not p["valid"]]
    wrong = sum(p["mismatches"] for p in phases)
    lines = [f"{name}{len(phases) - len(invalid)} of {len(phases)} phases are valid; "
             + (f"{wrong} operations gave back other data than were written"
                if wrong else "every byte that was read was the byte that was written")
             + f" (exit code {code})."]
    for figure in body["figure"]:
        lines.append(f"{name}{figure['name']}: " + (
            f"none: {figure['reason']}." if figure["value"] is None else
            f"{figure['value']:.3f} (bandwidth {figure['bandwidth']:.3f} GiB/s, metadata "
            f"{figure['metadata']:.3f} kIOPS). {NO_SCORE}"))
    if phases:
        most = max(phases, key=lambda p: p["own_share"])
        lines.append(f"{name}pattern and check took at most {most['own_share']:.1%} of a phase "
                     f"({title_of(most)}).")
    if body.get("fio"):
        lines.append(f"{name}easy write beside fio: {fio_check(body['fio'], '').message}.")
    return lines


def sections_of(body: Body, where: str, prefix: str) -> list[Section]:
    """All of one run."""
    phases = body["phases"]
    warnings = [Note(text, "warning") for text in body["warnings"]]
    together = body.get("interference")
    checks = [check_of(p, prefix, len(body["figure"]) > 1) for p in phases]
    if together:
        checks += verdicts(together["cadences"], prefix)
    sections = [Section("Validity" + where, [*warnings, *checks])]
    if together:
        sections.append(interference_section(together, where, prefix))
    if phases:
        sections.append(Section("Phases" + where, [
            phase_table(phase_rows(phases), prefix),
            Note("A rate in the table counts pattern, check, wear-out and the sync at the end. "
                 "GiB = 2^30 bytes, k/s = 1000 operations a second."),
            *phase_plots(phases, prefix)]))
    if body.get("fio"):
        sections.append(fio_section(body["fio"], where, prefix))
    found = wrong_data(phases, prefix)
    if found is not None:
        sections.append(Section("Wrong data" + where, [found]))
    if body.get("left_out"):
        sections.append(Section("Left out" + where, [
            Note(f"{name}: {why}") for name, why in body["left_out"].items()]))
    plan = body["plan"]
    rows = [{"what": key, "value": ", ".join(map(str, v)) if isinstance(v, list | tuple) else v}
            for key, v in plan.items()]
    sections.append(Section("Plan" + where, [
        Table(f"{prefix}plan", [Column("what"), Column("value", form=".6g")], rows)]))
    return sections


def fio_section(fio: Body, where: str, prefix: str) -> Section:
    """The easy write beside fio's."""
    gib = fio["bytes"] / (1 << 30)
    rows = [{"round": n + 1, "fio": gib / theirs, "mdapp": gib / ours, "ratio": theirs / ours}
            for n, (theirs, ours) in enumerate(zip(fio["fio_s"], fio["mdapp_s"], strict=True))]
    return Section("Easy write beside fio" + where, [
        fio_check(fio, prefix),
        Table(f"{prefix}fio", [
            Column("round"), Column("fio", "fio", "GiB/s"), Column("mdapp", "mdapp", "GiB/s"),
            Column("ratio", "mdapp over fio", form=".3f")], rows,
            f"Sequential write with fsync of {gib:.2f} GiB, the same transfers and processes, "
            "interleaved."),
        Note(fio["command"])])  # fmt: skip


def fio_check(fio: Body, prefix: str) -> Check:
    """Whether mdapp is fast enough for its numbers to be those of the storage."""
    name, ratio = f"{prefix}easy write beside fio", fio["ratio"]
    if ratio is None:
        return Check(name, "FAIL", "fio", fails=False, message=fio["error"])
    between = "" if ratio["low"] is None else f" [{ratio['low']:.3f}, {ratio['high']:.3f}]"
    return Check(name, "PASS" if ratio["value"] >= fio["least"] else "WARN", "fio", fails=False,
                 value=ratio["value"], threshold=fio["least"],
                 message=f"{ratio['value']:.3f}{between} of fio's rate, median of "
                         f"{fio['rounds']} rounds")


def check_of(phase: Body, prefix: str, numbered: bool) -> Check:
    """The verdict on a phase."""
    again = f" pass {phase['pass'] + 1}" if numbered else ""
    message = "; ".join(phase["reasons"]) or f"verified; {phase['durable'] or 'done'}"
    return Check(f"{prefix}{title_of(phase)}{again}", "PASS" if phase["valid"] else "FAIL",
                 phase["twin"] or "no twin in IO500", seconds=phase["seconds"], message=message,
                 details=[f["text"] for f in phase["findings"]])


def compared(names: Sequence[str], bodies: Sequence[Body]) -> Section:
    """Rates of several runs side by side."""
    by_run = [{r["phase"]: r for r in phase_rows(b["phases"])} for b in bodies]
    phases = list(dict.fromkeys(p for rows in by_run for p in rows))
    rows = []
    for phase in phases:
        unit = next(r[phase]["unit"] for r in by_run if phase in r)
        rows.append({"phase": phase, "unit": unit,
                     **{n: r.get(phase, {}).get("rate")
                        for n, r in zip(names, by_run, strict=True)}})
    columns = [Column("phase"), *(Column(n) for n in names), Column("unit")]
    return Section("Runs compared", [Table("compared", columns, rows, "Medians over passes.")])


def environment_of(body: Body) -> dict[str, Any]:
    """Machine, file system and command."""
    meta = dict(body["meta"])
    return {**meta, "filesystem": dict(body["filesystem"])}
