"""`python -m scaling.peers NAME`: the command line of the comparison."""

import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from typer.main import get_command

from mdapp.cli.command import run_command
from mdapp.cli.output import text_stream, write_json
from mdapp.errors import InputError
from mdapp.perf.environment import Environment, read_environment
from scaling.peers import codes, problems, tables
from scaling.peers.base import Code, Problem
from scaling.peers.ours import Mdapp
from scaling.peers.registry import (
    ALL,
    files_of,
    names,
    peer_named,
    problems_named,
    runnable,
)
from scaling.peers.runner import Runner
from scaling.peers.start import Start, measure_starts
from scaling.peers.study import Outcome, Plan, compare, points_of
from scaling.peers.summary import Figures, efficiencies, figures, flatness
from scaling.peers.venv import ensure_venv

SCHEMA, VERSION = "mdapp.peers", 1


@dataclass(frozen=True)
class Report:
    """Where the answer goes: text for people, a file for machines, and what stands at its head."""

    json_target: str | None
    head: dict[str, Any]

    def line(self, text: str) -> None:
        """Print a line for people."""
        print(text, file=text_stream(self.json_target), flush=True)

    def table(self, table: tables.Table) -> None:
        """Print a table for people, under an empty line."""
        self.line("")
        tables.show(table, text_stream(self.json_target))

    def write(self, **body: Any) -> None:
        """Write the JSON, if it was asked for."""
        if self.json_target is not None:
            write_json(self.json_target, SCHEMA, VERSION, {**self.head, **body})


def peers(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"Code: {', '.join(names(codes))}.")],
    problem: Annotated[
        str,
        typer.Option(
            "--problem", help=f"Input: {', '.join(names(problems))}; or {ALL}. Default the peer's."
        ),
    ] = "",
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", help="lammps-opt, or mdapp for all of a code; repeatable."),
    ] = None,
    sizes: Annotated[
        str, typer.Option("--sizes", metavar="N,N,...", help="Atoms; default the problem's.")
    ] = "",
    ranks: Annotated[
        str, typer.Option("--ranks", metavar="N,N,...", help="Ranks, each on a core.")
    ] = "1",
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Repeats of every point.")] = 5,
    steps: Annotated[
        int, typer.Option("--steps", min=0, help="Steps; 0: enough for two seconds.")
    ] = 0,
    core: Annotated[
        int | None, typer.Option("--core", help="Cpu to pin to; default the last allowed.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the order and the bootstrap.")] = 1,
    startup: Annotated[
        bool, typer.Option("--startup", help="Measure cold and warm starts of mdapp instead.")
    ] = False,
    venv: Annotated[
        Path | None, typer.Option("--venv", metavar="DIR", help="Default .venv-peers/NAME.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Keep scripts and logs here.")
    ] = None,
    limit: Annotated[float, typer.Option("--limit", help="Seconds allowed for one run.")] = 1800.0,
    json_target: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write figures and raw rounds.")
    ] = None,
) -> int:
    """Compare mdapp with another code: same input, same core, interleaved.

    \b
    Examples:
      python -m scaling.peers lammps
      python -m scaling.peers lammps --ranks 1,2 --variant lammps-opt --variant mdapp-double
      python -m scaling.peers lammps --sizes 32000,256000,4000000 --variant mdapp-double
      python -m scaling.peers lammps --problem all --json figures.json
      python -m scaling.peers lammps --startup --json start.json
      python -m scaling.peers nep_cpu
      python -m scaling.peers deepmd

    Exit code 1 if the codes did not compute the same physics; then no speeds are compared.
    """  # noqa: D301  (\b is the character that keeps the examples on their lines)
    folder = (venv or Path(".venv-peers", name)).absolute()
    peer, ours = peer_named(name)(folder), Mdapp()
    problem = problem or peer.problem
    tasks, environment = problems_named(problem), read_environment()
    several = problem == ALL
    chosen = variant or (["mdapp-double"] if startup else [])
    if several and (sizes or startup):
        raise InputError("--problem all: sizes and starts are of one problem; name it")
    tasks, skipped = runnable(tasks, peer)
    rank_counts = integers("--ranks", ranks, most=len(environment.cores))
    codes_used: list[Code] = [ours] if startup else [peer, ours]
    points = {}
    for task in tasks:
        atom_counts = integers("--sizes", sizes or str(task.atoms))
        for atoms in atom_counts:
            task.variables(atoms, task.steps)
        points[task.name] = points_of(task, codes_used, chosen, atom_counts, rank_counts)
    core = environment.cores[-1] if core is None else core
    if core not in environment.cores:
        allowed = ", ".join(map(str, environment.cores))
        raise InputError(f"--core {core}: this process may use {allowed}")

    versions = {}
    if any(point.code is peer for some in points.values() for point in some):
        ensure_venv(folder, peer.requirements, peer.built)
        versions = peer.versions()
    named = filter(None, os.environ.get("LAMMPS_POTENTIALS", "").split(os.pathsep))
    files = {t.name: files_of(t, [peer.potentials(), *map(Path, named)]) for t in tasks}
    report = Report(json_target, _head(name, problem, environment, versions, core, seed))
    _print_head(report, name, environment, versions, core)
    for text in skipped:
        report.line(f"skipped  {text}")
    shown: list[Shown] = []
    with ExitStack() as stack:
        place = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mdapp-peers-")))
        for task in tasks:
            inside = place.absolute() / (task.name if several else "")
            runner = Runner(task, inside, core, limit, report.line, files[task.name])
            if startup:
                starts = [s for p in points[task.name] for s in measure_starts(runner, p, rounds)]
                return _show_starts(report, starts)
            if several:
                report.line(f"\n{task.name}: {task.title}")
            outcome = compare(task, Plan(points[task.name], rounds, seed, steps), runner)
            shown.append(_show(report, task, outcome, seed))
    if several:
        rows = [(s.problem, s.figures) for s in shown if s.figures]
        if rows:
            report.table(tables.goal_table(rows))
        bodies = [{"problem": s.problem.name, **s.body} for s in shown]
        report.write(problems=bodies, skipped=skipped)
    else:
        report.write(**shown[0].body)
    return max(s.code for s in shown)


