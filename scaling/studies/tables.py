"""The tables of a study, and its points and launches as plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mdapp.perf.statistics import Interval, paired_ratio
from mdapp.report.document import Column, Table
from scaling.studies.flags import flags, legend, marks
from scaling.studies.summary import OURS, PHASES, Launch, Summary


def span(interval: Interval | None, form: str = ".3g", scale: float = 1.0) -> str:
    """An interval as text; empty where there is none."""
    if interval is None or math.isnan(interval.low):
        return ""
    low, high = format(interval.low * scale, form), format(interval.high * scale, form)
    return f"[{low},\N{NO-BREAK SPACE}{high}]"


def told(interval: Interval) -> str:
    """A value and its interval, if it has one."""
    return f"{interval.value:.3g} {span(interval)}".rstrip()


def points_table(points: Sequence[Summary], study: str, name: str) -> Table:
    """Times, rates and what the study is about, a row a point."""
    columns = [Column("code"), Column("ranks", form="d"), Column("threads", form="d"),
               Column("atoms", form="d"), Column("ms_per_step", "step", "ms"),
               Column("ms_95", "95 %")]
    if study == "strong":
        columns += [Column("speedup", "S", form=".3f"), Column("speedup_95", "95 %")]
    if study != "saturation":
        columns += [Column("efficiency", "E", form=".3f"), Column("efficiency_95", "95 %")]
    if study == "strong":
        columns += [Column("karp_flatt", "e", form=".3f"), Column("karp_flatt_95", "95 %")]
    if study == "saturation":
        columns += [Column("atoms_per_rank", "atoms a rank", form=".0f"),
                    Column("ns_per_atom_step", "atom-step", "ns")]
    columns.append(Column("marks", ""))
    return Table(name, columns, [point_row(p) for p in points], legend(points))


def rates_table(points: Sequence[Summary], name: str) -> Table:
    """The same points in other units, and what their medians rest on."""
    columns = [Column("code"), Column("ranks", form="d"), Column("threads", form="d"),
               Column("atoms", form="d"), Column("matom_steps_per_s", "rate", "Matom-step/s"),
               Column("matom_steps_per_s_core", "a core", "Matom-step/s"),
               Column("per_day", "a day"), Column("steps", form="d"), Column("rounds", form="d"),
               Column("cv", "cv", "%", ".1f")]
    return Table(name, columns, [point_row(p) for p in points],
                 "cv: standard deviation over mean of the rounds.")


def point_row(p: Summary) -> dict[str, Any]:
    """One point as plain values, all of them, shown or not."""
    row = p.first.row
    day = row.get("simulated_per_day")
    unit = {"lj": "tau"}.get(row.get("units", ""), "ps")
    ns = day is not None and unit == "ps"
    return {
        "study": p.first.study, "code": p.first.code, "point": p.first.name,
        "ranks": row["ranks"], "threads": row["threads"], "cores": p.cores, "p0": p.base or None,
        "atoms": row["atoms"], "atoms_per_rank": p.atoms_per_rank, "steps": row["steps"],
        "rounds": len(p.launches), "invalid": p.invalid,
        "s_per_step": p.time.value, "s_per_step_low": p.time.low, "s_per_step_high": p.time.high,
        "times": [x.row["s_per_step"] for x in p.launches],
        "ms_per_step": 1e3 * p.time.value, "ms_95": span(p.time, ".4g", 1e3),
        "cv": 100 * p.spread.cv, "atom_steps_per_s": p.rate.value,
        "matom_steps_per_s": p.rate.value / 1e6,
        "atom_steps_per_s_core": p.rate.value / p.cores,
        "matom_steps_per_s_core": p.rate.value / p.cores / 1e6,
        "ns_per_atom_step": 1e9 * p.time.value * p.cores / row["atoms"],
        "per_day": None if day is None else (
            f"{row['timestep'] * 86400 / p.time.value * (1e-3 if ns else 1):.4g} "
            f"{'ns' if ns else unit}"),
        **_of(p.speedup, "speedup"), **_of(p.efficiency, "efficiency"),
        **_of(p.serial, "karp_flatt"),
        "ghost_ratio": p.median_of("ghost_ratio"), "ghosts_avg": p.median_of("ghosts_avg"),
        "imbalance": p.median_of("imbalance"), "f_comm": p.median_of("f_comm"),
        "neighbor_builds": p.median_of("neighbor_builds"),
        "bytes_per_atom": p.median_of("bytes_per_atom"), "rss_max": p.median_of("rss_max"),
        "marks": marks(p), "flags": flags(p),
    }  # fmt: skip


def _of(interval: Interval | None, name: str) -> dict[str, Any]:
    if interval is None:
        return {name: None, f"{name}_95": ""}
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high,
            f"{name}_95": span(interval, ".3f")}


def peers_table(points: Sequence[Summary], name: str) -> Table | None:
    """Time of the peers over that of mdapp on as many ranks, paired by round; None without."""
    rows = []
    for theirs in (p for p in points if p.first.code != OURS):
        for ours in points:
            if ours.first.code == OURS and ours.first.key[2:] == theirs.first.key[2:]:
                both = {x.round: x.row["s_per_step"] for x in theirs.launches}
                pairs = [(both[x.round], x.row["s_per_step"]) for x in ours.launches
                         if x.round in both]
                ratio = paired_ratio([a for a, _ in pairs], [b for _, b in pairs])
                rows.append({"peer": theirs.first.code, "ranks": theirs.first.row["ranks"],
                             "ratio": ratio.value, "low": ratio.low, "high": ratio.high,
                             "ratio_95": span(ratio)})
    if not rows:
        return None
    return Table(name, [Column("peer"), Column("ranks", form="d"),
                        Column("ratio", "its time over mdapp's", form=".3g"),
                        Column("ratio_95", "95 %")], rows,
                 "Above one: mdapp is faster.")


def phases_table(points: Sequence[Summary], name: str) -> Table:
    """Where the time of a step goes, and why."""
    columns = [Column("ranks", form="d"), Column("threads", form="d"), Column("atoms", form="d"),
               *(Column(phase, phase, "ms") for phase in PHASES),
               Column("imbalance", "lambda", form=".3f"), Column("f_comm", "f_comm", form=".3f"),
               Column("ghost_ratio", "ghosts/owned", form=".3g"),
               Column("builds", "steps a build", form=".3g")]
    rows = []
    for p in points:
        builds = p.median_of("neighbor_builds")
        rows.append({
            **{key: p.first.row[key] for key in ("ranks", "threads", "atoms")},
            **{phase: 1e3 * (p.median_of(f"{phase}_avg") or 0.0) for phase in PHASES},
            **{f"{phase}_max": 1e3 * (p.median_of(f"{phase}_max") or 0.0) for phase in PHASES},
            **{key: p.median_of(key) for key in ("imbalance", "f_comm", "ghost_ratio")},
            "builds": p.first.row["steps"] / builds if builds else None,
        })  # fmt: skip
    return Table(name, columns, rows,
                 "ms a step, mean over ranks. lambda: force time, largest rank over mean; f_comm: "
                 "halo over T.")


def memory_table(points: Sequence[Summary], name: str) -> Table:
    """Memory, and the time before the first step."""
    columns = [Column("ranks", form="d"), Column("atoms", form="d"),
               Column("bytes_per_atom", "beyond the start", "B/atom", ".0f"),
               Column("fixed_mib", "before the first atom", "MiB/rank", ".0f"),
               Column("rss_mib", "largest rank", "MiB", ".0f"),
               Column("compile_s", "compile or load", "s", ".2f"),
               Column("setup_s", "set-up", "s", ".2f"),
               Column("start_to_first_step_s", "start to first step", "s", ".2f")]
    rows = [{
        "ranks": p.first.row["ranks"], "atoms": p.first.row["atoms"],
        "bytes_per_atom": p.median_of("bytes_per_atom"),
        "fixed_mib": (p.median_of("bytes_fixed_per_rank") or 0.0) / 2**20,
        "rss_mib": (p.median_of("rss_max") or 0.0) / 2**20,
        **{key: p.median_of(key) for key in ("compile_s", "setup_s", "start_to_first_step_s")},
    } for p in points]  # fmt: skip
    return Table(name, columns, rows, "None of the times is in T.")


def launches_table(launches: Sequence[Launch]) -> Table:
    """Every launch, in the order in which they ran."""
    columns = [Column("study"), Column("code"), Column("point"), Column("round", form="d"),
               Column("place", form="d"), Column("steps", form="d"),
               Column("s_per_step", "step", "s"), Column("loop_s", "window", "s"),
               Column("foreign_share", "lost to others", form=".1%"),
               Column("clock_after", "clock", "MHz", ".0f"),
               Column("state_hash", "state hash")]
    rows = [launch_row(x) for x in sorted(launches, key=lambda x: (x.study, x.round, x.place))]
    return Table("launches", columns, rows,
                 "In the order in which they ran; all columns are in results.csv.")


def launch_row(x: Launch) -> dict[str, Any]:
    """One launch as a line of results.csv."""
    around = ("nodes", "ranks_per_node", "host_first", "cpu", "mpi", "commit", "load", "bound")
    return {"study": x.study, "code": x.code, "point": x.name, "round": x.round, "place": x.place,
            **x.row, **{key: x.environment.get(key) for key in around},
            "flags": "" if x.valid else "compiled in window"}
