"""Pair formulas against their twins: equations, precisions, sums, what is continuous, messages."""

from functools import cache

import numpy as np
import pytest

from potentials.base import Want
from potentials.pair.formula import PairPotential
from potentials.registry import PotentialError, make_potential
from tests.twins.pairs import FORMULAS, pair_sums
from tests.twins.systems import SYSTEMS, System, lattice
from tests.unit.test_lj import evaluate, types_of

# Two types each, in reduced units: nearest neighbours are 1.19 apart.
OPTIONS = {
    "lj/smooth/linear": {"epsilon": [1.0, 0.6], "sigma": [1.0, 0.9], "rc": 2.1},
    "lj/smooth": {"epsilon": [1.0, 0.6], "sigma": [1.0, 0.9], "rin": 1.5, "rc": 2.1,
                  "shift": True},
    "morse": {"d0": 1.2, "alpha": 5.0, "rc": 2.1, "shift": True,
              "pair": [{"types": [1, 1], "r0": 1.1}, {"types": [2, 2], "r0": 1.0},
                       {"types": [1, 2], "r0": 1.2, "rc": 1.8}]},
    "buck": {"a": 900.0, "rho": 0.15, "c": [0.8, 0.9], "rc": 2.1, "shift": True,
             "pair": [{"types": [1, 2], "c": 1.5}]},
    "born": {"a": 0.5, "rho": 0.12, "sigma": [1.1, 1.2], "c": 0.7, "d": -0.3, "rc": 2.1,
             "pair": [{"types": [1, 2], "sigma": 1.15}]},
    "yukawa": {"a": [3.0, 2.0], "rc": 2.1, "kappa": 1.3, "shift": True, "mix": "arithmetic"},
    "soft": {"a": [3.0, 2.0], "rc": [2.1, 1.7]},
    "gauss": {"a": [3.0, -2.0], "b": 1.2, "rc": 2.1,
              "pair": [{"types": [1, 2], "a": -0.7, "b": 2.0}]},
    "zbl": {"z": [2, 1], "inner": 1.1, "outer": 2.1, "coulomb": 3.0},
}  # fmt: skip
# Largest error of a force over the sum of |force| of the atom's pairs, and the same of energies.
# Single precision rounds r^2 to 6e-8 and has steep exponents: alpha r = 5 and more.
BOUNDS = {"double": 3e-14, "mixed": 5e-6, "single": 5e-6}


def potential_of(style: str) -> PairPotential:
    return make_potential(style, OPTIONS[style], 2)


def energy_of(style: str, potential: PairPotential):
    """E(r, i, j) of the twin with the parameters that the potential has, shift included."""
    formula = FORMULAS[style]

    def values(i: int, j: int) -> list[float]:
        if style == "zbl":
            return [potential.z[i], potential.z[j], potential.inner, potential.rc[i, j],
                    potential.coulomb]  # fmt: skip
        names = [p.name for p in potential.parameters]
        return [*(getattr(potential, n)[i, j] for n in names),
                *(getattr(potential, o.name) for o in potential.options)]  # fmt: skip

    def energy(r: complex, i: int, j: int) -> complex:
        shift = getattr(potential, "shift", False)
        value = formula(r, *values(i, j))
        return value - formula(potential.rc[i, j], *values(i, j)) if shift else value

    return energy


def liquid() -> System:
    return lattice((3, 3, 3), 1.68, 0.07, 21)


@cache
def twin_of(style: str):
    potential, system = potential_of(style), liquid()
    types = types_of(len(system.x), 2)
    return pair_sums(system.x, types, system.box, energy_of(style, potential), potential.rc)


def deviation(style: str, precision: str, deterministic: bool, want=Want.PER_ATOM):
    potential, system, twin = potential_of(style), liquid(), twin_of(style)
    types = types_of(len(system.x), 2)
    f, result = evaluate(potential, system, types, precision, deterministic, want=want,
                         exact=deterministic)  # fmt: skip
    scale = twin.strength.max()
    return (abs(f - twin.forces).max() / scale, abs(result.energies - twin.energies).max() / scale,
            abs(result.virials - twin.virials).max() / scale)  # fmt: skip


@pytest.mark.parametrize("style", OPTIONS)
@pytest.mark.parametrize("precision", BOUNDS)
def test_the_twin(style: str, precision: str) -> None:
    assert max(deviation(style, precision, False)) < BOUNDS[precision]


