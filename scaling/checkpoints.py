"""`python -m scaling.checkpoints`: what checkpoints cost, beside the same bytes written plainly.

A bandwidth means nothing without the device that it was measured on, so that each figure here is a
ratio of two things done in the same minutes in the same folder: a checkpoint and one process that
writes as many bytes to one file, one call after the other, and syncs it; a restart and one process
that reads them. Every round does each once, in an order that a seed decides; medians are compared.

Three sections. `write` and `read` use atoms at random positions, dealt to ranks by slabs, and no
simulation. `overlap` runs a real one, with one core left to the writers where there is one to
leave: A without checkpoints, B with one that it waits for, C with one written beside it. Of what
waiting costs, T_B - T_A, the share that C saves is eta = 1 - (T_C - T_A) / (T_B - T_A): 1 if the
checkpoint is free, 0 if nothing is gained. Steps, list builds and forces are alike in all three.

Before a read the kernel is asked to forget the files (posix_fadvise), which it does for pages that
are on the device; a cache inside the device or below a virtual machine is beyond anyone's reach.
"""

import mdapp  # noqa: F401  isort: skip

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

import h5py
import numpy as np
import typer
from mpi4py import MPI
from numpy.typing import NDArray
from typer.main import get_command

from mdapp.cli.command import run_command
from mdapp.cli.output import text_stream, write_json
from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.parallel.launcher import mpirun_command, mpirun_environment, read_launch
from mdapp.perf.memory import peak_bytes, reset_peak, resident_bytes
from mdapp.storage.files import REAL, raw
from mdapp.storage.metrics import Outcome
from mdapp.storage.names import step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.state import State
from mdapp.storage.store import CheckpointStore
from scaling.environment import read_environment
from scaling.statistics import Interval, paired_ratio, spread

SCHEMA, VERSION = "mdapp.checkpoints", 1
PIECE = 8 << 20
EDGE = 100.0
POLL_S = 0.002
NOISE = 3.0
LEAST_ROUNDS = 5
Samples = dict[str, list[float]]


@dataclass
class Bench:
    """Where and with what is measured; `samples` are seconds by name, one a round."""

    comm: MPI.Intracomm
    folder: Path
    natoms: int
    rounds: int
    rng: random.Random
    samples: Samples = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def note(self, name: str, seconds: float) -> None:
        """Add a measurement, the largest of all ranks."""
        self.samples.setdefault(name, []).append(self.comm.allreduce(seconds, MPI.MAX))

    def timed(self, name: str, function: Callable[[], Any]) -> Any:
        """Call on all ranks together, and note how long the slowest took."""
        self.comm.Barrier()
        began = time.perf_counter()
        result = function()
        self.note(name, time.perf_counter() - began)
        return result

    def each_round(self, work: dict[str, Callable[[], None]]) -> None:
        """Do everything once a round, in an order of that round."""
        for _ in range(self.rounds):
            order = list(work)
            self.rng.shuffle(order)
            for name in order:
                work[name]()

    def ratio(self, over: str, under: str) -> Interval | None:
        """Median of one over median of another, if both were measured."""
        if over not in self.samples or under not in self.samples:
            return None
        return paired_ratio(self.samples[over], self.samples[under])


# --- states and plain files ---------------------------------------------------------------------


def random_state(comm: MPI.Intracomm, natoms: int, step: int) -> State:
    """Atoms in slabs along x, one slab a rank."""
    share = natoms // comm.size + (comm.rank < natoms % comm.size)
    first = comm.exscan(share) or 0
    rng = np.random.default_rng([1, comm.rank])
    x = EDGE * rng.random((share, 3))
    x[:, 0] = (comm.rank + x[:, 0] / EDGE) * EDGE / comm.size
    fields: dict[str, NDArray[Any]] = {
        "id": np.arange(first + 1, first + share + 1), "x": x, "v": rng.standard_normal((share, 3)),
        "type": np.zeros(share, np.int32), "image": np.zeros((share, 3), np.int32),
    }  # fmt: skip
    box = Box.orthogonal([0.0] * 3, [EDGE] * 3)
    return State(step=step, time=0.0, timestep=0.005, units="lj", box=box, natoms=natoms,
                 species=("A",), mass=np.ones(1), fields=fields)  # fmt: skip


