"""A study as a report: what it says, what it rests on, and what speaks against it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mdapp.perf.statistics import Interval
from mdapp.report.document import Block, Check, Column, Note, Plot, Report, Section, Table
from scaling.studies import plots
from scaling.studies.flags import flags, legend, marks, warnings
from scaling.studies.summary import OURS, PHASES, Launch, Summary, half_size, summaries

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA, VERSION = "mdapp.scale", 1
TITLES = {"strong": "Strong scaling", "weak": "Weak scaling", "saturation": "Saturation"}
COMMON = (
    "T: time of a step, the longest of all ranks, between two barriers; compilation, set-up and "
    "warm-up are not in it. Medians over rounds; brackets are 95 % intervals from resampling "
    "rounds. p counts cores: ranks x threads. "
)
DEFINITIONS = {
    "strong": "Fixed: all atoms. S = T(p0)/T(p), E = S p0/p, Karp-Flatt e = (1/S - 1/P)/(1 - 1/P) "
              "with P = p/p0: constant e is a serial part, rising e communication or imbalance.",
    "weak": "Fixed: the block of atoms of each rank; the box grows with the grid. "
            "E = T(p0)/T(p).",
    "saturation": "One or more ranks with more and more atoms each. n_1/2: atoms a rank at which "
                  "the rate is half of the best; below it, strong scaling ends.",
}


def report_of(launches: Sequence[Launch], checks: Sequence[Check] = (),
              notes: Sequence[str] = ()) -> Report:
    """Put a study together.

    Parameters
    ----------
    launches
        All of it, possibly of several studies.
    checks
        Verdicts of the gate, beside those that every study gets.
    notes
        Sentences for the reader.
    """
    points = summaries(launches)
    studies = list(dict.fromkeys(p.first.study for p in points))
    own = list(own_checks(launches))
    sections = [s for name in studies
                for s in _study([p for p in points if p.first.study == name], name,
                                several=len(studies) > 1)]
    remarks: list[Block] = [Note(text, "warning") for text in warnings(points)]
    remarks += [Note(text) for text in notes]
    first = next((x for x in launches if x.code == OURS), launches[0])
    return Report(
        SCHEMA, VERSION, f"{', '.join(TITLES[s] for s in studies)}: {_case(first.row)}",
        [_verdict([p for p in points if p.first.study == name], name) for name in studies],
        [Section("Verdicts", [*remarks, *own, *checks]), *sections, _launches(launches)],
        {k: v for k, v in first.environment.items() if k != "masks"},
        {"half_size": {name: half_size(_curve(points, name)) for name in studies
                       if name == "saturation"}},
    )  # fmt: skip


def _case(row: Mapping[str, Any]) -> str:
    return f"{row['potential']}, {row['precision']} precision"


def _curve(points: Sequence[Summary], study: str) -> list[Summary]:
    """The points of the first curve of a study: fewest ranks, this code."""
    ours = [p for p in points if p.first.study == study and p.first.code == OURS]
    least = min((p.first.row["ranks"] for p in ours), default=1)
    return [p for p in ours if p.first.row["ranks"] == least]


def span(interval: Interval | None, form: str = ".3g", scale: float = 1.0) -> str:
    """An interval as text; empty where there is none."""
    if interval is None or math.isnan(interval.low):
        return ""
    return f"[{format(interval.low * scale, form)}, {format(interval.high * scale, form)}]"


def _verdict(points: Sequence[Summary], study: str) -> str:
    if study == "saturation":
        found = half_size(_curve(points, study))
        best = max(p.rate.value / p.first.row["ranks"] for p in points)
        half = f"n_1/2 = {found[1]:.0f} atoms" if found else (
            "n_1/2 lies below the smallest size measured")
        return f"saturated rate {best / 1e6:.3g} million atom-steps/s a rank; {half}"
    ours = [p for p in points if p.first.code == OURS]
    last = max(ours, key=lambda p: p.cores)
    base = f"p0 = {last.base} core{'s' * (last.base > 1)}"
    if last.efficiency is None or last.cores == last.base:
        return f"{TITLES[study]}: {base}, nothing to compare with"
    words = [f"{TITLES[study]}: efficiency {last.efficiency.value:.3g} "
             f"{span(last.efficiency)} on {last.cores} cores, {base}"]
    if last.serial is not None:
        words.append(f"Karp-Flatt e = {last.serial.value:.3g} {span(last.serial)}")
    if "noisy" in flags(last) or "oversubscribed" in flags(last):
        words.append("read with care: see the marks")
    return "; ".join(words)


def own_checks(launches: Sequence[Launch]) -> Iterator[Check]:
    """What has to hold in every study: nothing compiled in a window, lists in time, equal bits."""
    ours = [x for x in launches if x.code == OURS]
    late = [x for x in ours if not x.valid]
    yield Check("no compilation inside a timed window", "FAIL" if late else "PASS", "study",
                value=float(len(late)), threshold=0.0, unit="launches",
                message="; ".join(sorted({x.name for x in late})))
    counted = [x for x in ours if x.row.get("dangerous_builds") is not None]
    bad = [x for x in counted if x.row["dangerous_builds"]]
    if counted:
        yield Check("no dangerous builds of lists", "FAIL" if bad else "PASS", "study",
                    value=float(sum(x.row["dangerous_builds"] for x in counted)), threshold=0.0,
                    message="; ".join(sorted({x.name for x in bad})))
    exact = [x for x in ours if x.row.get("deterministic")]
    groups: dict[tuple[Any, ...], set[str]] = {}
    for x in exact:
        last = x.row.get("warmup_steps", 0) + x.row["steps"]
        groups.setdefault((x.row["atoms"], last), set()).add(x.row["state_hash"])
    if exact:
        differ = [key for key, hashes in groups.items() if len(hashes) > 1]
        yield Check("the same bits on every number of ranks", "FAIL" if differ else "PASS", "study",
                    value=float(len(differ)), threshold=0.0, unit="systems",
                    message=f"state_hash after the last step of {len(exact)} launches")


def _study(points: Sequence[Summary], study: str, several: bool) -> Iterator[Section]:
    prefix = f"{study}_" if several else ""
    text = COMMON + DEFINITIONS[study]
    blocks: list[Block] = [_table(points, study, f"{prefix}points")]

    def plot(name: str, draw: Callable[[Axes, Sequence[Summary]], None], caption: str,
             shown: Sequence[Summary], table: str = "points") -> None:
        blocks.append(Plot(f"{prefix}{name}", partial(_draw, draw, shown), caption,
                           f"{prefix}{table}"))

    base = points[0].base
    where = f"p0 = {base} core{'s' * (base > 1)}."
    ours = [p for p in points if p.first.code == OURS]
    if study == "saturation":
        plot("rate", plots.rate, "Rate of a rank against its atoms; n_1/2 where it is half of the "
             "best.", points)
    else:
        if study == "strong" and len(points) > 1:
            plot("speedup", plots.speedup, f"S = T(p0)/T(p); {where}", points)
        plot("efficiency", plots.efficiency,
             f"{'E = S p0/p' if study == 'strong' else 'E = T(p0)/T(p)'}; {where}", points)
        if any(p.serial for p in points):
            plot("karp_flatt", plots.karp_flatt, f"Serial share that would explain S; {where}",
                 points)
    yield Section(TITLES[study], blocks, text)
    blocks = [_phases(ours, f"{prefix}phases")]
    plot("phases", plots.shares if study == "saturation" and len(ours) > 1 else plots.stacked,
         "Where the time of a step goes, mean over ranks: what is waited for another rank is in "
         "halo.", ours, "phases")
    yield Section(f"{TITLES[study]}: phases", blocks)
    blocks = [_memory(ours, f"{prefix}memory")]
    plot("memory", plots.memory, "Memory of the largest rank.", ours, "memory")
    yield Section(f"{TITLES[study]}: memory and set-up", blocks)


def _draw(draw: Callable[[Axes, Sequence[Summary]], None], points: Sequence[Summary],
          ax: Axes) -> None:
    draw(ax, points)


def _table(points: Sequence[Summary], study: str, name: str) -> Table:
    columns = [
        Column("code"), Column("ranks", form="d"), Column("threads", form="d"),
        Column("atoms", form="d"), Column("steps", form="d"), Column("rounds", form="d"),
        Column("ms_per_step", "step", "ms"), Column("ms_95", "95 %"),
        Column("cv", "cv", "%", ".1f"), Column("matom_steps_per_s", "rate", "Matom-step/s"),
        Column("per_day", "per day"),
    ]
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


def _phases(points: Sequence[Summary], name: str) -> Table:
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


def _memory(points: Sequence[Summary], name: str) -> Table:
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


def _launches(launches: Sequence[Launch]) -> Section:
    columns = [Column("study"), Column("code"), Column("point"), Column("round", form="d"),
               Column("place", form="d"), Column("steps", form="d"),
               Column("s_per_step", "step", "s"), Column("loop_s", "window", "s"),
               Column("foreign_share", "lost to others", form=".1%"),
               Column("clock_after", "clock", "MHz", ".0f"),
               Column("state_hash", "state hash")]
    rows = [launch_row(x) for x in sorted(launches, key=lambda x: (x.study, x.round, x.place))]
    return Section("Launches", [Table("launches", columns, rows,
                                      "In the order in which they ran; all columns are in "
                                      "results.csv.")])


def launch_row(x: Launch) -> dict[str, Any]:
    """One launch as a line of results.csv."""
    around = ("nodes", "ranks_per_node", "host_first", "cpu", "mpi", "commit", "load", "bound")
    return {"study": x.study, "code": x.code, "point": x.name, "round": x.round, "place": x.place,
            **x.row, **{key: x.environment.get(key) for key in around},
            "flags": "" if x.valid else "compiled in window"}
