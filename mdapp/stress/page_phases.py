"""Phases as tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mdapp.report.document import Block, Column, Plot, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GIB, KILO = float(1 << 30), 1000.0
Phase = Mapping[str, Any]

COLUMNS = [
    Column("phase"), Column("valid"), Column("rate", form=".4g"), Column("unit"), Column("flags"),
    Column("own", "pattern and check", "%", ".2g"),
    Column("without", "rate without them", form=".4g"), Column("seconds", "time", "s", ".3g"),
    Column("count", "K", "per rank", ".9g"), Column("p50", "latency p50", "ms", ".3g"),
    Column("p95", "p95", "ms", ".3g"), Column("p99", "p99", "ms", ".3g"),
    Column("max", "max", "ms", ".3g"), Column("least", "least rate", form=".4g"),
    Column("most", "most", form=".4g"), Column("durable", "ends with"),
    Column("twin", "IO500 twin"),
]  # fmt: skip


def title_of(phase: Phase) -> str:
    """Name and API."""
    return f"{phase['name']} [{phase['api']}]" if phase["api"] else str(phase["name"])


def scale_of(phase: Phase) -> tuple[float, str]:
    """Divisor and unit of a rate."""
    return (GIB, "GiB/s") if phase["unit"] == "B" else (KILO, "k/s")


def phase_rows(phases: Sequence[Phase]) -> list[dict[str, Any]]:
    """One row a phase: medians over the passes, least and most."""
    rows = []
    for title in dict.fromkeys(map(title_of, phases)):
        of = [p for p in phases if title_of(p) == title]
        scale, unit = scale_of(of[0])
        rates = [p["rate"] / scale for p in of]
        middle = of[int(np.argsort(rates)[len(of) // 2])]
        latency = {k: v and v * 1e3 for k, v in middle["latency_s"].items()}
        valid = all(p["valid"] for p in of)
        flags = sorted({f for p in of for f in p["flags"]})
        shown = float(np.median(rates))
        rows.append({
            "phase": title, "twin": middle["twin"], "valid": valid,
            "rate": shown, "unit": unit if valid and "cached" not in flags else f"({unit})",
            "least": min(rates), "most": max(rates), "own": 100 * middle["own_share"],
            "without": middle["rate_without_own"] / scale, "seconds": middle["seconds"],
            "count": middle["operations"], "p50": latency["p50"], "p95": latency["p95"],
            "p99": latency["p99"], "max": latency["max"], "durable": middle["durable"],
            "flags": " ".join(flags),
        })  # fmt: skip
    return rows


def phase_table(rows: Sequence[Mapping[str, Any]], prefix: str) -> Table:
    """The table of the page."""
    return Table(f"{prefix}phases", COLUMNS, rows,
                 "Rates are medians over passes. A unit in brackets: the phase is invalid, or was "
                 "read from memory.")


def phase_plots(phases: Sequence[Phase], prefix: str) -> list[Block]:
    """Latencies, rates over time, stragglers; each with its numbers."""
    blocks: list[Block] = []
    for name, what in (("posix", "transfers through POSIX"), ("meta", "metadata operations"),
                       ("hdf5", "transfers through HDF5")):
        chosen = [p for p in phases if p["total"] and p["pass"] == 0 and family_of(p) == name]
        if not chosen:
            continue
        table = latency_table(chosen, f"{prefix}latency-{name}")
        blocks += [Plot(f"{prefix}cdf-{name}", cdf(chosen),
                        f"Latency of {what}: share of them that were done in so long, first pass.",
                        table.name), table]
        if name != "meta":
            table = timeline_table(chosen, f"{prefix}timeline-{name}")
            blocks += [Plot(f"{prefix}over-time-{name}", over_time(chosen),
                            f"Bandwidth of {what} over the time of the phase, all ranks; what a "
                            "write shows last is the sync.", table.name), table]
    done = [p for p in phases if p["total"] and p["pass"] == 0]
    if done:
        table = rank_table(phases, f"{prefix}ranks")
        blocks += [Plot(f"{prefix}stragglers", stragglers(done),
                        "Time of each rank over the phase's: a straggler stands at 1 alone.",
                        table.name, (6.4, 1.2 + 0.24 * len(done))), table]
    return blocks


def family_of(phase: Phase) -> str:
    """Which picture a phase belongs to; empty for checkpoints, which are too few for one."""
    if str(phase["name"]).startswith("ckpt"):
        return ""
    if not phase["api"]:
        return "meta"
    return "posix" if phase["api"] == "posix" else "hdf5"


def cdf(phases: Sequence[Phase]) -> Callable[[Axes], None]:
    """Share of operations below a latency."""
    def draw(axes: Axes) -> None:
        for phase in phases:
            at, number = np.array(phase["latency_histogram"]).T
            axes.step(at * 1e3, np.cumsum(number) / number.sum(), where="post",
                      label=title_of(phase))
        axes.set(xscale="log", xlabel="latency, ms", ylabel="share of operations", ylim=(0, 1.02))
        axes.legend()

    return draw


def over_time(phases: Sequence[Phase]) -> Callable[[Axes], None]:
    """GiB/s in slices of time."""
    def draw(axes: Axes) -> None:
        for phase in phases:
            values = np.array(phase["timeline"])
            width = phase["seconds"] / len(values)
            axes.step(width * (np.arange(len(values)) + 0.5), values / width / GIB, where="mid",
                      label=title_of(phase))
        axes.set(xlabel="time since the phase began, s", ylabel="GiB/s", ylim=(0, None))
        axes.legend()

    return draw


def stragglers(phases: Sequence[Phase]) -> Callable[[Axes], None]:
    """Each rank's time in each phase."""
    def draw(axes: Axes) -> None:
        from mdapp.report.figures import BLUE

        for k, phase in enumerate(phases):
            share = np.array(phase["rank_seconds"]) / phase["seconds"]
            axes.plot(share, np.full(len(share), k), linestyle="", marker="o", color=BLUE)
        axes.set_yticks(range(len(phases)), [title_of(p) for p in phases],
                       fontsize="small")
        axes.set(xlabel="time of a rank over the phase's", xlim=(0, 1.05))
        axes.invert_yaxis()

    return draw


