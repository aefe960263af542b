"""A whole run: claim the folder, say what will be done, all passes, clear up, tell the exit code.

Exit codes: 0 all valid and verified, 1 wrong data came back, 2 wrong use, 3 a defect, 4 an I/O
error, 8 finished with a phase that the rules call invalid, 130 interrupted. Whatever ends a run,
its data are removed, unless they are to be kept: an interrupt by the rank that got it, without a
word to the others, because they may be dead.
"""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpi4py import MPI

from mdapp.stress.figure import FULL, Figure, apply_rules, figure_of
from mdapp.stress.fio import check_fio, compare
from mdapp.stress.folder import WorkFolder, open_folder
from mdapp.stress.meeting import Meeting
from mdapp.stress.passes import Hook, Pass
from mdapp.stress.pattern import compile_pattern
from mdapp.stress.phase import Phase
from mdapp.stress.plan import DEADLINE_OF_FULL, PROFILES, Plan, make_plan
from mdapp.stress.probe import check_caps

CORRUPTED, ACCESS, INVALID = 1, 4, 8
Tell = Callable[[str], None]


@dataclass
class Session:
    """What a run found out; the same on all ranks.

    Attributes
    ----------
    passes : phases of each pass
    figures : one a pass
    warnings : what weakens all conclusions
    left_out : phases that were not done, and why
    fio : see `mdapp.stress.fio.compare`
    """

    plan: Plan
    folder: WorkFolder
    meeting: Meeting
    passes: list[list[Phase]] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    fio: dict[str, Any] | None = None
    began: float = field(default_factory=time.time)
    seconds: float = 0.0

    @property
    def phases(self) -> list[Phase]:
        """Of all passes."""
        return [p for passed in self.passes for p in passed]

    @property
    def exit_code(self) -> int:
        """By the worst that happened."""
        phases = self.phases
        if any(p.mismatches for p in phases):
            return CORRUPTED
        if any(p.errors for p in phases):
            return ACCESS
        return 0 if all(p.is_valid for p in phases) else INVALID


def run_profile(
    comm: MPI.Intracomm, profile: str, directory: Path, *, tell: Tell = lambda line: None,
    keep: bool = False, allow_memory: bool = False, before: Hook = lambda name: None,
    beside_fio: bool = False, **wishes: Any,
) -> Session:  # fmt: skip
    """Run a profile in a folder; collective.

    Parameters
    ----------
    tell : called on rank 0 with what the user should see
    keep : leave the data
    before : called on all ranks before each phase
    beside_fio : compare the easy write with fio's at the end
    wishes : see `make_plan`

    Raises
    ------
    InputError
        The folder or the wishes are refused; on all ranks, before anything is written.
    """
    meeting = Meeting(comm)
    tell = tell if meeting.rank == 0 else lambda line: None
    chosen = PROFILES[profile]

    def planned() -> Plan:
        return make_plan(chosen, meeting.size, existing(directory), **wishes)

    if beside_fio:
        check_fio(meeting)
    plan = meeting.on_root(planned)         # refused before the folder is made
    folder = open_folder(meeting, directory, allow_memory=allow_memory)
    with removed(folder, meeting, keep):
        session = Session(plan, folder, meeting)
        tell(f"{directory}: {plan.sentence()}")
        compile_pattern()
        if plan.profile == FULL and plan.deadline_s == DEADLINE_OF_FULL:
            check_caps(meeting, folder, plan, tell)
        for number in range(plan.repeats):
            one = Pass(meeting, folder, plan, before)
            session.passes.append(one.phases)
            for phase in one.run():
                apply_rules(plan, phase)
                tell(line_of(phase))
            session.left_out |= one.left_out
            session.figures.append(figure_of(plan, one.phases))
            if number + 1 < plan.repeats:
                one.remove()
        if beside_fio:
            one.remove()
            tell("  beside fio")
            session.fio = compare(meeting, folder, plan.easy_transfers)
        session.seconds = time.time() - session.began
    return session


def existing(directory: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    while not directory.exists() and directory != directory.parent:
        directory = directory.parent
    return directory


@contextlib.contextmanager
def removed(folder: WorkFolder, meeting: Meeting, keep: bool) -> Iterator[None]:
    """The run's data exist only inside the block, unless they are to be kept; collective."""
    def stop(number: int, frame: Any) -> None:
        meeting.interrupted = True
        raise KeyboardInterrupt

    # Who started this may have it ignore Ctrl-C, as for a job in the background.
    heeded = [s for s in (signal.SIGTERM, signal.SIGINT) if signal.getsignal(s) != signal.SIG_IGN]
    before = {s: signal.signal(s, stop) for s in heeded}
    try:
        yield
    except BaseException as error:
        if not keep and (meeting.rank == 0 or isinstance(error, KeyboardInterrupt)):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            folder.remove()
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if not keep:
        meeting.on_root(folder.remove)


def line_of(phase: Phase) -> str:
    """A phase in one line."""
    rate = (f"{phase.rate / 2**30:9.3f} GiB/s" if phase.unit == "B"
            else f"{phase.rate / 1000:9.3f} k/s  ")
    weak = " ".join([*phase.flags, *(["INVALID"] if phase.reasons else [])])
    name = f"{phase.name} [{phase.api}]" if phase.api else phase.name
    why = f": {phase.reasons[0]}" if phase.reasons else ""
    return f"  {name:29s} {rate} in {phase.seconds:7.2f} s  {weak}{why}"


def command_line(arguments: Sequence[str] | None = None) -> str:
    """What was typed."""
    given = sys.argv if arguments is None else arguments
    return shlex.join(["mdapp", *given[1:]])
