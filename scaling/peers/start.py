"""How long a user waits: from the start of the process to the first step, cold and warm.

Cold means that no kernel has been compiled yet: the process gets an empty folder for Numba's cache,
and fills it. Warm means the following starts with the same folder. What the kernel of the operating
system keeps in memory (the libraries themselves) is warm in both.
"""

import tempfile
from dataclasses import asdict, dataclass
from typing import Any

from mdapp.errors import RunError
from mdapp.perf.statistics import Spread, spread
from scaling.peers.base import Point
from scaling.peers.runner import Run, Runner


@dataclass(frozen=True)
class Start:
    """Starts of one variant with an empty ("cold") or a filled ("warm") cache; seconds."""

    label: str
    cache: str
    first_step_s: Spread
    compile_s: Spread
    setup_s: Spread

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


def measure_starts(runner: Runner, point: Point, warm: int) -> list[Start]:
    """Start a point once cold and `warm` times warm.

    Raises
    ------
    RunError
        A run failed, or does not report its start.
    """
    with tempfile.TemporaryDirectory(prefix="mdapp-start-") as cache:
        environ = {"NUMBA_CACHE_DIR": cache}
        runs = [runner.run(point, 1, f"start-{k}", environ=environ) for k in range(warm + 1)]
    return [_start("cold", runs[:1]), _start("warm", runs[1:])]


def _start(cache: str, runs: list[Run]) -> Start:
    try:
        first, compile_s, setup = (
            spread([run.measured.start[key] for run in runs])
            for key in ("start_to_first_step_s", "compile_s", "setup_s")
        )
    except KeyError as error:
        raise RunError(f"{runs[0].point.label}: its report lacks {error}") from None
    return Start(runs[0].point.label, cache, first, compile_s, setup)
