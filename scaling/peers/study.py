"""The comparison from one end to the other: which points, how many steps, in which order.

First every variant runs the problem once, for as long as trajectories must agree to the digits.
That run fills caches, decides whether the physics is the same, and says how many steps make a
window of two seconds. Only then are rounds timed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from mdapp.errors import InputError
from scaling.peers.base import Code, Point, Problem
from scaling.peers.physics import disagreements
from scaling.peers.registry import check_name
from scaling.peers.runner import Run, Runner

WINDOW_S = 2.0


@dataclass(frozen=True)
class Plan:
    """Points, rounds, the seed of their order, and steps (0: enough for two seconds)."""

    points: Sequence[Point]
    rounds: int
    seed: int
    steps: int


@dataclass(frozen=True)
class Outcome:
    """All runs of a study and what speaks against comparing them.

    Attributes
    ----------
    trial, timed
        Runs of the agreement test, and runs of the rounds (none if the test failed).
    differences
        One line for each quantity in which two codes differ.
    """

    trial: Sequence[Run]
    timed: Sequence[Run]
    differences: Sequence[str]


def points_of(
    problem: Problem,
    codes: Sequence[Code],
    chosen: Sequence[str],
    sizes: Sequence[int],
    ranks: Sequence[int],
) -> list[Point]:
    """Every chosen variant at every size on every number of ranks.

    Parameters
    ----------
    problem
        Only variants that it offers are taken.
    codes
        Peers first, mdapp last.
    chosen
        Labels (`lammps-opt`) or names of codes (`mdapp`, all its variants); empty: everything.

    Raises
    ------
    InputError
        A name is unknown (names the nearest), or nothing that was chosen is offered.
    """
    labels = {f"{code.name}-{v.name}": (code, v) for code in codes for v in code.variants}
    for name in chosen:
        check_name("--variant", name, [*labels, *(code.name for code in codes)])
    wanted = [
        (code, v)
        for label, (code, v) in labels.items()
        if (not chosen or {label, code.name} & set(chosen)) and problem.offers(code.name, v.name)
    ]
    if not wanted:
        offered = [name for name, (code, v) in labels.items() if problem.offers(code.name, v.name)]
        raise InputError(
            f"--variant {', '.join(chosen)}: --problem {problem.name} has no form of its own for "
            f"it; choose from {', '.join(offered)}"
        )
    return [Point(code, v, n, p) for n in sizes for p in ranks for code, v in wanted]


def compare(problem: Problem, plan: Plan, runner: Runner) -> Outcome:
    """Run the agreement test and, if it is passed, the rounds.

    Raises
    ------
    RunError
        A run failed.
    """
    smallest = min(point.atoms for point in plan.points)
    small = [point for point in plan.points if point.atoms == smallest]
    trial = [runner.run(point, problem.steps, "trial") for point in small]
    differences = disagreements(problem, trial)
    if differences:
        return Outcome(trial, (), differences)
    steps = plan.steps or choose_steps(problem, trial, plan.points)
    timed = list(runner.rounds(plan.points, steps, plan.rounds, plan.seed))
    for size in sorted({point.atoms for point in plan.points}):
        differences += disagreements(problem, [run for run in timed if run.point.atoms == size])
    return Outcome(trial, timed, differences)


def choose_steps(problem: Problem, trial: Sequence[Run], points: Sequence[Point]) -> int:
    """Steps that keep the fastest point busy for two seconds, in hundreds, the default at least.

    Sizes are compared over the same steps, because a step does not cost the same before and
    after the crystal has melted: several sizes get the problem's default.
    """
    if len({point.atoms for point in points}) > 1:
        return problem.steps
    fastest = min(run.measured.loop_s / run.steps for run in trial)
    return max(problem.steps, 100 * math.ceil(WINDOW_S / fastest / 100))
