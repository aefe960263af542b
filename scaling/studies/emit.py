"""`mdapp scale --emit`: the study's points and a job script that measures them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mdapp.errors import InputError
from mdapp.perf.environment import read_environment
from scaling.launch.scripts import SYSTEMS, Job, read_site, submit, write_script
from scaling.peers.registry import check_name
from scaling.studies.command import Request, points_for
from scaling.studies.point import write_point
from scaling.studies.study import POINTS, make_folder


@dataclass(frozen=True)
class Batch:
    """What the command says about the batch system."""

    system: str
    ranks_per_node: int | None
    walltime: str
    site: Path | None
    submit: bool


def emit_study(request: Request, batch: Batch, tell: Callable[[str], None]) -> Path:
    """Write points and script; returns the script's path.

    Raises
    ------
    InputError
        The words do not allow it; `--submit` and the batch system refused.
    """
    check_name("--emit", batch.system, SYSTEMS)
    if not request.window:
        raise InputError("--steps auto: tries points on this machine, and the script is for "
                         "another: give a number, enough for a window of two seconds on the "
                         "largest number of ranks")
    if not request.ranks:
        raise InputError("--emit: name the ranks of the other machine, as --ranks 64,128,256")
    if request.oversubscribe:
        raise InputError("--oversubscribe: of studies on this machine; scripts bind every rank")
    if request.peers:
        raise InputError("--peers: of studies on this machine; job scripts run mdapp only")
    points = points_for(request, cores=1 << 62)
    warmup = 100 if request.warmup is None else request.warmup
    environment = read_environment()
    points = [p.model_copy(update={"warmup": warmup}).keyed(environment) for p in points]
    per_node = batch.ranks_per_node or max(p.ranks for p in points)
    site = read_site(batch.site)
    make_folder(request.folder)
    for point in points:
        write_point(point, request.folder / POINTS)
    job = Job(batch.system, request.folder, per_node, batch.walltime, request.rounds, request.seed,
              site)
    script = write_script(points, job)
    tell(f"{len(points)} points in {request.folder / POINTS}, {request.rounds} rounds: {script}")
    if batch.ranks_per_node is None and batch.system != "local":
        tell(f"all {per_node} ranks on one node; say otherwise with --ranks-per-node")
    if batch.submit:
        tell(submit(script, batch.system))
    else:
        tell(f"submit it yourself, or with --submit; then mdapp scale --collect {request.folder}")
    return script
