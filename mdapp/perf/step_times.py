"""How long steps take while a checkpoint is written beside them, and how long otherwise.

A writer in the background costs the run more than the moment of the copy: it takes memory bandwidth
and cores while it writes. That cost is measured, not modelled. Steps inside the write window and
outside of it are kept apart, and the slow-down is what those inside took beyond the mean of those
outside, summed:

    slow_down_s = sum over steps inside (t - mean outside)

The mean, not the median: steps that rebuild lists are few and long, and belong to both. Only the
last thousands are kept, because the machine of an hour ago is not the one of now. A step is noted
with one look at the clock and one append, a fraction of a microsecond; a sum over ranks would cost
more than that, and is left to whoever asks, once a checkpoint.
"""

from __future__ import annotations

from collections import deque
from time import perf_counter

import numpy as np

KEPT = 4096
PERCENTS = (50, 95, 99)


class StepTimes:
    """Wall times of a rank's steps."""

    def __init__(self) -> None:
        self._outside: deque[float] = deque(maxlen=KEPT)
        self._inside: deque[float] = deque(maxlen=KEPT)
        self._open = False
        self._steps, self._seconds = 0, 0.0
        self.last = perf_counter()

    def tick(self) -> None:
        """Note that a step is over."""
        now = perf_counter()
        spent, self.last = now - self.last, now
        if self._open:
            self._inside.append(spent)
            self._steps += 1
            self._seconds += spent
        else:
            self._outside.append(spent)

    def resume(self) -> None:
        """Begin the next step now: what came since the last was no part of one."""
        self.last = perf_counter()

    def open(self) -> None:
        """Steps are inside a write window from here on."""
        self._inside.clear()
        self._open, self._steps, self._seconds = True, 0, 0.0

    def close(self) -> None:
        """Steps are outside of write windows from here on."""
        self._open = False

    @property
    def slow_down_s(self) -> float:
        """What the steps of the last window took beyond as many outside of it, s; at least 0."""
        if not self._steps or not self._outside:
            return 0.0
        return max(0.0, self._seconds - self._steps * float(np.mean(self._outside)))

    def facts(self) -> dict[str, dict[str, float]]:
        """Percentiles of steps inside the last window and outside, s; without those of no step."""
        both = {"inside": self._inside, "outside": self._outside}
        return {
            where: {"steps": len(times), **{
                f"p{percent}": float(value)
                for percent, value in zip(PERCENTS, np.percentile(times, PERCENTS), strict=True)
            }}
            for where, times in both.items() if times
        }  # fmt: skip
