"""The state a run starts from: a deck's system, spread over the ranks.

Every rank walks the same source and keeps what lies in its subdomain, so that no rank ever holds
the whole system.  A lattice is generated where it is needed; a file is parsed by one rank and
handed on in blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.deck import Deck
from mdapp.errors import InputError
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.model.lattice import Fill, LatticeSource
from mdapp.model.source import AtomSource, Block
from mdapp.model.units import UNITS
from mdapp.model.velocities import VelocityOptions, create
from mdapp.parallel.agree import agree
from mdapp.parallel.grid import RankGrid
from mdapp.parallel.migrate import wrap
from mdapp.parallel.reduce import exact_sum
from mdapp.structures import ExtxyzSource, LammpsDataSource, open_source, read_with_ase


def source_of(deck: Deck) -> AtomSource:
    """Where the atoms of a deck come from.

    Raises
    ------
    InputError : names the key or the line of the file
    """
    system = deck.system
    if system.file is None:
        fill = None
        if system.fill is not None:
            fill = [Fill(f.type, f.region, f.basis_types) for f in system.fill]
        return LatticeSource(
            style=str(system.lattice), constant=system.constant, density=system.density,
            vectors=system.vectors, basis=system.basis, origin=system.origin, orient=system.orient,
            cells=system.cells, region=system.region,
            boundary=system.periodic or (True, True, True),
            basis_types=system.basis_types, fill=fill,
            species=system.species, masses=system.masses, units=deck.units)
    readers: dict[str, Callable[..., AtomSource]] = {
        "auto": open_source, "lammps-data": LammpsDataSource,
        "extxyz": ExtxyzSource, "ase": read_with_ase}
    return readers[system.format](deck.path(system.file), species=system.species,
                                  masses=system.masses, units=deck.units, boundary=system.periodic)


def shared_source(deck: Deck, comm: MPI.Comm) -> AtomSource:
    """`source_of`, with a file opened on rank 0 only; collective."""
    if deck.system.file is None:
        with agree(comm):
            return source_of(deck)
    local: AtomSource | None = None
    with agree(comm):
        if comm.rank == 0:
            local = source_of(deck)
    facts = None
    if local is not None:
        facts = (local.box, local.natoms, local.mass, tuple(local.species), local.charged)
    facts = comm.bcast(facts)
    return BroadcastSource(comm, local, *facts)


class BroadcastSource:
    """An AtomSource that rank 0 reads and all ranks receive; `blocks` is collective."""

    def __init__(self, comm: MPI.Comm, local: AtomSource | None, box: Box, natoms: int,
                 mass: NDArray[np.float64], species: tuple[str, ...], charged: bool):
        self.comm, self.local, self.charged = comm, local, charged
        self.box, self.natoms, self.mass, self.species = box, natoms, mass, species

    def blocks(self, lo: NDArray[np.float64] | None = None,
               hi: NDArray[np.float64] | None = None) -> Iterator[Block]:
        """All blocks, whatever the hint: every rank must take part in each."""
        blocks = iter(self.local.blocks()) if self.local is not None else iter(())
        while True:
            block: Block | None = None
            with agree(self.comm):
                block = next(blocks, None)
            block = self.comm.bcast(block)
            if block is None:
                return
            yield block


def owned_atoms(source: AtomSource, grid: RankGrid, comm: MPI.Comm,
                charges: NDArray[np.float64] | None = None) -> Atoms:
    """The atoms of this rank's subdomain; collective.

    Parameters
    ----------
    charges : (ntypes,) charges of the types, instead of those of the source if it has some

    Raises
    ------
    InputError : the source has atoms that no rank owns, or hands out another number than it said
    """
    atoms = Atoms(np.asarray(source.mass, np.float64))
    if source.charged or charges is not None:
        atoms.charge()
    widths = [grid.planes[d][c + 1] - grid.planes[d][c] for d, c in enumerate(grid.coords)]
    atoms.reserve(int(source.natoms * np.prod(widths) / grid.box.volume) + 1)
    lo, hi = grid.lo, grid.hi
    with agree(comm):
        for block in source.blocks(lo, hi):
            inside = np.flatnonzero(((block.x >= lo) & (block.x < hi)).all(axis=1))
            n = atoms.nlocal
            if n + len(inside) > len(atoms.x):
                atoms.reserve((n + len(inside)) * 5 // 4)
            part = slice(n, n + len(inside))
            atoms.id[part], atoms.type[part] = block.id[inside], block.type[inside]
            atoms.x[part] = block.x[inside]
            atoms.v[part] = 0.0 if block.v is None else block.v[inside]
            atoms.image[part] = 0 if block.image is None else block.image[inside]
            if atoms.q is not None:
                q = block.q if charges is None else charges[block.type]
                assert q is not None
                atoms.q[part] = q[inside]
            atoms.nlocal += len(inside)
    wrap(atoms, grid.box)
    total = np.array([atoms.nlocal], np.int64)
    comm.Allreduce(MPI.IN_PLACE, total, MPI.SUM)
    if total[0] != source.natoms:
        raise InputError(f"system: {source.natoms - total[0]} of {source.natoms} atoms lie outside "
                         f"the box {grid.box.lo.tolist()} to {grid.box.hi.tolist()}")
    return atoms


def set_velocities(deck: Deck, atoms: Atoms, box: Box, natoms: int, comm: MPI.Comm) -> None:
    """Initial velocities as the deck wants them; without a temperature those of the source."""
    system = deck.system
    if system.temperature is None:
        return
    n = atoms.nlocal
    options = VelocityOptions(system.temperature, system.seed, system.velocities,
                              system.distribution, system.zero_momentum, system.zero_rotation)

    def total(terms: NDArray[np.float64]) -> NDArray[np.float64]:
        return exact_sum(comm, lambda: (terms,), terms.shape[1])

    unwrapped = atoms.x[:n] + atoms.image[:n] @ box.edges if system.zero_rotation else None
    atoms.v[:n] = create(options, UNITS[deck.units], id=atoms.id[:n], x=atoms.x[:n],
                         mass=atoms.mass[atoms.type[:n]], natoms=natoms, total=total,
                         unwrapped=unwrapped)
