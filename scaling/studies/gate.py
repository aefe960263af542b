"""The gate: is this study slower than an older one, beyond what chance explains?

r = T_new / T_old of the same point, with an interval from resampling the rounds of both. It fails
if even the lower end is above the limit, warns if only the estimate is, and has improved if the
upper end is below one. With k points the interval of each is that of level 1 - 0.05/k, so that the
whole gate cries wolf once in twenty times and not k times as often.

Points are compared if study, code, case, precision and layout are the same, on the same processor;
whatever else is listed as not compared, and decides nothing.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdapp.errors import InputError
from mdapp.perf.statistics import median_interval, unpaired_ratio
from mdapp.report.document import Check, Status
from scaling.studies.summary import OURS, SCHEMA, Launch, Summary, summaries

MEMORY_GROWTH = 0.05
MEMORY_NOISE = 4 << 20       # bytes of a rank that come and go with pages of the allocator
SAME = ("study", "code", "potential", "precision", "atoms", "ranks", "threads", "px", "py", "pz",
        "warmup_steps", "cpu")
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Old:
    """A point of the baseline: times of its rounds, bytes an atom."""

    times: Sequence[float]
    bytes_per_atom: float | None


def limit_of(text: str) -> float:
    """Read `10%` or `0.1`.

    Raises
    ------
    InputError
        It is neither.
    """
    number, percent = (text[:-1], True) if text.endswith("%") else (text, False)
    try:
        limit = float(number) / (100 if percent else 1)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < math.inf:
        raise InputError(f"--max-slowdown {text}: write it as 10% or 0.1")
    return limit


def read_baseline(path: Path) -> dict[Key, Old]:
    """Read the JSON of an older study.

    Raises
    ------
    InputError
        There is none, or it is something else.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        if body["schema"] != SCHEMA:
            raise ValueError(f"its schema is {body['schema']!r}, not {SCHEMA!r}")
        groups: dict[Key, list[Mapping[str, Any]]] = {}
        for row in body["tables"]["launches"]:
            if not row.get("compiles_in_window"):
                groups.setdefault(key_of(row), []).append(row)
    except FileNotFoundError:
        raise InputError(f"--baseline {path}: no such file; give the report.json of an older "
                         "study") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"--baseline {path}: is not the report.json of a study: {error}") from None
    return {key: Old([row["s_per_step"] for row in rows], _memory(rows))
            for key, rows in groups.items()}


def _memory(rows: Sequence[Mapping[str, Any]]) -> float | None:
    values = [v for row in rows if (v := row.get("bytes_per_atom")) is not None]
    return median_interval(values).value if values else None


def key_of(row: Mapping[str, Any]) -> Key:
    """What has to be the same in two launches that are compared."""
    return tuple(row.get(name) for name in SAME)


def row_of(launch: Launch) -> dict[str, Any]:
    """The launch as the baseline's table would have it."""
    return {**launch.row, "study": launch.study, "code": launch.code,
            "cpu": launch.environment.get("cpu")}


def gate(launches: Sequence[Launch], old: Mapping[Key, Old], limit: float) -> list[Check]:
    """Compare a study with a baseline.

    Parameters
    ----------
    limit
        Slow-down that is allowed, such as 0.1.

    Returns
    -------
    list of Check
        One a point for its time and one for its memory. A point that cannot be compared is
        NA and decides nothing; points of the baseline that are missing here are told too.
    """
    points = [p for p in summaries(launches) if p.first.code == OURS]
    keys = {key_of(row_of(p.first)): p for p in points}
    shared = [key for key in keys if key in old]
    level = 1 - 0.05 / max(len(shared), 1)
    checks = []
    for key, point in keys.items():
        if key in old:
            checks += list(_compared(point, old[key], limit, level))
        else:
            checks.append(Check(f"time of {point.first.name}", "NA", "gate", fails=False,
                                message="not compared: the baseline has no such point on this "
                                        "processor"))
    lost = len([key for key in old if key not in keys])
    if lost:
        checks.append(Check("points of the baseline that are missing here", "NA", "gate",
                            fails=False, value=float(lost), message="not compared"))
    if not shared:
        checks.append(Check("anything to compare", "FAIL", "gate", message=(
            "no point of the baseline is the same in study, potential, precision, size, layout, "
            "warm-up and processor: the gate has decided nothing")))
    return checks


def _compared(point: Summary, old: Old, limit: float, level: float) -> Iterator[Check]:
    times = [x.row["s_per_step"] for x in point.launches]
    r = unpaired_ratio(times, old.times, level=level)
    name, told = point.first.name, f"new over old {r.value:.3f} [{r.low:.3f}, {r.high:.3f}]"
    status: Status
    if math.isnan(r.low):
        status, words = "NOT_RESOLVED", f"{told}: three rounds of each are needed for an interval"
    elif r.low > 1 + limit:
        status, words = "FAIL", f"{told}: slower than the limit of {limit:.0%} allows"
    elif r.value > 1 + limit:
        status, words = "WARN", f"{told}: beyond the limit of {limit:.0%}, but the interval is not"
    else:
        status, words = "PASS", told + (": improved" if r.high < 1 else "")
    if status == "FAIL" and point.spread.noisy:
        status, words = "NOT_RESOLVED", f"{words}; but its times vary by more than 5 %"
    yield Check(f"time of {name}", status, "gate", value=r.value, threshold=1 + limit,
                message=words)
    now = point.median_of("bytes_per_atom")
    if now and old.bytes_per_atom:
        grown = now / old.bytes_per_atom
        more = (now - old.bytes_per_atom) * point.atoms_per_rank
        bad = grown > 1 + MEMORY_GROWTH and more > MEMORY_NOISE
        yield Check(f"memory of {name}", "FAIL" if bad else "PASS", "gate", value=grown,
                    threshold=1 + MEMORY_GROWTH,
                    message=f"{now:.0f} B/atom, {old.bytes_per_atom:.0f} before")
