"""Forces against differences of the energy, the virial against its change under strain, to 1e-7.

Central differences with Richardson's extrapolation; no pair crosses the cutoff within a difference,
where the energy of a cut-off potential jumps (its force does even when the energy is shifted).
"""

import numpy as np
import pytest

from mdapp.model.box import Box
from potentials.base import Want
from potentials.pair.lj import LennardJones
from tests.twins.systems import System, lattice
from tests.unit.test_lj import evaluate, options, types_of

STEP = 2e-4
NAMES = ["one type", "shifted", "three types"]


def energy(lj: LennardJones, system: System, types) -> float:
    return evaluate(lj, system, types, want=Want.TOTALS)[1].energy


def far_from_cutoffs(lj: LennardJones) -> tuple[System, np.ndarray]:
    """A liquid in which no pair is within 5e-4 of its cutoff, found by trying seeds."""
    for seed in range(2000):
        system = lattice((2, 2, 2), 1.68, 0.05, seed)
        types = types_of(len(system.x), lj.ntypes)
        d = system.x[:, None] - system.x[None]
        vectors = (
            np.stack(np.meshgrid(*[np.arange(-2, 3)] * 3, indexing="ij"), -1).reshape(-1, 3)
            * system.box.lengths
        )
        r = np.linalg.norm(d[:, :, None] + vectors, axis=-1)
        if abs(r - lj.rc[types[:, None], types[None]][:, :, None]).min() > 5e-4:
            return system, types
    raise AssertionError("no such system")


def derivative(function, step: float = STEP) -> float:
    """Of function(h) at 0, the error of order h^4."""

    def difference(h: float) -> float:
        return (function(h) - function(-h)) / (2 * h)

    return (4 * difference(step / 2) - difference(step)) / 3


@pytest.mark.parametrize("name", NAMES)
def test_forces(name: str) -> None:
    lj = options(name)
    system, types = far_from_cutoffs(lj)
    f, _ = evaluate(lj, system, types)
    for atom in (0, 7, 19):
        for axis in range(3):

            def moved(h: float, atom: int = atom, axis: int = axis) -> float:
                x = system.x.copy()
                x[atom, axis] += h
                return energy(lj, System(x, system.box), types)

            assert -derivative(moved) == pytest.approx(f[atom, axis], abs=1e-7 * abs(f).max())


@pytest.mark.parametrize("name", NAMES)
def test_virial(name: str) -> None:
    """W_aa = -dE/d strain_aa: stretching box and atoms along each axis."""
    lj = options(name)
    system, types = far_from_cutoffs(lj)
    _, result = evaluate(lj, system, types)
    for axis in range(3):

        def stretched(h: float, axis: int = axis) -> float:
            factor = np.ones(3)
            factor[axis] += h
            return energy(
                lj,
                System(system.x * factor, Box.orthogonal(system.box.lo, system.box.hi * factor)),
                types,
            )

        assert -derivative(stretched, STEP / 4) == pytest.approx(
            result.virial[axis], abs=1e-7 * abs(result.virial).max()
        )


def test_shear_virial_of_a_cluster() -> None:
    """The other three, on a droplet without a box: W_ab = -dE/d strain_ab for x_a += h x_b."""
    lj = LennardJones.from_options(1, epsilon=1.0, sigma=1.0, rc=9.0)
    x = lattice((2, 2, 2), 1.68, 0.08, 5).x
    free = Box.orthogonal((-9.0,) * 3, (9.0,) * 3, (False, False, False))
    types = np.zeros(len(x), np.int32)
    _, result = evaluate(lj, System(x, free), types)
    for k, (a, b) in enumerate(((1, 2), (0, 2), (0, 1)), start=3):
        for to, by in ((a, b), (b, a)):

            def sheared(h: float, to: int = to, by: int = by) -> float:
                y = x.copy()
                y[:, to] += h * x[:, by]
                return energy(lj, System(y, free), types)

            assert -derivative(sheared) == pytest.approx(
                result.virial[k], abs=1e-7 * abs(result.virial).max()
            )


@pytest.mark.parametrize("name", NAMES)
def test_no_net_force(name: str) -> None:
    lj = options(name)
    system, types = far_from_cutoffs(lj)
    f, _ = evaluate(lj, system, types)
    assert abs(f.sum(axis=0)).max() < 1e-13 * abs(f).sum()
