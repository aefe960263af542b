"""What has to hold in every study, whatever its times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mdapp.report.document import Check
from scaling.studies.summary import OURS, Launch

SAME_PHYSICS = 1e-4


def own_checks(launches: Sequence[Launch]) -> Iterator[Check]:
    """What has to hold in every study: nothing compiled in a window, lists in time, equal bits."""
    ours = [x for x in launches if x.code == OURS]
    late = [x for x in ours if not x.valid]
    yield Check("no compilation inside a timed window", "FAIL" if late else "PASS", "study",
                value=float(len(late)), threshold=0.0, unit="launches",
                message="; ".join(sorted({x.name for x in late})))
    counted = [x for x in ours if x.row.get("dangerous_builds") is not None]
    bad = [x for x in counted if x.row["dangerous_builds"]]
    if counted:
        yield Check("no dangerous builds of lists", "FAIL" if bad else "PASS", "study",
                    value=float(sum(x.row["dangerous_builds"] for x in counted)), threshold=0.0,
                    message="; ".join(sorted({x.name for x in bad})))
    yield from _peers_agree(launches)
    exact = [x for x in ours if x.row.get("deterministic")]
    groups: dict[tuple[Any, ...], set[str]] = {}
    for x in exact:
        last = x.row.get("warmup_steps", 0) + x.row["steps"]
        groups.setdefault((x.row["atoms"], last), set()).add(x.row["state_hash"])
    if exact:
        differ = [key for key, hashes in groups.items() if len(hashes) > 1]
        yield Check("the same bits on every number of ranks", "FAIL" if differ else "PASS", "study",
                    value=float(len(differ)), threshold=0.0, unit="systems",
                    message=f"state_hash after the last step of {len(exact)} launches")


def _peers_agree(launches: Sequence[Launch]) -> Iterator[Check]:
    """Whether all codes have the same temperature and energy where the window begins."""
    peers = sorted({x.code for x in launches} - {OURS})
    for peer in peers:
        worst = 0.0
        for key in ("start_temp", "start_etotal"):
            ours, theirs = ([x.row[key] for x in launches if x.code == code and x.row.get(key)]
                            for code in (OURS, peer))
            if ours and theirs:
                worst = max(worst, max(abs(a / b - 1) for a in ours for b in theirs))
        yield Check(f"{peer} has the same temperature and energy where the window begins",
                    "PASS" if worst < SAME_PHYSICS else "FAIL", "study", value=worst,
                    threshold=SAME_PHYSICS, message="relative difference after the warm-up")
