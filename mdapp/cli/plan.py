"""`mdapp plan`: step time, memory and checkpoints of a run that is too large to try."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdapp.cli.options import JSONCopy, JUnitCopy, PageCopy, Pictures
from mdapp.errors import InputError


def plan(
    atoms: Annotated[str, typer.Option("--atoms", metavar="N", help="Atoms, such as 1e9.")],
    ranks: Annotated[
        str, typer.Option("--ranks", metavar="P,P,...", help="Ranks; the last is looked at most.")],
    potential: Annotated[
        str, typer.Option("--potential", metavar="SHORTHAND",
                          help="As of mdapp eval; with --from that of the study.")] = "",
    sources: Annotated[
        list[Path] | None,
        typer.Option("--from", metavar="REPORT.json",
                     help="A saturation study, and others to compare with; repeatable."),
    ] = None,
    machine: Annotated[
        Path | None, typer.Option("--machine", metavar="FILE",
                                  help="TOML with node, network, storage; default guesses."),
    ] = None,
    pingpong: Annotated[
        str, typer.Option("--pingpong", metavar="FILE|here",
                          help="JSON of mdapp doctor --pingpong; here: measure now.")] = "",
    density: Annotated[
        float | None, typer.Option("--density", help="Atoms a volume; default the study's."),
    ] = None,
    skin: Annotated[float | None, typer.Option("--skin", min=0, help="Of the lists.")] = None,
    timestep: Annotated[float | None, typer.Option("--timestep", help="tau or ps.")] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Of the run.")] = 1_000_000,
    imbalance: Annotated[
        float, typer.Option("--lambda", min=1.0, help="Slowest rank over the mean.")] = 1.05,
    asynchronous: Annotated[
        bool, typer.Option("--async", help="Memory for checkpoints beside the run.")] = False,
    layout_check: Annotated[
        bool, typer.Option("--layout-check",
                           help="Decompose for every rank; write a sparse file of full size.")
    ] = False,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Folder of the report.")] = Path("plan"),
    html: PageCopy = None,
    json_target: JSONCopy = None,
    junit: JUnitCopy = None,
    png: Pictures = False,
) -> int:
    """Predict a large run, with a band, what limits it, and every assumption.

    \b
    Examples:
      mdapp plan --atoms 1e9 --ranks 512,4096 --potential lj/cut:epsilon=1,sigma=1,rc=2.5
      mdapp plan --atoms 1e9 --ranks 4096 --from deck.scale/report.json --pingpong here
      mdapp plan --atoms 41470000000 --ranks 1048576 --from deck.scale/report.json --layout-check

    Exit codes: 0 done, 1 a check of the layout failed, 2 wrong use, or nothing can be predicted.
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept as they are
    from mdapp.cli.scale import refuse_launcher, tell
    from scaling.model.command import Request, make_plan
    from scaling.peers.__main__ import integers

    refuse_launcher("mdapp plan")
    for name, value in (("--density", density), ("--timestep", timestep)):
        if value is not None and value <= 0:
            raise InputError(f"{name} {value:g}: must be greater than 0")
    request = Request(atoms, potential, integers("--ranks", ranks), density, skin, timestep, steps,
                      imbalance, machine, tuple(sources or ()), pingpong, asynchronous,
                      layout_check, out)
    copies = {"html": html, "json": json_target, "junit": junit}
    return tell(make_plan(request), out, copies, png)