def integers(option: str, text: str, most: int | None = None) -> list[int]:
    """Read a list like `1,2,4`: positive, rising, none twice, none above `most`.

    Raises
    ------
    InputError
        Names the option, its value and what is allowed.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise InputError(f"{option} {text}: write positive numbers with commas between, as 1,2,4")
    values = sorted({int(word) for word in words})
    if most is not None and values[-1] > most:
        raise InputError(
            f"{option} {text}: each rank needs a core, and this process may use {most}"
        )
    return values


def _head(
    name: str,
    problem: str,
    environment: Environment,
    versions: dict[str, str],
    core: int,
    seed: int,
) -> dict[str, Any]:
    where = {"environment": environment.as_json(), "core": core, "seed": seed}
    return {"peer": name, "peer_versions": versions, "problem": problem, **where}


def _print_head(
    report: Report, name: str, environment: Environment, versions: dict[str, str], core: int
) -> None:
    for line in environment.lines():
        report.line(line)
    if versions:
        report.line(f"{name:<8} {'; '.join(versions.values())}")
    report.line(f"pinned   to cpu {core}, one process at a time")
    if environment.busy:
        report.line(
            f"! load average {environment.load:.2f} on {len(environment.cores)} cores: other "
            "programs are computing here; the figures will be poor"
        )


def _show_starts(report: Report, starts: Sequence[Start]) -> int:
    report.table(tables.start_table(starts))
    report.write(starts=[start.as_json() for start in starts])
    return 0


@dataclass(frozen=True)
class Shown:
    """What was printed about a problem: the exit code, the body of the JSON, and the figures."""

    problem: Problem
    code: int
    body: dict[str, Any]
    figures: Sequence[Figures]


def _show(report: Report, problem: Problem, outcome: Outcome, seed: int) -> Shown:
    """Print the figures, or why there are none."""
    raw = {
        "trial": [run.as_json() for run in outcome.trial],
        "raw": [run.as_json() for run in outcome.timed],
    }
    physics = {"agree": not outcome.differences, "differences": list(outcome.differences)}
    if outcome.differences:
        report.line("\nthe codes did not compute the same physics; their speeds are not compared:")
        for text in outcome.differences[:20]:
            report.line(f"  {text}")
        return Shown(problem, 1, {"physics": physics, **raw}, ())
    rows, gains = figures(outcome.timed, seed), efficiencies(outcome.timed, seed)
    costs = flatness(outcome.timed, seed)
    for table in tables.comparison(rows):
        report.table(table)
    if gains:
        report.table(tables.efficiency_table(gains))
    if costs:
        report.table(tables.flatness_table(costs))
    report.line("\nphysics: the same in all runs (first and last thermo rows, list builds)")
    for text in tables.remarks(rows):
        report.line(text)
    body = {
        "physics": physics,
        "points": [row.as_json() for row in rows],
        "efficiency": [gain.as_json() for gain in gains],
        "flatness": [cost.as_json() for cost in costs],
        **raw,
    }
    return Shown(problem, 0, body, rows)


def invoke(arguments: Sequence[str]) -> int:
    """Parse the arguments and run the command; errors are raised, not printed."""
    single = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
    )
    single.command(name="peers")(peers)
    command = get_command(single)
    try:
        given = list(arguments) or ["--help"]
        with command.make_context("python -m scaling.peers", given) as context:
            return int(command.invoke(context) or 0)
    except typer.Exit as end:
        return end.exit_code


def main() -> NoReturn:
    """Entry point."""
    sys.exit(run_command(lambda: invoke(sys.argv[1:])))


if __name__ == "__main__":
    main()
