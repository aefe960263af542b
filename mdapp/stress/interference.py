"""What checkpoints cost a running simulation, and what the simulation costs the storage.

Four kinds of run, of the same deck, seed, ranks and steps, with the real force loop:

    A   no checkpoints; at the steps of the others' the lists are built anew, as theirs are
    B   checkpoints that the run waits for
    C   the same, written beside the run
    D   the checkpoints alone, at the times that A's clock says, without forces

A round is A B A C A D, with B, C and D in an order of the round's own; neighbouring runs of A give
the noise. The interval of the checkpoints is chosen so that writing one takes a share of it, the
load. A run is timed from its first step to its last; C waits in the end for what is in flight.

Checkpoints must not change physics: the final states of A, B and C have one hash. And they must be
good: each is read back, all of it, after its run.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.deck import Deck, build_deck
from mdapp.errors import InputError
from mdapp.parallel.agree import agree
from mdapp.perf.memory import peak_bytes, reset_peak
from mdapp.run_state import state_of
from mdapp.simulation import Simulation
from mdapp.storage.audit import Level, audit
from mdapp.storage.files import REAL
from mdapp.storage.names import step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from mdapp.stress.folder import WorkFolder, open_folder
from mdapp.stress.meeting import Meeting
from mdapp.stress.plan import MIN_FREE
from mdapp.stress.system import sync_file_system
from potentials.base import Want

FEWEST_CHECKPOINTS = 5
FEWEST_STEPS = 3                # from one checkpoint to the next
TRIAL_STEPS = 30
KINDS = "ABCD"
LEFT_OUT = {
    "placement sweep": "writers pinned to cores, ranks per node less one, throttled: not there yet",
    "projection": "to the Young/Daly interval of a given time between failures: not there yet",
}
Tell = Callable[[str], None]


@dataclass
class Run:
    """One run; the same on all ranks.

    Attributes
    ----------
    kind, load, round : which
    seconds : from the first step to the last
    state_hash : of the last state
    steps : (n,) seconds of each step, the slowest rank's
    inside : (n,) whether a checkpoint was being written
    checkpoints : what the store tells of each
    good : whether all of them verify
    peak_bytes : resident memory of the largest rank
    """

    kind: str
    load: float
    round: int
    seconds: float
    state_hash: str = ""
    steps: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    inside: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    good: bool = True
    peak_bytes: int = 0


@dataclass(frozen=True)
class Cadence:
    """When checkpoints come.

    Attributes
    ----------
    every : steps between two
    count : how many
    step_s, write_s : of the trial, from which `every` was chosen
    """

    load: float
    every: int
    count: int
    step_s: float
    write_s: float

    @property
    def steps(self) -> int:
        """Of a run: the last checkpoint has as long to be written as the others."""
        return (self.count + 1) * self.every - 1


class Interference:
    """The experiment; every method is collective.

    Parameters
    ----------
    deck : of the user; its `[checkpoint]` says how they are written, not when
    folder : claimed; runs lie below it
    """

    def __init__(self, meeting: Meeting, deck: Deck, folder: WorkFolder, tell: Tell):
        self.meeting, self.comm, self.tell = meeting, meeting.comm, tell
        self.folder, self.table = folder, deck.to_dict()
        self.runs: list[Run] = []
        self.natoms = self.checkpoint_bytes = 0
        with agree(self.comm):
            if deck.checkpoint.levels is not None:
                raise InputError("checkpoint.levels: the experiment writes to one folder; leave "
                                 "levels out of the deck, and name their storage with --dir")
            if deck.checkpoint.mode == "async" or deck.output:
                tell("note: checkpoint.mode and [[output]] of the deck are set aside")

    def deck(self, steps: int, every: int, mode: str) -> Deck:
        """The user's deck, with these steps and checkpoints and no other output."""
        checkpoint = {**self.table["checkpoint"], "every": every, "every_minutes": 0.0,
                      "interval": None, "mode": mode, "keep_last": 10**6, "max_bytes": 0}
        table = {**self.table, "output": [], "checkpoint": checkpoint,
                 "thermo": {**self.table["thermo"], "every": 0},
                 "run": {**self.table["run"], "steps": steps}}
        return build_deck(without_none(table))

    def trial(self, loads: Sequence[float], every: int, count: int) -> list[Cadence]:
        """Compile, and see how long steps and checkpoints take: the cadence for each load.

        every : steps between checkpoints; 0: as the loads say
        """
        first = Cadence(0.0, TRIAL_STEPS // 3, 2, 0.0, 0.0)
        self._one("B", first, -1)
        run = self._one("B", first, -1)
        outside = run.steps[~run.inside]
        step_s = float(np.median(outside))
        write_s = float(np.median([c["total_s"] for c in run.checkpoints]))
        self.checkpoint_bytes = int(run.checkpoints[0]["bytes"])
        if every:
            return [Cadence(write_s / (every * step_s), every, count, step_s, write_s)]
        return [Cadence(load, max(int(np.ceil(write_s / load / step_s)), FEWEST_STEPS), count,
                        step_s, write_s) for load in loads]

    def measure(self, cadence: Cadence, rounds: int, seed: int = 1) -> None:
        """All rounds of one cadence."""
        order = random.Random(seed)
        for number in range(rounds):
            kinds = list("BCD")
            order.shuffle(kinds)
            for kind in kinds:
                for one in ("A", kind):
                    run = self._one(one, cadence, number)
                    self.runs.append(run)
                    self.tell(f"  load {cadence.load:g}, round {number + 1}: {one} "
                              f"{run.seconds:.3f} s")

    def _one(self, kind: str, cadence: Cadence, number: int) -> Run:
        place = self.folder.path / "run"
        self.meeting.on_root(lambda: REAL.mkdir(place))
        self.meeting.barrier()
        reset_peak()
        run = (self._alone(place, cadence, number) if kind == "D"
               else self._with_forces(kind, place, cadence, number))
        run.peak_bytes = int(self.comm.allreduce(peak_bytes(), MPI.MAX))
        for entry in run.checkpoints:
            path = place / "checkpoints" / step_name(entry["step"])
            run.good &= entry["result"] == "committed" and (
                audit(self.comm, path, Level.full).code == 0)
        self.meeting.on_root(lambda: REAL.remove_tree(place))
        self.meeting.on_root(lambda: sync_file_system(self.folder.path))
        return run

    def _with_forces(self, kind: str, place: Path, cadence: Cadence, number: int) -> Run:
        every = 0 if kind == "A" else cadence.every
        deck = self.deck(cadence.steps, every, "async" if kind == "C" else "sync")
        marks: list[float] = []
        flights: list[bool] = []
        final = [""]

        def done(step: int) -> None:
            marks.append(time.perf_counter())
            flights.append(sim.checkpoints.in_flight is not None)
            at_checkpoint = step % cadence.every == 0
            if kind == "A" and at_checkpoint and sim.checkpoints.options.canonical:
                sim.rebuild()
                sim.compute_forces(Want.TOTALS)
            if step == cadence.steps:
                sim.checkpoints.want_last(step)         # waits for what is in flight
                marks[-1] = time.perf_counter()
                final[0] = sim.state_hash

        sim = Simulation(deck, self.comm, place, on_step=done)
        try:
            sim.run()
        finally:
            sim.close()
        if sim.ending.stop:             # a run with checkpoints takes signals as a wish to stop
            raise KeyboardInterrupt
        self.natoms = sim.natoms
        steps = np.diff(marks)
        self.comm.Allreduce(MPI.IN_PLACE, steps, MPI.MAX)
        # A step that begins with the writing of a checkpoint, or while one is in flight.
        begins = np.arange(1, cadence.steps) % cadence.every == 0
        inside = (begins & (kind != "A")) | np.array(flights[1:])
        written = [e for e in sim.checkpoints.written if e["step"] < cadence.steps]
        seconds = float(self.comm.allreduce(marks[-1] - marks[0], MPI.MAX))
        return Run(kind, cadence.load, number, seconds, final[0], steps, inside, written)

    def _alone(self, place: Path, cadence: Cadence, number: int) -> Run:
        """The same snapshots at the same times, while the cores are idle."""
        sim = Simulation(self.deck(1, 0, "sync"), self.comm, place)
        sim.run()
        table = self.deck(1, 1, "sync").checkpoint.model_dump(exclude_none=True)
        interval = cadence.every * cadence.step_s
        written: list[dict[str, Any]] = []
        with CheckpointStore(self.comm, place / "checkpoints",
                             CheckpointOptions.from_table(table)) as store:
            self.meeting.barrier()
            began = time.perf_counter()
            for k in range(1, cadence.count + 1):
                time.sleep(max(began + k * interval - time.perf_counter(), 0.0))
                state = state_of(sim, {})
                state.step = k * cadence.every
                written.append(store.write(state).summary())
            seconds = time.perf_counter() - began
        sim.close()
        seconds = float(self.comm.allreduce(seconds, MPI.MAX))
        return Run("D", cadence.load, number, seconds, checkpoints=written)


def without_none(value: Any) -> Any:
    """A deck's table: what is not set is not there."""
    if isinstance(value, Mapping):
        return {k: without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list | tuple):
        return [without_none(v) for v in value]
    return value


def run_interference(
    comm: MPI.Intracomm, load_deck: Callable[[], Deck], directory: Path, *, loads: Sequence[float],
    rounds: int, count: int, every: int = 0, tell: Tell = lambda line: None, keep: bool = False,
    allow_memory: bool = False, min_free: float = MIN_FREE,
) -> dict[str, Any]:  # fmt: skip
    """The whole experiment; collective. Returns the body of its report, on all ranks.

    Parameters
    ----------
    load_deck : called on all ranks
    loads : share of the interval that writing a checkpoint takes, one cadence each
    rounds, count : of each cadence, and checkpoints of a run
    every : steps between checkpoints, instead of loads

    Raises
    ------
    InputError
        The deck, the folder or a number is refused; on all ranks.
    """
    from mdapp.stress.interference_facts import facts_of
    from mdapp.stress.session import removed
    from mdapp.stress.summary import file_system_of, meta_of

    meeting, began = Meeting(comm), time.time()
    tell = tell if meeting.rank == 0 else lambda line: None
    with agree(comm):
        deck = load_deck()
        if count < FEWEST_CHECKPOINTS:
            raise InputError(f"--checkpoints {count}: must be at least {FEWEST_CHECKPOINTS}")
        if every and every < FEWEST_STEPS:
            raise InputError(f"--every {every}: must be at least {FEWEST_STEPS}")
        for load in loads:
            if not 0.0 < load <= 10.0:
                raise InputError(f"--load {load:g}: must be above 0 and at most 10")
    folder = open_folder(meeting, directory, allow_memory=allow_memory)
    with removed(folder, meeting, keep):
        experiment = Interference(meeting, deck, folder, tell)
        tell(f"{directory}: runs of a deck with and without checkpoints, {rounds} rounds of 6 runs "
             f"for each of {1 if every else len(loads)} loads")
        cadences = experiment.trial(loads, every, count)
        nbytes = experiment.checkpoint_bytes
        meeting.on_root(lambda: check_space(directory, nbytes * count, min_free))
        tell(f"  at most {nbytes * count / 2**20:.0f} MiB at a time; a step takes "
             f"{1e3 * cadences[0].step_s:.2f} ms, a checkpoint {1e3 * cadences[0].write_s:.1f} ms; "
             f"checkpoints every {', '.join(str(c.every) for c in cadences)} steps")
        facts = []
        for cadence in cadences:
            first = len(experiment.runs)
            experiment.measure(cadence, rounds)
            facts.append(facts_of(cadence, experiment.runs[first:]))
    cores = len(os.sched_getaffinity(0)) if meeting.size == 1 else os.cpu_count() or 1
    good = all(f["same_state"] and f["all_good"] for f in facts)
    warnings = [] if cores > meeting.size else [
        "no core is left to the writers: a checkpoint in the background takes time from the forces"]
    return {
        "meta": meta_of("interfere", meeting, folder, began),
        "filesystem": file_system_of(folder), "plan": {"loads": list(loads), "rounds": rounds,
                                                       "checkpoints": count},
        "phases": [], "figure": [], "left_out": LEFT_OUT, "warnings": warnings,
        "exit_code": 0 if good else 1,
        "interference": {"deck": deck.to_dict(), "atoms": experiment.natoms, "rounds": rounds,
                         "ranks": meeting.size, "cores": cores,
                         "free_cores": max(cores - meeting.size, 0), "cadences": facts},
    }  # fmt: skip


def check_space(directory: Path, nbytes: int, min_free: float) -> None:
    """Refuse what would fill the file system."""
    status = os.statvfs(directory)
    total, free = (n * status.f_frsize for n in (status.f_blocks, status.f_bavail))
    if free - nbytes < min_free * total:
        raise InputError(f"--dir {directory}: {free} of {total} bytes are free; the checkpoints of "
                         f"a run take {nbytes} and would leave less than {min_free:.0%}: free "
                         "space, or lower --checkpoints or --min-free")
