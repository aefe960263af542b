"""The pictures of a study; each draws the numbers of one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdapp.perf.statistics import Interval
from mdapp.report.figures import GREEN, MARKERS, MUTED, PALETTE
from scaling.studies.summary import PHASES, Summary, half_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes


COLOURS = [*PALETTE, MUTED]        # of as many phases


def whiskers(intervals: Sequence[Interval]) -> list[list[float]]:
    """Lengths below and above, as error bars take them; none where there is no interval."""
    return [[max(i.value - i.low, 0.0) if i.low == i.low else 0.0 for i in intervals],
            [max(i.high - i.value, 0.0) if i.high == i.high else 0.0 for i in intervals]]


def above(ax: Axes) -> None:
    """Put the legend above the axes, where it hides nothing."""
    ax.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))


def curves(points: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Points by curve: code, and threads where they differ."""
    several = len({p.first.row["threads"] for p in points}) > 1
    found: dict[str, list[Summary]] = {}
    for p in points:
        threads = p.first.row["threads"]
        name = p.first.code + (f", {threads} thread{'s' * (threads > 1)} a rank" if several else "")
        found.setdefault(name, []).append(p)
    return found


def _lines(ax: Axes, groups: dict[str, list[tuple[float, Interval]]]) -> None:
    for k, (name, pairs) in enumerate(groups.items()):
        ax.errorbar([x for x, _ in pairs], [i.value for _, i in pairs],
                    yerr=whiskers([i for _, i in pairs]), marker=MARKERS[k % len(MARKERS)],
                    color=PALETTE[k % len(PALETTE)], capsize=3, label=name)


def _core_axis(ax: Axes, points: Sequence[Summary]) -> list[int]:
    cores = sorted({p.cores for p in points})
    if cores[-1] / cores[0] > 4:
        ax.set_xscale("log", base=2)
    ax.set_xticks(cores, [str(c) for c in cores])
    ax.set_xlabel("cores (ranks x threads)")
    return cores


def speedup(ax: Axes, points: Sequence[Summary]) -> None:
    """S with intervals and the ideal line."""
    cores = _core_axis(ax, points)
    base = points[0].base
    ax.plot(cores, [c / base for c in cores], color=MUTED, linestyle=":", label="ideal")
    _lines(ax, {name: [(p.cores, p.speedup) for p in group if p.speedup]
                for name, group in curves(points).items()})
    ax.set_ylabel(f"speed-up against {base} core{'s' * (base > 1)}")
    ax.set_ylim(bottom=0)
    ax.legend()


def efficiency(ax: Axes, points: Sequence[Summary]) -> None:
    """E or E_w with intervals; one is ideal."""
    _core_axis(ax, points)
    ax.axhline(1.0, color=MUTED, linestyle=":", label="ideal")
    _lines(ax, {name: [(p.cores, p.efficiency) for p in group if p.efficiency]
                for name, group in curves(points).items()})
    ax.set_ylabel("efficiency")
    ax.set_ylim(0, None)
    ax.legend()


def karp_flatt(ax: Axes, points: Sequence[Summary]) -> None:
    """e with intervals."""
    shown = [p for p in points if p.serial]
    _core_axis(ax, shown)
    ax.axhline(0.0, color=MUTED, linestyle=":")
    _lines(ax, {name: [(p.cores, p.serial) for p in group if p.serial]
                for name, group in curves(shown).items()})
    ax.set_ylabel("serial share e (Karp-Flatt)")
    ax.legend()


def stacked(ax: Axes, points: Sequence[Summary]) -> None:
    """Time of a step by phase, mean over ranks."""
    names = [_short(p) for p in points]
    below = [0.0] * len(points)
    hatches = ("", "//", "..", "xx", "\\\\", "++", "oo")
    for k, phase in enumerate(PHASES):
        values = [1e3 * (p.median_of(f"{phase}_avg") or 0.0) for p in points]
        if max(values, default=0.0) == 0.0:
            continue
        ax.bar(names, values, bottom=below, label=phase, color=COLOURS[k],
               hatch=hatches[k % len(hatches)], edgecolor=MUTED, linewidth=0.5, width=0.6)
        below = [b + v for b, v in zip(below, values, strict=True)]
    ax.set_ylabel("ms a step")
    ax.tick_params(axis="x", labelrotation=30 if len(names) > 5 else 0)
    above(ax)


def shares(ax: Axes, points: Sequence[Summary]) -> None:
    """Phases as shares of the step, for points whose times differ by orders of magnitude."""
    sizes = [p.atoms_per_rank for p in points]
    parts = {phase: [p.median_of(f"{phase}_avg") or 0.0 for p in points] for phase in PHASES}
    totals = [sum(column) or 1.0 for column in zip(*parts.values(), strict=True)]
    kept = {k: [v / t for v, t in zip(vs, totals, strict=True)]
            for k, vs in parts.items() if max(vs) > 0}
    ax.stackplot(sizes, list(kept.values()), labels=list(kept),
                 colors=COLOURS[:len(kept)],
                 edgecolor=MUTED, linewidth=0.5)
    ax.set_xscale("log")
    ax.set_xlabel("atoms a rank")
    ax.set_ylabel("share of the step")
    ax.set_ylim(0, 1)
    above(ax)


def rate(ax: Axes, points: Sequence[Summary]) -> None:
    """Rate of a rank against its atoms, with n_1/2."""
    by_ranks: dict[str, list[Summary]] = {}
    for p in points:
        ranks = p.first.row["ranks"]
        by_ranks.setdefault(f"{ranks} rank{'s' * (ranks > 1)}", []).append(p)
    _lines(ax, {name: [(p.atoms_per_rank, _per_rank(p)) for p in group]
                for name, group in by_ranks.items()})
    found = half_size(next(iter(by_ranks.values())))
    if found:
        best, half = found
        ax.axvline(half, color=GREEN, linestyle="--", label=f"$n_{{1/2}}$ = {half:.0f} atoms")
        ax.axhline(best / 2e6, color=MUTED, linestyle=":")
    ax.set_xscale("log")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("atoms a rank")
    ax.set_ylabel("million atom-steps/s a rank")
    ax.legend()


def _per_rank(p: Summary) -> Interval:
    scale = 1e-6 / p.first.row["ranks"]
    return Interval(p.rate.value * scale, p.rate.low * scale, p.rate.high * scale)


def memory(ax: Axes, points: Sequence[Summary]) -> None:
    """Resident memory of the largest rank: before the first atom, and with all."""
    shown = [p for p in points if p.median_of("rss_max")]
    names = [_short(p) for p in shown]
    fixed = [(p.median_of("bytes_fixed_per_rank") or 0.0) / 2**20 for p in shown]
    total = [(p.median_of("rss_max") or 0.0) / 2**20 for p in shown]
    ax.bar(names, fixed, label="before the first atom", color=PALETTE[0], width=0.6)
    ax.bar(names, [max(t - f, 0.0) for t, f in zip(total, fixed, strict=True)], bottom=fixed,
           label="atoms, lists, buffers", color=PALETTE[4], hatch="//", edgecolor=MUTED, width=0.6)
    ax.set_ylabel("MiB, largest rank")
    ax.tick_params(axis="x", labelrotation=30 if len(names) > 5 else 0)
    above(ax)


def _short(p: Summary) -> str:
    row = p.first.row
    if p.first.study == "saturation":
        return f"{p.atoms_per_rank:.0f}"
    who = "" if p.first.code == "mdapp" else f"\n{p.first.code}"
    return f"{row['ranks']} x {row['threads']}{who}"
