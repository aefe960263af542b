"""What speaks against a figure: marks for a table, and sentences for a reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from scaling.studies.summary import OURS, Summary

FOREIGN_SHARE = 0.03         # of a core's time that went to other programs
CLOCK_CHANGE = 0.03
MARKS = {"oversubscribed": "o", "noisy": "~", "disturbed": "!", "not bound": "b",
         "clock": "c", "invalid": "x", "few rounds": "?"}


def flags(point: Summary) -> list[str]:
    """Names of what speaks against a point, by the keys of MARKS."""
    rows = [x.row for x in point.launches]
    found = []
    if any(x.oversubscribed for x in point.launches):
        found.append("oversubscribed")
    if point.spread.noisy:
        found.append("noisy")
    if any((row.get("foreign_share") or 0.0) > FOREIGN_SHARE for row in rows):
        found.append("disturbed")
    if any(x.environment.get("bound") is False for x in point.launches):
        found.append("not bound")
    clocks = [(row.get("clock_before"), row.get("clock_after")) for row in rows]
    if any(a and b and abs(b / a - 1) > CLOCK_CHANGE for a, b in clocks):
        found.append("clock")
    if point.invalid:
        found.append("invalid")
    if len(point.launches) < 3:
        found.append("few rounds")
    return found


def marks(point: Summary) -> str:
    """Return the flags as letters for a table."""
    return "".join(MARKS[name] for name in flags(point))


def legend(points: Sequence[Summary]) -> str:
    """What the letters in the tables mean, those that occur."""
    meanings = {
        "oversubscribed": "ranks shared cores: no measure of scaling",
        "noisy": "varies by more than 5 %: decides nothing",
        "disturbed": f"more than {FOREIGN_SHARE:.0%} of its cores went to other programs",
        "not bound": "ranks were not bound to cores",
        "clock": f"the clock changed by more than {CLOCK_CHANGE:.0%}",
        "invalid": "launches that compiled inside the window are left out",
        "few rounds": "fewer than three rounds: no intervals",
    }
    seen = {name for point in points for name in flags(point)}
    return "; ".join(f"{MARKS[name]} {text}" for name, text in meanings.items() if name in seen)


def warnings(points: Sequence[Summary]) -> Iterator[str]:
    """Sentences about what weakens the whole study."""
    ours = [point for point in points if point.first.code == OURS]
    by_flag = {name: [p.first.name for p in ours if name in flags(p)] for name in MARKS}
    if by_flag["oversubscribed"]:
        yield (f"{_some(by_flag['oversubscribed'], ours)}: more ranks than cores. These times do "
               "not show how the code scales.")
    if by_flag["disturbed"]:
        yield (f"{_some(by_flag['disturbed'], ours)}: other programs computed on the same cores; "
               "repeat on an idle machine.")
    busy = max((p.first.environment.get("load", 0.0) for p in ours), default=0.0)
    if busy > 0.5 and not by_flag["disturbed"]:
        yield f"the load average was {busy:.2f} when a launch began; look at the intervals."
    if len({x.environment.get("cpu") for p in ours for x in p.launches}) > 1:
        yield "points of this study ran on different processors."
    if len({x.environment.get("commit") for p in ours for x in p.launches}) > 1:
        yield "points of this study ran different versions of mdapp."


def _some(names: Sequence[str], points: Sequence[Summary]) -> str:
    """A list that stays short."""
    if len(names) == len(points) > 2:
        return "all points"
    return ", ".join(names) if len(names) <= 3 else f"{len(names)} of {len(points)} points"
