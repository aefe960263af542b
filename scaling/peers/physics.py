"""Did the codes compute the same thing? A ratio of speeds means nothing before that is settled.

Rows of the first and the last step are compared with those of a reference run. While the two
trajectories are the same but for rounding, double precision must agree in every digit that LAMMPS
prints (8, one unit of the last allowed for a tie) and lower precisions within a stated tolerance.
Beyond that the motion is chaotic: the total energy must agree, and what fluctuates must lie within
five standard deviations.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from scaling.peers.base import Problem, Tolerance
from scaling.peers.runner import Run

DIGITS = 8
SIGMAS = 5.0
QUANTITIES = ("temp", "epair", "etotal", "press")


def disagreements(problem: Problem, runs: Sequence[Run]) -> list[str]:
    """Compare all runs of one size and length with the first double-precision one of a peer.

    Returns
    -------
    list of str
        One line for each quantity that differs; empty if the physics is the same.
    """
    reference = reference_of(runs)
    found: list[str] = []
    for run in runs:
        if run is not reference:
            who = f"{run.point.label}, {run.point.where}"
            found += [f"{who}: {text}" for text in _compare(problem, reference, run)]
    return found


def reference_of(runs: Sequence[Run]) -> Run:
    """Return the first run in double precision, of another code than mdapp if there is one."""
    double = [run for run in runs if run.point.variant.double] or list(runs)
    return next((run for run in double if run.point.code.name != "mdapp"), double[0])


def _compare(problem: Problem, reference: Run, run: Run) -> Iterator[str]:
    ours, theirs = run.measured, reference.measured
    who = reference.point.label
    if problem.fixed_builds and ours.builds != theirs.builds:
        yield f"{ours.builds} list builds, {who} has {theirs.builds}"
    last = max(_steps(ours.thermo) & _steps(theirs.thermo), default=None)
    if last != run.steps or 0 not in _steps(ours.thermo):
        yield f"its thermo has no rows for steps 0 and {run.steps} that {who} has too"
        return
    for step in sorted({0, last}):
        row, expected = _row(ours.thermo, step), _row(theirs.thermo, step)
        double = run.point.variant.double and reference.point.variant.double
        for key in QUANTITIES:
            allowed = allowed_difference(
                key, expected[key], step, run.point.atoms, double, problem.tolerance
            )
            if not abs(row[key] - expected[key]) <= allowed:
                yield (
                    f"step {step}, {key} = {row[key]:.{DIGITS}g}, {who} has "
                    f"{expected[key]:.{DIGITS}g} (allowed difference {allowed:.1g})"
                )


def allowed_difference(
    key: str, value: float, step: int, atoms: int, double: bool, tolerance: Tolerance
) -> float:
    """Return how far a quantity may be from `value`.

    Parameters
    ----------
    key, value
        Name and reference value of the quantity.
    step, atoms
        When, and in how large a system.
    double
        Whether both runs were in double precision.
    tolerance
        What the problem allows.
    """
    if step <= tolerance.exact_steps:
        return 1.001 * last_digit(value) if double else tolerance.reduced * max(1.0, abs(value))
    if key == "etotal":
        return tolerance.conserved * abs(value)
    of_all = atoms if tolerance.extensive and key == "epair" else 1
    return of_all * SIGMAS * math.sqrt(2.0 / atoms) * tolerance.fluctuation[key]


def last_digit(value: float) -> float:
    """Return the unit of the last digit of a value printed with eight significant ones."""
    leading = math.floor(math.log10(abs(value))) if value else -1
    return float(10.0 ** (leading + 1 - DIGITS))


def _steps(thermo: Sequence[Mapping[str, float]]) -> set[int]:
    return {int(row["step"]) for row in thermo}


def _row(thermo: Sequence[Mapping[str, float]], step: int) -> Mapping[str, float]:
    return next(row for row in thermo if int(row["step"]) == step)
