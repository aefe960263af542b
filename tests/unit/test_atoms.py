"""Arrays that grow and keep what they hold."""

import numpy as np
import pytest

from mdapp.model.atoms import GHOST_FIELDS, PER_ATOM, Atoms


def test_growing_keeps_the_owned_atoms() -> None:
    atoms = Atoms(np.array([1.0, 2.0]))
    assert atoms.ntotal == 0
    atoms.reserve(3)
    atoms.nlocal = 3
    rng = np.random.default_rng(0)
    for name, (dtype, shape) in PER_ATOM.items():
        getattr(atoms, name)[:3] = rng.integers(1, 99, (3, *shape)).astype(dtype)
    before = {name: getattr(atoms, name)[:3].copy() for name in PER_ATOM}
    for size in (3, 10, 1000, 5):
        atoms.reserve(size)
        for name, (dtype, shape) in PER_ATOM.items():
            array = getattr(atoms, name)
            assert len(array) >= size and array.dtype == dtype and array.shape[1:] == shape
            assert np.array_equal(array[:3], before[name])
        assert len(atoms.f) >= size


def test_room_for_ghosts_is_in_their_fields_only() -> None:
    atoms = Atoms(np.ones(1))
    atoms.reserve(2)
    atoms.nlocal = 2
    atoms.x[:2], atoms.id[:2], atoms.type[:2] = [[1, 2, 3], [4, 5, 6]], [7, 8], [0, 0]
    capacity = len(atoms.v)
    atoms.nghost = 5000
    atoms.reserve_ghosts()
    assert atoms.ntotal == 5002
    for name in GHOST_FIELDS:
        assert len(getattr(atoms, name)) >= 5002
    assert len(atoms.v) == len(atoms.f) == len(atoms.image) == capacity
    assert atoms.x[:2].tolist() == [[1, 2, 3], [4, 5, 6]] and atoms.id[:2].tolist() == [7, 8]


def test_reorder() -> None:
    atoms = Atoms(np.ones(1))
    atoms.reserve(3)
    atoms.nlocal, atoms.id[:3] = 3, [10, 20, 30]
    atoms.x[:3] = np.arange(9).reshape(3, 3)
    atoms.reorder(np.array([2, 0, 1], np.int32))
    assert atoms.id[:3].tolist() == [30, 10, 20] and atoms.x[0].tolist() == [6, 7, 8]


def moving_atoms() -> Atoms:
    atoms = Atoms(np.ones(1))
    atoms.reserve(5)
    atoms.nlocal = 5
    atoms.x[:5], atoms.v[:5] = np.random.default_rng(3).random((2, 5, 3))
    return atoms


@pytest.mark.parametrize("grown", [False, True])
def test_lent_positions_are_left_as_they_are(grown: bool) -> None:
    atoms = moving_atoms()
    atoms.prepare_to_lend()
    for _ in range(2):
        if grown:
            atoms.reserve(len(atoms.v) + 1)
        x, v = atoms.x, atoms.v
        before = x.copy(), v.copy()
        atoms.lent = True
        atoms.take_back()
        assert not np.shares_memory(atoms.x, x) and not np.shares_memory(atoms.v, v)
        np.testing.assert_array_equal(atoms.positions, before[0][:5])
        np.testing.assert_array_equal(atoms.velocities, before[1][:5])
        atoms.x[:5] += 1.0
        atoms.v[:5] += 1.0
        np.testing.assert_array_equal(x, before[0])
        np.testing.assert_array_equal(v, before[1])


def test_what_is_not_lent_stays_where_it_is() -> None:
    atoms = moving_atoms()
    x, v = atoms.x, atoms.v
    atoms.move_on()
    atoms.take_back()
    assert atoms.x is x and atoms.v is v
