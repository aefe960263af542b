"""Where the time of a run went: its phases over the ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdapp.plot.run_folder import Run
from mdapp.report.document import Column, Note, Plot, Section, Table
from mdapp.report.figures import BLUE, INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = (Column("phase"), Column("min", "least", "s"), Column("avg", "mean", "s"),
           Column("max", "most", "s"), Column("share", "share of the loop", "", ".1%"))  # fmt: skip


def phases_section(run: Run) -> Section:
    """Bars of the phases, with the range over the ranks."""
    title = "Where the time went"
    if not run.report:
        return Section(title, [Note("The run has not ended by itself: the times of its phases are "
                                    "known at the end only.")])
    loop_s, phases = run.report["loop_s"], run.report["phases"]
    rows = [{"phase": name, **seconds, "share": seconds["avg"] / loop_s if loop_s else None}
            for name, seconds in phases.items()]  # fmt: skip

    def draw(axes: Axes) -> None:
        shown = list(reversed(rows))
        mean = [row["avg"] for row in shown]
        around = [[row["avg"] - row["min"] for row in shown],
                  [row["max"] - row["avg"] for row in shown]]  # fmt: skip
        axes.barh([row["phase"] for row in shown], mean, color=BLUE, xerr=around,
                  error_kw={"ecolor": INK, "elinewidth": 1.0, "capsize": 3.0})
        axes.set(xlabel="seconds")
        axes.grid(visible=False, axis="y")

    ranks = run.report["ranks"]
    caption = (f"Mean over {ranks} ranks; whiskers reach from the least to the most of a rank."
               if ranks > 1 else "One rank.")
    if len(run.legs) > 1:
        caption += f" Of the last of {len(run.legs)} legs only."
    return Section(title, [Plot("phases", draw, caption, "phases", (6.4, 3.0)),
                           Table("phases", COLUMNS, rows, f"Loop time {loop_s:.4g} s.")])
