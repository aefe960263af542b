"""The cluster-pair kernel against its twin: every variant, precision and kind of list."""

import itertools

import numpy as np
import pytest

from mdapp.neighbors.clusters import ClusterList
from potentials.base import ForceRangeError, Want
from potentials.pair.lj import LennardJones
from tests.twins.images import ghosts
from tests.twins.lj import lennard_jones
from tests.twins.systems import SYSTEMS, System, apart, lattice

SKIN = 0.3
POTENTIALS = {
    "one type": {"ntypes": 1, "epsilon": 1.3, "sigma": 0.97, "rc": 2.5},
    "shifted": {"ntypes": 1, "epsilon": 0.7, "sigma": 1.0, "rc": 2.5, "shift": True},
    "three types": {
        "ntypes": 3,
        "epsilon": [1.0, 0.5, 0.1],
        "sigma": [1.0, 1.05, 0.8],
        "rc": 2.5,
        "mix": "arithmetic",
        "shift": True,
        "pair": [{"types": [1, 3], "epsilon": 1.7, "rc": 1.9}, {"types": [2, 2], "rc": 1.4}],
    },
}


def options(name: str) -> LennardJones:
    given = dict(POTENTIALS[name])
    return LennardJones.from_options(given.pop("ntypes"), **given)


def types_of(n: int, ntypes: int) -> np.ndarray:
    return np.random.default_rng(99).integers(0, ntypes, n).astype(np.int32)


def evaluate(
    lj: LennardJones,
    system: System,
    types,
    precision="double",
    deterministic=False,
    want=Want.PER_ATOM,
    exact=False,
    threads=1,
    order=None,
):
    """Forces (n, 3) and the Result, with ghosts made by hand."""
    reach = lj.cutoff + SKIN
    n = len(system.x)
    order = np.arange(n) if order is None else order
    x = system.x[order]
    images, owner = ghosts(x, system.box, reach)
    x, ids = np.vstack([x, images]), np.concatenate([order, order[owner]]) + 1
    all_types = types[ids - 1].astype(np.int32)
    pairs = ClusterList(reach, threads, exact)
    pairs.build(x, ids.astype(np.int64), n)
    f = np.full((n, 3), np.nan)
    result = lj.compiled(precision, deterministic).compute(x, all_types, n, pairs, f, want, None)
    back = np.argsort(order)
    if result.energies is not None:
        result.energies, result.virials = result.energies[back], result.virials[back]
    return f[back], result


def liquid() -> System:
    return lattice((4, 4, 4), 1.68, 0.07, 21)


# Largest error of any atom in units of what cancels, |repulsion| + |attraction| summed over pairs.
# double: rounding of sums of about 60 terms.  mixed, single: coordinates on a grid of 3e-8 put r
# off by 5e-8 at most, and r^2 is rounded to 6e-8; the 13th power of r makes of it at worst
# 13 * 5e-8 / 0.8 + 7 * 3 * 6e-8 = 2e-6.  The sums of single are short enough not to show.
# Measured in a liquid, of force, energy, virial: double 5e-16, 4e-16, 4e-16; mixed and single
# 2.4e-7, 1.9e-7, 1.6e-7 (6e-7 of the forces, root mean square; 1e-7 of the energy of the liquid).
BOUNDS = {"double": 4e-15, "mixed": 2e-6, "single": 2e-6}


