"""From runs to figures: medians, ratios against the fastest peer, efficiency, flatness.

All of it comes from `Run`s by pure functions: a table can be made again from the raw rounds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mdapp.perf.statistics import Interval, Spread, paired_ratio, spread
from scaling.peers.base import Point
from scaling.peers.runner import Run

FOREIGN_LIMIT = 0.02


@dataclass(frozen=True)
class Figures:
    """What the rounds say about one point.

    Attributes
    ----------
    loop_s
        Seconds of the loop.
    rate
        Atom-steps per second, from the median.
    list_us
        Microseconds for each atom and list build of a rank, or None if no list was built.
    speed_ratio, list_ratio
        Loop time of the reference over this one's (above one: faster), and list time over
        the reference's (below one: cheaper); None for peers, and where there is no peer.
    against
        Label of the reference: the fastest peer of the same size and ranks; for a run in double
        precision, of those in double.
    foreign_share
        Median over the rounds of the share of its cores that other programs took.
    """

    point: Point
    steps: int
    loop_s: Spread
    list_us: Spread | None
    phases: dict[str, float]
    dangerous: int | None
    bytes_per_atom: float | None
    foreign_share: float
    against: str
    speed_ratio: Interval | None
    list_ratio: Interval | None

    @property
    def rate(self) -> float:
        """Atom-steps per second."""
        return self.point.atoms * self.steps / self.loop_s.median

    @property
    def ns_per_atom_step(self) -> float:
        """Nanoseconds of wall time for each atom and step."""
        return 1e9 / self.rate

    @property
    def disturbed(self) -> bool:
        """Whether the process did not have its cores to itself."""
        return self.foreign_share > FOREIGN_LIMIT

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "variant": self.point.label, "atoms": self.point.atoms, "ranks": self.point.ranks,
            "steps": self.steps, "loop_s": self.loop_s.as_json(), "atom_steps_per_s": self.rate,
            "ns_per_atom_step": self.ns_per_atom_step,
            "list_us_per_build_per_atom": _json(self.list_us), "phases": self.phases,
            "dangerous_builds": self.dangerous, "bytes_per_atom": self.bytes_per_atom,
            "foreign_share": self.foreign_share, "disturbed": self.disturbed,
            "against": self.against, "speed_ratio": _json(self.speed_ratio),
            "list_ratio": _json(self.list_ratio),
        }  # fmt: skip


@dataclass(frozen=True)
class Relation:
    """A point against a smaller one of the same variant: efficiency, or cost of size.

    Attributes
    ----------
    point, base
        Which is compared with which.
    value
        Efficiency T(base) ranks(base) / (T ranks), or the ratio of the times per atom-step.
    """

    point: Point
    base: Point
    value: Interval

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return {
            "variant": self.point.label, "atoms": self.point.atoms, "ranks": self.point.ranks,
            "base_atoms": self.base.atoms, "base_ranks": self.base.ranks, **self.value.as_json(),
        }  # fmt: skip


def figures(runs: Sequence[Run], seed: int) -> list[Figures]:
    """Summarise the rounds of every point, in the order in which the points were first given."""
    return [_figures(point, runs, seed) for point in _points(runs)]


def efficiencies(runs: Sequence[Run], seed: int) -> list[Relation]:
    """Strong-scaling efficiency of each variant and size, against its fewest ranks."""
    pairs = _pairs(runs, lambda p: (p.label, p.atoms), lambda p: p.ranks)
    return [
        Relation(point, base, paired_ratio(_core_times(there), _core_times(here), seed=seed))
        for point, base, here, there in pairs
    ]


def flatness(runs: Sequence[Run], seed: int) -> list[Relation]:
    """Time per atom-step of each variant against its smallest size: one if size costs nothing."""
    pairs = _pairs(runs, lambda p: (p.label, p.ranks), lambda p: p.atoms)
    return [
        Relation(point, base, paired_ratio(_step_times(here), _step_times(there), seed=seed))
        for point, base, here, there in pairs
    ]


def list_us(run: Run) -> float | None:
    """Microseconds that a rank spends on one atom of its own in one build of its lists."""
    if not run.measured.builds:
        return None
    return run.measured.list_s * 1e6 * run.point.ranks / (run.measured.builds * run.point.atoms)


def _figures(point: Point, runs: Sequence[Run], seed: int) -> Figures:
    mine = _of(point, runs)
    last = mine[-1].measured
    reference = _fastest_peer(point, runs)
    compared = reference is not None and point.code.name == "mdapp"
    theirs = _of(reference, runs) if reference is not None else []
    lists, their_lists = _list_times(mine), _list_times(theirs)
    return Figures(
        point=point,
        steps=mine[-1].steps,
        loop_s=spread(_loops(mine)),
        list_us=spread(lists) if lists else None,
        phases={k: spread([r.measured.phases[k] for r in mine]).median for k in last.phases},
        dangerous=last.dangerous,
        bytes_per_atom=last.bytes_per_atom,
        foreign_share=spread([run.foreign_share for run in mine]).median,
        against=reference.label if reference is not None else "",
        speed_ratio=paired_ratio(_loops(theirs), _loops(mine), seed=seed) if compared else None,
        list_ratio=paired_ratio(lists, their_lists, seed=seed)
        if compared and lists and their_lists
        else None,
    )


def _fastest_peer(point: Point, runs: Sequence[Run]) -> Point | None:
    peers = [
        other
        for other in _points(runs)
        if other.code.name != "mdapp" and (other.atoms, other.ranks) == (point.atoms, point.ranks)
        and (other.variant.double or not point.variant.double)
    ]
    return min(peers, key=lambda p: spread(_loops(_of(p, runs))).median, default=None)


def _pairs(
    runs: Sequence[Run], family: Callable[[Point], tuple[str, int]], order: Callable[[Point], int]
) -> Iterator[tuple[Point, Point, list[Run], list[Run]]]:
    """Each point with the first of its family, and the runs of both."""
    points = _points(runs)
    for point in points:
        base = min((p for p in points if family(p) == family(point)), key=order)
        if base != point:
            yield point, base, _of(point, runs), _of(base, runs)


def _points(runs: Sequence[Run]) -> list[Point]:
    """Every point once; the order of the variants, not the random order of a round."""
    unique = dict.fromkeys(run.point for run in runs)
    return sorted(unique, key=lambda p: (p.atoms, p.ranks, p.code.name == "mdapp", _rank(p)))


def _rank(point: Point) -> int:
    return point.code.variants.index(point.variant)


def _of(point: Point, runs: Sequence[Run]) -> list[Run]:
    """Return the runs of a point by round, so that those of two points pair up."""
    return sorted((run for run in runs if run.point == point), key=lambda run: run.round)


def _loops(runs: Sequence[Run]) -> list[float]:
    return [run.measured.loop_s for run in runs]


def _core_times(runs: Sequence[Run]) -> list[float]:
    return [run.measured.loop_s * run.point.ranks for run in runs]


def _step_times(runs: Sequence[Run]) -> list[float]:
    return [run.measured.loop_s / (run.point.atoms * run.steps) for run in runs]


def _list_times(runs: Sequence[Run]) -> list[float]:
    return [value for run in runs if (value := list_us(run)) is not None]


def _json(value: Spread | Interval | None) -> dict[str, Any] | None:
    return None if value is None else value.as_json()
