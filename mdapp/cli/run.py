"""`mdapp run`: a deck or a LAMMPS script, on however many ranks it is started with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from mdapp.cli.inputs import load_input
from mdapp.cli.options import Overrides, Variables
from mdapp.cli.output import check_json_target, text_stream, watched, write_json
from mdapp.cli.progress import Progress
from mdapp.errors import InputError
from potentials.base import remarks_of


def run(
    path: Annotated[Path, typer.Argument(
        metavar="INPUT", help="A deck (TOML) or a LAMMPS script (in.*, *.in, *.lmp).")],
    steps: Annotated[
        int | None,
        typer.Option("--steps", min=0, help="Steps to run, instead of up to run.steps."),
    ] = None,
    overrides: Overrides = None,
    variables: Variables = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder of the run; default DECKNAME.run."),
    ] = None,
    restart: Annotated[
        str | None,
        typer.Option("--restart", metavar="auto|PATH",
                     help="Go on from a checkpoint; auto: the newest of the run's own folder."),
    ] = None,
    walltime: Annotated[
        str | None,
        typer.Option("--walltime", metavar="hh:mm:ss",
                     help="Stop with a checkpoint before this time is over (exit code 10)."),
    ] = None,
    discard_newer: Annotated[
        bool,
        typer.Option("--discard-newer",
                     help="Restart from an older checkpoint and set newer ones aside."),
    ] = False,
    allow_potential_change: Annotated[
        bool,
        typer.Option("--allow-potential-change",
                     help="Restart also if the deck's potential is not the checkpoint's."),
    ] = False,
    profiled: Annotated[
        bool,
        typer.Option("--profile",
                     help="Count operations, and compare with a large matrix product."),
    ] = False,
    json_target: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the report as JSON (- for stdout)."),
    ] = None,
) -> int:
    """Run molecular dynamics.

    \b
    Examples:
      mdapp run examples/lj_melt/deck.toml
      mdapp run examples/lj_melt/in.lj --var x=2 --set run.precision=mixed
      mpirun -n 2 mdapp run examples/lj_melt/deck.toml --json report.json
      mdapp run deck.toml --set checkpoint.every=500 --restart auto

    \b
    A run with --out, outputs or checkpoints leaves thermo.jsonl (as it goes) and run.json (at its
    end) in its folder, which `mdapp plot` draws.

    \b
    A run heeds, whether its deck asks for checkpoints or not:
      SIGUSR1                 write a checkpoint, go on
      SIGTERM                 write a checkpoint, stop (exit code 10); a second one: stop at once
      a file STOP in --out    the same; it may say "now" (without one) or a step number
    SIGINT (Ctrl-C) is as SIGTERM where the deck or the command line asks for checkpoints, and
    interrupts the run where they do not.  A request is obeyed within a few seconds, by all ranks at
    one step, whichever rank got the signal.  Open MPI's mpirun passes SIGUSR1 on to its ranks;
    SIGTERM it follows by SIGKILL a second later: signal the ranks instead, or write STOP.

    Exit codes: 0 done, 2 bad input or a run that blew up, 3 internal error.  With checkpoints: 1
    none is whole, 4 storage cannot be accessed, 5 the folder is another job's, 6 unknown format,
    7 nothing to restart from, 10 stopped early with a checkpoint, 11 without one, 13 too many
    checkpoints failed, 128 + n by a second signal n.
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept as they are
    from mdapp.parallel.agree import agree
    from mdapp.parallel.world import world
    from mdapp.perf.environment import read_environment
    from mdapp.run_record import Record
    from mdapp.simulation import Simulation

    comm = world()
    with agree(comm):
        deck = load_input(path, overrides or (), named(variables or ()))
        folder = out or default_folder(path)
        if comm.rank == 0:
            check_json_target(json_target)
        if deck.output:
            folder.mkdir(parents=True, exist_ok=True)
    show = Console(text_stream(json_target) if comm.rank == 0 else None)
    for note in deck.notes:
        show.line(f"note: {note}")
    record = Record(show.line)

    def shown(row: dict[str, float]) -> None:
        show.thermo(row)
        record.row(row)

    sim = Simulation(deck, comm, folder, on_thermo=shown, on_step=lambda _: show.step(),
                     tell=show.line, restart=restart, walltime=walltime,
                     discard_newer=discard_newer,
                     allow_potential_change=allow_potential_change, stoppable=True)
    if comm.rank == 0 and (out or deck.output or sim.checkpoints.wanted):
        record.begin(sim, folder, read_environment(checkout=False).as_json())
    show.begin(sim, max(deck.run.steps - sim.step, 0) if steps is None else steps)
    sim.run(steps)
    show.end_bar()
    report = sim.report()
    if profiled:
        report["profile"] = sim.profile()
    sim.close()
    record.end(report)
    show.line(closing(sim, report))
    if sim.ending.stop:
        show.line(f"stopped at step {sim.step}: {sim.ending.reason}; {whats_left(sim)}")
    if json_target is not None:
        with agree(comm):
            if comm.rank == 0:
                write_json(json_target, "mdapp.run", 1, report)
    return sim.ending.exit_code if sim.ending.stop else 0


