"""`mdapp doctor`: is this machine, or this allocation, fit to run and to be measured?

Under mpirun it looks at all ranks: the masks and the thread counts of a node are judged together.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

import mdapp
from mdapp.cli.output import text_stream, write_json
from mdapp.diagnosis import gemm, machine, mpi, packages, pingpong
from mdapp.diagnosis.probes import probe_storage
from mdapp.diagnosis.verdict import Verdict
from mdapp.errors import InputError
from mdapp.parallel.launcher import Launch, read_launch


def doctor(
    json_target: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the verdicts as JSON (- for stdout)."),
    ] = None,
    products: Annotated[
        bool,
        typer.Option("--gemm", help="Measure matrix products as well, all ranks at once."),
    ] = False,
    messages: Annotated[
        bool,
        typer.Option("--pingpong", help="Measure messages between ranks as well, 0 B to 4 MiB."),
    ] = False,
) -> int:
    """Check MPI, HDF5, threads and packages: a verdict and a fix for each.

    \b
    Examples:
      mdapp doctor
      mdapp doctor --json doctor.json
      mdapp doctor --gemm
      mpirun -n 4 mdapp doctor
      mpirun -n 2 mdapp doctor --pingpong --json pingpong.json

    Exit code 1 if any line is bad. Warnings do not count.
    """  # noqa: D301 - the parser looks for a backspace character
    launch = read_launch()
    reports, started = _start(launch)
    measured = _gather(gemm.measure()) if products else []
    exchanged = _exchange() if messages else {}
    if launch.rank != 0:
        return _share_code(None)
    verdicts = [*_software(), *_hardware(reports), *started, *_parallel(launch, started)]
    verdicts += gemm.verdicts(measured) if measured else ()
    verdicts += pingpong.verdicts(exchanged) if exchanged else ()
    code = int(any(v.status == "bad" for v in verdicts))
    lines = [*(gemm.table_lines(measured) if measured else ()),
             *(pingpong.table_lines(exchanged) if exchanged else ())]
    _show(verdicts, lines, json_target)
    if json_target is not None:
        body = {
            "mdapp": mdapp.__version__,
            "host": os.uname().nodename,
            "ok": code == 0,
            "items": [vars(v) for v in verdicts],
            "ranks": [report.as_json() for report in reports],
        }
        if measured:
            body["gemm"] = gemm.as_json(measured)
        if exchanged:
            body["pingpong"] = exchanged
        write_json(json_target, "mdapp.doctor", 1, body)
    return _share_code(code)


def _start(launch: Launch) -> tuple[list[machine.RankReport], list[Verdict]]:
    """Start MPI and gather what each rank sees; where MPI fails, only this process counts."""
    from mdapp.parallel.world import world

    try:
        comm = world()
    except InputError as error:
        return [machine.rank_report(launch)], [Verdict("mpi", "bad", str(error))]
    from mpi4py import MPI

    from mdapp.parallel.libraries import library_title

    version = library_title(MPI.Get_library_version())
    reports = comm.gather(machine.rank_report(launch)) or []
    return reports, [mpi.check_world(launch, comm.size, version)]


def _exchange() -> dict[str, Any]:
    """What messages cost; refused without ranks to send them to."""
    from mdapp.cli.command import started_world

    comm = started_world()
    if comm is None:
        raise InputError("--pingpong: MPI does not start; see `mdapp doctor`")
    return pingpong.measure(comm)


def _gather(measured: gemm.Measured) -> list[gemm.Measured]:
    """What all ranks have measured, on the first; of this one where MPI has not started."""
    from mdapp.cli.command import started_world

    comm = started_world()
    return [measured] if comm is None else comm.gather(measured) or []


def _share_code(code: int | None) -> int:
    """Give all ranks the exit code of the first: a launcher reports any one of them."""
    from mdapp.cli.command import started_world

    comm = started_world()
    if comm is None:
        return code or 0
    return int(comm.bcast(code))


def _software() -> Iterator[Verdict]:
    yield packages.check_python()
    yield from packages.check_packages()
    yield packages.check_clash()
    yield from packages.check_extras()
    yield packages.check_blas()


def _hardware(reports: Sequence[machine.RankReport]) -> Iterator[Verdict]:
    yield machine.check_cpu()
    yield from machine.check_affinity(reports)
    yield machine.check_threads(reports)
    yield from machine.check_cpu_limit(len(reports[0].cpus.mask))
    yield machine.check_cache()


def _parallel(launch: Launch, started: Sequence[Verdict]) -> Iterator[Verdict]:
    if all(v.status == "ok" for v in started):
        yield from mpi.check_launcher(launch)
    answer, failure = probe_storage()
    if answer is None:
        fix = "reinstall h5py for the MPI of mpi4py, or take the serial wheel"
        yield Verdict("hdf5", "bad", failure, fix)
        return
    yield mpi.check_mpi_io(answer)
    yield mpi.check_hdf5(answer)


def _show(verdicts: Sequence[Verdict], lines: Sequence[str], json_target: str | None) -> None:
    """Print a table on a terminal, one plain line for each item elsewhere; `lines` before it."""
    stream = text_stream(json_target)
    for line in lines:
        print(line, file=stream)
    if stream.isatty():
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table("", "item", "found", box=None, pad_edge=False)
        styles = {"ok": "green", "warn": "yellow", "bad": "bold red"}
        for v in verdicts:
            found = Text.assemble(v.text, (f"\n-> {v.fix}" if v.fix else "", styles[v.status]))
            table.add_row(Text(v.status, styles[v.status]), Text(v.item, no_wrap=True), found)
        Console(file=stream).print(table)
    else:
        for v in verdicts:
            fix = f"  -> {v.fix}" if v.fix else ""
            print(f"{v.status:<5} {v.item:<13} {v.text}{fix}", file=stream)
    counts = {status: sum(v.status == status for v in verdicts) for status in ("bad", "warn")}
    print(f"doctor: {counts['bad']} bad, {counts['warn']} warnings", file=stream)
    sys.stdout.flush()
