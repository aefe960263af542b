"""When lists are rebuilt: `every`, `delay` and `check` as LAMMPS counts them."""

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.neighbors.trigger import RebuildTrigger
from tests.unit.test_halo import atoms_of


def run(speed: float, steps: int, **options) -> tuple[list[int], RebuildTrigger]:
    """Steps at which one of two atoms, moving at `speed` a step, asks for new lists of skin 1."""
    atoms = atoms_of(np.zeros((2, 3)))
    trigger = RebuildTrigger(MPI.COMM_SELF, 1.0, **options)
    trigger.hold(atoms)
    due = []
    for step in range(1, steps + 1):
        atoms.x[1, 2] += speed
        if trigger.due(atoms):
            due.append(step)
            trigger.hold(atoms)
    assert trigger.builds == len(due)
    return due, trigger


def test_half_the_skin() -> None:
    due, trigger = run(0.11, 20)  # 0.55 > 0.5 after five steps
    assert due == [5, 10, 15, 20] and trigger.dangerous == 0


def test_exactly_half_the_skin_is_not_beyond_it() -> None:
    assert run(0.25, 8)[0] == [3, 6]


def test_every() -> None:
    assert run(0.11, 24, every=3)[0] == [6, 12, 18, 24]
    assert run(0.0, 24, every=3)[0] == []


def test_delay() -> None:
    due, trigger = run(0.11, 30, delay=8)
    assert due == [8, 16, 24] and trigger.dangerous == 3, "too far at the first occasion"
    due, trigger = run(0.11, 30, delay=4)
    assert due == [5, 10, 15, 20, 25, 30] and trigger.dangerous == 0


def test_dangerous_at_the_first_occasion_only() -> None:
    assert run(0.6, 6)[1].dangerous == 6
    assert run(0.11, 30, every=5)[1].dangerous == 6
    assert run(0.11, 30, every=5, delay=10)[1].dangerous == 3
    assert run(0.051, 30, every=5)[1].dangerous == 0


def test_without_check() -> None:
    due, trigger = run(0.0, 45, every=20, check=False)
    assert due == [20, 40] and trigger.dangerous == 0
    assert run(9.0, 45, every=20, check=False)[0] == [20, 40]
    assert run(0.0, 45, every=10, delay=20, check=False)[0] == [20, 40]


def test_not_a_number_is_far() -> None:
    atoms = atoms_of(np.zeros((3, 3)))
    trigger = RebuildTrigger(MPI.COMM_SELF, 1.0)
    trigger.hold(atoms)
    atoms.x[1, 0] = np.nan
    assert trigger.due(atoms)


def test_no_skin_is_a_build_a_step() -> None:
    atoms = atoms_of(np.zeros((2, 3)))
    trigger = RebuildTrigger(MPI.COMM_SELF, 0.0)
    trigger.hold(atoms)
    assert not trigger.due(atoms), "nothing moved"
    atoms.x[0, 0] = 1e-9
    assert trigger.due(atoms)


@pytest.mark.parametrize("fewer", [1, 0])
def test_atoms_may_leave_and_come(fewer: int) -> None:
    """What is held follows the number of atoms."""
    atoms = atoms_of(np.zeros((2, 3)))
    trigger = RebuildTrigger(MPI.COMM_SELF, 1.0)
    trigger.hold(atoms)
    atoms.nlocal = fewer
    trigger.hold(atoms)
    assert not trigger.due(atoms)
    more = atoms_of(np.ones((40, 3)))
    trigger.hold(more)
    more.x[39] += 0.6
    assert trigger.due(more)
