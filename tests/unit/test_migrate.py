"""Wrapping into the box, and taking atoms out of the arrays and putting them in."""

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.model.atoms import PER_ATOM
from mdapp.model.box import Box
from mdapp.parallel.grid import RankGrid
from mdapp.parallel.migrate import append, migrate, remove, take, wrap
from tests.unit.test_halo import atoms_of

BOX = Box.orthogonal((-1.0, 0.0, 0.3), (2.0, 0.7, 1e3))


@pytest.mark.parametrize("axis", range(3))
def test_wrap(axis: int) -> None:
    """Into lo <= x < hi whatever the rounding, with the crossings counted."""
    lo, hi, length = BOX.lo[axis], BOX.hi[axis], BOX.lengths[axis]
    near = [
        lo,
        np.nextafter(lo, -9e9),
        np.nextafter(lo, 9e9),
        hi,
        np.nextafter(hi, -9e9),
        np.nextafter(hi, 9e9),
        lo - 1e-300,
        lo - 1e-18,
        hi - 1e-18,
    ]
    values = np.array(
        [v + k * length for v in near for k in (0, 1, -1, 3, -7, 12345)] + [0.5 * (lo + hi)]
    )
    x = np.zeros((len(values), 3)) + (BOX.lo + BOX.hi) / 2
    x[:, axis] = values
    atoms = atoms_of(x)
    wrap(atoms, BOX)
    n = len(values)
    wrapped = atoms.x[:n, axis]
    assert ((wrapped >= lo) & (wrapped < hi)).all()
    assert (
        abs(wrapped + atoms.image[:n, axis] * length - values).max()
        <= 4e-16 * abs(values).max() + 1e-15
    )
    inside = (values >= lo) & (values < hi)
    assert (
        np.array_equal(wrapped[inside], values[inside]) and not atoms.image[:n, axis][inside].any()
    )
    others = [d for d in range(3) if d != axis]
    assert np.array_equal(atoms.x[:n, others], x[:, others]) and not atoms.image[:n, others].any()
    again = atoms.x[:n].copy()
    wrap(atoms, BOX)
    assert np.array_equal(again, atoms.x[:n]), "wrapping twice is wrapping once"


def test_open_axes_are_left_alone() -> None:
    box = Box.orthogonal((0.0, 0, 0), (1.0, 1, 1), (False, True, False))
    atoms = atoms_of(np.array([[-5.0, -0.25, 7.0]]))
    wrap(atoms, box)
    assert atoms.x[0].tolist() == [-5.0, 0.75, 7.0] and atoms.image[0].tolist() == [0, -1, 0]


def test_records_carry_everything() -> None:
    rng = np.random.default_rng(0)
    atoms = atoms_of(rng.uniform(0, 1, (20, 3)))
    atoms.v[:20], atoms.image[:20] = rng.normal(size=(20, 3)), rng.integers(-9, 9, (20, 3))
    before = {name: getattr(atoms, name)[:20].copy() for name in PER_ATOM}
    for leaving in (
        [],
        [0],
        [19],
        [3, 4, 17],
        list(range(20)),
        list(range(10)),
        list(range(10, 20)),
    ):
        which = np.array(leaving, np.int64)
        records = take(atoms, which)
        remove(atoms, which)
        assert atoms.nlocal == 20 - len(leaving)
        append(atoms, records)
        assert atoms.nlocal == 20
        order = np.argsort(atoms.id[:20])
        for name, array in before.items():
            assert np.array_equal(
                getattr(atoms, name)[:20][order], array[np.argsort(before["id"])]
            ), name


def test_one_rank_keeps_its_atoms() -> None:
    atoms = atoms_of(np.random.default_rng(1).uniform(0, 1, (50, 3)) * BOX.lengths + BOX.lo)
    atoms.nghost = 7
    assert migrate(MPI.COMM_SELF, RankGrid.for_rank(0, 1, BOX), atoms) == 0
    assert atoms.nlocal == 50 and atoms.nghost == 0
