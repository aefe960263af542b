r"""How often to checkpoint: the interval at which writing and losing work cost least together.

A checkpoint costs d seconds; failures come every M seconds on average, and each throws away half an
interval. Per second of work that is d/tau + tau/(2M), least at

    tau = sqrt(2 d M)                                                   Young 1974

Young leaves out failures during a checkpoint and the work between checkpoints that is lost more
than once. With them, to third order,

    tau = sqrt(2 d M) (1 + sqrt(d/2M)/3 + (d/2M)/9) - d   for d < 2M    Daly 2006
    tau = M                                                otherwise

The d that counts is what the simulation sees: the stall of a synchronous checkpoint, not the bytes
it wrote; for a background writer the stall and the slow-down while it wrote. It is measured, not
asked for: the first checkpoint is taken early for its cost, and each later one corrects the mean.
A background writer must be through before the next one begins, so that tau is never less than what
it took.

J. W. Young, doi 10.1145/361147.361115; J. T. Daly, doi 10.1016/j.future.2004.11.016.
"""

from __future__ import annotations

import math

SHORTEST_S = 10.0
LONGEST_S = 6 * 3600.0
# Measurements that the running mean remembers: a busy hour of the file system should pass.
MEMORY = 8


def young_interval(cost_s: float, mtbf_s: float) -> float:
    """Young's interval between two checkpoints.

    Parameters
    ----------
    cost_s, mtbf_s
        Cost of a checkpoint and mean time between failures, s.

    Returns
    -------
    float
        Seconds of work between two checkpoints.
    """
    return math.sqrt(2 * cost_s * mtbf_s)


def daly_interval(cost_s: float, mtbf_s: float) -> float:
    """Daly's interval between two checkpoints; parameters and result as `young_interval`."""
    ratio = cost_s / (2 * mtbf_s)
    if ratio >= 1:
        return mtbf_s
    series = 1 + math.sqrt(ratio) / 3 + ratio / 9
    return young_interval(cost_s, mtbf_s) * series - cost_s


def expected_overhead(
    cost_s: float, mtbf_s: float, interval_s: float, restart_s: float = 0.0
) -> float:
    """Share of the time that goes into checkpoints, lost work and restarts, to first order."""
    return cost_s / interval_s + interval_s / (2 * mtbf_s) + restart_s / mtbf_s


class AutoInterval:
    """Daly's interval from the costs measured so far.

    Parameters
    ----------
    mtbf_s
        Mean time between failures, s.
    shortest_s, longest_s
        Bounds of the interval. The first checkpoint is due after the shortest, whose cost nobody
        knows yet.

    Attributes
    ----------
    cost_s
        Running mean of the measured costs; None before the first.
    flush_s
        How long the last one was written in the background.
    """

    def __init__(
        self, mtbf_s: float, shortest_s: float = SHORTEST_S, longest_s: float = LONGEST_S
    ):
        self.mtbf_s, self.shortest_s, self.longest_s = mtbf_s, shortest_s, longest_s
        self.cost_s: float | None = None
        self.flush_s = 0.0
        self._measured = 0

    def measure(self, cost_s: float, flush_s: float = 0.0) -> None:
        """Add what one checkpoint cost the simulation, and how long it was in the background, s."""
        self.flush_s = flush_s
        self._measured = min(self._measured + 1, MEMORY)
        mean = self.cost_s if self.cost_s is not None else cost_s
        self.cost_s = mean + (cost_s - mean) / self._measured

    @property
    def seconds(self) -> float:
        """The interval to use now."""
        if self.cost_s is None:
            return self.shortest_s
        tau = daly_interval(self.cost_s, self.mtbf_s)
        return min(max(tau, self.shortest_s, self.flush_s), self.longest_s)

    def describe(self) -> str:
        """Inputs and result in one line."""
        if self.cost_s is None:
            return f"first checkpoint after {self.seconds:g} s, to measure its cost"
        overhead = expected_overhead(self.cost_s, self.mtbf_s, self.seconds)
        return (
            f"checkpoint interval {self.seconds:.4g} s (Daly: cost {self.cost_s:.3g} s, "
            f"mean time between failures {self.mtbf_s:g} s), expected overhead {overhead:.2%}"
        )

    def facts(self) -> dict[str, float | str | None]:
        """Return the same for the metrics: model, d, M, tau and the expected overhead."""
        cost = self.cost_s
        return {
            "model": "daly", "d": cost, "M": self.mtbf_s, "tau": self.seconds,
            "expected_overhead": (
                None if cost is None else expected_overhead(cost, self.mtbf_s, self.seconds)
            ),
        }  # fmt: skip
