"""`mdapp plot`: pictures and one page of a run, from the folder that it left.

One process draws; under mpirun that is the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mdapp.cli.output import check_json_target, text_stream, write_json
from mdapp.parallel.launcher import read_launch


def plot(
    path: Annotated[Path, typer.Argument(
        metavar="RUN", help="Folder of a run (--out), or the file of `mdapp run --json`.")],
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="DIR",
        help="Folder of the pictures; default RUN/plot, of a file NAME.plot.")] = None,
    html: Annotated[Path | None, typer.Option(
        "--html", metavar="FILE", help="Write the page here, too.")] = None,
    json_target: Annotated[str | None, typer.Option(
        "--json", metavar="FILE", help="Write the numbers as JSON (- for stdout).")] = None,
) -> int:
    """Draw a run: atoms, temperature, pressure, energies and their drift, phases, checkpoints.

    \b
    Examples:
      mdapp run examples/lj_melt/deck.toml --out melt && mdapp plot melt
      mdapp plot melt --out pictures --html melt.html
      mdapp plot report.json

    \b
    DIR gets report.html (one file that needs no network), a PNG a picture, a CSV a table,
    report.json and report.txt.  A run that goes on, or was killed, can be drawn as well.

    Exit codes: 0 done, 2 there is nothing of a run.
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept as they are
    if read_launch().size == 1:
        pictures(path, out, html, json_target)
        return 0
    from mdapp.parallel.agree import agree
    from mdapp.parallel.world import world

    comm = world()                             # to read a checkpoint takes MPI, which all start
    with agree(comm):
        if comm.rank == 0:
            pictures(path, out, html, json_target)
    return 0


def pictures(path: Path, out: Path | None, html: Path | None, json_target: str | None) -> None:
    """Draw a run and write all that there is to see of it."""
    from mdapp.plot.overview import overview
    from mdapp.plot.run_folder import read_run
    from mdapp.report.figures import png
    from mdapp.report.plain import as_json
    from mdapp.report.write import write, write_bytes

    check_json_target(json_target)
    run = read_run(path)
    report = overview(run)
    folder = out or (path / "plot" if path.is_dir() else Path(f"{path.stem}.plot"))
    written = write(report, folder, html=html)
    written += [write_bytes(folder / f"{p.name}.png", png(p)) for p in report.plots()]
    stream = text_stream(json_target)
    for line in (*report.summary, *(f"  {file}" for file in written)):
        print(line, file=stream)
    if json_target is not None:
        write_json(json_target, report.schema, report.version, as_json(report))
