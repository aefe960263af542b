"""What has changed since an earlier validation: statuses, letters, values by more than twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mdapp.validate.results import as_json
from mdapp.validate.runner import Outcome

ORDER = ("PASS", "XPASS", "XFAIL", "WARN", "NOT_RESOLVED", "SKIP", "NA", "FAIL")
GRADES = ("P", "A", "B", "C", "D", "F")
TIMES = 2.0
NOISE = 1e-3                 # of a threshold: a value below moves freely


def changes(old: Mapping[str, Any], outcomes: Sequence[Outcome]) -> tuple[list[str], bool]:
    """Lines on what differs, and whether a mandatory or consistency check got worse."""
    before = {(r["key"], r["precision"]): r for r in old.get("results", [])}
    now = {(o.spec.key, o.precision): (o, as_json(o)) for o in outcomes}
    lines, worse = [], False
    for key, (outcome, new) in now.items():
        was = before.get(key)
        if was is None:
            lines.append(f"  {outcome.name}: {new['status']}, not there before")
            continue
        told = list(differences(was, new))
        lines += [f"  {outcome.name}: {text}" for text in told]
        worse = worse or (outcome.category != "informational" and is_worse(was, new))
    lines += [f"  {key} [{precision}]: not run this time"
              for key, precision in before if (key, precision) not in now]
    heading = "changed since:" if lines else "nothing has changed since"
    return [heading, *lines], worse


def is_worse(was: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether the status fell to a failure, or the letter fell."""
    if new["status"] in ("FAIL", "NA") and was["status"] not in ("FAIL", "NA"):
        return True
    letters = was["grade"], new["grade"]
    return all(g in GRADES for g in letters) and GRADES.index(letters[1]) > GRADES.index(letters[0])


def differences(was: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two results of a check."""
    for what in ("status", "grade"):
        if was[what] != new[what]:
            yield f"{what} {was[what]} -> {new[what]}"
    values = {m["name"]: m for m in was["measures"]}
    for m in new["measures"]:
        a, b = values.get(m["name"], {}).get("value"), m["value"]
        if not isinstance(a, (int, float)) or not isinstance(b, (int, float)):
            continue
        floor = NOISE * (m["threshold"] or 0.0)
        low, high = sorted((max(abs(a), floor), max(abs(b), floor)))
        if high > TIMES * low:
            yield f"{m['name']} {a:.3g} -> {b:.3g} {m['unit']}".rstrip()
