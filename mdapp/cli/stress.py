"""`mdapp stress`: what a file system does to checkpoints, and checkpoints to a running simulation.

The three profiles are one command with three names. All ranks take part; rank 0 prints.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdapp.cli.output import check_json_target, text_stream
from mdapp.errors import InputError

if TYPE_CHECKING:
    from mpi4py import MPI

stress = typer.Typer(
    add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None,
    help="""Stress a file system as a simulation does, and verify every byte.

\b
Examples:
  mdapp stress smoke --dir /scratch/try
  mpirun -n 8 mdapp stress quick --dir /scratch/try --max-bytes 20GiB
  mpirun -n 8 mdapp stress interfere deck.toml --dir /scratch/try
  mdapp stress report monday tuesday
  mdapp stress clean /scratch/try

Exit codes: 0 all phases valid and verified, 1 other data came back than were written, 2 wrong use,
3 internal error, 4 I/O error, 8 finished but a phase is invalid, 130 interrupted.
""",
)  # fmt: skip

UNITS = {"": 1, "b": 1, "k": 1000, "m": 10**6, "g": 10**9, "t": 10**12,
         "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40}

Dir = Annotated[Path, typer.Option("--dir", metavar="D", help="Folder to stress: empty, new, or "
                                   "used by mdapp stress before.")]
Out = Annotated[Path | None, typer.Option(
    "--out", metavar="R", help="Folder of the report; default stress-DATE.")]
Phases = Annotated[list[str] | None, typer.Option(
    "--phases", metavar="A,B", help="Only these, and those whose files they need; repeatable.")]
Apis = Annotated[list[str] | None, typer.Option(
    "--api", metavar="A,B", help="posix, h5py, mpio-independent, mpio-collective; default all.")]
MaxBytes = Annotated[str | None, typer.Option(
    "--max-bytes", metavar="N", help="Most bytes at a time, as 64GiB; default a tenth of the free "
    "space, and at most 1GiB (smoke) or 64GiB.")]
Files = Annotated[int | None, typer.Option(
    "--files", min=1, help="Most files of each rank in a metadata phase.")]
Deadline = Annotated[float | None, typer.Option(
    "--deadline", metavar="S", min=0.0, help="Seconds of a writing phase: 2, 30 or 300.")]
Repeats = Annotated[int | None, typer.Option(
    "--repeats", min=1, help="Passes through all phases: 1, 3 or 1.")]
MinFree = Annotated[float, typer.Option(
    "--min-free", min=0.0, max=0.99, help="Share of the file system that stays free.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave the data (mdapp stress clean D).")]
AllowTmpfs = Annotated[bool, typer.Option(
    "--allow-tmpfs", help="Also in memory, where no storage is measured.")]
Fio = Annotated[bool, typer.Option(
    "--fio", help="Compare the easy write with fio's, in interleaved rounds.")]
Json = Annotated[str | None, typer.Option(
    "--json", metavar="FILE", help="Also write the JSON here (- for stdout).")]


def _profile(name: str, text: str) -> None:
    """Make the command of a profile."""
    def command(
        directory: Dir, out: Out = None, phases: Phases = None, apis: Apis = None,
        max_bytes: MaxBytes = None, files: Files = None, deadline: Deadline = None,
        repeats: Repeats = None, min_free: MinFree = 0.2, keep: Keep = False,
        allow_tmpfs: AllowTmpfs = False, fio: Fio = False,
        json_target: Json = None,
    ) -> int:  # fmt: skip
        return run_and_report(
            name, directory, out, json_target, keep=keep, allow_memory=allow_tmpfs, beside_fio=fio,
            phases=listed(phases), apis=listed(apis),
            max_bytes=None if max_bytes is None else number_of_bytes(max_bytes), files=files,
            deadline_s=deadline, repeats=repeats, min_free=min_free)  # fmt: skip

    command.__doc__ = text
    stress.command(name)(command)


_profile("smoke", "Every phase for two seconds: correctness, in a minute.")
_profile("quick", "Every phase for half a minute, three times: for tuning.")
_profile("full", "Every phase for five minutes: numbers to compare, and the combined figure.\n\n"
                 "Disturbs others on shared storage: choose the hour, or --max-bytes.")


def run_and_report(profile: str, directory: Path, out: Path | None, json_target: str | None,
                   **wishes: Any) -> int:
    """Run a profile on all ranks, and let rank 0 report."""
    from mdapp.parallel.world import world
    from mdapp.stress.session import run_profile
    from mdapp.stress.summary import body_of

    comm = world()
    stream = text_stream(json_target)
    prepare(comm, out, directory, json_target)
    session = run_profile(comm, profile, directory,
                          tell=lambda line: print(line, file=stream, flush=True), **wishes)
    conclude(comm, [body_of(session)], out, json_target)
    return session.exit_code


def prepare(comm: MPI.Intracomm, out: Path | None, directory: Path,
            json_target: str | None) -> None:
    """Find out before a long run whether its report can be written."""
    from mdapp.parallel.agree import agree

    with agree(comm):
        if comm.rank == 0:
            check_json_target(json_target)
            check_out(out, directory)


def conclude(comm: MPI.Intracomm, bodies: list[dict[str, Any]], out: Path | None,
             json_target: str | None) -> None:
    """Let rank 0 report."""
    from mdapp.parallel.agree import agree

    with agree(comm):
        if comm.rank == 0:
            show(bodies, out, json_target)


def show(bodies: list[dict[str, Any]], out: Path | None, json_target: str | None,
         html: Path | None = None) -> None:
    """Write the report of runs, and print it."""
    from mdapp.report.plain import finite, json_text
    from mdapp.report.text import text
    from mdapp.report.write import write
    from mdapp.stress.page import brief, report_of

    report = report_of([finite(body) for body in bodies])
    folder = out or Path(time.strftime("stress-%Y%m%d-%H%M%S"))
    stream = text_stream(json_target)
    print(text(brief(report)), file=stream, flush=True)
    copy = Path(json_target) if json_target not in (None, "-") else None
    paths = write(report, folder, html=html, json=copy)
    if json_target == "-":
        print(json_text(report), end="")
    page = next(p for p in paths if p.suffix == ".html")
    print(f"report: {page}", file=stream, flush=True)


def check_out(out: Path | None, directory: Path) -> None:
    """Refuse a report that would lie in what is stressed."""
    if out is not None and out.resolve().is_relative_to(directory.resolve()):
        raise InputError(f"--out {out}: lies in --dir {directory}; put the report elsewhere")


def listed(texts: list[str] | None) -> tuple[str, ...]:
    """Items of a repeatable option with commas."""
    return tuple(item.strip() for text in texts or () for item in text.split(",") if item.strip())


def number_of_bytes(text: str) -> int:
    """`64GiB`, `500MB`, `1e9`.

    Raises
    ------
    InputError
        It is no such thing, or not positive.
    """
    lower = text.strip().lower().removesuffix("b")
    digits = lower.rstrip("kmgti")
    try:
        number = float(digits) * UNITS[lower[len(digits):]]
    except (ValueError, KeyError):
        number = 0.0
    if not 1 <= number < 1 << 63:
        raise InputError(f"--max-bytes {text}: write a number of bytes, such as 64GiB or 500MB")
    return int(number)


@stress.command("clean")
def clean(
    directory: Annotated[Path, typer.Argument(metavar="D", help="Folder that was stressed.")],
) -> int:
    """Remove what runs left in a folder: after --keep, or after a kill -9."""
    from mdapp.parallel.world import world
    from mdapp.stress import folder
    from mdapp.stress.meeting import Meeting

    comm = world()
    names = Meeting(comm).on_root(lambda: folder.clean(directory))
    if comm.rank == 0:
        print(f"{directory}: removed {len(names)} runs")
    return 0


@stress.command("interfere")
def interfere(
    deck: Annotated[Path, typer.Argument(
        metavar="DECK", help="A deck (TOML) or a LAMMPS script; its [checkpoint] says how "
        "checkpoints are written.")],
    directory: Dir, out: Out = None,
    overrides: Annotated[list[str] | None, typer.Option(
        "--set", metavar="KEY=VALUE", help="Change a value of the deck; repeatable.")] = None,
    load: Annotated[list[float] | None, typer.Option(
        "--load", help="Share of the interval that writing takes; repeatable; 0.5.")] = None,
    every: Annotated[int, typer.Option(
        "--every", min=0, help="Steps between checkpoints, instead of --load.")] = 0,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Rounds of A B A C A D.")] = 5,
    checkpoints: Annotated[int, typer.Option(
        "--checkpoints", help="Of each run, at least 5.")] = 5,
    min_free: MinFree = 0.2, keep: Keep = False, allow_tmpfs: AllowTmpfs = False,
    json_target: Json = None,
) -> int:  # fmt: skip
    """Run a deck with and without checkpoints: what one costs the other.

    \b
    Runs A without checkpoints, B waiting for them, C with them beside it, D the checkpoints alone,
    and tells the overlap efficiency: 1 if a checkpoint beside the run is free, 0 if nothing is
    gained. A load of 0.9 or more shows back-pressure.
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept
    from mdapp.cli.inputs import load_input
    from mdapp.parallel.world import world
    from mdapp.stress.interference import run_interference

    comm = world()
    stream = text_stream(json_target)
    prepare(comm, out, directory, json_target)
    body = run_interference(
        comm, lambda: load_input(deck, overrides or ()), directory, loads=load or [0.5],
        rounds=rounds, count=checkpoints, every=every, keep=keep, allow_memory=allow_tmpfs,
        min_free=min_free, tell=lambda line: print(line, file=stream, flush=True))  # fmt: skip
    conclude(comm, [body], out, json_target)
    return int(body["exit_code"])


@stress.command("report")
def report(
    runs: Annotated[list[Path], typer.Argument(
        metavar="R...", help="Folders of reports, or their report.json.")],
    out: Out = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="F", help="The page here.")] = None,
    json_target: Json = None,
) -> int:
    """Put several runs on one page, and compare their rates."""
    from mdapp.stress.stored import read_runs

    check_json_target(json_target)
    bodies = read_runs(runs)
    show(bodies, out, json_target, html)
    return 0
