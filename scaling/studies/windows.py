"""How many steps a window needs, from one short trial of the points.

A window of two seconds has a thousand ticks of the timer and evens out the rebuilding of lists, of
which there must be three at least. Points of a strong or a weak study run the same steps, because a
step of a melting crystal does not cost the same before and after; a saturation study spans four
orders of magnitude in size, so its points share the warm-up only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from scaling.studies.point import Point

WINDOW_S = 2.0
BUILDS = 3
TRIAL = (10, 40)             # warm-up and steps of a trial
FEWEST = 40
MOST_WARM_UP, LONGEST_WARM_UP_S = 100, 10.0


def trial_points(points: Sequence[Point]) -> list[Point]:
    """Points to try: of a strong or weak study those on fewest and most cores, else each."""
    tried = sorted(points, key=lambda p: p.cores)
    if points[0].study != "saturation":
        tried = list({p.name: p for p in (tried[0], tried[-1])}.values())
    warmup, steps = TRIAL
    return [p.model_copy(update={"name": f"trial-{p.name}", "warmup": warmup, "steps": steps})
            for p in tried]


def with_steps(points: Sequence[Point], trials: Mapping[str, Mapping[str, Any]], steps: int,
               warmup: int | None) -> list[Point]:
    """Give points their steps and warm-up.

    Parameters
    ----------
    trials
        Rows that the trials measured, by the names of trial points.
    steps, warmup
        What the user said; 0 and None: to be chosen.
    """
    slowest = max(row["s_per_step"] for row in trials.values())
    if warmup is None:
        warmup = min(MOST_WARM_UP, max(10, math.ceil(LONGEST_WARM_UP_S / slowest)))
    common = steps or (0 if points[0].study == "saturation" else
                       max(window_steps(row) for row in trials.values()))
    return [p.model_copy(update={
        "warmup": warmup, "steps": common or window_steps(trials[f"trial-{p.name}"])})
        for p in points]


def window_steps(row: Mapping[str, Any]) -> int:
    """Steps of a window that lasts long enough and holds enough list builds, in tens."""
    needed: float = WINDOW_S / row["s_per_step"]
    if row["neighbor_builds"]:
        needed = max(needed, BUILDS * row["steps"] / row["neighbor_builds"])
    return max(FEWEST, 10 * math.ceil(needed / 10))


