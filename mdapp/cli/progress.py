"""The progress bar of a run: how far, how fast, how long yet, and how old the last checkpoint is.

In a line: step 4200/10000, a bar, 3.21 Matom-step/s, 0:01:48 left, checkpoint 4000, 12 s ago.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from mdapp.cli.ckpt_text import age

if TYPE_CHECKING:
    from mdapp.simulation import Simulation

HELD = ("committed", "present", "undurable")
REDRAWS = 0.1                 # seconds between two looks


class Progress:
    """A bar on a terminal, from the present step of a run over the next `steps`."""

    def __init__(self, sim: Simulation, stream: TextIO, steps: int):
        from rich import progress
        from rich.console import Console

        self._sim, self._first, self._steps = sim, sim.step, steps
        self._began = self._looked = time.monotonic()
        self._checkpoints = LastCheckpoint(sim.restored.step if sim.restored else None)
        self._bar = progress.Progress(
            progress.TextColumn("step {task.fields[step]}/{task.fields[last]}"),
            progress.BarColumn(), progress.TextColumn("{task.fields[rest]}"),
            transient=True, console=Console(file=stream))  # fmt: skip
        self._bar.add_task("run", total=steps, step=sim.step, last=sim.step + steps, rest="")
        self._bar.start()

    def line(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def step(self) -> None:
        """Move on to the step that the run has reached."""
        now, sim = time.monotonic(), self._sim
        if now - self._looked < REDRAWS:
            return
        self._looked = now
        done = sim.step - self._first
        words = [*pace(done, self._steps, now - self._began, sim.natoms),
                 self._checkpoints.words(sim.checkpoints.written, now)]  # fmt: skip
        self._bar.update(self._bar.task_ids[0], completed=done, step=sim.step,
                         rest="  ".join(filter(None, words)))  # fmt: skip

    def end(self) -> None:
        """Take the bar off the screen."""
        self._bar.stop()


def pace(done: int, steps: int, seconds: float, natoms: int) -> list[str]:
    """Rate and time left after some of the steps; nothing before the first."""
    if not done or seconds <= 0:
        return []
    left = round((steps - done) * seconds / done)
    return [f"{done * natoms / seconds / 1e6:.3g} Matom-step/s",
            f"{left // 3600}:{left // 60 % 60:02d}:{left % 60:02d} left"]  # fmt: skip


class LastCheckpoint:
    """Which checkpoint a run could go on from, and since when it is there."""

    def __init__(self, restarted_from: int | None):
        self._step, self._known = restarted_from, 0
        self._since: float | None = None

    def words(self, entries: Sequence[Mapping[str, Any]], now: float) -> str:
        """What to show, given the entries of the run's report; empty if there is none."""
        for entry in entries[self._known:]:
            if entry["result"] in HELD:
                self._step, self._since = entry["step"], now
        self._known = len(entries)
        if self._step is None:
            return ""
        if self._since is None:
            return f"restarted from {self._step}"
        return f"checkpoint {self._step}, {age(now - self._since)} ago"
