"""What a run leaves in its folder for whoever looks at it later: thermo rows and its report.

`thermo.jsonl` grows with the run, so that a run that is still going, or was killed, can be looked
at too. A line is an object: a leg of the run (it has a `schema`; what ran from which step on, on
how many ranks) or the thermo row of a step. A restart at a step takes off what is there from that
step on, since it comes again, and adds a leg. A last line that a kill has torn is no line.

`run.json` is the report of `mdapp run --json`; it is there from the moment that the run ends by
itself, and not before, so that an old one never passes for that of a newer leg.

Neither is worth a run: if the disk is full, that is told once, and the run goes on without.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import mdapp
from mdapp.report.plain import finite
from mdapp.report.write import write_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from mdapp.simulation import Simulation

THERMO, REPORT = "thermo.jsonl", "run.json"
SCHEMA, VERSION = "mdapp.thermo", 1


class Record:
    """The record of a run; rank 0 alone writes it, and nothing before `begin`.

    Parameters
    ----------
    tell : told once why there is no record any more
    """

    def __init__(self, tell: Callable[[str], None] = lambda line: None):
        self._tell = tell
        self._folder: Path | None = None
        self._environment: Mapping[str, Any] = {}
        self._file: BinaryIO | None = None

    def begin(self, sim: Simulation, folder: Path, environment: Mapping[str, Any]) -> None:
        """Open the file of thermo rows: a new one, or that of the run that `sim` goes on with.

        Parameters
        ----------
        folder : of the run, made if it is not there
        environment : machine and software, as mdapp.perf.environment describes them
        """
        self._folder, self._environment = folder, environment
        leg = {
            "schema": SCHEMA, "version": VERSION, "mdapp": mdapp.__version__, "when": time.time(),
            "step": sim.step, "restarted": sim.restored is not None, "units": sim.units.name,
            "atoms": sim.natoms, "species": sim.species, "potential": sim.potential.style,
            "timestep": sim.deck.run.timestep, "last_step": sim.deck.run.steps,
            "precision": sim.deck.run.precision, "deterministic": sim.deck.run.deterministic,
            "ranks": sim.comm.size, "threads": sim.deck.run.threads,
            "checkpoints": str(sim.checkpoints.options.dir),
            "outputs": [{"kind": o.kind, "file": o.file} for o in sim.deck.output],
            "environment": environment,
        }  # fmt: skip
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / REPORT).unlink(missing_ok=True)
            path = folder / THERMO
            if sim.restored is not None and path.exists():
                cut_back(path, sim.step)
                self._file = path.open("ab", buffering=0)
            else:
                self._file = path.open("wb", buffering=0)
        except OSError as error:
            self._give_up(error)
        self._append(leg)

    def row(self, row: Mapping[str, float]) -> None:
        """Add a thermo row."""
        self._append(row)

    def end(self, report: Mapping[str, Any]) -> None:
        """Write the report of a run that has ended by itself."""
        if self._folder is None:
            return
        self.close()
        document = finite({"schema": "mdapp.run", "version": 1, **report,
                           "environment": self._environment})
        try:
            write_text(self._folder / REPORT,
                       json.dumps(document, indent=2, allow_nan=False) + "\n")  # fmt: skip
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file of thermo rows."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        try:
            # One system call a line: a kill leaves whole lines.
            data = json.dumps(finite(line), allow_nan=False).encode() + b"\n"
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self._tell(f"{self._folder}: no more of this run is recorded for `mdapp plot`: "
                   f"{error.strerror or error}")
        self.close()
        self._folder = None


def cut_back(path: Path, step: int) -> None:
    """Take off what a run that restarts at `step` will write again, and a torn last line.

    Raises
    ------
    OSError : the file cannot be read or cut
    """
    with path.open("r+b") as file:
        end = 0
        for line in file:
            entry = parsed(line)
            if entry is None or entry["step"] >= step:
                break
            end += len(line)
        file.truncate(end)


def parsed(line: bytes) -> dict[str, Any] | None:
    """A line of `thermo.jsonl`; None if it is none, or torn."""
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    good = isinstance(entry, dict) and isinstance(entry.get("step"), int)
    return entry if good else None
