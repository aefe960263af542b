"""The `mdapp` command: a table of commands, each in a module that is imported when it runs.

`mdapp --help` must answer at once, and a login node may have no MPI at all. So the table holds a
name, a module and a line of help; the function of the same name in that module becomes the command
only when somebody calls it. Help texts are plain: they end up in logs and pipes, and their examples
must be copied as they stand.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

import mdapp
from mdapp import startup
from mdapp.cli.command import run_command

COMMANDS = {
    "run": ("mdapp.cli.run", "Run a deck (TOML) or a LAMMPS script."),
    "eval": ("mdapp.cli.eval", "Energy, forces and stress of one structure."),
    "plot": ("mdapp.cli.plot", "Pictures and a page of a run, from its folder."),
    "fit": ("mdapp.cli.fit", "Fit a NEP or a Deep Potential to energies and forces."),
    "stress": ("mdapp.cli.stress", "Stress a file system, alone and beside a run."),
    "validate": ("mdapp.cli.validate", "Check an implementation of a potential."),
    "potentials": ("mdapp.cli.potentials", "List the potentials and their keys."),
    "ckpt": ("mdapp.cli.ckpt", "List, inspect, verify, prune and repair checkpoints."),
    "scale": ("mdapp.cli.scale", "Measure how a deck scales: strong, weak, saturation; a page."),
    "plan": ("mdapp.cli.plan", "Predict step time, memory and checkpoints of a large run."),
    "deck": ("mdapp.cli.deck", "Check a deck, show it with its defaults, or print the schema."),
    "doctor": ("mdapp.cli.doctor", "Check MPI, HDF5, threads and packages of this machine."),
}


class LazyCommands(TyperGroup):
    """A group that knows its commands by name and loads one when it is called."""

    def __init__(self, **settings: Any) -> None:
        stubs = {name: TyperCommand(name, help=text) for name, (_, text) in COMMANDS.items()}
        super().__init__(**{**settings, "commands": stubs})

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Replace the stub that was found by the command itself."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else command, rest


def load_command(name: str) -> Any:
    """Import the module of a command and build it from its function, or from its sub-commands."""
    found = getattr(importlib.import_module(COMMANDS[name][0]), name)
    if isinstance(found, typer.Typer):
        return get_command(found)
    single = _plain_typer()
    single.command(name=name)(found)
    return get_command(single)


def _plain_typer(**settings: Any) -> typer.Typer:
    return typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **settings
    )


app = _plain_typer(cls=LazyCommands)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mdapp {mdapp.__version__}")
        raise typer.Exit


@app.callback()
def _mdapp(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Molecular dynamics for scaling studies, new potentials and storage.

    \b
    Examples:
      mdapp run examples/lj_melt/deck.toml
      mpirun -n 4 mdapp run in.lj --set run.precision=mixed
      mdapp doctor

    Exit codes: 0 done, 1 the answer is bad, 2 wrong use or bad input, 3 internal error.
    """  # noqa: D301 - the parser looks for a backspace character


def invoke(arguments: Sequence[str]) -> int:
    """Parse the arguments and run the command; errors are raised, not printed.

    Typer's own `main` would print them, once for each rank.
    """
    group = get_command(app)
    try:
        with group.make_context("mdapp", list(arguments) or ["--help"]) as context:
            return int(group.invoke(context) or 0)
    except typer.Exit as end:
        return end.exit_code


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the console script and of `python -m mdapp`."""
    startup.prepare(command=True)
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(run_command(lambda: invoke(given)))