@pytest.mark.parametrize("name", POTENTIALS)
@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("deterministic", [False, True])
def test_the_twin(name: str, precision: str, deterministic: bool) -> None:
    lj, system = options(name), liquid()
    types = types_of(len(system.x), lj.ntypes)
    twin = lennard_jones(system.x, types, system.box, lj.epsilon, lj.sigma, lj.rc, lj.shift)
    f, result = evaluate(lj, system, types, precision, deterministic, exact=deterministic)
    bound = BOUNDS[precision]
    grid = 2.0**-30 if deterministic else 0.0  # 100 terms, each rounded to 2^-36 scales
    assert (abs(f - twin.forces).max(axis=1) <= bound * twin.strength + grid).all()
    assert (abs(result.energies - twin.energies) <= bound * twin.depth + grid).all()
    assert (abs(result.virials - twin.virials).max(axis=1) <= bound * twin.torque + grid).all()
    if precision == "double" and not deterministic:
        assert abs(f - twin.forces).max() <= 1e-12 * abs(twin.forces).max()
        assert result.energy == pytest.approx(twin.energies.sum(), rel=1e-12)
        assert result.virial == pytest.approx(twin.virials.sum(axis=0), rel=1e-12, abs=1e-10)


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_less_is_asked_for(precision: str, threads: int) -> None:
    """Force-only and totals variants, and chunks of any number, have the forces of the full one."""
    lj, system = options("three types"), liquid()
    types = types_of(len(system.x), 3)
    f, full = evaluate(lj, system, types, precision)
    tolerance = 1e-13 if precision == "double" else 2e-6
    for want in Want:
        g, result = evaluate(lj, system, types, precision, want=want, threads=threads)
        assert abs(g - f).max() <= tolerance * abs(f).max()
        if want is Want.FORCES:
            assert result.virial is None and result.energies is None
            continue
        assert result.energy == pytest.approx(full.energy, rel=tolerance)
        assert result.virial == pytest.approx(full.virial, abs=tolerance * abs(full.virial).max())
    assert result.energies.sum() == pytest.approx(result.energy, rel=1e-12)
    assert result.virials.sum(axis=0) == pytest.approx(result.virial, rel=1e-12)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
def test_awkward_systems(name: str, exact: bool) -> None:
    """Systems of twins/systems.py without pairs below 0.8 sigma, whose forces would hide others."""
    lj = options("shifted")
    system = apart(SYSTEMS[name]().scaled(lj.cutoff + SKIN), 0.8)
    types = types_of(len(system.x), 1)
    twin = lennard_jones(system.x, types, system.box, lj.epsilon, lj.sigma, lj.rc, True)
    for precision, bound in BOUNDS.items():
        f, result = evaluate(lj, system, types, precision, exact=exact)
        # single sees a grid that does not move with the origin: the twin's own rounding counts too
        far = abs(system.box.lo).max() * 2.0**-52 * 30
        assert (abs(f - twin.forces) <= (bound + far) * twin.strength[:, None] + 1e-300).all(), (
            precision
        )
        assert (abs(result.energies - twin.energies) <= (bound + far) * twin.depth + 1e-300).all()
        assert (
            abs(result.virials - twin.virials) <= (bound + far) * twin.torque[:, None] + 1e-300
        ).all()


@pytest.mark.parametrize("precision", ["mixed", "single"])
@pytest.mark.parametrize("distance", [16.0, 32.0, 64.0, 128.0, 256.0, 4096.0])
@pytest.mark.parametrize("exact", [False, True])
def test_fixed_point_coordinates_do_not_come_round(
    precision: str, distance: float, exact: bool
) -> None:
    """Two lone atoms whose distance is a multiple of the range of 32-bit coordinates feel nothing.

    Others far away make the columns so wide that both are in one cluster.
    """
    lj = LennardJones.from_options(1, epsilon=1.0, sigma=1.0, rc=2.5)
    for axis, offset in itertools.product(range(3), (0.9, 1.2)):
        x = np.array([[1.0] * 3, [1.0] * 3, [-9e4] * 3, [9e4] * 3])
        x[1, axis] += distance + offset
        system = System(x, SYSTEMS["one free atom"]().box)
        f, result = evaluate(lj, system, np.zeros(4, np.int32), precision, exact=exact)
        assert not f.any() and result.energy == 0.0


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_deterministic_sums_do_not_know_the_order(precision: str, threads: int) -> None:
    lj, system = options("three types"), liquid()
    types = types_of(len(system.x), 3)
    f, result = evaluate(lj, system, types, precision, True, exact=True)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(system.x))
        g, other = evaluate(lj, system, types, precision, True, Want.TOTALS, True, threads, order)
        assert np.array_equal(f, g)
        assert np.array_equal(result.energies, other.energies)
        assert np.array_equal(result.virials, other.virials)


