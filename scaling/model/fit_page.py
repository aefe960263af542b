"""The fit of step times as a section of a report: costs, residuals, points left out."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from mdapp.report.document import Block, Check, Column, Note, Plot, Section, Table
from mdapp.report.figures import BLUE, MARKERS, MUTED, ORANGE
from scaling.model.costs import TITLES
from scaling.model.fit import CONDITION, Fit, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LIMIT = 0.15


def fit_section(samples: Sequence[Sample], found: Fit) -> Section:
    """Show a fit."""
    costs = Table("costs", [
        Column("name"), Column("ns", "value", "ns", ".4g"), Column("low", "95 % from", "ns"),
        Column("high", "to", "ns"), Column("title", "of"),
    ], [{"name": name, "value": c.value, "ns": 1e9 * c.value, "low": 1e9 * c.low,
         "high": 1e9 * c.high, "title": TITLES[name].removesuffix(", s")}
        for name, c in found.costs.items()],
        "t = a n + b m + (d n + e m)/k + t_py: n atoms and m ghosts of a rank, k steps between "
        f"builds. Condition {found.condition:.3g}.")  # fmt: skip
    ordered = sorted(samples, key=lambda s: s.atoms)
    inner = found.inner(samples)
    points = Table("fit_points", [
        Column("atoms", form=".0f"), Column("ghosts", form=".0f"),
        Column("k", "steps a build", form=".3g"), Column("ms", "measured", "ms"),
        Column("residual", "fit over it - 1", form="+.1%"),
        Column("left_out", "predicted from the others - 1", form="+.1%"), Column("how", ""),
    ], [{"point": s.name, "atoms": s.atoms, "ghosts": s.ghosts, "k": s.k, "ms": 1e3 * s.time,
         "residual": found.residuals[s.name], "left_out": found.left_out[s.name],
         "how": "" if s.name in inner else "extrapolated"} for s in ordered],
        "Each point is also predicted from a fit to all others; the first and the last lie outside "
        "of these.")  # fmt: skip
    blocks: list[Block] = [loo_check(found, samples), costs, points,
                           Plot("fit_residuals", partial(_residuals, ordered, found),
                                "Fit over measured time, and prediction from all other points.",
                                "fit_points")]
    if found.merged:
        parts = "; ".join(f"{name} is part of {into}" for name, into in found.merged)
        blocks.append(Note(f"The points cannot tell all costs apart (condition above "
                           f"{CONDITION:.0f}): {parts}. Points of another density, skin or shape "
                           "would."))
    blocks += [Note(f"{name} lies off the curve: a misplaced job, a busy neighbour, a clock that "
                    "drifted?", "warning") for name in found.off]
    return Section("Model of the step time", blocks)


def loo_check(found: Fit, samples: Sequence[Sample]) -> Check:
    """Whether points that were left out are predicted well; those between others decide."""
    errors = found.inner(samples)
    worst = max(errors, key=lambda name: abs(errors[name]))
    good = abs(errors[worst]) <= LIMIT
    return Check("points left out of the fit are predicted", "PASS" if good else "WARN", "model",
                 fails=False, value=abs(errors[worst]), threshold=LIMIT,
                 message=f"worst {worst}: {errors[worst]:+.1%}, of {len(errors)} points between "
                         "others")


def _residuals(samples: Sequence[Sample], found: Fit, ax: Axes) -> None:
    n = [s.atoms for s in samples]
    ax.axhspan(-100 * LIMIT, 100 * LIMIT, color=MUTED, alpha=0.15)
    ax.axhline(0.0, color=MUTED)
    ax.plot(n, [100 * found.residuals[s.name] for s in samples], marker=MARKERS[0], color=BLUE,
            label="fit to all")
    ax.plot(n, [100 * found.left_out[s.name] for s in samples], marker=MARKERS[1], color=ORANGE,
            label="fit to the others")
    ax.set_xscale("log")
    ax.set_xlabel("atoms a rank")
    ax.set_ylabel("deviation, %")
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, -200 * LIMIT), max(high, 200 * LIMIT))
    ax.legend()
