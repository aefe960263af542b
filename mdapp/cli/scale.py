"""`mdapp scale`: how a case scales on this machine, or job scripts that find out elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdapp.cli.options import JSONCopy, JUnitCopy, Overrides, PageCopy, Pictures, Variables
from mdapp.cli.output import text_stream
from mdapp.errors import InputError

if TYPE_CHECKING:
    from mdapp.report.document import Report

NOT_YET = ("imbalance", "checkpoint")
KNOWN = ("strong", "weak", "saturation", *NOT_YET, "point")


def scale(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="strong, weak or saturation; or point.")] = "",
    path: Annotated[
        Path | None,
        typer.Argument(metavar="INPUT", help="A deck or LAMMPS script; of point: POINT.toml."),
    ] = None,
    ranks: Annotated[
        str, typer.Option("--ranks", metavar="N,N,...",
                          help="Ranks; default 1, 2, 4, ... cores, of saturation 1.")] = "",
    threads: Annotated[
        str, typer.Option("--threads", metavar="N,N,...",
                          help="Threads of a rank; default the deck's.")] = "",
    atoms: Annotated[
        int | None, typer.Option("--atoms", min=1, help="strong: atoms in all, of a lattice."),
    ] = None,
    atoms_per_rank: Annotated[
        str, typer.Option("--atoms-per-rank", metavar="N,N,...",
                          help="weak: one number; saturation: the sizes.")] = "",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Repeats of every point.")] = 5,
    more_rounds: Annotated[
        int | None,
        typer.Option("--more-rounds", min=0,
                     help="Further rounds if a point varies by more than 5 %; default as many."),
    ] = None,
    steps: Annotated[
        str, typer.Option("--steps", metavar="N|auto",
                          help="Steps of a window; auto: two seconds, three builds.")] = "auto",
    warmup: Annotated[
        int | None, typer.Option("--warmup", min=0, help="Steps before it; default up to 100."),
    ] = None,
    overrides: Overrides = None,
    variables: Variables = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the order of points.")] = 1,
    oversubscribe: Annotated[
        bool, typer.Option("--oversubscribe", help="Allow more ranks than cores; marked.")] = False,
    no_gate: Annotated[
        bool, typer.Option("--no-gate", help="Do not validate the potential first.")] = False,
    peers: Annotated[
        str, typer.Option("--peers", metavar="lammps,...",
                          help="Run another code in the same rounds; a deck that is one of "
                               "scaling.peers' problems, or a LAMMPS script.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR",
                                  help="Folder of the study; default NAME.scale.")] = None,
    limit: Annotated[float, typer.Option("--limit", help="Seconds for one launch.")] = 1800.0,
    collected: Annotated[
        Path | None,
        typer.Option("--collect", metavar="DIR", help="Make the page of a folder's launches."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="OLD.json",
                     help="Compare with the report.json of an older study."),
    ] = None,
    max_slowdown: Annotated[
        str, typer.Option("--max-slowdown", metavar="X%",
                          help="Of a time against the baseline; default 10%.")] = "",
    emit: Annotated[
        str, typer.Option("--emit", metavar="slurm|pbs|flux|local",
                          help="Write a job script instead of running here.")] = "",
    submit: Annotated[bool, typer.Option("--submit", help="And submit it.")] = False,
    ranks_per_node: Annotated[
        int | None, typer.Option("--ranks-per-node", min=1, help="In a job script."),
    ] = None,
    walltime: Annotated[
        str, typer.Option("--time", metavar="hh:mm:ss", help="Of a job script.")] = "01:00:00",
    site: Annotated[
        Path | None,
        typer.Option("--site", metavar="FILE", help="TOML with header, setup, python of a script."),
    ] = None,
    html: PageCopy = None,
    json_target: JSONCopy = None,
    junit: JUnitCopy = None,
    png: Pictures = False,
    number: Annotated[int, typer.Option("--round", hidden=True)] = 1,
    place: Annotated[int, typer.Option("--place", hidden=True)] = 0,
    answer: Annotated[Path | None, typer.Option("--answer", hidden=True)] = None,
) -> int:
    """Measure how a case scales: launches through mpirun, medians, intervals, a page.

    \b
    Examples:
      mdapp scale strong examples/lj_melt/deck.toml --ranks 1,2
      mdapp scale saturation examples/lj_melt/deck.toml
      mdapp scale weak examples/lj_melt/deck.toml --atoms-per-rank 32000
      mdapp scale strong examples/lj_melt/in.lj --ranks 1,2 --peers lammps
      mdapp scale strong deck.toml --emit slurm --ranks 64,128 --ranks-per-node 64 --steps 1000
      mdapp scale --collect deck.scale --baseline old/report.json --max-slowdown 10%
      mpirun -n 2 mdapp scale point deck.scale/points/strong-n32000-r2-t1.toml

    A study that was interrupted goes on when the same command is given again.

    Exit codes: 0 done, 1 a verdict is FAIL, 2 wrong use or bad input, 3 internal error.
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept as they are
    copies = {"html": html, "json": json_target, "junit": junit}
    if max_slowdown and baseline is None:
        raise InputError("--max-slowdown: against what? Name an older study with --baseline")
    against = (baseline, max_slowdown or "10%")
    if collected is not None:
        if study:
            raise InputError(f"--collect {collected}: reads what is there, and runs no {study}")
        return show(collected, copies, against, png)
    check_study(study, path)
    assert path is not None
    if study == "point":
        return run_point(path, number, place, answer)
    refuse_launcher(f"mdapp scale {study}")
    from scaling.studies.command import Request, run_study

    request = Request(
        study=study, input=path, overrides=tuple(overrides or ()),
        variables=tuple(variables or ()), ranks=ranks, threads=threads, atoms=atoms,
        atoms_per_rank=atoms_per_rank, rounds=rounds,
        more_rounds=rounds if more_rounds is None else more_rounds, steps=steps, warmup=warmup,
        seed=seed, oversubscribe=oversubscribe, limit_s=limit, folder=out or default_folder(path),
        peers=peers, validate=not no_gate,
    )  # fmt: skip
    if emit:
        from scaling.studies.emit import Batch, emit_study

        batch = Batch(emit, ranks_per_node, walltime, site, submit)
        emit_study(request, batch, lambda line: print(line, flush=True))
        return 0
    if submit or site is not None or ranks_per_node is not None:
        raise InputError("--submit, --site and --ranks-per-node are for job scripts: say which "
                         "with --emit slurm|pbs|flux|local")
    try:
        run_study(request, lambda line: print(line, flush=True))
    except KeyboardInterrupt:
        print(f"\nstopped; what was measured is in {request.folder}: the same command goes on "
              f"from there, and `mdapp scale --collect {request.folder}` shows what there is",
              file=sys.stderr, flush=True)
        raise
    return show(request.folder, copies, against, png)