@pytest.mark.parametrize("sigma", [1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("epsilon", [1e-6, 1.0, 1e5])
def test_deterministic_sums_in_any_units(sigma: float, epsilon: float) -> None:
    """The grid of integer sums follows energies and lengths: results scale with both."""
    lj = LennardJones.from_options(1, epsilon=epsilon, sigma=sigma, rc=2.5 * sigma)
    system = lattice((3, 3, 3), 1.68, 0.12, 22)
    types = types_of(len(system.x), 1)
    reach = lj.cutoff * (2.5 + SKIN) / 2.5
    x, owner = ghosts(system.x, system.box, 2.5 + SKIN)
    x = np.vstack([system.x, x]) * sigma
    ids = np.append(np.arange(len(system.x)), owner) + 1
    pairs = ClusterList(reach, 1, True)
    pairs.build(x, ids, len(types))
    f = {deterministic: np.empty((len(types), 3)) for deterministic in (False, True)}
    full, other = (
        lj.compiled("double", d).compute(
            x, np.zeros(len(x), np.int32), len(types), pairs, f[d], Want.PER_ATOM, None
        )
        for d in (False, True)
    )
    assert abs(f[True] - f[False]).max() <= 1e-9 * abs(f[False]).max()
    assert abs(other.energies - full.energies).max() <= 1e-9 * abs(full.energies).max()
    assert abs(other.virials - full.virials).max() <= 1e-9 * abs(full.virials).max()


def test_a_force_beyond_the_integers_is_told() -> None:
    lj = LennardJones.from_options(1, epsilon=1.0, sigma=1.0, rc=2.5)
    box = SYSTEMS["one free atom"]().box
    for distance in (0.56, 0.5, 1e-3, 0.0):
        system = System(np.array([[0.0, 0, 0], [distance, 0, 0]]), box)
        for want in Want:
            with pytest.raises(ForceRangeError, match="range of deterministic sums"):
                evaluate(lj, system, np.zeros(2, np.int32), "double", True, want, True)


def test_two_atoms_at_one_place_are_not_silent() -> None:
    lj = LennardJones.from_options(1, epsilon=1.0, sigma=1.0, rc=2.5)
    system = System(np.ones((2, 3)), SYSTEMS["one free atom"]().box)
    for precision in BOUNDS:
        f, result = evaluate(lj, system, np.zeros(2, np.int32), precision)
        assert not np.isfinite(result.energy) and not np.isfinite(f).all()


def test_the_rules_of_mixing() -> None:
    """LAMMPS manual, pair_modify mix: epsilon, sigma and cutoff of unlike types."""
    e, s, r = (1.0, 0.25), (1.0, 1.4), (2.5, 3.0)
    expected = {
        "geometric": (0.5, np.sqrt(1.4), np.sqrt(7.5)),
        "arithmetic": (0.5, 1.2, 2.75),
        "sixthpower": (
            2 * 0.5 * 1.4**3 / (1 + 1.4**6),
            ((1 + 1.4**6) / 2) ** (1 / 6),
            ((2.5**6 + 3.0**6) / 2) ** (1 / 6),
        ),
    }
    for mix, values in expected.items():
        lj = LennardJones.from_options(2, epsilon=e, sigma=s, rc=r, mix=mix)
        for matrix, value in zip((lj.epsilon, lj.sigma, lj.rc), values, strict=True):
            assert matrix[0, 1] == matrix[1, 0] == pytest.approx(value, rel=1e-15)
        assert (lj.epsilon[1, 1], lj.sigma[1, 1], lj.rc[1, 1]) == (0.25, 1.4, 3.0)
        assert lj.cutoff == lj.rc.max()
    assert LennardJones.from_options(2, epsilon=e, sigma=s, rc=r).sigma[0, 1] == np.sqrt(1.4)


def test_a_pair_table_overrides_and_feeds_the_mixing() -> None:
    lj = LennardJones.from_options(
        3,
        rc=2.5,
        mix="arithmetic",
        pair=[
            {"types": [1, 1], "epsilon": 1.0, "sigma": 1.0},
            {"types": [2, 2], "epsilon": 4.0, "sigma": 2.0},
            {"types": [3, 3], "epsilon": 0.0, "sigma": 1.0},
            {"types": [3, 1], "epsilon": 9.0},
        ],
    )
    assert lj.epsilon.tolist() == [[1, 2, 9], [2, 4, 0], [9, 0, 0]]
    assert lj.sigma.tolist() == [[1, 1.5, 1], [1.5, 2, 1.5], [1, 1.5, 1]]


def test_the_minimum() -> None:
    """E(2^(1/6) sigma) = -epsilon and no force there; E(sigma) = 0."""
    lj = LennardJones.from_options(1, epsilon=2.0, sigma=1.5, rc=6.0)
    box = SYSTEMS["one free atom"]().box
    for r, energy in ((1.5 * 2 ** (1 / 6), -2.0), (1.5, 0.0)):
        f, result = evaluate(
            lj, System(np.array([[0, 0, 0], [0, r, 0]]), box), np.zeros(2, np.int32)
        )
        assert result.energy == pytest.approx(energy, abs=1e-14)
    f, _ = evaluate(
        lj, System(np.array([[0, 0, 0], [0, 1.5 * 2 ** (1 / 6), 0]]), box), np.zeros(2, np.int32)
    )
    assert abs(f).max() < 1e-13


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"rc": 0.0}, "rc = 0: must be greater than 0"),
        ({"rc": -2.5}, "rc = -2.5: must be greater than 0"),
        ({"sigma": 0.0}, "sigma = 0: must be greater than 0"),
        ({"epsilon": -1.0}, "epsilon = -1: must be at least 0"),
        ({"rc": None}, "rc of types 1 1 is missing"),
        ({"epsilon": [1.0, 2.0, 3.0]}, "epsilon: 3 values for 2 atom types"),
        ({"mix": "harmonic"}, "mix = 'harmonic': must be one of geometric, arithmetic, sixthpower"),
        ({"rc": float("nan")}, "rc = nan"),
        ({"rc": float("inf")}, "rc = inf"),
        ({"rc": "2.5"}, "rc = '2.5'"),
        ({"epsilon": True}, "epsilon = True"),
        ({"shift": "no"}, "shift = 'no': must be true or false"),
        ({"shift": 1}, "shift = 1: must be true or false"),
        ({"pair": 3}, "pair = 3: must be a list of tables"),
        ({"pair": [3]}, "pair = [3]: must be a list of tables"),
        ({"pair": [{"types": [1, 3]}]}, "pair.types = [1, 3]: must be two atom types from 1 to 2"),
        ({"pair": [{"types": [1, True]}]}, "pair.types"),
        ({"pair": [{"epsilon": 1.0}]}, "pair.types = None"),
        (
            {"pair": [{"types": [1, 2], "sgima": 1.0}]},
            "pair.sgima: unknown key; did you mean sigma?",
        ),
        ({"pair": [{"types": [1, 2], "rc": "far"}]}, "pair.rc = 'far'"),
        ({"pair": [{"types": [1, 2], "rc": -1.0}]}, "rc = -1: must be greater than 0"),
    ],
)
def test_bad_values_are_named(bad: dict, words: str) -> None:
    given = {"epsilon": 1.0, "sigma": 1.0, "rc": 2.5} | bad
    with pytest.raises(ValueError) as error:
        LennardJones.from_options(2, **given)
    assert words in str(error.value)
