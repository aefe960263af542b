"""Forces between charges against their twin: formulas, precisions, sums, what acts on what."""

from functools import cache

import numpy as np
import pytest

from mdapp.derivatives import check_derivatives
from mdapp.errors import InputError
from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from mdapp.model.units import UNITS
from potentials.base import Want
from potentials.registry import PotentialError, make_potential
from tests.twins.coulomb import charge_sums, own_energy
from tests.twins.evaluate import evaluate as on_one_rank
from tests.twins.evaluate import types_of
from tests.twins.systems import lattice

ALPHA, RC = 0.8, 2.6
OPTIONS = {"coul/cut": {"rc": RC}, "coul/dsf": {"alpha": ALPHA, "rc": RC},
           "coul/wolf": {"alpha": ALPHA, "rc": RC}}  # fmt: skip
SYSTEM = lattice((3, 3, 3), 1.68, 0.07, 21)
CHARGES = np.random.default_rng(8).normal(size=len(SYSTEM.x))
ONE_TYPE = np.zeros(len(SYSTEM.x), np.int32)
# Largest error over the sum of |force| of an atom's pairs. Single precision rounds charges, r^2
# and erfc, each to 1e-7 or less.
BOUNDS = {"double": 2e-15, "mixed": 1e-6}


@cache
def twin(style: str):
    alpha = 0.0 if style == "coul/cut" else ALPHA
    return charge_sums(style, SYSTEM.x, CHARGES, SYSTEM.box, alpha, RC)


def evaluate(style: str, precision: str = "double", deterministic: bool = False, **asked):
    potential = make_potential(style, OPTIONS[style], 1)
    return on_one_rank(potential.compiled(precision, deterministic), RC, "clusters", SYSTEM,
                       ONE_TYPE, charges=CHARGES, exact=deterministic, **asked)  # fmt: skip


@pytest.mark.parametrize(
    ("style", "precision"),
    [("coul/dsf", "double"), ("coul/dsf", "mixed"), ("coul/wolf", "double"),
     ("coul/cut", "double")],
)  # fmt: skip
def test_the_twin(style: str, precision: str) -> None:
    expected, scale = twin(style), twin(style).strength.max()
    f, result = evaluate(style, precision)
    assert abs(f - expected.forces).max() < BOUNDS[precision] * scale
    assert abs(result.energies - expected.energies).max() < BOUNDS[precision] * scale
    assert abs(result.virials - expected.virials).max() < BOUNDS[precision] * scale
    assert result.energy == pytest.approx(result.energies.sum(), rel=1e-14)


@pytest.mark.parametrize("want", [Want.FORCES, Want.TOTALS])
def test_less_is_wanted(want: Want) -> None:
    expected = twin("coul/dsf")
    f, result = evaluate("coul/dsf", want=want)
    assert abs(f - expected.forces).max() < 2e-15 * expected.strength.max()
    if want is Want.TOTALS:
        assert result.energy == pytest.approx(expected.energies.sum(), rel=1e-13)
        assert result.energies is None


def test_deterministic_sums() -> None:
    f, result = evaluate("coul/dsf", deterministic=True)
    assert abs(f - twin("coul/dsf").forces).max() < 1e-9
    order = np.random.default_rng(3).permutation(len(SYSTEM.x))
    g, other = evaluate("coul/dsf", deterministic=True, order=order, threads=2)
    assert f.tobytes() == g.tobytes() and result.energies.tobytes() == other.energies.tobytes()


def test_forces_of_dsf_are_derivatives_and_those_of_wolf_are_the_same() -> None:
    """In a sheared cell that is narrower than the cutoff."""
    box = Box.from_vectors([[4.0, 0, 0], [0.7, 3.5, 0], [-0.4, 0.9, 3.8]])
    x = np.random.default_rng(2).random((6, 3)) @ box.edges
    structure = Structure.of_arrays(box, x, q=np.array([1, -2, 0.5, 0, 1.5, -1.0]))
    damped, wolf = (make_potential(style, {"alpha": 0.3, "rc": 4.5}, 1)
                    for style in ("coul/dsf", "coul/wolf"))  # fmt: skip
    points = [single_point(structure, p, units="metal") for p in (damped, wolf)]
    assert check_derivatives(points[0], damped).good
    assert not check_derivatives(points[1], wolf).good and "derivative" in wolf.known
    assert abs(points[0].forces - points[1].forces).max() < 1e-13 * abs(points[0].forces).max()