def slabs(axis: int, ranks: int) -> Callable[[NDArray[np.float64]], NDArray[np.int64]]:
    """Owners by slabs along an axis."""

    def owner(x: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.minimum((x[:, axis] * (ranks / EDGE)).astype(np.int64), ranks - 1)

    return owner


def on_first(comm: MPI.Intracomm, function: Callable[..., object], *args: object) -> None:
    """Call on rank 0 only; the others go on."""
    if comm.rank == 0:
        function(*args)


def write_plainly(path: Path, data: memoryview) -> None:
    """One process, one file, one call after the other, one fsync."""
    with REAL.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        for begin in range(0, len(data), PIECE):
            file.pwrite(data[begin : begin + PIECE], begin)
        file.fsync()


def read_plainly(path: Path, size: int) -> None:
    """One process reads one file from its begin to its end."""
    buffer = np.empty(PIECE, np.uint8)
    with REAL.open(path) as file:
        for begin in range(0, size, PIECE):
            file.pread_into(raw(buffer), begin)


def forget(path: Path) -> None:
    """Ask the kernel to drop a file, or all files of a folder, from its cache."""
    for one in path.rglob("*") if path.is_dir() else [path]:
        if one.is_file():
            with REAL.open(one) as file:
                file.advise(0, 0, os.POSIX_FADV_DONTNEED)


def layouts() -> dict[str, dict[str, Any]]:
    """Layouts that this installation can write."""
    found: dict[str, dict[str, Any]] = {"sharded": {}, "aggregated": {"layout": "aggregated"}}
    if h5py.get_config().mpi:
        found["shared"] = {"layout": "shared", "verify_after_write": False}
    else:
        found["shared-pwrite"] = {"layout": "shared", "engine": "pwrite",
                                  "verify_after_write": False}  # fmt: skip
    return found


def open_store(bench: Bench, name: str, **options: Any) -> CheckpointStore:
    """A store of the benchmark; nothing is removed while a clock runs."""
    chosen = CheckpointOptions(keep_last=1000, **options)
    return CheckpointStore(bench.comm, bench.folder / name / "checkpoints", chosen)


# --- write, stall and memory --------------------------------------------------------------------


def measure_writes(bench: Bench) -> None:
    """Each layout, and asynchronous mode, against a plain write of the same bytes."""
    comm = bench.comm
    stores = {name: open_store(bench, name, **options) for name, options in layouts().items()}
    beside = open_store(bench, "async", mode="async")
    state = random_state(comm, bench.natoms, 1)
    bench.facts["memory"] = {
        "live_state_bytes": 72 * comm.allreduce(state.nlocal, MPI.MAX),
        "sync_bytes": grown(comm, lambda: stores["sharded"].write(state)),
        "async_bytes": grown(comm, lambda: at_once(beside, state)),
    }
    for name, store in stores.items():
        bench.facts.setdefault("bytes_per_atom", {})[name] = bytes_per_atom(bench, store, state)
    step = [1]
    yardstick = np.empty(72 * bench.natoms if comm.rank == 0 else 0, np.uint8)
    yardstick[:] = np.resize(raw(state.fields["x"]), len(yardstick))
    plain = bench.folder / "plain"

    def write(name: str) -> None:
        step[0] += 1
        state.step = step[0]
        outcome = bench.timed(f"write {name}", lambda: stores[name].write(state))
        bench.note(f"stall sync {name}", outcome.metrics["stall_s"])
        drop(comm, stores[name], outcome)

    def write_beside() -> None:
        step[0] += 1
        state.step = step[0]
        outcome = bench.timed("write async", lambda: polled(beside, state))
        bench.note("stall async", outcome.metrics["stall_s"])
        bench.note("snapshot", outcome.metrics["snapshot_s"]["max"])
        drop(comm, beside, outcome)

    def write_plain() -> None:
        bench.timed("write plain", lambda: on_first(comm, write_plainly, plain, raw(yardstick)))
        on_first(comm, plain.unlink)

    bench.each_round({
        "plain": write_plain, "async": write_beside,
        **{name: lambda name=name: write(name) for name in stores},  # type: ignore[misc]
    })  # fmt: skip
    for store in (*stores.values(), beside):
        store.close()


def at_once(store: CheckpointStore, state: State) -> Outcome:
    """Have the memory of the second copy, as before a run; write beside nothing, and wait."""
    assert store.background is not None
    store.background.reserve(state.nlocal)
    return store.background.begin(state) or store.background.finish()


def polled(store: CheckpointStore, state: State) -> Outcome:
    """Write beside a run that only polls, and sleeps in between."""
    background = store.background
    assert background is not None
    outcome, agreed = background.begin(state), (False, False)
    while outcome is None:
        time.sleep(POLL_S)
        busy, failed = background.status()
        outcome = background.poll(*agreed)
        both = store.comm.allreduce(np.array([busy, failed], np.int64))
        agreed = bool(both[0]), bool(both[1])
    return outcome


def grown(comm: MPI.Intracomm, function: Callable[[], Any]) -> int:
    """Bytes by which the largest rank grew at most while a function ran."""
    reset_peak()
    before = resident_bytes()
    function()
    return int(comm.allreduce(max(peak_bytes() - before, 0), MPI.MAX))


def bytes_per_atom(bench: Bench, store: CheckpointStore, state: State) -> float:
    """Bytes on disk of a checkpoint of this layout, as `du` counts them."""
    store.write(state)
    path = store.directory / step_name(state.step)
    used = sum(p.lstat().st_blocks * 512 for p in path.rglob("*")) if bench.comm.rank == 0 else 0
    return float(bench.comm.bcast(used, 0)) / bench.natoms


def drop(comm: MPI.Intracomm, store: CheckpointStore, outcome: Outcome) -> None:
    """Remove a checkpoint of the rounds, while no clock runs."""
    if comm.rank == 0:
        shutil.rmtree(outcome.path)
    comm.Barrier()


# --- read ---------------------------------------------------------------------------------------


def measure_reads(bench: Bench) -> None:
    """Restarts of the checkpoints that `measure_writes` left, against a plain read."""
    comm, size = bench.comm, 72 * bench.natoms
    plain = bench.folder / "plain"
    whole = np.resize(np.arange(1 << 20, dtype=np.uint8), size if comm.rank == 0 else 0)
    on_first(comm, write_plainly, plain, raw(whole))
    del whole
    stores = {name: open_store(bench, name, **options) for name, options in layouts().items()}

    def restart(name: str, axis: int, label: str) -> None:
        store = stores[name]
        on_first(comm, forget, store.directory)
        owner = slabs(axis, comm.size)
        bench.timed(f"read {name}{label}", lambda: store.restore(None, owner))

    def read_plain() -> None:
        on_first(comm, forget, plain)
        bench.timed("read plain", lambda: on_first(comm, read_plainly, plain, size))

    work: dict[str, Callable[[], None]] = {
        name: lambda name=name: restart(name, 0, "")  # type: ignore[misc]
        for name in stores
    }
    if comm.size > 1:
        work["other"] = lambda: restart("sharded", 1, ", other owners")
    bench.each_round({"plain": read_plain, **work})
    for store in stores.values():
        store.close()
    on_first(comm, plain.unlink)


# --- overlap ------------------------------------------------------------------------------------


def measure_overlap(bench: Bench, natoms: int, steps: int) -> None:
    """Steps of a real run: A without, B waiting for, C beside a checkpoint."""
    comm = bench.comm
    cores = len(os.sched_getaffinity(0))
    ranks = max(min(comm.size, cores - 1), 1)
    group = comm.group.Incl(list(range(ranks)))
    part = MPI.Intracomm(comm.Create(group))
    bench.facts["overlap"] = {"ranks": ranks, "cores": cores, "core_left_free": cores > ranks}
    if comm.rank < ranks:
        inner = Bench(part, bench.folder, natoms, bench.rounds, random.Random(2))
        run_overlap(inner, steps, bench.facts["overlap"])
        bench.samples |= inner.samples
    quiet_wait(comm)
    bench.samples = comm.bcast(bench.samples, 0)
    bench.facts = comm.bcast(bench.facts, 0)


def quiet_wait(comm: MPI.Intracomm) -> None:
    """A barrier that leaves the core to others."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.05)


def run_overlap(bench: Bench, steps: int, facts: dict[str, Any]) -> None:
    """The rounds of `measure_overlap`, on the ranks that take part."""
    from mdapp.checkpointing import state_of
    from mdapp.deck import build_deck
    from mdapp.simulation import Simulation

    cells = max(round((bench.natoms / 4) ** (1 / 3)), 3)
    deck = build_deck({
        "units": "lj",
        "system": {"lattice": "fcc", "density": 0.8442, "cells": [cells] * 3, "temperature": 1.44,
                   "seed": 1},
        "potential": {"style": "lj/cut", "epsilon": 1.0, "sigma": 1.0, "rc": 2.5},
        "neighbors": {"skin": 0.3, "every": 10, "delay": 0, "check": False},
        "run": {"steps": 1, "timestep": 0.005}, "thermo": {"every": 0},
    })  # fmt: skip
    each: list[Callable[[int], None]] = [lambda step: None]
    sim = Simulation(deck, bench.comm, bench.folder, on_step=lambda step: each[0](step))
    facts |= {"atoms": sim.natoms, "steps": steps}
    waiting, beside = open_store(bench, "waiting"), open_store(bench, "beside", mode="async")
    background = beside.background
    assert background is not None
    background.reserve(sim.atoms.nlocal)
    sim.run(10)

    def without() -> None:
        each[0] = lambda step: None
        bench.timed("steps A", lambda: sim.run(steps))

    def waited() -> None:
        at = sim.step + 2
        written: list[Outcome] = []

        def look(step: int) -> None:
            if step == at:
                written.append(waiting.write(state_of(sim, {})))

        each[0] = look
        bench.timed("steps B", lambda: sim.run(steps))
        bench.note("stall B", written[0].metrics["stall_s"])
        drop(bench.comm, waiting, written[0])

    def hidden() -> None:
        at = sim.step + 2
        written: list[Outcome | None] = []
        agreed = [(False, False)]

        def look(step: int) -> None:
            if step == at:
                background.begin(state_of(sim, {}))
            elif background.step is not None:
                done = background.poll(*agreed[0])
                if done is not None:
                    written.append(done)
            both = bench.comm.allreduce(np.array(background.status(), np.int64))
            agreed[0] = bool(both[0]), bool(both[1])

        def run() -> None:
            sim.run(steps)
            if background.step is not None:
                written.append(background.finish())

        each[0] = look
        bench.timed("steps C", run)
        outcome = written[0]
        assert outcome is not None
        bench.note("stall C", outcome.metrics["stall_s"])
        bench.note("flight C", outcome.metrics["total_s"])
        drop(bench.comm, beside, outcome)

    bench.each_round({"A": without, "B": waited, "C": hidden})
    sim.close()
    waiting.close()
    beside.close()


def eta(samples: Samples) -> float | None:
    """Overlap efficiency from medians; None where waiting costs no more than noise."""
    a, b, c = (np.array(samples[f"steps {k}"]) for k in "ABC")
    cost = float(np.median(b) - np.median(a))
    noise = float(np.median(np.abs(a - np.median(a)))) * 1.4826
    if cost <= NOISE * noise:
        return None
    return 1.0 - float(np.median(c) - np.median(a)) / cost


# --- the answer ---------------------------------------------------------------------------------


def figures(bench: Bench) -> list[tuple[str, float | None, str]]:
    """Name, value and what it must be, of each figure."""
    samples, live = bench.samples, bench.facts["memory"]["live_state_bytes"]
    names = list(layouts())
    writes = {n: bench.ratio("write plain", f"write {n}") for n in names}
    reads = {n: bench.ratio("read plain", f"read {n}") for n in (*names, "sharded, other owners")}
    stall, loaded = bench.ratio("stall async", "stall sync sharded"), bench.ratio(
        "stall C", "stall B")  # fmt: skip
    rows: list[tuple[str, float | None, str]] = []
    rows += [(f"write, {n}: plain / checkpoint", r.value, ">= 0.7 (best layout)")
             for n, r in writes.items() if r]  # fmt: skip
    rows += [(f"read, {n}: plain / restart", r.value, ">= 0.5") for n, r in reads.items() if r]
    if stall:
        rows.append(("stall, async / sync", stall.value, "<= 0.15"))
    if loaded:
        rows.append(("stall in a run, async / sync", loaded.value, "<= 0.15"))
    if "steps A" in samples:
        rows.append(("overlap efficiency eta", eta(samples), ">= 0.85"))
    memory = bench.facts["memory"]
    rows.append(("memory, async, copies of the state", memory["async_bytes"] / live, "<= 1"))
    rows.append(("memory, sync, MiB a rank", memory["sync_bytes"] / 2**20, "<= 64"))
    rows += [(f"bytes per atom, {n}", b, "<= 76") for n, b in bench.facts["bytes_per_atom"].items()]
    return rows


def lines(bench: Bench) -> list[str]:
    """The answer as text."""
    out = [f"{'what':42}{'median s':>10}{'min..max':>18}{'GB/s':>8}"]
    for name, values in bench.samples.items():
        s = spread(values)
        moved = name.startswith(("write", "read"))
        rate = f"{72 * bench.natoms / s.median / 1e9:8.2f}" if moved else ""
        out.append(f"{name:42}{s.median:10.4f}{f'{s.min:.4f}..{s.max:.4f}':>18}{rate}")
    out += ["", f"{'figure':42}{'value':>10}  must"]
    for name, value, must in figures(bench):
        out.append(f"{name:42}{'noise' if value is None else f'{value:.3f}':>10}  {must}")
    return out


@contextmanager
def working_folder(comm: MPI.Intracomm, where: Path | None):  # type: ignore[no-untyped-def]
    """A folder of the benchmark's own, removed at the end."""
    made = ""
    if comm.rank == 0:
        base = where or Path.cwd()
        base.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(prefix="checkpoints-", dir=base)
    folder = Path(comm.bcast(made, 0))
    try:
        yield folder
    finally:
        if comm.rank == 0:
            shutil.rmtree(folder, ignore_errors=True)


def checkpoints(
    atoms: Annotated[int, typer.Option("--atoms", min=1000, help="Atoms in all.")] = 4_000_000,
    ranks: Annotated[int, typer.Option("--ranks", min=1, help="Ranks, unless under mpirun.")] = 2,
    rounds: Annotated[
        int, typer.Option("--rounds", min=LEAST_ROUNDS, help="Repeats of everything.")
    ] = LEAST_ROUNDS,
    folder: Annotated[
        Path | None, typer.Option("--dir", help="Where to write; default the current folder.")
    ] = None,
    run_atoms: Annotated[
        int, typer.Option("--run-atoms", min=0, help="Atoms of the simulation; 0: --atoms.")
    ] = 0,
    steps: Annotated[int, typer.Option("--steps", min=4, help="Steps a round of it.")] = 10,
    overlap: Annotated[
        bool, typer.Option("--overlap/--no-overlap", help="Measure eta with a simulation.")
    ] = True,
    seed: Annotated[int, typer.Option("--seed", help="Of the order in the rounds.")] = 1,
    json_target: Annotated[
        str | None, typer.Option("--json", help="Write all figures as JSON; - for stdout.")
    ] = None,
) -> int:
    """Measure checkpoints against plain reads and writes of the same bytes."""
    if read_launch().launcher == "none" and ranks > 1:
        return under_mpirun(ranks)
    comm = MPI.COMM_WORLD
    environment = read_environment()
    with working_folder(comm, folder) as place:
        bench = Bench(comm, place, atoms, rounds, random.Random(seed))
        measure_writes(bench)
        measure_reads(bench)
        if overlap:
            measure_overlap(bench, run_atoms or atoms, steps)
    if comm.rank == 0:
        stream = text_stream(json_target)
        print("\n".join([*environment.lines(), "", *lines(bench)]), file=stream)
        if json_target is not None:
            write_json(json_target, SCHEMA, VERSION, {
                "environment": environment.as_json(), "ranks": comm.size, "atoms": atoms,
                "rounds": rounds, "seed": seed, **bench.facts, "samples": bench.samples,
                "figures": [{"name": n, "value": v, "must": m} for n, v, m in figures(bench)],
            })  # fmt: skip
    return 0


def under_mpirun(ranks: int) -> int:
    """Start this command again, on several ranks.

    Raises
    ------
    InputError
        There is no mpirun.
    """
    with suppress(FileNotFoundError):
        command = [*mpirun_command(ranks), sys.executable, "-m", "scaling.checkpoints"]
        return subprocess.call([*command, *sys.argv[1:]], env=mpirun_environment())
    raise InputError(f"--ranks {ranks}: no mpirun on the PATH; install one, or take --ranks 1")


def main() -> NoReturn:
    """Entry point."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(checkpoints)
    command = get_command(app)
    sys.exit(run_command(lambda: int(command.main(standalone_mode=False) or 0)))


if __name__ == "__main__":
    main()
