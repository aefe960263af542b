"""The IO500-shaped figure, and when there is none.

    BW = (easy-write easy-read hard-write hard-read)^(1/4)                        GiB/s
    MD = (meta-easy-{create,stat,delete} meta-hard-{create,stat,read,delete} scan)^(1/8)   kIOPS
    S  = sqrt(BW MD)

It has IO500's formula and is not an IO500 score: that takes IO500's own program, unmodified, with
its rules of submission (mdapp/stress/README.md). A phase that is missing or invalid gives no figure
at all, and neither does any profile but `full`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod, sqrt
from typing import Any

from mdapp.stress.phase import Phase
from mdapp.stress.plan import DEADLINE_OF_FULL, GIB, Plan

NAME = "IO500-shaped figure"
BANDWIDTHS = ("easy-write", "easy-read", "hard-write", "hard-read")
RATES = (
    "meta-easy-create", "meta-easy-stat", "meta-easy-delete", "meta-hard-create",
    "meta-hard-stat", "meta-hard-read", "meta-hard-delete", "scan",
)  # fmt: skip
FULL = "full"
TIMED = ("easy-write", "hard-write", "meta-easy-create", "meta-hard-create")


@dataclass(frozen=True)
class Figure:
    """The figure, or why there is none.

    Attributes
    ----------
    bandwidth, metadata, value : GiB/s, kIOPS, the figure; None if there is none
    reason : why
    """

    bandwidth: float | None = None
    metadata: float | None = None
    value: float | None = None
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"name": NAME, "is_io500_score": False, **asdict(self)}


def combine(bandwidths: Mapping[str, float], rates: Mapping[str, float]) -> Figure:
    """The formula.

    Parameters
    ----------
    bandwidths : GiB/s by phase
    rates : thousands of operations a second by phase
    """
    bandwidth = prod(bandwidths[n] for n in BANDWIDTHS) ** (1.0 / len(BANDWIDTHS))
    metadata = prod(rates[n] for n in RATES) ** (1.0 / len(RATES))
    return Figure(bandwidth, metadata, sqrt(bandwidth * metadata))


def apply_rules(plan: Plan, phase: Phase) -> None:
    """Mark what makes a phase of the full profile no number to compare."""
    if plan.profile != FULL or phase.name not in TIMED or phase.errors:
        return
    if plan.deadline_s != DEADLINE_OF_FULL:
        phase.reasons.append(f"the deadline is {plan.deadline_s:g} s and must be "
                             f"{DEADLINE_OF_FULL:g} s")
    elif phase.stopped_at == "cap":
        phase.reasons.append("a rank reached --max-bytes or --files before the deadline")
    elif phase.seconds < DEADLINE_OF_FULL:
        phase.reasons.append(f"took {phase.seconds:.1f} s, less than {DEADLINE_OF_FULL:g} s")


def figure_of(plan: Plan, phases: Sequence[Phase]) -> Figure:
    """The figure of one pass, posix phases only."""
    if plan.profile != FULL:
        return Figure(reason=f"the profile {plan.profile} gives none, only `full` does")
    here = {p.name: p for p in phases if p.api in ("posix", "")}
    missing = [n for n in (*BANDWIDTHS, *RATES) if n not in here]
    if missing:
        return Figure(reason=f"{missing[0]} is missing")
    invalid = [n for n in (*BANDWIDTHS, *RATES) if not here[n].is_valid]
    if invalid:
        return Figure(reason=f"{invalid[0]} is invalid: {here[invalid[0]].reasons[0]}")
    return combine({n: here[n].rate / GIB for n in BANDWIDTHS},
                   {n: here[n].rate / 1000.0 for n in RATES})
