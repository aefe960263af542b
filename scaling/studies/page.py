"""A study as a report: what it says, what it rests on, and what speaks against it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mdapp.report.document import Block, Check, Note, Plot, Report, Section
from scaling.model.fit import FEWEST, fit
from scaling.model.fit_page import fit_section
from scaling.model.measured import MeasuredPoint, fit_points
from scaling.studies import plots
from scaling.studies.checks import own_checks
from scaling.studies.flags import flags, warnings
from scaling.studies.summary import (
    OURS,
    SCHEMA,
    VERSION,
    Launch,
    Summary,
    half_size,
    summaries,
)
from scaling.studies.tables import (
    launch_row,
    launches_table,
    memory_table,
    peers_table,
    phases_table,
    points_table,
    rates_table,
    told,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
        [Section("Verdicts", [*remarks, *own, *checks]), *sections,
         Section("Launches", [launches_table(launches)])],
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


def _verdict(points: Sequence[Summary], study: str) -> str:
    if study == "saturation":
        found = half_size(_curve(points, study))
        best = max(p.rate.value / p.first.row["ranks"] for p in points)
        half = f"n_1/2 = {found[1]:.0f} atoms" if found else (
            "n_1/2 lies below the smallest size measured")
        return f"saturated rate {best / 1e6:.3g} million atom-steps/s a rank; {half}"
    ours = [p for p in points if p.first.code == OURS]
    last = max(ours, key=lambda p: ("oversubscribed" not in flags(p), p.cores))
    base = f"p0 = {last.base} core{'s' * (last.base > 1)}"
    if last.efficiency is None or last.cores == last.base:
        return f"{TITLES[study]}: {base}, nothing to compare with"
    words = [f"{TITLES[study]}: efficiency {told(last.efficiency)} on {last.cores} cores, {base}"]
    if last.serial is not None:
        words.append(f"Karp-Flatt e = {told(last.serial)}")
    if "noisy" in flags(last) or "oversubscribed" in flags(last):
        words.append("read with care: see the marks")
    return "; ".join(words)


def _study(points: Sequence[Summary], study: str, several: bool) -> Iterator[Section]:
    prefix = f"{study}_" if several else ""
    text = COMMON + DEFINITIONS[study]
    blocks: list[Block] = [points_table(points, study, f"{prefix}points")]

    def plot(name: str, draw: Callable[[Axes, Sequence[Summary]], None], caption: str,
             shown: Sequence[Summary], table: str = "points") -> None:
        blocks.append(Plot(f"{prefix}{name}", partial(_draw, draw, shown), caption,
                           f"{prefix}{table}"))

    if (table := peers_table(points, f"{prefix}peers")) is not None:
        blocks.append(table)
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
    blocks.append(rates_table(points, f"{prefix}rates"))
    yield Section(TITLES[study], blocks, text)
    blocks = [phases_table(ours, f"{prefix}phases")]
    plot("phases", plots.shares if study == "saturation" and len(ours) > 1 else plots.stacked,
         "Where the time of a step goes, mean over ranks: what is waited for another rank is in "
         "halo.", ours, "phases")
    yield Section(f"{TITLES[study]}: phases", blocks)
    blocks = [memory_table(ours, f"{prefix}memory")]
    plot("memory", plots.memory, "Memory of the largest rank.", ours, "memory")
    yield Section(f"{TITLES[study]}: memory and set-up", blocks)
    if study == "saturation" and (model := _model(ours)) is not None:
        yield model


def _model(ours: Sequence[Summary]) -> Section | None:
    """The step-time model, fitted to one rank; None with too few sizes."""
    used = fit_points([MeasuredPoint([launch_row(x) for x in p.launches]) for p in ours])
    samples = [p.sample for p in used]
    return fit_section(samples, fit(samples)) if len(samples) >= FEWEST else None


def _draw(draw: Callable[[Axes, Sequence[Summary]], None], points: Sequence[Summary],
          ax: Axes) -> None:
    draw(ax, points)