def named(variables: list[str] | tuple[str, ...]) -> dict[str, str]:
    """`name=value` pairs of --var."""
    pairs = {}
    for text in variables:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InputError(f"--var {text}: write it as --var NAME=VALUE")
        pairs[name] = value
    return pairs


def default_folder(path: Path) -> Path:
    """`melt.run` for melt.toml and in.melt."""
    name = path.name.removeprefix("in.") if path.name.startswith("in.") else path.stem
    return Path(f"{name}.run")


def closing(sim: Any, report: dict[str, Any]) -> str:
    """The report of the finished run as text."""
    from mdapp.perf.report import closing_lines

    return closing_lines(report, sim.units.time_label)


def whats_left(sim: Any) -> str:
    """What a user can do after a run that stopped early."""
    kept = [e["step"] for e in sim.checkpoints.written if e["result"] in ("committed", "present")]
    if kept and kept[-1] == sim.step:
        return "go on with --restart auto"
    if kept:
        return f"no checkpoint of it; --restart auto goes on from step {kept[-1]}"
    return "without a checkpoint"


class Console:
    """What rank 0 prints while a run goes on; the other ranks have no stream and print nothing."""

    def __init__(self, stream: TextIO | None):
        self.stream = stream
        self.bar: Progress | None = None
        self.sim: Any = None

    def line(self, text: str) -> None:
        """Print a line, above the progress bar if there is one."""
        if self.stream is None:
            return
        if self.bar is not None:
            self.bar.line(text)
        else:
            print(text, file=self.stream, flush=True)

    def begin(self, sim: Any, steps: int) -> None:
        """Say what will run; start a progress bar on a terminal."""
        self.sim = sim
        px, py, pz = sim.grid.shape
        skin = sim.deck.neighbors.skin
        how = sim.deck.run
        self.line(f"mdapp: {sim.natoms} atoms, {sim.potential.style}, {how.precision} precision"
                  f"{', deterministic' if how.deterministic else ''}; {sim.units.name} units, "
                  f"dt = {how.timestep:g} {sim.units.time_label}\n"
                  f"  {sim.comm.size} ranks as {px} x {py} x {pz}, {how.threads} threads each; box "
                  f"{' x '.join(f'{length:g}' for length in sim.box.lengths)}; "
                  f"cutoff {sim.potential.cutoff:g} + skin {skin:g}")
        for remark in remarks_of(sim.potential, how.precision):
            self.line(f"note: {remark}")
        self.line(sim.thermo.header())
        if self.stream is not None and steps and watched(self.stream):
            self.bar = Progress(sim, self.stream, steps)

    def thermo(self, row: dict[str, float]) -> None:
        """Print a thermo line."""
        self.line(self.sim.thermo.line(row))

    def step(self) -> None:
        """Move the progress bar on."""
        if self.bar is not None:
            self.bar.step()

    def end_bar(self) -> None:
        """Take the bar off the screen."""
        if self.bar is not None:
            self.bar.end()
            self.bar = None