@pytest.mark.parametrize("style", ["born", "zbl"])
def test_deterministic_sums(style: str) -> None:
    assert max(deviation(style, "double", True)) < 1e-9
    potential, system = potential_of(style), liquid()
    types = types_of(len(system.x), 2)
    f, _ = evaluate(potential, system, types, "double", True, exact=True)
    order = np.random.default_rng(3).permutation(len(types))
    g, _ = evaluate(potential, system, types, "double", True, exact=True, order=order, threads=2)
    assert f.tobytes() == g.tobytes()


def energy_of_two(potential: PairPotential, r: float) -> tuple[float, float]:
    """Energy and force of two atoms of the first type."""
    system = System(np.array([[0.0, 0, 0], [r, 0, 0]]), SYSTEMS["one free atom"]().box)
    f, result = evaluate(potential, system, np.zeros(2, np.int32))
    return result.energy, f[1, 0]


@pytest.mark.parametrize("style", OPTIONS)
def test_what_is_continuous_at_the_cutoff(style: str) -> None:
    """As the potential says of itself in `known`, and neither more nor less."""
    potential = potential_of(style)
    h = 1e-7
    energy, force = energy_of_two(potential, float(potential.rc[0, 0]) - h)
    assert (abs(energy) < 1e-6) == ("continuous_energy" not in potential.known)
    assert (abs(force) < 1e-5) == ("continuous_force" not in potential.known)
    assert energy_of_two(potential, float(potential.rc[0, 0]) + h) == (0.0, 0.0)


@pytest.mark.parametrize("style", ["soft", "gauss"])
def test_atoms_may_lie_upon_each_other(style: str) -> None:
    energy, force = energy_of_two(potential_of(style), 0.0)
    assert energy == pytest.approx({"soft": 6.0, "gauss": -3.0}[style], rel=1e-14) and force == 0


def test_only_some_pairs() -> None:
    """`only` is as if the other pairs had no interaction, and needs no parameters for them."""
    given = {"d0": 1.2, "alpha": 5.0, "rc": 2.1, "only": [[2, 1]],
             "pair": [{"types": [1, 2], "r0": 1.1}]}  # fmt: skip
    potential = make_potential("morse", given, 2)
    assert potential.rc.tolist() == [[0, 2.1], [2.1, 0]]
    system = liquid()
    types = types_of(len(system.x), 2)
    twin = pair_sums(system.x, types, system.box, energy_of("morse", potential), potential.rc)
    f, result = evaluate(potential, system, types)
    assert abs(f - twin.forces).max() < 1e-13 * twin.strength.max()
    assert result.energy == pytest.approx(twin.energies.sum(), rel=1e-12)


def test_one_value_holds_for_all_pairs_and_one_a_type_for_like_ones() -> None:
    assert make_potential("gauss", {"a": 1, "b": 2, "rc": 3}, 2).a.tolist() == [[1, 1], [1, 1]]
    with pytest.raises(PotentialError, match="a of types 1 2 is missing"):
        make_potential("gauss", {"a": [1, 2], "b": 2, "rc": 3}, 2)


@pytest.mark.parametrize(
    ("style", "change", "words"),
    [
        ("morse", {"alpha": 0}, "alpha = 0: must be greater than 0"),
        ("morse", {"r": 1.0}, "potential.r: unknown key of style morse; did you mean"),
        ("yukawa", {"kappa": None}, "kappa is missing"),
        ("yukawa", {"kappa": -1.0}, "kappa = -1: must be at least 0"),
        ("yukawa", {"kappa": [1.0]}, "kappa = [1.0]: must be a finite number"),
        ("soft", {"shift": True}, "potential.shift: unknown key of style soft"),
        ("lj/smooth", {"rin": 2.2}, "rin = 2.2: must be less than rc = 2.1"),
        ("zbl", {"z": None}, "z is missing"),
        ("zbl", {"z": [1, 2, 3]}, "z: 3 values for 2 atom types"),
        ("zbl", {"z": 0}, "z = 0: must be greater than 0"),
        ("zbl", {"inner": 3.0}, "inner = 3: must be less than outer = 2.1"),
        ("gauss", {"only": []}, "only = []: must be a list of pairs of types"),
        ("gauss", {"only": [[1, 3]]}, "only = [1, 3]: must be two atom types from 1 to 2"),
    ],
)
def test_messages(style: str, change: dict, words: str) -> None:
    with pytest.raises(PotentialError) as error:
        make_potential(style, OPTIONS[style] | change, 2)
    assert words in str(error.value)
