"""The figures as text: aligned plain tables in a pipe or a log, rich ones on a terminal."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

from mdapp.perf.statistics import Interval, Spread
from scaling.peers.base import Problem
from scaling.peers.start import Start
from scaling.peers.summary import Figures, Relation


@dataclass(frozen=True)
class Table:
    """Titles and cells, all text; the first column is left-aligned, the others right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def show(table: Table, stream: TextIO) -> None:
    """Print a table to a stream."""
    if stream.isatty():
        from rich.console import Console
        from rich.table import Table as RichTable

        rich = RichTable(title=table.title, title_justify="left", box=None, pad_edge=False)
        for number, column in enumerate(table.columns):
            rich.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in table.rows:
            rich.add_row(*row)
        needed = max(map(len, plain(table).splitlines()))
        Console(file=stream, width=max(Console(file=stream).width, needed)).print(rich)
    else:
        print(plain(table), file=stream)


def plain(table: Table) -> str:
    """Return a table as aligned text under its title."""
    widths = [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        texts = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return "  ".join(texts).rstrip()

    return "\n".join([table.title, line(table.columns), *map(line, table.rows)])


def comparison(figures: Sequence[Figures]) -> Iterator[Table]:
    """One table for each size and number of ranks: speed, lists, ratios."""
    columns = ("variant", "loop s", "min..max", "cv %", "Matom-step/s", "ns/atom-step",
               "list us", "B/atom", "speed ratio", "list ratio")  # fmt: skip
    for key in dict.fromkeys((f.point.atoms, f.point.ranks) for f in figures):
        group = [f for f in figures if (f.point.atoms, f.point.ranks) == key]
        ratios = _references(group)
        title = f"{group[0].point.where}, {group[0].steps} steps{ratios}"
        yield Table(title, columns, tuple(_row(f) for f in group))


def _references(group: Sequence[Figures]) -> str:
    """What ratios are against; it may be another peer for each precision."""
    compared = [f for f in group if f.speed_ratio is not None]
    labels = list(dict.fromkeys(f.against for f in compared))
    if len(labels) > 1:
        of_each = [f"of {f.point.variant.name} against {f.against}" for f in compared]
        return f"; ratios {', '.join(of_each)}, with 95 % intervals"
    return f"; ratios against {labels[0]}, with 95 % intervals" if labels else ""


def efficiency_table(relations: Sequence[Relation]) -> Table:
    """Efficiency of more ranks."""
    columns = ("variant", "atoms", "ranks", "base", "efficiency")
    return Table("efficiency T(base) base / (T ranks)", columns, tuple(
        (r.point.label, *map(str, (r.point.atoms, r.point.ranks, r.base.ranks)), _interval(r.value))
        for r in relations
    ))  # fmt: skip


def flatness_table(relations: Sequence[Relation]) -> Table:
    """Time per atom-step of larger systems."""
    columns = ("variant", "ranks", "atoms", "base", "ratio")
    return Table("time per atom-step against the smallest size", columns, tuple(
        (r.point.label, *map(str, (r.point.ranks, r.point.atoms, r.base.atoms)), _interval(r.value))
        for r in relations
    ))  # fmt: skip


def start_table(starts: Sequence[Start]) -> Table:
    """Cold and warm starts."""
    columns = ("variant", "compiled code", "to first step s", "min..max", "compile s", "set-up s")
    rows = tuple(
        (s.label, s.cache, f"{s.first_step_s.median:.2f}", _range(s.first_step_s),
         f"{s.compile_s.median:.2f}", f"{s.setup_s.median:.2f}")
        for s in starts
    )  # fmt: skip
    return Table("from the start of the process to the first step", columns, rows)


def goal_table(rows: Sequence[tuple[Problem, Sequence[Figures]]]) -> Table:
    """One line a problem: the fastest peer, mdapp, their ratio and what it shall be."""
    columns = ("problem", "atoms", "fastest peer", "katom-step/s", "mdapp-double", "mdapp-mixed",
               "double/peer", "mixed/peer", "must", "aim")  # fmt: skip
    return Table(
        "speed against the fastest peer (katom-step/s), with 95 % intervals",
        columns,
        tuple(_goal_row(problem, figures) for problem, figures in rows),
    )


def _goal_row(problem: Problem, figures: Sequence[Figures]) -> tuple[str, ...]:
    by_label = {f.point.label: f for f in figures}
    double, mixed = by_label.get("mdapp-double"), by_label.get("mdapp-mixed")
    named = {f.against: by_label[f.against] for f in (double, mixed) if f and f.against}
    peers = list(named.values())
    goals = [pair for pair in (problem.goals, problem.goals_mixed) if pair]
    must, aim = (", ".join(f"{pair[k]:g}" for pair in goals) or "-" for k in (0, 1))
    return (
        problem.name,
        str(figures[0].point.atoms),
        ", ".join(peer.point.label for peer in peers) or "-",
        ", ".join(f"{peer.rate / 1e3:.4g}" for peer in peers) or "-",
        *(f"{f.rate / 1e3:.4g}" if f else "-" for f in (double, mixed)),
        *(_interval(f.speed_ratio) if f else "-" for f in (double, mixed)),
        must,
        aim,
    )


def remarks(figures: Sequence[Figures]) -> Iterator[str]:
    """What a reader must know before trusting a row."""
    for f in figures:
        where = f"{f.point.label}, {f.point.where}"
        if f.loop_s.noisy:
            yield f"! {where}: the rounds scatter by {100 * f.loop_s.cv:.0f} % (limit 5 %)"
        if f.disturbed:
            yield f"! {where}: other programs took {100 * f.foreign_share:.0f} % of its cores"
        if f.dangerous:
            yield f"! {where}: {f.dangerous} dangerous builds, lists came too late"


def _row(f: Figures) -> tuple[str, ...]:
    return (
        f.point.label,
        f"{f.loop_s.median:.3f}",
        _range(f.loop_s),
        f"{100 * f.loop_s.cv:.1f}" + ("!" if f.loop_s.noisy else ""),
        f"{f.rate / 1e6:.3f}",
        f"{f.ns_per_atom_step:.1f}",
        f"{f.list_us.median:.3f}" if f.list_us else "-",
        f"{f.bytes_per_atom:.0f}" if f.bytes_per_atom is not None else "-",
        _interval(f.speed_ratio),
        _interval(f.list_ratio),
    )


def _range(sample: Spread) -> str:
    return f"{sample.min:.3f}..{sample.max:.3f}"


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    if math.isnan(interval.low):
        return f"{interval.value:.2f}"
    return f"{interval.value:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
