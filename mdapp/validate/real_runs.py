"""Real runs on real ranks, started from a check by one mpirun and ended at its time limit.

The suite is one process; ranks are started where they are needed. A case that takes its ranks down
is told as such, and the cases behind it are started again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import mdapp
from mdapp.parallel.bounded import run_bounded
from mdapp.parallel.launcher import mpirun_command, mpirun_environment
from mdapp.validate.bench import Bench

STARTS = 3                     # of mpirun, where a case takes the others along
SECONDS = 240.0                # of all starts together


@dataclass(frozen=True)
class Case:
    """A run: its name, deck tables and ranks; see rank_program."""

    name: str
    tables: dict[str, Any]
    ranks: int
    out: str = ""
    restart: str | None = None

    def as_json(self) -> dict[str, Any]:
        """For the program."""
        return {"name": self.name, "tables": self.tables, "ranks": self.ranks,
                "out": self.out or self.name, "restart": self.restart}


@dataclass(frozen=True)
class Ended:
    """What is left of a case: facts and arrays by id, or the error that ended it."""

    facts: dict[str, Any]
    arrays: dict[str, NDArray[Any]]

    @property
    def error(self) -> str:
        """Why it has no arrays; empty if it has."""
        return str(self.facts.get("error", ""))

    def __getattr__(self, name: str) -> Any:
        if name in self.arrays:
            return self.arrays[name]
        if name in self.facts:
            return self.facts[name]
        raise AttributeError(name)


def launcher() -> str:
    """The mpirun of this environment, or empty."""
    beside = Path(sys.prefix, "bin", "mpirun")
    return str(beside) if beside.exists() else shutil.which("mpirun") or ""


def why_no_ranks(bench: Bench) -> str:
    """Why no real run can be made on several ranks; empty if it can."""
    if bench.subject.serial:
        return bench.subject.serial
    if not launcher():
        return "there is no mpirun on the PATH"
    return "" if max(bench.ranks) > 1 else "--ranks names one rank only"


def run_cases(bench: Bench, name: str, cases: Sequence[Case], seconds: float = SECONDS
              ) -> dict[str, Ended]:
    """Run all cases; each is in the answer, with an error if it did not end."""
    folder = bench.folder / name
    folder.mkdir(exist_ok=True)
    ended: dict[str, Ended] = {}
    until = time.monotonic() + seconds
    for _ in range(STARTS):
        left = [case for case in cases if case.name not in ended]
        if not left:
            break
        (folder / "cases.json").write_text(json.dumps([case.as_json() for case in left]),
                                           encoding="utf-8")
        told = start(max(case.ranks for case in left), folder, max(until - time.monotonic(), 1.0))
        for case in left:
            found = read(folder, case.name)
            if found is None:
                break
            ended[case.name] = found
        else:
            break
        if len(ended) < len(cases):
            first = next(case for case in left if case.name not in ended)
            ended[first.name] = Ended({"error": told}, {})
    for case in cases:
        ended.setdefault(case.name, Ended({"error": "not run: cases before it failed"}, {}))
    return ended


def start(ranks: int, folder: Path, seconds: float) -> str:
    """Run the program; what to say of a case that it left without an answer."""
    env = mpirun_environment()
    root = str(Path(mdapp.__file__).parents[1])
    env |= {"PYTHONPATH": os.pathsep.join([root, *filter(None, [env.get("PYTHONPATH")])]),
            "OMP_NUM_THREADS": "1"}
    command = [*mpirun_command(ranks, launcher()), sys.executable, "-m",
               "mdapp.validate.rank_program", str(folder)]
    end = run_bounded(command, seconds, env)
    if end.code is None:
        return f"the ranks did not end within {seconds:.0f} s and were killed"
    lines = [line for line in end.stderr.splitlines() if line.strip()]
    return f"the ranks died with exit code {end.code}: {(lines or ['no message'])[-1][:200]}"


def read(folder: Path, name: str) -> Ended | None:
    """What a case left, or None."""
    try:
        facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if "error" in facts:
        return Ended(facts, {})
    with np.load(folder / f"{name}.npz") as arrays:
        return Ended(facts, dict(arrays))
