"""Drifts into other arrays: the same bits as in place, wherever the arrays begin."""

import numpy as np
import pytest

from mdapp.integrate.nve import VelocityVerlet, blocks_of_lines
from mdapp.model.atoms import Atoms


def moving(n: int, mass: list[float], begin: int) -> Atoms:
    """Atoms whose arrays begin `begin` numbers after a cache line."""
    rng = np.random.default_rng(n)
    atoms = Atoms(np.array(mass))
    atoms.reserve(n)
    atoms.nlocal = n
    for name in ("x", "v", "f"):
        room = np.zeros(3 * n + 24)
        skip = (-room.ctypes.data % 64) // 8 + begin
        array = room[skip : skip + 3 * n].reshape(n, 3)
        array[:] = rng.standard_normal((n, 3))
        setattr(atoms, name, array)
    atoms.type[:n] = rng.integers(0, len(mass), n)
    return atoms


@pytest.mark.parametrize("begin", [0, 2, 6])
@pytest.mark.parametrize("mass", [[1.5], [1.0, 2.0]])
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 100, 1003])
def test_lent_atoms_move_as_others(n: int, mass: list[float], begin: int) -> None:
    verlet = VelocityVerlet(0.01, 1.0)
    here, away = moving(n, mass, begin), moving(n, mass, begin)
    away._others = {k: getattr(moving(n, mass, begin), k) for k in ("x", "v")}
    before = away.x.copy(), away.v.copy()
    x, v, away.lent = away.x, away.v, True
    verlet.first_half(here)
    verlet.first_half(away)
    assert away.x is not x
    assert np.array_equal(x, before[0]) and np.array_equal(v, before[1])
    assert away.x.tobytes() == here.x.tobytes() and away.v.tobytes() == here.v.tobytes()


def test_whole_lines_are_found() -> None:
    atoms = moving(1000, [1.0], 2)
    first, last = blocks_of_lines(atoms.x, atoms.v, 1000)
    assert last - first >= 984 and (last - first) % 8 == 0
    assert (atoms.x.ctypes.data + 24 * first) % 64 == 0
    assert blocks_of_lines(atoms.x, moving(1000, [1.0], 3).v, 1000) == (0, 0)
