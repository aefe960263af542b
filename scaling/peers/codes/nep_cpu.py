"""NEP_CPU, the reference implementation of NEP on processors, from the calorine package.

It has no time loop of its own, so that nep_md.py holds one around it. The start, velocities
included, is the one that mdapp makes of the problem's script.
"""

import importlib.metadata
import json
from pathlib import Path

import numpy as np
from mpi4py import MPI

from mdapp.cli.inputs import load_input
from mdapp.initial import owned_atoms, set_velocities, source_of
from mdapp.model.units import UNITS
from mdapp.parallel.grid import RankGrid
from scaling.peers import nep_md
from scaling.peers.base import Job, Measured, Problem, Variant
from scaling.peers.nep_models import make_models

START, REPORT = "start.npz", "report.json"


class NepCpu:
    """The `calorine` package in a virtual environment; its extension is compiled there."""

    name = "nep_cpu"
    problem = "all"
    requirements = ("calorine==4.1", "ase==3.29.0")
    built = ("calorine",)
    variants = (Variant("calorine", (), double=True),)

    def __init__(self, venv: Path):
        self.venv = venv

    def runs(self, problem: Problem) -> bool:
        """NEP and nothing else."""
        return problem.styles == ("nep",)

    def environ(self) -> dict[str, str]:
        """One thread."""
        return {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

    def command(self, variant: Variant, job: Job) -> list[str]:
        """Write the start, and start the loop."""
        write_start(job)
        (model,) = job.problem.files
        return [str(self.venv / "bin" / "python"), nep_md.__file__, START, model, str(job.steps),
                REPORT]  # fmt: skip

    def potentials(self) -> Path:
        """Where the models of the problems are put."""
        folder = self.venv.parent / "nep_models"
        make_models(folder)
        return folder

    def read(self, job: Job) -> Measured:
        """Read the report."""
        report = json.loads((job.folder / REPORT).read_text(encoding="utf-8"))
        loop = float(report["loop_s"])
        return Measured(loop_s=loop, phases={"loop": loop}, list_s=0.0, builds=0, dangerous=None,
                        thermo=report["thermo"])  # fmt: skip

    def versions(self) -> dict[str, str]:
        """Of the packages."""
        found = {}
        for name in ("calorine", "ase", "numpy"):
            paths = [str(p) for p in self.venv.glob("lib/python*/site-packages")]
            for distribution in importlib.metadata.distributions(name=name, path=paths):
                found[name] = f"{name} {distribution.version}"
        return found


def write_start(job: Job) -> None:
    """What mdapp begins with, for nep_md.py."""
    deck = load_input(job.script, variables=job.variables)
    source, alone = source_of(deck), MPI.COMM_SELF
    atoms = owned_atoms(source, RankGrid.for_rank(0, 1, source.box, None), alone)
    set_velocities(deck, atoms, source.box, source.natoms, alone)
    n, units = atoms.nlocal, UNITS[deck.units]
    species = deck.potential_table()["species"]
    np.savez(
        job.folder / START, x=atoms.x[:n], v=atoms.v[:n], mass=atoms.mass[atoms.type[:n]],
        symbols=np.array([species[t] for t in atoms.type[:n]]), cell=source.box.edges,
        dt=deck.run.timestep, every=deck.thermo.every, boltz=units.boltz, mvv2e=units.mvv2e,
        nktv2p=units.nktv2p, ftm2v=units.ftm2v)  # fmt: skip


PEER = NepCpu
