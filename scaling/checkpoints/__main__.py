"""`python -m scaling.checkpoints`: what checkpoints cost, beside the same bytes written plainly.

A bandwidth means nothing without the device that it was measured on, so that each figure here is a
ratio of two things done in the same minutes in the same folder: a checkpoint and one process that
writes as many bytes to one file, one call after the other, and syncs it; a restart and one process
that reads them. Every round does each once, in an order that a seed decides; medians are compared.

Three sections. `write` and `read` use atoms at random positions, dealt to ranks by slabs, and no
simulation. `overlap` runs a real one, with one core left to the writers where there is one to
leave: without checkpoints, waiting for them, and with checkpoints written beside it.
"""

import mdapp  # noqa: F401  isort: skip

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from mpi4py import MPI
from typer.main import get_command

from mdapp.cli.command import run_command
from mdapp.cli.output import text_stream, write_json
from mdapp.errors import InputError
from mdapp.parallel.launcher import mpirun_command, mpirun_environment, read_launch
from mdapp.perf.environment import read_environment
from mdapp.perf.statistics import spread
from mdapp.stress.states import layouts
from scaling.checkpoints.bench import Bench
from scaling.checkpoints.overlap import eta, measure_overlap
from scaling.checkpoints.reads_writes import measure_reads, measure_writes

SCHEMA, VERSION = "mdapp.checkpoints", 2
OTHERS = "sharded, other owners"
LEAST_ROUNDS = 5


def figures(bench: Bench) -> list[tuple[str, float | None, str]]:
    """Name, value and what it must be, of each figure."""
    samples, memory = bench.samples, bench.facts["memory"]
    names = list(layouts())
    writes = {n: bench.ratio("write plain", f"write {n}") for n in names}
    reads = {n: bench.ratio("read plain", f"read {n}") for n in (*names, OTHERS)}
    rows: list[tuple[str, float | None, str]] = []
    rows += [(f"write, {n}: plain / checkpoint", r.value, ">= 0.7 (best layout)")
             for n, r in writes.items() if r]  # fmt: skip
    rows += [(f"read, {n}: plain / restart", r.value, ">= 0.5") for n, r in reads.items() if r]
    stall = bench.ratio("stall C", "stall B")
    if stall:
        found = eta(samples)
        rows += [
            ("stall, async / sync", stall.value, "<= 0.15"),
            ("overlap efficiency eta", found and found[0], ">= 0.85"),
            ("standard error of eta", found and found[1], ""),
            ("memory, async, copies of the state",
             memory["async_bytes"] / memory["async_live_bytes"], "<= 1"),
        ]  # fmt: skip
    rows.append(("memory, sync, MiB a rank", memory["sync_bytes"] / 2**20, "<= 64"))
    rows += [(f"bytes per atom, {n}", b, "<= 76") for n, b in bench.facts["bytes_per_atom"].items()]
    return rows


def lines(bench: Bench) -> list[str]:
    """The answer as text."""
    out = [f"{'what':42}{'median s':>10}{'min..max':>18}{'GB/s':>8}"]
    for name, values in bench.samples.items():
        if name.startswith("step "):
            continue
        s = spread(values)
        moved = name.startswith(("write", "read"))
        rate = f"{72 * bench.natoms / s.median / 1e9:8.2f}" if moved else ""
        out.append(f"{name:42}{s.median:10.4f}{f'{s.min:.4f}..{s.max:.4f}':>18}{rate}")
    out += ["", f"{'figure':42}{'value':>10}  must"]
    for name, value, must in figures(bench):
        out.append(f"{name:42}{'noise' if value is None else f'{value:.3f}':>10}  {must}")
    return out


@contextmanager
def working_folder(comm: MPI.Intracomm, where: Path | None) -> Iterator[Path]:
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
            measure_overlap(bench, run_atoms or atoms)
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
