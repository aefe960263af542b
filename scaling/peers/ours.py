"""mdapp as one of the codes: a process of this interpreter, started and read like any other.

It runs the script of the problem unchanged and is judged by the JSON that every user can ask for.
"""

import json
import os
import sys
from pathlib import Path

import mdapp
from mdapp.parallel.launcher import mpirun_command
from scaling.peers.base import Job, Measured, Variant

REPORT = "report.json"
THERMO = ("step", "temp", "epair", "etotal", "press")
START = ("compile_s", "setup_s", "start_to_first_step_s")


class Mdapp:
    """The mdapp of this checkout or installation."""

    name = "mdapp"
    variants = tuple(
        Variant(precision, ("--set", f"run.precision={precision}"), double=precision == "double")
        for precision in ("double", "mixed", "single")
    )

    def environ(self) -> dict[str, str]:
        """One thread, and the same source tree whatever the folder."""
        root = str(Path(mdapp.__file__).parents[1])
        path = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
        return {
            "PYTHONPATH": os.pathsep.join(path),
            "NUMBA_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        }

    def command(self, variant: Variant, job: Job) -> list[str]:
        """`python -m mdapp run`, through mpirun for more than one rank."""
        sizes = [word for n, v in job.variables.items() for word in ("--var", f"{n}={v}")]
        settings = [word for s in job.problem.settings for word in ("--set", s)]
        return [
            *(launcher(job.ranks) if job.ranks > 1 else []),
            *(sys.executable, "-m", "mdapp", "run", job.script.name, *sizes, *settings),
            *(*variant.arguments, "--json", REPORT, "--out", "run"),
        ]

    def read(self, job: Job) -> Measured:
        """Read the report."""
        return read_report((job.folder / REPORT).read_text(encoding="utf-8"))

    def versions(self) -> dict[str, str]:
        """Nothing: the environment of the whole comparison names mdapp's version and commit."""
        return {}


def launcher(ranks: int) -> list[str]:
    """Build the mpirun of this environment, each rank bound to its core.

    Raises
    ------
    FileNotFoundError
        There is no mpirun.
    """
    beside = Path(sys.prefix, "bin", "mpirun")
    return [*mpirun_command(ranks, str(beside) if beside.exists() else None), "--bind-to", "core"]


def read_report(text: str) -> Measured:
    """Read the JSON of `mdapp run`.

    Raises
    ------
    ValueError
        It is not such a report; names what is missing.
    """
    report = json.loads(text)
    try:
        phases = {name: float(over["avg"]) for name, over in report["phases"].items()}
        return Measured(
            loop_s=float(report["loop_s"]),
            phases=phases,
            list_s=phases["neighbor"],
            builds=int(report["neighbor_builds"]),
            dangerous=report["dangerous_builds"],
            thermo=tuple({key: float(row[key]) for key in THERMO} for row in report["thermo"]),
            bytes_per_atom=float(report["bytes_per_atom"]),
            start={key: float(report[key]) for key in START if report.get(key) is not None},
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"the report of mdapp lacks {error}") from None
