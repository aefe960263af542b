"""Initial velocities: what is exact about them, for any share of the atoms."""

import math

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.model.lattice import LatticeSource
from mdapp.model.units import UNITS
from mdapp.model.velocities import GENERATORS, VelocityOptions, create, temperature


def exact_sum(terms):
    return np.array([math.fsum(column) for column in terms.T])


@pytest.fixture(scope="module")
def system():
    source = LatticeSource(style="bcc", constant=3.1803, cells=[5, 5, 5], basis_types=[1, 2],
                           masses=[183.84, 28.0], units="metal")
    block, = source.blocks()
    return block.id, block.x, source.mass[block.type]


def velocities(system, options, keep=slice(None), total=exact_sum):
    ids, x, mass = system
    return create(options, UNITS["metal"], id=ids[keep], x=x[keep], mass=mass[keep],
                  natoms=len(ids), total=total)


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("distribution", ["uniform", "gaussian"])
@pytest.mark.parametrize("rotation", [False, True])
def test_temperature_and_conserved_sums(system, generator, distribution, rotation):
    ids, x, mass = system
    options = VelocityOptions(300.0, 4928459, generator, distribution, zero_rotation=rotation)
    v = velocities(system, options)
    t = temperature(v, mass, len(ids), UNITS["metal"], exact_sum)
    assert t == pytest.approx(300.0, rel=1e-14)
    scale = (mass[:, None] * abs(v)).sum()
    assert abs((mass[:, None] * v).sum(axis=0)).max() < 1e-13 * scale
    angular = (mass[:, None] * np.cross(x - x.mean(axis=0), v)).sum(axis=0)
    assert bool(abs(angular).max() < 1e-11 * scale) is rotation


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_share_of_a_rank_does_not_change_an_atom(system, generator):
    """Ranks are stood in for by shuffled subsets whose sums are those of the whole."""
    options = VelocityOptions(300.0, 17, generator, "gaussian", zero_rotation=True)
    sums = []
    whole = velocities(system, options, total=lambda t: sums.append(exact_sum(t)) or sums[-1])
    order = np.random.default_rng(1).permutation(len(whole))
    for part in np.array_split(order, 3):
        replay = iter(sums)
        v = velocities(system, options, part, total=lambda _, replay=replay: next(replay))
        assert (v == whole[part]).all()


def test_an_empty_rank_is_fine(system):
    for generator in GENERATORS:
        options = VelocityOptions(300.0, 1, generator, "gaussian", zero_rotation=True)
        v = velocities(system, options, slice(0, 0), total=lambda t: np.ones(t.shape[1]))
        assert v.shape == (0, 3)


def test_atoms_on_a_line_lose_their_rotation_too():
    x = np.zeros((4, 3))
    x[:, 0] = [0, 1, 2, 3.5]
    mass = np.array([1.0, 2.0, 3.0, 4.0])
    v = create(VelocityOptions(1.0, 5, zero_rotation=True), UNITS["lj"], id=np.arange(1, 5), x=x,
               mass=mass, natoms=4, total=exact_sum)
    d = x - (mass[:, None] * x).sum(axis=0) / mass.sum()
    assert abs((mass[:, None] * np.cross(d, v)).sum(axis=0)).max() < 1e-13


def test_cold_and_empty_systems_stand_still(system):
    assert not velocities(system, VelocityOptions(0.0)).any()


def test_one_atom_has_no_temperature():
    with pytest.raises(InputError, match="one atom"):
        create(VelocityOptions(1.0), UNITS["lj"], id=np.array([1]), x=np.zeros((1, 3)),
               mass=np.ones(1), natoms=1, total=exact_sum)


@pytest.mark.parametrize("change, words", [
    ({"temperature": -1.0}, ["temperature", "-1.0"]),
    ({"temperature": float("inf")}, ["temperature", "inf"]),
    ({"generator": "lammps-geo"}, ["velocities", "'lammps-geom'"]),
    ({"distribution": "normal"}, ["distribution", "uniform, gaussian"]),
    ({"seed": -1}, ["seed", "-1"]),
    ({"seed": 0, "generator": "lammps-all"}, ["seed", "1 to 2147483646"]),
    ({"seed": 2**32}, ["seed", "4294967295"]),
])
def test_bad_options(change, words):
    with pytest.raises(InputError) as error:
        VelocityOptions(**{"temperature": 1.0, **change})
    assert all(word in str(error.value) for word in words), str(error.value)