def test_nothing_jumps_at_the_cutoff() -> None:
    box = Box.orthogonal([0.0] * 3, [50.0] * 3, (False,) * 3)
    potential = make_potential("coul/dsf", {"alpha": 0.2, "rc": 9.0}, 1)
    for r, bound in ((9.0 - 1e-7, 1e-12), (9.0 + 1e-7, 0.0)):
        structure = Structure.of_arrays(box, np.array([[5.0, 5, 5], [5 + r, 5, 5]]),
                                        q=np.array([1.0, -2.0]))  # fmt: skip
        point = single_point(structure, potential, units="metal")
        own = UNITS["metal"].qqr2e * own_energy("coul/dsf", 0.2, 9.0) * 5.0
        assert abs(point.energy - own) <= max(bound, 1e-15 * abs(own))
        assert abs(point.forces).max() <= 1e-7 * (bound > 0)


def test_only_some_types() -> None:
    """Atoms of a type on which nothing acts have no energy with themselves either."""
    types = types_of(SYSTEM, 2)
    potential = make_potential("coul/dsf", OPTIONS["coul/dsf"] | {"only": [[1, 1]]}, 2)
    parts = [{"style": "coul/dsf", **OPTIONS["coul/dsf"], "only": [[1, 1]]},
             {"style": "gauss", "a": 0.0, "b": 1.0, "rc": 3.0}]  # fmt: skip
    overlay = make_potential("hybrid/overlay", {"part": parts}, 2)
    first = types == 0
    expected = charge_sums("coul/dsf", SYSTEM.x, np.where(first, CHARGES, 0.0), SYSTEM.box,
                           ALPHA, RC)  # fmt: skip
    for p in (potential, overlay):
        assert p.charges
        f, result = on_one_rank(p.compiled("double", False), p.cutoff, "clusters", SYSTEM, types,
                                charges=CHARGES)  # fmt: skip
        assert abs(f - expected.forces).max() < 1e-14 * expected.strength.max()
        assert abs(result.energies - expected.energies).max() < 1e-14 * expected.strength.max()


def test_types_that_are_alike_are_not_looked_up() -> None:
    kernel = make_potential("coul/dsf", OPTIONS["coul/dsf"], 2).compiled("double", False)
    assert kernel.ntypes == 1
    f, result = on_one_rank(kernel, RC, "clusters", SYSTEM, types_of(SYSTEM, 2),
                            charges=CHARGES)  # fmt: skip
    g, other = evaluate("coul/dsf")
    assert f.tobytes() == g.tobytes() and result.energies.tobytes() == other.energies.tobytes()


def test_atoms_without_charges() -> None:
    potential = make_potential("coul/dsf", OPTIONS["coul/dsf"], 1)
    structure = Structure.of_arrays(SYSTEM.box, SYSTEM.x)
    with pytest.raises(InputError, match="'coul/dsf': acts between charges, and the atoms have"):
        single_point(structure, potential)


@pytest.mark.parametrize(
    ("style", "keys", "words"),
    [
        ("coul/dsf", {"rc": 3.0}, "alpha is missing"),
        ("coul/wolf", {"alpha": -0.1, "rc": 3.0}, "alpha = -0.1: must be at least 0"),
        ("coul/dsf", {"alpha": 0.1, "rc": 0.0}, "rc = 0: must be greater than 0"),
        ("coul/dsf", {"alpha": 0.1, "rc": 1.0, "shift": True}, "potential.shift: unknown key"),
        ("coul/cut", {}, "rc of types 1 1 is missing"),
    ],
)
def test_messages(style: str, keys: dict, words: str) -> None:
    with pytest.raises(PotentialError) as error:
        make_potential(style, keys, 2)
    assert words in str(error.value)
