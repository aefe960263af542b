"""Ghosts of one rank against images written down one by one; several ranks are in tests/mpi."""

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.model.atoms import Atoms
from mdapp.parallel.grid import RankGrid
from mdapp.parallel.halo import Halo
from tests.twins.images import ghosts
from tests.twins.systems import SYSTEMS

REACH = 1.0


def atoms_of(x: np.ndarray) -> Atoms:
    atoms = Atoms(np.ones(3))
    atoms.reserve(len(x))
    atoms.nlocal = n = len(x)
    atoms.x[:n], atoms.v[:n], atoms.image[:n] = x, 0.0, 0
    atoms.id[:n], atoms.type[:n] = np.arange(1, n + 1), np.arange(n) % 3
    return atoms


def by_place(x: np.ndarray, ids: np.ndarray) -> list:
    return sorted(zip(ids.tolist(), map(tuple, x.tolist()), strict=True))


@pytest.mark.parametrize("name", SYSTEMS)
def test_ghosts_are_the_images_in_reach(name: str) -> None:
    system = SYSTEMS[name]()
    n = len(system.x)
    atoms = atoms_of(system.x)
    halo = Halo(MPI.COMM_SELF, RankGrid.for_rank(0, 1, system.box), REACH)
    for _ in range(2):  # the second call forgets the first
        halo.borders(atoms)
    assert np.array_equal(atoms.x[:n], system.x)
    new = slice(n, atoms.ntotal)
    expected, owner = ghosts(system.x, system.box, REACH)
    assert np.array_equal(atoms.type[new], (atoms.id[new] - 1) % 3)
    found = by_place(np.round(atoms.x[new], 9) + 0.0, atoms.id[new])
    assert found == by_place(np.round(expected, 9) + 0.0, owner + 1)


@pytest.mark.parametrize("name", ["liquid", "reach wider than the box", "plate"])
def test_forward_moves_ghosts_along(name: str) -> None:
    system = SYSTEMS[name]()
    n = len(system.x)
    atoms = atoms_of(system.x)
    halo = Halo(MPI.COMM_SELF, RankGrid.for_rank(0, 1, system.box), REACH)
    halo.borders(atoms)
    offsets = atoms.x[n : atoms.ntotal] - atoms.x[atoms.id[n : atoms.ntotal] - 1]
    moved = np.random.default_rng(0).uniform(-0.1, 0.1, (n, 3))
    atoms.x[:n] += moved
    halo.forward(atoms)
    assert np.allclose(
        atoms.x[n : atoms.ntotal] - atoms.x[atoms.id[n : atoms.ntotal] - 1],
        offsets,
        rtol=0,
        atol=1e-14,
    )


def test_an_image_is_one_shift_of_its_owner() -> None:
    """To the last bit, on edges and corners too: owner + shift on each axis, in no other order."""
    system = SYSTEMS["liquid"]()
    n, length = len(system.x), system.box.lengths
    atoms = atoms_of(system.x)
    Halo(MPI.COMM_SELF, RankGrid.for_rank(0, 1, system.box), REACH).borders(atoms)
    owners = atoms.x[atoms.id[n : atoms.ntotal] - 1]
    turns = np.rint((atoms.x[n : atoms.ntotal] - owners) / length)
    assert abs(turns).max() == 1 and (abs(turns).sum(axis=1) == 3).any()
    assert np.array_equal(atoms.x[n : atoms.ntotal], owners + turns * length)
