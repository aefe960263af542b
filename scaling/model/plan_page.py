"""A plan as a report: the prediction, what limits it, and all that it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from mdapp.report.document import Block, Column, Note, Plot, Report, Section, Table
from mdapp.report.figures import BLUE, MARKERS, MUTED
from scaling.model.assumptions import inputs_table, sentences
from scaling.model.measured import MeasuredPoint
from scaling.model.plan import Planned, System
from scaling.model.step_time import WORDS, Inputs, predict, sensitivity
from scaling.studies.plots import COLOURS, above

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SCHEMA, VERSION = "mdapp.plan", 1


def plan_report(title: str, system: System, planned: Sequence[Planned], inputs: Inputs,
                timestep: tuple[float, str], environment: dict[str, Any],
                more: Sequence[Section] = ()) -> Report:
    """Put a plan together.

    Parameters
    ----------
    timestep : of the run, and the unit of what a day gives: ns or tau
    more : further sections: the fit, measured points, the layout check
    """
    good = [one for one in planned if not one.refusal]
    guesses = [row for row in inputs_table(inputs) if row["origin"] == "assumed"]
    return Report(SCHEMA, VERSION, title, _summary(system, good[-1]), [
        _prediction(system, planned, timestep), _memory(good), _checkpoints(system, good),
        _sensitivity(good[-1], inputs), _assumptions(inputs, guesses), *more,
    ], environment)  # fmt: skip


def _summary(system: System, one: Planned) -> list[str]:
    step, low, high = one.step.total, one.step.low, one.step.high
    wall = system.steps * step * (1 + one.checkpoints.overhead)
    return [
        f"{system.natoms} atoms on {one.ranks} ranks: {step:.3g} s a step "
        f"[{low:.3g}, {high:.3g}], {one.rate:.3g} atom-steps/s; {system.steps} steps take "
        f"{wall / 3600:.3g} h with checkpoints.",
        f"The largest part of a step: {one.step.limiting}.",
        f"Memory {one.memory.total / 2**30:.3g} GiB a rank; a checkpoint of "
        f"{one.checkpoints.size / 1e9:.4g} GB takes {one.checkpoints.seconds:.3g} s, one every "
        f"{one.checkpoints.interval_s / 60:.3g} min (Daly).",
    ]


def _prediction(system: System, planned: Sequence[Planned],
                timestep: tuple[float, str]) -> Section:
    good = [one for one in planned if not one.refusal]
    base = good[0]
    rows = [_row(one, base, timestep) for one in planned]
    table = Table("prediction", [
        Column("ranks", form="d"), Column("nodes", form="d"),
        Column("atoms_per_rank", "atoms/rank", form=".0f"), Column("edge", "l", form=".4g"),
        Column("ghost_ratio", "g", form=".2f"), Column("compute_ms", "compute", "ms"),
        Column("halo_ms", "halo", "ms"), Column("reduce_ms", "reduce", "ms"),
        Column("python_ms", "fixed", "ms"), Column("s_per_step", "step", "s", ".3g"),
        Column("band", "band"), Column("per_day", f"{timestep[1]}/day", form=".4g"),
        Column("gatom_steps_per_s", "rate", "Gatom-step/s", ".3g"),
        Column("efficiency", "E", form=".2f"), Column("limiting", "largest part"),
    ], rows, f"l: edge of a subdomain; g: ghosts over owned; E against {base.ranks} "
             "ranks.")  # fmt: skip
    blocks: list[Block] = [table, Plot(
        "step_time", partial(_curve, good), "Time of a step and its band; dotted: ideal scaling "
        "from the first.", "prediction")]
    blocks.append(Plot("step_parts", partial(_parts, good), "What the step is made of.",
                       "prediction"))
    blocks += [Note(f"{one.ranks} ranks refused: {one.refusal}", "warning")
               for one in planned if one.refusal]
    return Section("Prediction", blocks)


def _row(one: Planned, base: Planned, timestep: tuple[float, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"ranks": one.ranks, "nodes": one.nodes,
                             "atoms_per_rank": one.part.atoms, "refusal": one.refusal}
    if one.refusal:
        return {**found, "limiting": f"refused: {one.refusal}"}
    t = one.step.terms
    return {
        **found, "edge": sum(one.part.edges) / 3, "ghosts": one.part.ghosts,
        "ghost_ratio": one.part.ghosts / one.part.atoms, "grid": list(one.part.grid),
        "compute_ms": 1e3 * (t["owned"] + t["ghosts"] + t["lists"]),
        "halo_ms": 1e3 * (t["halo_latency"] + t["halo_bytes"]), "reduce_ms": 1e3 * t["reduce"],
        "python_ms": 1e3 * t["python"], "s_per_step": one.step.total, "low": one.step.low,
        "high": one.step.high,
        "band": f"[{one.step.low:.3g},\N{NO-BREAK SPACE}{one.step.high:.3g}]",
        "steps_per_s": 1 / one.step.total,
        "per_day": 86400 * timestep[0] / one.step.total,
        "gatom_steps_per_s": one.rate / 1e9, "terms": t,
        "efficiency": base.step.total * base.ranks / (one.step.total * one.ranks),
        "limiting": one.step.limiting,
    }  # fmt: skip


def _curve(good: Sequence[Planned], ax: Axes) -> None:
    ranks = [one.ranks for one in good]
    ax.fill_between(ranks, [one.step.low for one in good], [one.step.high for one in good],
                    color=BLUE, alpha=0.2, label="band")
    ax.plot(ranks, [one.step.total for one in good], marker=MARKERS[0], color=BLUE,
            label="predicted")
    first = good[0]
    ax.plot(ranks, [first.step.total * first.ranks / p for p in ranks], color=MUTED,
            linestyle=":", label="ideal")
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xlabel("ranks")
    ax.set_ylabel("s a step")
    ax.legend()


def _parts(good: Sequence[Planned], ax: Axes) -> None:
    names = [str(one.ranks) for one in good]
    below = [0.0] * len(good)
    for k, key in enumerate(WORDS):
        values = [one.step.terms[key] / one.step.total for one in good]
        ax.bar(names, values, bottom=below, width=0.6, color=COLOURS[k],
               edgecolor=MUTED, linewidth=0.5, hatch=("", "//", "..", "xx", "\\\\", "++", "oo")[k],
               label=key.replace("_", " "))
        below = [b + v for b, v in zip(below, values, strict=True)]
    ax.set_xlabel("ranks")
    ax.set_ylabel("share of the step")
    ax.set_ylim(0, 1)
    above(ax)


def _memory(good: Sequence[Planned]) -> Section:
    parts = list(good[0].memory.parts)
    columns = [Column("part"), *(Column(f"p{one.ranks}", f"{one.ranks} ranks", "MiB", ".4g")
                                 for one in good)]
    rows: list[dict[str, Any]] = [
        {"part": name, **{f"p{one.ranks}": one.memory.parts[name] / 2**20 for one in good}}
        for name in parts]
    rows.append({"part": "all", **{f"p{one.ranks}": one.memory.total / 2**20 for one in good}})
    if good[0].memory.measured is not None:
        rows.append({"part": "by the bytes an atom that were measured", **{
            f"p{one.ranks}": (one.memory.measured or 0.0) / 2**20 for one in good}})
    rows.append({"part": "bytes an owned atom, without the process", **{
        f"p{one.ranks}": (one.memory.total - one.memory.parts[parts[0]]) / one.part.atoms
        for one in good}})
    return Section("Memory of a rank", [Table("memory", columns, rows)])


def _checkpoints(system: System, good: Sequence[Planned]) -> Section:
    rows = [{
        "ranks": one.ranks, "gb": one.checkpoints.size / 1e9, "files": one.checkpoints.files,
        "seconds": one.checkpoints.seconds, "limit": one.checkpoints.limit,
        "minutes": one.checkpoints.interval_s / 60, "overhead": one.checkpoints.overhead,
        "hours": system.steps * one.step.total * (1 + one.checkpoints.overhead) / 3600,
    } for one in good]  # fmt: skip
    return Section("Checkpoints", [Table("checkpoints", [
        Column("ranks", form="d"), Column("gb", "size", "GB"), Column("files", form="d"),
        Column("seconds", "time", "s", ".3g"), Column("limit", "limited by"),
        Column("minutes", "one every", "min", ".3g"), Column("overhead", form=".2%"),
        Column("hours", f"{system.steps} steps", "h", ".3g"),
    ], rows, "Written while the run waits; the interval is Daly's, the overhead holds checkpoints, "
             "lost work and restarts.")])  # fmt: skip


def _sensitivity(one: Planned, inputs: Inputs) -> Section:
    found = sorted(sensitivity(one.part, one.ranks, inputs), key=lambda item: -abs(item[2]))
    rows = [{"input": name, "origin": origin, "change": change} for name, origin, change in found]
    return Section("What it hangs on", [Table("sensitivity", [
        Column("input"), Column("origin"), Column("change", "step time when it doubles", "",
                                                  "+.1%"),
    ], rows, f"On {one.ranks} ranks.")])  # fmt: skip


def _assumptions(inputs: Inputs, guesses: Sequence[dict[str, Any]]) -> Section:
    listed = [{"n": str(k), "assumption": text} for k, text in enumerate(sentences(inputs), 1)]
    blocks: list[Block] = [Table("assumptions", [Column("n", ""), Column("assumption")], listed)]
    columns = [Column("input"), Column("value"), Column("origin")]
    if guesses:
        blocks.append(Table("replace_first", columns[:2], guesses,
                            "Replace these first: guesses, nobody measured them."))
    blocks.append(Table("inputs", columns, inputs_table(inputs), "Every number, with its origin."))
    return Section("Assumptions", blocks)


def measured_section(points: Sequence[MeasuredPoint], inputs: Inputs) -> Section | None:
    """Points of strong and weak studies beside what the model says of them; None without any."""
    rows = []
    for p in points:
        if p.first["study"] == "saturation" or p.first["threads"] > 1:
            continue
        said = predict(p.subdomain, p.ranks, inputs)
        rows.append({"point": p.first["point"], "ranks": p.ranks, "atoms": p.first["atoms"],
                     "ms": 1e3 * p.time, "said_ms": 1e3 * said.total,
                     "band": f"[{1e3 * said.low:.3g}, {1e3 * said.high:.3g}]",
                     "deviation": said.total / p.time - 1})
    if not rows:
        return None
    return Section("Measured points that the model was not fitted to", [Table("beside", [
        Column("point"), Column("ranks", form="d"), Column("atoms", form="d"),
        Column("ms", "measured", "ms"), Column("said_ms", "predicted", "ms"),
        Column("band", "band, ms"), Column("deviation", "predicted over measured - 1",
                                          form="+.1%"),
    ], rows)])  # fmt: skip
