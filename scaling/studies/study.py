"""A study from one end to the other: rounds in seeded random order, each launch kept as it comes.

A round runs every point once; slow drift of the machine then hits all points alike. What a launch
measured is written at once, under the key of what was measured, so that a study that was stopped
goes on where it was, and results of anything else are never taken for its own.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mdapp.errors import InputError
from mdapp.perf.environment import Environment
from mdapp.perf.statistics import spread
from scaling.launch.local import launch
from scaling.studies.measure import SCHEMA
from scaling.studies.peers import PeerPoint
from scaling.studies.point import Point, write_point
from scaling.studies.windows import trial_points, with_steps

POINTS = "points"


@dataclass(frozen=True)
class Plan:
    """How a study is run.

    Attributes
    ----------
    points : what each round runs
    peers : points of other codes, in the same rounds
    rounds, more_rounds : of them, and how many more if a point is noisy
    seed : of the order in each round
    folder : of the study
    limit_s : for one launch
    tell : called with a line for people
    """

    points: Sequence[Point]
    rounds: int
    more_rounds: int
    seed: int
    folder: Path
    limit_s: float
    tell: Callable[[str], None]
    peers: Sequence[PeerPoint] = ()

    @property
    def everything(self) -> list[Point | PeerPoint]:
        """What a round runs."""
        return [*self.points, *self.peers]


class Interrupted(KeyboardInterrupt):
    """The user stopped a study; what was measured is kept."""


P = TypeVar("P", bound=Point | PeerPoint)


def order_of(points: Sequence[P], number: int, seed: int) -> list[P]:
    """Shuffle the points of a round, the same way each time it is asked for."""
    order = list(points)
    random.Random(f"{seed}/{number}").shuffle(order)
    return order


def answer_path(folder: Path, point: Point | PeerPoint, number: int) -> Path:
    """Where a launch leaves what it measured."""
    return folder / POINTS / f"{point.name}-{number}.json"


def write_answer(path: Path, point: Point | PeerPoint, place: tuple[int, int],
                 body: dict[str, Any]) -> None:
    """Write what a launch measured; the file is there whole or not at all."""
    described = (point.as_json() if isinstance(point, PeerPoint)
                 else point.model_dump(mode="json", exclude_none=True))
    document = {"schema": SCHEMA, "version": 1, "key": point.key, "study": point.study,
                "point": described,
                "round": place[0], "place": place[1], **body}
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    draft.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    draft.replace(path)


def read_answer(path: Path) -> dict[str, Any]:
    """Read what a launch measured.

    Raises
    ------
    InputError
        The file is no such answer.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if found["schema"] == SCHEMA:
            return found
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise InputError(f"{path}: is not the result of a point; remove it, and it is measured again")


def make_folder(folder: Path) -> None:
    """Make the folder of a study, and find out whether it can be written.

    Raises
    ------
    OSError
        It cannot be.
    """
    (folder / POINTS).mkdir(parents=True, exist_ok=True)
    probe = folder / POINTS / f".probe-{os.getpid()}"
    probe.touch()
    probe.unlink()


def chosen_steps(plan: Plan, steps: int, warmup: int | None,
                 environment: Environment) -> list[Point]:
    """Try points and give all of them their steps; a trial that was made is not made again."""
    if steps and warmup is not None:
        chosen = [p.model_copy(update={"steps": steps, "warmup": warmup}) for p in plan.points]
    else:
        rows = {}
        for trial in (p.keyed(environment) for p in trial_points(plan.points)):
            rows[trial.name] = _once(plan, trial, (0, 0))["row"]
        chosen = with_steps(plan.points, rows, steps, warmup)
    return [point.keyed(environment) for point in chosen]


def run_rounds(plan: Plan) -> None:
    """Run what is missing of a study.

    Raises
    ------
    InputError
        The folder holds results of something else.
    RunError
        A launch failed.
    Interrupted
        The user stopped it.
    """
    kept = [n for n, p, _ in _sequence(plan, 1, plan.rounds) if _kept(plan, p, n)]
    for point in plan.points:
        write_point(point, plan.folder / POINTS)
    if kept:
        plan.tell(f"{len(kept)} of {plan.rounds * len(plan.everything)} launches are there already "
                  f"in {plan.folder / POINTS} and are kept")
    _run(plan, 1, plan.rounds)
    if plan.more_rounds and (noisy := _noisy(plan)):
        plan.tell(f"the time of {', '.join(noisy)} varies by more than 5 %: {plan.more_rounds} "
                  "more rounds (--more-rounds)")
        _run(plan, plan.rounds + 1, plan.rounds + plan.more_rounds)


def _sequence(plan: Plan, first: int, last: int) -> Iterator[tuple[int, Point | PeerPoint, int]]:
    for number in range(first, last + 1):
        for place, point in enumerate(order_of(plan.everything, number, plan.seed)):
            yield number, point, place


def _run(plan: Plan, first: int, last: int) -> None:
    for number, point, place in _sequence(plan, first, last):
        _once(plan, point, (number, place))


def _kept(plan: Plan, point: Point | PeerPoint, number: int) -> bool:
    """Whether a launch has been measured before; refuses results of anything else."""
    path = answer_path(plan.folder, point, number)
    if not path.exists():
        return False
    if read_answer(path)["key"] == point.key:
        return True
    raise InputError(
        f"{path}: was measured with another deck, number of steps, code or machine than is asked "
        f"for now: name another folder with --out, or remove {plan.folder}"
    )


def _once(plan: Plan, point: Point | PeerPoint, place: tuple[int, int]) -> dict[str, Any]:
    """Measure a launch, unless it is there already."""
    path = answer_path(plan.folder, point, place[0])
    if _kept(plan, point, place[0]):
        return read_answer(path)
    try:
        if isinstance(point, PeerPoint):
            found = point.run(place, plan.limit_s)
            write_answer(path, point, place, found)
        else:
            file = write_point(point, plan.folder / POINTS)
            found = launch(point, file, path, place, plan.limit_s)
    except KeyboardInterrupt:
        raise Interrupted from None
    row = found["row"]
    late = ", compiled inside the window: not counted" if row.get("compiles_in_window") else ""
    plan.tell(f"{f'round {place[0]}' if place[0] else 'trial':<9} {point.name:<28} "
              f"{row['steps']:>6} steps  {1e3 * row['s_per_step']:10.4g} ms a step{late}")
    return found


def _noisy(plan: Plan) -> list[str]:
    """Names of the points whose times vary too much to decide anything."""
    names = []
    for point in plan.points:
        times = [read_answer(answer_path(plan.folder, point, n))["row"]["s_per_step"]
                 for n in range(1, plan.rounds + 1)]
        if spread(times).noisy:
            names.append(point.name)
    return names

