"""Compiling before the clock starts.

Numba compiles a function at its first call.  A few atoms are led through a step of the very
objects that a run is made of, so that nothing is left to compile in the loop.  On each node one
rank goes first and leaves the machine code in the cache on disk; the others then load it.

A kernel that is compiled for sizes, which a few atoms do not show, compiles more at the first
evaluation of the real ones, still before the clock starts, and may have to in the loop. It counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.analysis.thermo import Thermo
from mdapp.charges import give_charges
from mdapp.integrate.nve import VelocityVerlet
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.model.units import Units
from mdapp.neighbors.clusters import ClusterList
from mdapp.neighbors.trigger import RebuildTrigger
from mdapp.parallel.agree import agree
from mdapp.parallel.grid import RankGrid
from mdapp.parallel.halo import Halo
from mdapp.parallel.migrate import migrate, wrap
from mdapp.trouble import check_motion
from potentials.base import Kernel, Want


@dataclass(frozen=True)
class Compiled:
    """How often a kernel has compiled for another size, and the seconds that took; a rank's own."""

    times: int = 0
    seconds: float = 0.0

    @classmethod
    def by(cls, kernel: Kernel) -> Compiled:
        """What a kernel says, or those that it is made of; most have nothing to say."""
        parts = [*getattr(kernel, "kernels", ()), getattr(kernel, "kernel", None)]
        own = cls(getattr(kernel, "compilations", 0), getattr(kernel, "compile_s", 0.0))
        return sum((cls.by(part) for part in parts if part is not None), own)

    def __add__(self, other: Compiled) -> Compiled:
        return Compiled(self.times + other.times, self.seconds + other.seconds)

    def __sub__(self, other: Compiled) -> Compiled:
        return Compiled(self.times - other.times, self.seconds - other.seconds)


def compiled_once_a_node(comm: MPI.Comm, compile_all: Callable[[], None]) -> float:
    """Call `compile_all` on one rank of each node, then on the others; returns seconds taken."""
    began = time.perf_counter()
    node = comm.Split_type(MPI.COMM_TYPE_SHARED)
    first = node.rank == 0
    node.Free()
    with agree(comm):
        if first:
            compile_all()
    with agree(comm):
        if not first:
            compile_all()
    return time.perf_counter() - began


def exercise(kernel: Kernel, mass: NDArray[np.float64], units: Units, reach: float, threads: int,
             exact: bool, lists: str, charged: bool) -> None:
    """One step of a few atoms of this rank alone, through everything that a loop calls."""
    comm = MPI.COMM_SELF
    box = Box.orthogonal(np.zeros(3), np.full(3, 2.0 * reach))
    grid = RankGrid.for_rank(0, 1, box)
    atoms = Atoms(mass)
    if charged:
        atoms.charge()
    corners = np.stack(np.meshgrid(*[[0.0, reach]] * 3, indexing="ij"), -1).reshape(-1, 3)
    atoms.reserve(len(corners))
    atoms.nlocal = n = len(corners)
    atoms.x[:n], atoms.v[:n], atoms.f[:n], atoms.image[:n] = corners, 0.0, 0.0, 0
    atoms.id[:n], atoms.type[:n] = np.arange(1, n + 1), 0
    if atoms.q is not None:
        atoms.q[:n] = 0.0
    halo, clusters = Halo(comm, grid, reach), ClusterList(reach, threads, exact, lists)
    trigger, integrator = RebuildTrigger(comm, 0.1 * reach), VelocityVerlet(1e-3, units.ftm2v)
    thermo = Thermo(comm, units, n, ())

    check_motion(atoms, 1e-3, reach, 0, 0)
    wrap(atoms, box)
    migrate(comm, grid, atoms)
    atoms.reorder(clusters.sort(atoms.x[:n], atoms.id[:n]))
    halo.borders(atoms)
    clusters.build(atoms.x[:atoms.ntotal], atoms.id[:atoms.ntotal], n)
    give_charges(kernel, atoms.all_charges, units)
    trigger.hold(atoms)
    for want in (Want.FORCES, Want.TOTALS):
        result = kernel.compute(atoms.x[:atoms.ntotal], atoms.type[:atoms.ntotal], n,
                                clusters, atoms.f, want, halo)
    integrator.first_half(atoms)
    trigger.due(atoms)
    halo.forward(atoms)
    integrator.second_half(atoms)
    thermo.measure(atoms, box, result, {"step": 0, "time": 0.0})
