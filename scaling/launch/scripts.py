"""A study as a job script: the same launches in the same order, for a batch system.

Templates lie in `scaling/templates`, one a system. A script asks for the nodes of the largest point
and runs all points in that allocation, nested subsets of the same nodes; it binds ranks, lets
`mdapp doctor` look at the largest layout first and ends if that is not fit to measure, and skips
launches whose results are there, so that it may be submitted again. What a site wants (account,
partition, modules) comes from a file of the user's and is never guessed.
"""

from __future__ import annotations

import math
import os
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from mdapp.deck.fields import Section
from mdapp.deck.loading import read_text
from mdapp.deck.messages import problem_lines
from mdapp.errors import InputError
from scaling.studies.point import Point
from scaling.studies.study import POINTS, answer_path, order_of

TEMPLATES = Path(__file__).parents[1] / "templates"
SYSTEMS = ("slurm", "pbs", "flux", "local")
DIRECTIVES = {"slurm": "#SBATCH ", "pbs": "#PBS ", "flux": "#flux: ", "local": "# "}
SUBMIT = {"slurm": ["sbatch"], "pbs": ["qsub"], "flux": ["flux", "batch"], "local": ["bash"]}
Lines = Annotated[tuple[str, ...], Field(strict=False)]


class Site(Section):
    """What a site's job scripts need."""

    header: Lines = ()
    """Options of the batch system, such as "--account=abc"."""
    setup: Lines = ()
    """Lines of shell before the first launch, such as "module load openmpi"."""
    python: str = ""
    """Command that starts Python there; default the one that wrote the script."""


@dataclass(frozen=True)
class Job:
    """How a study becomes a script.

    Attributes
    ----------
    system : slurm, pbs, flux or local
    folder : of the study; points lie in it
    ranks_per_node, walltime : of the largest point; hh:mm:ss
    """

    system: str
    folder: Path
    ranks_per_node: int
    walltime: str
    rounds: int
    seed: int
    site: Site


def read_site(path: Path | None) -> Site:
    """Read what a site needs; nothing without a file.

    Raises
    ------
    InputError
        No such file, or not of this form.
    """
    if path is None:
        return Site()
    try:
        return Site.model_validate(tomllib.loads(read_text(path, "site file")))
    except ValidationError as error:
        raise InputError("\n".join(problem_lines(error, Site, lambda key: f"{path}: "))) from None
    except ValueError as error:
        raise InputError(f"{path}: not valid TOML: {error}") from None


def minutes_of(walltime: str) -> int:
    """Minutes of hh:mm:ss, rounded up.

    Raises
    ------
    InputError
        It is not of this form.
    """
    parts = walltime.split(":")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise InputError(f"--time {walltime}: write it as hh:mm:ss")
    hours, minutes, seconds = map(int, parts)
    total = 60 * hours + minutes + math.ceil(seconds / 60)
    if not total:
        raise InputError(f"--time {walltime}: no time at all")
    return total


def script_of(points: Sequence[Point], job: Job) -> str:
    """Fill the template.

    Raises
    ------
    InputError
        The ranks of a node do not fit the points.
    """
    most = max(points, key=lambda p: p.ranks)
    threads = max(p.threads for p in points)
    template = (TEMPLATES / f"{job.system}.sh").read_text(encoding="utf-8")
    header = "\n".join(f"{DIRECTIVES[job.system]}{line}" for line in job.site.header)
    launches = "\n".join(
        _launch_line(point, job, number, place)
        for number in range(1, job.rounds + 1)
        for place, point in enumerate(order_of(points, number, job.seed)))
    doctor = _start(most, job, "-m mdapp doctor")
    return template.format(
        job=f"mdapp-{points[0].study}", nodes=_nodes(most, job), threads=threads,
        ranks_per_node=job.ranks_per_node, cores_per_node=job.ranks_per_node * threads,
        walltime=job.walltime, minutes=minutes_of(job.walltime), header=header,
        setup="\n".join(job.site.setup), rounds=job.rounds,
        title=f"{points[0].study} study, {len(points)} points",
        folder=shlex.quote(str(job.folder.absolute())), body=_BODY.format(
            python=shlex.quote(job.site.python or sys.executable), doctor=doctor,
            launches=launches, folder=shlex.quote(str(job.folder.absolute()))),
    )  # fmt: skip


_BODY = """\
PYTHON={python}

{doctor}    # ends the job here if this allocation is not fit to measure

measure() {{   # measure KEY ANSWER NODES RANKS THREADS COMMAND...
  local key=$1 answer=$2; shift 2
  if grep -qsF '"key": "'"$key"'"' "$answer"; then echo "kept: $answer"; return; fi
  start "$@" --answer "$answer"
}}

{launches}

"$PYTHON" -m mdapp scale --collect {folder}
"""


def _nodes(point: Point, job: Job) -> int:
    return math.ceil(point.ranks / job.ranks_per_node)


def _start(point: Point, job: Job, arguments: str) -> str:
    return (f'start {_nodes(point, job)} {point.ranks} {point.threads} "$PYTHON" {arguments}')


def _launch_line(point: Point, job: Job, number: int, place: int) -> str:
    answer = answer_path(Path(), point, number)
    started = _start(point, job, f"-m mdapp scale point {POINTS}/{point.name}.toml "
                                 f"--round {number} --place {place}")
    return f"measure {point.key} {answer} {started.removeprefix('start ')}"


def write_script(points: Sequence[Point], job: Job) -> Path:
    """Write the script into the folder of the study; returns its path."""
    path = job.folder / f"study.{job.system}.sh"
    path.write_text(script_of(points, job), encoding="utf-8")
    path.chmod(0o755)
    return path


def submit(path: Path, system: str) -> str:
    """Hand a script to its batch system; returns what that said.

    Raises
    ------
    InputError
        The system's command is not there, or refused it.
    """
    command = [*SUBMIT[system], str(path)]
    if shutil.which(command[0]) is None:
        raise InputError(f"--submit: there is no {command[0]} here; submit {path} where it is")
    end = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    if end.returncode != 0:
        raise InputError(f"--submit: {command[0]} refused {path}: "
                         f"{(end.stderr or end.stdout).strip()}")
    return end.stdout.strip()
