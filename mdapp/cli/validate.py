"""`mdapp validate`: whether an implementation of a potential may be trusted in a parallel run.

The command is one process, also under a launcher, whose first process then does it all: checks
that need ranks start real runs by `mpirun` themselves, within time limits. Splitting the world
instead would let one rank that hangs or dies take all checks along.
"""

from __future__ import annotations

import datetime
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mdapp.cli.output import text_stream
from mdapp.errors import InputError
from mdapp.parallel.launcher import read_launch
from mdapp.report.document import Report

PRECISIONS = ("double", "mixed", "single", "bf16")


def validate(
    potential: Annotated[str | None, typer.Argument(
        metavar="POTENTIAL",
        help="STYLE:ARGUMENTS, python:FILE.py:NAME, ase:MODULE:CLASS, or a TOML file with a "
             "[potential] table.")] = None,
    level: Annotated[str, typer.Option(
        "--level", metavar="NAME", help="gate, parallel, standard or full.")] = "gate",
    check: Annotated[list[str] | None, typer.Option(
        "--check", metavar="2,14-17", help="These checks instead of those of a level.")] = None,
    skip: Annotated[list[str] | None, typer.Option(
        "--skip", metavar="21", help="Not these.")] = None,
    precision: Annotated[list[str] | None, typer.Option(
        "--precision", metavar="NAME",
        help="double, mixed, single or bf16, several with commas; default: double.")] = None,
    reference: Annotated[list[Path] | None, typer.Option(
        "--reference", metavar="SET",
        help="Frames with energies and forces: labelled data, or another code's numbers "
             "(extended XYZ).")] = None,
    ranks: Annotated[str, typer.Option(
        "--ranks", metavar="1,2,4", help="Numbers of ranks of real runs.")] = "1,2,3,4,6,8",
    deterministic: Annotated[bool, typer.Option(
        "--deterministic", help="Real runs must have the same bits on any number of ranks."
    )] = False,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of all random numbers.")] = 13,
    strict: Annotated[bool, typer.Option(
        "--strict", help="Warnings, and declared failures that pass, fail too.")] = False,
    keep_going: Annotated[bool, typer.Option(
        "--keep-going", help="Dynamics also after a failed mandatory check.")] = False,
    time_limit: Annotated[float | None, typer.Option(
        "--time-limit", metavar="S", help="Seconds that each check may take.")] = None,
    species: Annotated[str, typer.Option(
        "--species", metavar="A,B", help="Names of the types, where the potential has none."
    )] = "",
    charges: Annotated[str, typer.Option(
        "--charges", metavar="Q,Q", help="Charges of the types; default: 1 and -1 in turn.")] = "",
    units: Annotated[str | None, typer.Option(
        "--units", metavar="NAME", help="lj or metal, where the potential does not say.")] = None,
    out: Annotated[Path | None, typer.Option(
        "--out", metavar="DIR", help="Folder for page, tables and the worst structures.")] = None,
    force: Annotated[bool, typer.Option(
        "--force", help="Write into a folder that has an older validation.")] = False,
    json_target: Annotated[Path | None, typer.Option(
        "--json", metavar="FILE", help="A copy of the JSON here.")] = None,
    junit: Annotated[Path | None, typer.Option(
        "--junit", metavar="FILE", help="A copy of the JUnit file here.")] = None,
    html: Annotated[Path | None, typer.Option(
        "--html", metavar="FILE", help="A copy of the page here.")] = None,
    compare: Annotated[Path | None, typer.Option(
        "--compare", metavar="OLD.json",
        help="Say what has changed since; exit 1 if a mandatory or consistency check got worse."
    )] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the checks and end.")] = False,
) -> int:
    """Check an implementation: forces, virial, symmetries, ranks, restarts, dynamics.

    \b
    Examples:
      mdapp validate lj/cut:epsilon=1,sigma=1,rc=2.5
      mdapp validate python:mine.py:mine:depth=1,rc=6 --level standard --out mine.validate
      mdapp validate nep.toml --reference test.extxyz --check 24-26 --precision double,mixed

    \b
    Exit codes: 0 no mandatory or consistency check failed, 1 one failed, 2 wrong use,
    3 a check itself broke.
    """  # noqa: D301 - the parser looks for a backspace character, where lines are kept as they are
    from mdapp.validate.choosing import chosen_checks, listed

    if read_launch().rank != 0:
        return 0
    if listing:
        print("\n".join(listed()))
        return 0
    if potential is None:
        raise InputError("POTENTIAL: missing; such as lj/cut:epsilon=1,sigma=1,rc=2.5")
    specs = chosen_checks(level, check or [], skip or [], bool(reference))
    precisions = named_precisions(precision or ["double"])
    counts = rank_counts(ranks)
    if out is not None:
        make_folder(out, force)
    for path in reference or []:
        if not path.is_file():
            raise InputError(f"--reference {path}: there is no such file")
    old = None if compare is None else read_old(compare)
    stream = text_stream("-" if str(json_target) == "-" else None)
    with tempfile.TemporaryDirectory(prefix="mdapp-validate-") as folder:
        report, code, outcomes = study(
            potential, specs, precisions, counts, Path(folder), level if not check else "custom",
            seed=seed, strict=strict, keep_going=keep_going, time_limit=time_limit,
            deterministic=deterministic, references=tuple(reference or ()),
            species=tuple(filter(None, species.split(","))), charges=numbers(charges),
            units=units, out=out, stream=stream)
    finish(report, out, json_target, junit, html, stream)
    if old is not None:
        from mdapp.validate.compare import changes

        lines, worse = changes(old, outcomes)
        print("\n".join(lines), file=stream)
        code = max(code, int(worse)) if code != 3 else code
    return code


