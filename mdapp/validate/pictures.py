"""The plots of the page, each from the curves that a check left in its data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdapp.report.document import Column, Plot, Section, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mdapp.validate.runner import Outcome

MARKS = ("o", "s", "^", "D", "v", "P")


def pictures(outcomes: Sequence[Outcome]) -> list[Section]:
    """A section with the plots for which there are curves."""
    makers = (force_curves, )
    blocks = [block for make in makers for block in make(outcomes)]
    return [Section("Curves", blocks)] if blocks else []


def of_check(outcomes: Sequence[Outcome], key: str) -> list[Outcome]:
    """The outcomes of a check that left curves."""
    return [o for o in outcomes if o.spec.key == key and o.finding.data]


def force_curves(outcomes: Sequence[Outcome]) -> list[Plot | Table]:
    """P1: error of forces against the step of the differences."""
    chosen = of_check(outcomes, "forces_fd")
    if not chosen:
        return []
    rows = [{"precision": o.precision, "h": h, "error": e} for o in chosen
            for h, e in zip(o.finding.data["h"], o.finding.data["error"], strict=True)]
    table = Table("force_error", [Column("precision"), Column("h", "step", form=".3g"),
                                  Column("error", form=".3g")], rows)

    def draw(axes: Axes) -> None:
        for k, o in enumerate(chosen):
            data = o.finding.data
            axes.loglog(data["h"], [max(e, 1e-18) for e in data["error"]], marker=MARKS[k],
                        label=o.precision)
            allowed = o.finding.measures[0].threshold or 1.0
            axes.axhline(allowed, linestyle="--", linewidth=0.8, color=f"C{k}")
        axes.set_xlabel("step of the differences")
        axes.set_ylabel("largest |F + dE/dx| / F_rms")
        axes.legend()

    return [Plot("forces", draw, "Error of the forces against differences of the energy "
                 "(Richardson): long steps err by the function's curvature, short ones by "
                 "rounding; dashed: what is allowed.", "force_error"), table]