def check_study(study: str, path: Path | None) -> None:
    """Refuse a study that there is not, and one without its input."""
    from scaling.peers.registry import check_name

    if not study:
        raise InputError("which study? mdapp scale strong|weak|saturation INPUT, or --collect DIR "
                         "(see `mdapp scale --help`)")
    check_name("study", study, KNOWN)
    if study in NOT_YET:
        raise InputError(f"study {study}: not there yet; strong, weak and saturation are")
    if path is None:
        what = "the file of a point" if study == "point" else "a deck or a LAMMPS script"
        raise InputError(f"mdapp scale {study}: name {what}")


def refuse_launcher(command: str) -> None:
    """Refuse to be several processes, each of which would do the whole."""
    from mdapp.parallel.launcher import read_launch

    launch = read_launch()
    if launch.size > 1:
        raise InputError(f"{command}: was started as {launch.size} processes by {launch.launcher}; "
                         "start it alone: it starts its ranks itself")


def default_folder(path: Path) -> Path:
    """`melt.scale` for melt.toml and in.melt."""
    from mdapp.cli.run import default_folder as run_folder

    return run_folder(path).with_suffix(".scale")


def show(folder: Path, copies: dict[str, Path | None], against: tuple[Path | None, str],
         png: bool) -> int:
    """Make the report of a folder's launches, against a baseline if there is one.

    Returns
    -------
    int
        The exit code: 1 if a verdict is FAIL.
    """
    from scaling.studies.collect import collect
    from scaling.studies.gate import gate, limit_of, read_baseline
    from scaling.studies.page import report_of
    from scaling.studies.results import write_results

    launches = collect(folder)
    baseline, slowdown = against
    limit, old = limit_of(slowdown), read_baseline(baseline) if baseline else {}
    checks = gate(launches, old, limit) if baseline else []
    return tell(report_of(launches, checks), folder, copies, png,
                [write_results(launches, folder)])


def tell(report: Report, folder: Path, copies: dict[str, Path | None], png: bool,
         others: list[Path] | None = None) -> int:
    """Write a report into a folder, with `png` its pictures too, and print it.

    Returns
    -------
    int
        The exit code: 1 if a verdict is FAIL.
    """
    from mdapp.report import figures
    from mdapp.report.text import text
    from mdapp.report.write import write, write_bytes

    stream = text_stream(None)
    written = [*(others or ()), *write(report, folder, **copies)]
    if png:
        written += [write_bytes(folder / f"{p.name}.png", figures.png(p)) for p in report.plots()]
    print(text(report), file=stream)
    print(f"page: {folder / 'report.html'}   (and {', '.join(sorted(p.name for p in written))})",
          file=stream)
    return int(any(check.status == "FAIL" and check.fails for check in report.checks()))


def run_point(path: Path, number: int, place: int, answer: Path | None) -> int:
    """Measure one point on the ranks that were started, and write what it gave."""
    from mdapp.parallel.agree import agree
    from mdapp.parallel.world import world
    from scaling.studies.measure import measure
    from scaling.studies.point import read_point
    from scaling.studies.study import write_answer

    comm = world()
    with agree(comm):
        point = read_point(path)
        target = answer or path.with_name(f"{point.name}-{number}.json")
        if comm.rank == 0 and not target.parent.is_dir():
            raise InputError(f"--answer {target}: there is no folder {target.parent}")
    body = measure(point, path.parent, target.with_suffix(".run"), comm)
    with agree(comm):
        if comm.rank == 0:
            write_answer(target, point, (number, place), body)
            row = body["row"]
            print(f"{point.name}: {1e3 * row['s_per_step']:.4g} ms a step, "
                  f"{row['atom_steps_per_s'] / 1e6:.4g} million atom-steps/s -> {target}")
    return 0
