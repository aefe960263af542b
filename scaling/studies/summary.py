"""From launches to points: medians over rounds, and what they say about scaling.

    S   = T(p0) / T(p)                   strong, the same system on all ranks
    E   = S p0 / p
    E_w = T(p0) / T(p)                   weak, the same block of atoms for each rank
    e   = (1/S - 1/P) / (1 - 1/P)        Karp and Flatt, P = p / p0: the serial share that would
                                         explain S. Constant: a serial part; rising: communication

p counts cores: ranks times threads. S is a ratio of times of the same rounds, so its interval comes
from resampling rounds, and those of E and e follow, since both are monotone in S.

A. H. Karp, H. P. Flatt, Commun. ACM 33, 539 (1990), doi:10.1145/78607.78614.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mdapp.perf.statistics import Interval, Spread, median_interval, paired_ratio, spread

SCHEMA, VERSION = "mdapp.scale", 1      # of report.json
PHASES = ("force", "neighbor", "halo", "integrate", "output", "checkpoint", "other")
OURS = "mdapp"


@dataclass(frozen=True)
class Launch:
    """One launch of a point: who, where, when, and its row of measurements.

    Attributes
    ----------
    code : mdapp, or the label of a peer
    environment : machine and software; empty for a peer
    """

    study: str
    name: str
    code: str
    round: int
    place: int
    row: Mapping[str, Any]
    environment: Mapping[str, Any]
    oversubscribed: bool = False

    @property
    def valid(self) -> bool:
        """Whether its time counts: nothing was compiled inside the window."""
        return not self.row.get("compiles_in_window")

    @property
    def key(self) -> tuple[str, str, int, int, int]:
        """What it measures."""
        r = self.row
        return self.study, self.code, r["atoms"], r["ranks"], r["threads"]


@dataclass(frozen=True)
class Summary:
    """A point over its rounds.

    Attributes
    ----------
    launches : those whose time counts, by round
    invalid : how many do not count
    time : s a step, median and interval
    spread : of the times
    speedup, efficiency, serial : against the reference; None for a point that has none
    base : cores of the reference
    """

    launches: Sequence[Launch]
    invalid: int
    time: Interval
    spread: Spread
    speedup: Interval | None = None
    efficiency: Interval | None = None
    serial: Interval | None = None
    base: int = 0

    @property
    def first(self) -> Launch:
        """Any of its launches, for what they share."""
        return self.launches[0]

    @property
    def cores(self) -> int:
        """Ranks times threads."""
        return int(self.first.row["ranks"] * self.first.row["threads"])

    @property
    def atoms_per_rank(self) -> float:
        """Atoms over ranks."""
        return float(self.first.row["atoms"] / self.first.row["ranks"])

    @property
    def rate(self) -> Interval:
        """Atom-steps a second."""
        atoms = self.first.row["atoms"]
        return Interval(atoms / self.time.value, atoms / self.time.high, atoms / self.time.low)

    def median_of(self, name: str) -> float | None:
        """Median of a column over the rounds; None where it was not measured."""
        values = [v for x in self.launches if (v := x.row.get(name)) is not None]
        return median_interval(values).value if values else None


def summaries(launches: Sequence[Launch]) -> list[Summary]:
    """Every point over its rounds, smallest and fewest ranks first; those without a time left out.

    The reference of a strong or weak curve is its point on fewest cores, of the same code, atoms
    (strong) or block (weak), one thread before several.
    """
    groups: dict[tuple[Any, ...], list[Launch]] = {}
    for launch in launches:
        groups.setdefault(launch.key, []).append(launch)
    made = []
    for group in groups.values():
        good = sorted((x for x in group if x.valid), key=lambda x: x.round)
        if good:
            times = [x.row["s_per_step"] for x in good]
            made.append(Summary(good, len(group) - len(good), median_interval(times),
                                spread(times)))
    made.sort(key=lambda s: (s.first.study, s.first.code != OURS, s.first.code,
                             s.atoms_per_rank if s.first.study == "saturation" else 0,
                             s.cores, s.first.row["threads"], s.first.row["atoms"]))
    return [_against(s, _reference(s, made)) for s in made]


def _reference(point: Summary, points: Sequence[Summary]) -> Summary | None:
    study = point.first.study
    if study == "saturation":
        return None
    alike = [s for s in points if s.first.study == study and s.first.code == point.first.code
             and (study == "weak" or s.first.row["atoms"] == point.first.row["atoms"])]
    return min(alike, key=lambda s: (s.cores, s.first.row["threads"]))


def _against(point: Summary, base: Summary | None) -> Summary:
    if base is None:
        return point
    both = {x.round: x for x in base.launches}
    rounds = [x for x in point.launches if x.round in both]
    if not rounds:
        return point
    ratio = paired_ratio([both[x.round].row["s_per_step"] for x in rounds],
                         [x.row["s_per_step"] for x in rounds])
    if base is point:
        ratio = Interval(1.0, 1.0, 1.0)
    more = point.cores / base.cores
    efficiency = ratio if point.first.study == "weak" else scaled(ratio, 1 / more)
    serial = karp_flatt(ratio, more) if point.first.study == "strong" and more > 1 else None
    return Summary(point.launches, point.invalid, point.time, point.spread, ratio, efficiency,
                   serial, base.cores)


def scaled(interval: Interval, factor: float) -> Interval:
    """An interval times a positive number."""
    return Interval(interval.value * factor, interval.low * factor, interval.high * factor)


def karp_flatt(speedup: Interval, more: float) -> Interval:
    """The serial share that explains a speed-up on `more` times the cores; falls with it."""
    def share(s: float) -> float:
        return (1 / s - 1 / more) / (1 - 1 / more)

    return Interval(share(speedup.value), share(speedup.high), share(speedup.low))


def half_size(points: Sequence[Summary]) -> tuple[float, float] | None:
    """Saturated rate of a rank and n_1/2, atoms per rank at which half of it is reached.

    The saturated rate is the best that was measured. Between two sizes the rate is taken as
    linear in log n. None if no measured size is below half of the best.
    """
    curve = sorted((s.atoms_per_rank, s.rate.value / s.first.row["ranks"]) for s in points)
    best = max(rate for _, rate in curve)
    for (n0, r0), (n1, r1) in itertools.pairwise(curve):
        if r0 < best / 2 <= r1:
            share = (best / 2 - r0) / (r1 - r0)
            return best, math.exp(math.log(n0) + share * math.log(n1 / n0))
    return None