def study(potential: str, specs: list[Any], precisions: list[str], counts: tuple[int, ...],
          folder: Path, level: str, *, stream: Any, seed: int, strict: bool, keep_going: bool,
          time_limit: float | None, deterministic: bool, references: tuple[Path, ...],
          species: tuple[str, ...], charges: tuple[float, ...], units: str | None,
          out: Path | None) -> tuple[Report, int, list[Any]]:
    """Run the checks in workers, telling each verdict as it comes."""
    from mdapp.validate.results import exit_code, report_of, run_facts
    from mdapp.validate.worker import run_apart
    from mdapp.validate.worst import save_worst

    def make() -> Any:
        from mdapp.validate.bench import Bench
        from mdapp.validate.subject import read_subject

        subject = read_subject(potential, species=species, charges=charges, units=units)
        return Bench(subject, level, seed, counts, folder, references, deterministic)

    started = datetime.datetime.now().astimezone()
    began = time.perf_counter()
    tasks = [(spec, p) for spec in specs for p in (
        ["double"] if spec.double else precisions if spec.function else precisions[:1])]
    answers = run_apart(make, lambda bench: bench.subject.as_json(), tasks, keep_going,
                        time_limit)
    subject = next(answers)
    print(f"mdapp: validate {potential}: {', '.join(subject['species'])}; "
          f"{len(tasks)} checks, level {level}, seed {seed}", file=stream, flush=True)
    compile_seconds = next(answers)
    outcomes = []
    for outcome in answers:
        if out is not None:
            save_worst(outcome, out)
        outcomes.append(outcome)
        print(line_of(outcome), file=stream, flush=True)
    code = exit_code(outcomes, strict)
    run = run_facts(level, seed, counts, time.perf_counter() - began, compile_seconds,
                    deterministic, started)
    return report_of(subject, outcomes, run, code), code, outcomes


def line_of(outcome: Any) -> str:
    """A verdict while it is fresh."""
    m = outcome.decisive
    value = "" if m is None or m.value is None else f"{m.value:9.2e} of {m.threshold:.1e}"
    grade = f"{outcome.grade or '-'}"
    text = outcome.message or outcome.spec.title
    return (f"  {outcome.status:12} {outcome.name:28} {grade:1}  {value:20} "
            f"{outcome.seconds:6.1f} s  {text}")


def finish(report: Report, out: Path | None, json_target: Path | None, junit: Path | None,
           html: Path | None, stream: Any) -> None:
    """Write what was asked for."""
    from mdapp.report.write import write

    print("\n".join(["", *report.summary]), file=stream)
    with tempfile.TemporaryDirectory(prefix="mdapp-validate-") as nowhere:
        if out is not None or any((json_target, junit, html)):
            files = write(report, out or Path(nowhere), html=html, json=json_target, junit=junit)
            shown = [str(f) for f in files if out is None or f.parent != out]
            page = [str(out / "report.html")] if out is not None else []
            print(f"written: {', '.join([*page, *(f for f in shown if nowhere not in f)])}",
                  file=stream)


def named_precisions(given: list[str]) -> list[str]:
    """Understand --precision."""
    names = [name for text in given for name in text.split(",")]
    for name in names:
        if name not in PRECISIONS:
            raise InputError(f"--precision {name}: must be one of {', '.join(PRECISIONS)}")
    return list(dict.fromkeys(names))


def rank_counts(text: str) -> tuple[int, ...]:
    """Understand --ranks."""
    try:
        counts = sorted({int(word) for word in text.split(",")})
    except ValueError:
        counts = [0]
    if not counts or counts[0] < 1 or counts[-1] > 1024:
        raise InputError(f"--ranks {text}: must be numbers from 1 to 1024 with commas between them")
    return tuple(counts)


def numbers(text: str) -> tuple[float, ...]:
    """Understand --charges."""
    try:
        return tuple(float(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise InputError(f"--charges {text}: must be numbers with commas between them") from None


def make_folder(out: Path, force: bool) -> None:
    """Make the folder for results, and see that no older ones are overwritten unasked."""
    if (out / "report.json").exists() and not force:
        raise InputError(f"--out {out}: has a validation already; choose another folder, or "
                         "--force to overwrite it")
    out.mkdir(parents=True, exist_ok=True)


def read_old(path: Path) -> dict[str, Any]:
    """The JSON of an earlier validation."""
    import json

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"--compare {path}: {error}") from None
    if not isinstance(found, dict) or found.get("schema") != "mdapp.validate":
        raise InputError(f"--compare {path}: is not the JSON of mdapp validate")
    return found


if __name__ == "__main__":
    sys.exit(validate())
