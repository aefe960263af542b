"""Values to ghosts and back, against sums over all images; rank 0 prints a line a case.

    mpirun -n 3 python halo_ranks.py

The box is thin along some axes beside the halo, so that there are several hops, and each atom has
ghosts of its own images too. Atoms are spread over the ranks by their places, and values tell the
id of their atom.
"""

import sys

import mdapp  # noqa: F401  isort: skip

import numpy as np
from mpi4py import MPI

from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.parallel.grid import RankGrid
from mdapp.parallel.halo import Halo
from tests.twins.images import ghosts

REACH = 1.0
# Lengths, periodic axes, atoms: hops from one to four or five on each axis.
BOXES = {
    "cube": ((3.0, 3.0, 3.0), (True, True, True), 60),
    "thin": ((0.45, 2.0, 5.0), (True, True, True), 40),
    "tiny": ((0.3, 0.5, 0.4), (True, True, True), 5),
    "open": ((4.0, 1.1, 0.7), (False, True, False), 40),
    "one atom": ((0.6, 0.7, 2.5), (True, True, True), 1),
}


def mine_of(grid: RankGrid, x: np.ndarray) -> np.ndarray:
    """Indices of the atoms in this rank's part of the box."""
    inside = ((x >= grid.lo) & (x < grid.hi)).all(axis=1)
    return np.flatnonzero(inside)


def check(comm: MPI.Comm, shape: tuple[int, int, int], name: str) -> None:
    """Compare one box on one grid, on this rank."""
    lengths, periodic, n = BOXES[name]
    box = Box.orthogonal((0, 0, 0), lengths, periodic)
    x = np.random.default_rng(8).random((n, 3)) * lengths
    grid = RankGrid.for_rank(comm.rank, comm.size, box, shape)
    mine = mine_of(grid, x)
    m = len(mine)
    atoms = Atoms(np.ones(1))
    atoms.reserve(m)
    atoms.nlocal = m
    atoms.x[:m], atoms.id[:m], atoms.type[:m] = x[mine], mine + 1, 0
    atoms.v[:m], atoms.image[:m] = 0.0, 0
    halo = Halo(comm, grid, REACH)
    halo.borders(atoms)

    _, owner = ghosts(x, box, REACH, grid.lo, grid.hi)
    ids = atoms.id[: atoms.ntotal].copy()
    assert np.array_equal(np.sort(ids[m:]), np.sort(owner + 1)), "other ghosts than expected"

    # ids go out to the ghosts, whatever the ghosts held
    for kind, width in (("f8", ()), ("i8", ()), ("f4", (3,)), ("i8", (2,))):
        column = np.arange(1, 1 + (width[0] if width else 1))
        values = np.multiply.outer(ids, column).reshape(len(ids), *width).astype(kind)
        expected = values.copy()
        values[m:] = -1
        halo.to_ghosts(values)
        assert np.array_equal(values, expected), (kind, width)

    # each copy of an atom, on any rank, adds a number of its own: its rank and place
    copies = np.bincount(owner, minlength=n)
    everywhere = comm.allreduce(copies)
    weighted = comm.allreduce(copies * (comm.rank + 1))
    values = np.zeros((atoms.ntotal, 2), np.int64)
    values[:m, 0], values[:m, 1] = 1000, 0
    values[m:, 0], values[m:, 1] = 1, comm.rank + 1
    halo.from_ghosts(values)
    assert np.array_equal(values[:m, 0], 1000 + everywhere[mine]), "a ghost is lost or comes twice"
    assert np.array_equal(values[:m, 1], weighted[mine]), "a value came from another rank"

    # the sum of products is the same both ways: from_ghosts is the transpose of to_ghosts
    rng = np.random.default_rng(comm.rank)
    out, back = np.zeros(atoms.ntotal), rng.random(atoms.ntotal)
    out[:m] = np.sin(ids[:m])
    halo.to_ghosts(out)
    one = comm.allreduce(float(out @ back))
    halo.from_ghosts(back)
    other = comm.allreduce(float(np.sin(ids[:m]) @ back[:m]))
    assert abs(one - other) < 1e-12 * max(1.0, abs(one)), (one, other)


def main() -> None:
    world = MPI.COMM_WORLD
    done = 0
    for ranks in range(1, world.size + 1):
        comm = world.Split(0 if world.rank < ranks else MPI.UNDEFINED)
        if comm == MPI.COMM_NULL:
            continue
        shapes = [(a, b, ranks // (a * b)) for a in range(1, ranks + 1)
                  for b in range(1, ranks + 1) if ranks % (a * b) == 0]
        for shape in shapes:
            for name in BOXES:
                try:
                    check(comm, shape, name)
                except BaseException as error:
                    sys.stderr.write(f"{name} on {shape}, rank {comm.rank}: {error!r}\n")
                    sys.stderr.flush()
                    world.Abort(1)
                done += 1
        comm.Free()
    if world.rank == 0:
        print(f"cases {done}")


main()
