"""The experiment of computing and writing together, as checks, tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mdapp.report.document import Block, Check, Column, Note, Plot, Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Facts = Mapping[str, Any]
ETA = ("Overlap efficiency: eta = 1 - (T_C - T_A) / (T_B - T_A), medians over rounds with 95 % "
       "intervals. A: no checkpoints, B: the run waits for them, C: written beside it, D: without "
       "forces. Not measurable where waiting costs no more than three times the noise.")


def verdicts(facts: Sequence[Facts], prefix: str) -> list[Check]:
    """Whether the runs may be compared at all."""
    checks = []
    for one in facts:
        where = f" [load {one['load']:g}]"
        hashes = ", ".join(one["state_hashes"])
        checks += [
            Check(f"{prefix}same final state{where}", "PASS" if one["same_state"] else "FAIL",
                  "interference", message=f"of A, B and C: {hashes}"),
            Check(f"{prefix}all checkpoints verify{where}", "PASS" if one["all_good"] else "FAIL",
                  "interference", message="every block of every checkpoint of B, C and D was read"),
            Check(f"{prefix}eta is measurable{where}",
                  "PASS" if one["eta"] is not None else "NOT_RESOLVED", "interference",
                  fails=False, message=eta_sentence(one)),
        ]  # fmt: skip
    return checks


def eta_sentence(one: Facts) -> str:
    """Eta in words."""
    times = {k: float(np.median(v)) for k, v in one["seconds"].items()}
    cost = times["B"] - times["A"]
    if one["eta"] is None:
        return (f"not measurable: waiting costs {cost:.3f} s of {times['A']:.3f} s, the noise is "
                f"{one['noise_s']:.3f} s; write more (more atoms, --load) or use a quieter machine")
    eta = one["eta"]
    between = "" if eta["low"] is None else f" [{eta['low']:.2f}, {eta['high']:.2f}]"
    return f"eta = {eta['value']:.2f}{between}; waiting costs {cost:.3f} s of {times['A']:.3f} s"


def interference_section(body: Facts, where: str, prefix: str) -> Section:
    """Everything about it."""
    facts = body["cadences"]
    blocks: list[Block] = [
        Note(f"{body['atoms']} atoms; {body['ranks']} ranks on {body['cores']} cores, "
             f"{body['free_cores']} left to writers; {body['rounds']} rounds."),
        eta_table(facts, prefix)]
    if len(facts) > 1:
        blocks.append(Plot(f"{prefix}eta-load", eta_plot(facts),
                           "Overlap efficiency against the share of the interval that writing "
                           "takes.", f"{prefix}eta"))
    blocks += [store_table(facts, prefix),
               Plot(f"{prefix}steps", bars(facts[0]),
                    f"Step times of A, B and C, load {facts[0]['load']:g}: in the windows in "
                    "which is written, and outside.", f"{prefix}step-times"),
               steps_table(facts, prefix)]
    for one in facts:
        name = f"{prefix}timeline-{one['load']:g}"
        blocks.append(Plot(name, timeline(one),
                           f"Step times of the first round, load {one['load']:g}; shaded: a "
                           "checkpoint is being written.", f"{prefix}step-times", (6.4, 4.2)))
    return Section("Interference" + where, blocks)


def eta_table(facts: Sequence[Facts], prefix: str) -> Table:
    """Times and what follows."""
    rows = []
    for one in facts:
        eta = one["eta"] or {"value": None, "low": None, "high": None}
        rows.append({
            "load": one["load"], "every": one["every"], "noise": one["noise_s"],
            **{k: float(np.median(v)) for k, v in one["seconds"].items()},
            "eta": eta["value"], "low": eta["low"], "high": eta["high"],
            **{f"speed{k}": one["speed"][k]["value"] for k in "BC"},
        })  # fmt: skip
    return Table(f"{prefix}eta", [
        Column("load"), Column("every", "every", "steps"),
        *(Column(k, f"T_{k}", "s", ".4g") for k in "ABCD"), Column("noise", "noise", "s", ".2g"),
        Column("eta", "eta", form=".3f"), Column("low", "from", form=".3f"),
        Column("high", "to", form=".3f"), Column("speedB", "T_A/T_B", form=".3f"),
        Column("speedC", "T_A/T_C", form=".3f"),
    ], rows, ETA)  # fmt: skip


def store_table(facts: Sequence[Facts], prefix: str) -> Table:
    """Stalls and bandwidths."""
    rows = []
    for one in facts:
        for kind in "BCD":
            here, loss = one["checkpoints"][kind], one["loss"].get(kind)
            rows.append({
                "load": one["load"], "run": kind, "number": here["number"],
                "mib": here["bytes"] / 2**20, "stall": 1e3 * here["stall_s"],
                "worst": 1e3 * here["worst_stall_s"], "total": 1e3 * here["total_s"],
                "raw": here["raw_gbytes_per_s"], "perceived": here["perceived_gbytes_per_s"],
                "loss": loss and loss["value"], "low": loss and loss["low"],
                "high": loss and loss["high"], "memory": one["peak_bytes"][kind] / 2**20,
            })  # fmt: skip
    return Table(f"{prefix}checkpoints", [
        Column("load"), Column("run"), Column("number", "checkpoints"),
        Column("mib", "size", "MiB"),
        Column("stall", "stall", "ms"), Column("worst", "worst stall", "ms"),
        Column("total", "begun to published", "ms"), Column("raw", "raw", "GB/s", ".3g"),
        Column("perceived", "perceived", "GB/s", ".3g"),
        Column("loss", "raw over D's", form=".3f"), Column("low", "from", form=".3f"),
        Column("high", "to", form=".3f"), Column("memory", "peak memory", "MiB"),
    ], rows, "Medians over checkpoints. Raw: bytes over the time from the first write to the last "
             "fsync; perceived: over the time that the run stands still.")  # fmt: skip


def steps_table(facts: Sequence[Facts], prefix: str) -> Table:
    """Percentiles."""
    rows = [{"load": one["load"], **row,
             **{k: 1e3 * row[k] for k in ("p50", "p95", "p99", "max")}}
            for one in facts for row in one["step_s"]]
    return Table(f"{prefix}step-times", [
        Column("load"), Column("run"), Column("where"), Column("steps"),
        *(Column(k, unit="ms", form=".3g") for k in ("p50", "p95", "p99", "max")),
        Column("slow_down_s", "slow-down of a run", "s", ".3g"),
    ], rows, "The slowest rank's time of each step, all rounds. Slow-down: what steps inside took "
             "beyond the median of those outside.")  # fmt: skip


def bars(one: Facts) -> Callable[[Axes], None]:
    """p50, p95, p99."""
    def draw(axes: Axes) -> None:
        rows = one["step_s"]
        width = 0.8 / 3
        for k, key in enumerate(("p50", "p95", "p99")):
            axes.bar(np.arange(len(rows)) + (k - 1) * width, [1e3 * r[key] for r in rows], width,
                     label=key)
        axes.set_xticks(range(len(rows)), [f"{r['run']} {r['where']}" for r in rows])
        axes.set(ylabel="step time, ms", yscale="log")
        axes.legend()

    return draw


def timeline(one: Facts) -> Callable[[Axes], None]:
    """Step time over time, windows shaded."""
    def draw(axes: Axes) -> None:
        from mdapp.report.figures import BLUE, GREEN, MUTED, ORANGE

        for kind, colour in zip("ABC", (BLUE, ORANGE, GREEN), strict=True):
            run = one["timeline"][kind]
            steps = np.array(run["step_s"])
            ends = np.cumsum(steps)
            axes.plot(ends, 1e3 * steps, label=kind, color=colour, linewidth=1.0)
            if kind == "C":
                for end, step, inside in zip(ends, steps, run["inside"], strict=True):
                    if inside:
                        axes.axvspan(end - step, end, color=MUTED, alpha=0.15, linewidth=0)
        axes.set(xlabel="time of the run, s", ylabel="step time, ms", yscale="log")
        axes.legend()

    return draw


def eta_plot(facts: Sequence[Facts]) -> Callable[[Axes], None]:
    """Eta against load."""
    def draw(axes: Axes) -> None:
        known = [f for f in facts if f["eta"] is not None]
        x, y = [f["load"] for f in known], [f["eta"]["value"] for f in known]
        axes.plot(x, y, marker="o")
        for f in known:
            if f["eta"]["low"] is not None:
                axes.vlines(f["load"], f["eta"]["low"], f["eta"]["high"])
        axes.axhline(1.0, linewidth=0.8)
        axes.set(xlabel="time of writing over the interval", ylabel="eta")

    return draw
