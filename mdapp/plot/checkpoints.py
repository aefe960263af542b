"""Checkpoints and restarts of a run on a time line, and what each checkpoint cost."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mdapp.plot.run_folder import Run
from mdapp.report.document import Column, Plot, Section, Table
from mdapp.report.figures import BLUE, GREEN, INK, MUTED, ORANGE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (
    Column("when", "time, UTC"), Column("step"), Column("event"), Column("ranks"),
    Column("bytes", "size", "MB", ".4g"), Column("stall_s", "run stood still", "s", ".3g"),
    Column("total_s", "until committed", "s", ".3g"),
    Column("gbytes_per_s", "rate", "GB/s", ".3g"), Column("error"),
)  # fmt: skip
HELD = ("committed", "present", "undurable")
SIGNS = {"committed": ("o", GREEN), "failed": ("X", ORANGE), "not begun": ("v", MUTED)}


def checkpoints_section(run: Run) -> Section | None:
    """The time line; None if the run has no checkpoints."""
    if not run.attempts and not run.restarts:
        return None
    events = sorted([*run.attempts, *run.restarts], key=lambda e: e.get("when", 0.0))
    rows = [_row(e) for e in events]
    table = Table("checkpoints", COLUMNS, rows, "Attempts at checkpoints, and restarts.")
    plots = [Plot("cost", lambda axes: _cost(axes, run), "Seconds that the run stood still for "
                  "each checkpoint, and seconds until it was committed; they differ where the run "
                  "goes on meanwhile (checkpoint.mode = \"async\").", "checkpoints")]
    if all("when" in e for e in events):
        plots.insert(0, Plot("timeline", lambda axes: _time_line(axes, run, events),
                             "Steps reached against the clock, as far as checkpoints tell. "
                             "A restart goes on from the step of its checkpoint.",
                             "checkpoints"))  # fmt: skip
    return Section("Checkpoints", [*plots, table])


def _kind(event: dict[str, Any]) -> str:
    result = event.get("result")
    return "committed" if result in HELD else "failed" if result == "failed" else "not begun"


def _row(event: dict[str, Any]) -> dict[str, Any]:
    when = event.get("when")
    size = event.get("bytes") if "result" in event else None       # a restart reads whole files
    return {
        "when": when and datetime.fromtimestamp(when, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "step": event["step"], "event": event.get("event") or event.get("result"),
        "ranks": event.get("ranks"), "bytes": None if size is None else size / 1e6,
        **{key: event.get(key) for key in ("stall_s", "total_s", "gbytes_per_s", "error")},
    }  # fmt: skip


def _time_line(axes: Axes, run: Run, events: list[dict[str, Any]]) -> None:
    first = min([leg["when"] for leg in run.legs] + [e["when"] for e in events])
    seconds = max(e["when"] for e in events) - first
    unit, length = ("hours", 3600.0) if seconds > 7200 else (
        ("minutes", 60.0) if seconds > 120 else ("seconds", 1.0))

    def x(entry: dict[str, Any]) -> float:
        return float((entry["when"] - first) / length)

    for number, leg in enumerate(run.legs):
        following = run.legs[number + 1]["when"] if number + 1 < len(run.legs) else float("inf")
        course = [leg, *(e for e in run.attempts if leg["when"] <= e["when"] < following)]
        axes.plot([x(e) for e in course], [e["step"] for e in course], color=BLUE, linestyle="-",
                  label="steps" if not number else None)  # fmt: skip
    for kind, (marker, colour) in SIGNS.items():
        chosen = [e for e in run.attempts if _kind(e) == kind]
        if chosen:
            axes.plot([x(e) for e in chosen], [e["step"] for e in chosen], marker, color=colour,
                      markersize=6, label=f"checkpoint {kind}")
    for number, e in enumerate(run.restarts):
        axes.axvline(x(e), color=INK, linewidth=0.9, linestyle=":",
                     label=None if number else "restart")
    axes.set(xlabel=f"{unit} since the start", ylabel="step")
    axes.legend()


def _cost(axes: Axes, run: Run) -> None:
    written = [e for e in run.attempts if _kind(e) == "committed" and e.get("total_s")]
    steps = [e["step"] for e in written]
    axes.plot(steps, [e["total_s"] for e in written], "s", color=ORANGE, label="until committed")
    axes.plot(steps, [e["stall_s"] for e in written], "o", color=BLUE, label="run stood still")
    axes.set(xlabel="step", ylabel="seconds")
    axes.set_ylim(bottom=0.0)
    if written:
        axes.legend()