def latency_table(phases: Sequence[Phase], name: str) -> Table:
    """Percentiles."""
    keys = list(phases[0]["latency_s"])
    rows = [{"phase": title_of(p), **{k: v and v * 1e3 for k, v in p["latency_s"].items()}}
            for p in phases]
    return Table(name, [Column("phase"), *(Column(k, unit="ms", form=".3g") for k in keys)], rows)


def timeline_table(phases: Sequence[Phase], name: str) -> Table:
    """The bandwidth in tenths of each phase."""
    rows = []
    for phase in phases:
        tenths = np.array(phase["timeline"]).reshape(10, -1).sum(axis=1)
        width = phase["seconds"] / 10
        rows.append({"phase": title_of(phase), **{f"t{k}": float(v / width / GIB)
                                                  for k, v in enumerate(tenths)}})
    columns = [Column(f"t{k}", f"{10 * k} to {10 * k + 10} %", "GiB/s", ".3g") for k in range(10)]
    return Table(name, [Column("phase"), *columns], rows)


def rank_table(phases: Sequence[Phase], name: str) -> Table:
    """Least, mean and most time and operations of ranks."""
    rows = []
    for phase in (p for p in phases if p["total"]):
        seconds, done = phase["rank_seconds"], phase["operations_at_deadline"]
        rows.append({"phase": title_of(phase), "pass": phase["pass"] + 1, "least": min(seconds),
                     "mean": float(np.mean(seconds)), "most": max(seconds), "fewest": done["min"],
                     "many": done["max"], "rate": phase["deadline_rate"] / scale_of(phase)[0],
                     "unit": scale_of(phase)[1]})
    return Table(name, [
        Column("phase"), Column("pass"), Column("least", "fastest rank", "s", ".3g"),
        Column("mean", "mean", "s", ".3g"), Column("most", "slowest rank", "s", ".3g"),
        Column("fewest", "fewest operations at the deadline", form=".9g"),
        Column("many", "most operations at the deadline", form=".9g"),
        Column("rate", "rate at the deadline", form=".4g"), Column("unit"),
    ], rows)  # fmt: skip


def wrong_data(phases: Sequence[Phase], prefix: str) -> Table | None:
    """What was found wrong, decoded."""
    rows = [{"phase": title_of(p), "pass": p["pass"] + 1, "kind": f["kind"], "path": f["path"],
             "offset": f["offset"], "nbytes": f["nbytes"], "detail": f["detail"]}
            for p in phases for f in p["findings"]]  # fmt: skip
    if not rows:
        return None
    return Table(f"{prefix}wrong", [
        Column("phase"), Column("pass"), Column("kind"), Column("path"),
        Column("offset", form="d"), Column("nbytes", "bytes", form="d"), Column("detail"),
    ], rows, "The first stretches of wrong bytes of each rank and phase.")  # fmt: skip
