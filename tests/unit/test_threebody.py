"""Stillinger-Weber and Tersoff kernels against their twins: types, precisions, threads, orders."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from potentials.base import ForceRangeError, Want
from potentials.threebody.sw import StillingerWeber
from potentials.threebody.tersoff import Tersoff
from potentials.threebody.tersoff_mod import TersoffMod
from potentials.threebody.tersoff_zbl import TersoffZBL
from tests.twins import threebody as twins
from tests.twins.evaluate import SKIN, types_of
from tests.twins.evaluate import evaluate as on_one_rank
from tests.twins.systems import SYSTEMS, System, apart, lattice

CASES = {
    "sw": (StillingerWeber(twins.invented_sw(1)), twins.stillinger_weber),
    "sw, mixture": (StillingerWeber(twins.invented_sw(3, seed=2)), twins.stillinger_weber),
    "sw, other powers": (
        StillingerWeber(twins.invented_sw(2, seed=3, p=3.5, q=1.0, tol=1e-3)),
        twins.stillinger_weber,
    ),
    "tersoff": (Tersoff(twins.invented_tersoff(1)), twins.bond_orders),
    "tersoff, mixture": (Tersoff(twins.invented_tersoff(2, seed=2, m=1.0)), twins.bond_orders),
    "tersoff, no lengths": (
        Tersoff(twins.invented_tersoff(3, seed=3, lambda3=0.0)),
        twins.bond_orders,
    ),
}
# Other functions in the same loop, so that less is to be shown of them.
FUNCTIONS = {
    "tersoff/mod": (TersoffMod(twins.invented_tersoff_mod(2, seed=2)), twins.modified_bond_orders),
    "tersoff/mod, cubes": (TersoffMod(twins.invented_tersoff_mod(2, seed=3, beta=3.0)),
                           twins.modified_bond_orders),
    "tersoff/zbl": (TersoffZBL(twins.invented_tersoff_zbl(2, seed=3)), twins.screened_bond_orders),
}  # fmt: skip
# Errors of forces and energies of about 30; single precision rounds distances to 6e-8.
BOUNDS = {"double": 2e-12, "mixed": 2e-4, "single": 2e-4}


def evaluate(potential, system: System, types, precision="double", deterministic=False,
             kernel=None, **asked):  # fmt: skip
    kernel = kernel or potential.compiled(precision, deterministic)
    return on_one_rank(kernel, potential.cutoff, "full", system, types, **asked)


def liquid() -> System:
    return lattice((3, 3, 3), 1.6, 0.07, 21)


@pytest.fixture(scope="module")
def twin_of():
    """The twin of a case on the liquid, computed once."""
    known: dict[str, twins.Energies] = {}

    def twin(name: str) -> twins.Energies:
        if name not in known:
            (potential, energy), system = (CASES | FUNCTIONS)[name], liquid()
            known[name] = twins.atom_energies(
                energy, system.x, types_of(system, potential.ntypes), system.box,
                potential.entries, potential.cutoff,
            )  # fmt: skip
        return known[name]

    return twin


@pytest.mark.parametrize(("name", "precision", "deterministic"), [
    *product(CASES, BOUNDS, (False, True)),
    *((name, *mode) for name in FUNCTIONS
      for mode in (("double", False), ("mixed", False), ("double", True)))])  # fmt: skip
def test_a_liquid(name: str, precision: str, deterministic: bool, twin_of) -> None:
    (potential, _), system, twin = (CASES | FUNCTIONS)[name], liquid(), twin_of(name)
    types = types_of(system, potential.ntypes)
    f, result = evaluate(potential, system, types, precision, deterministic)
    bound = max(BOUNDS[precision], 1e-9 if deterministic else 0.0)
    assert abs(twin.forces).max() > 1
    assert abs(f - twin.forces).max() < bound
    assert abs(result.energies - twin.energies).max() < bound
    assert abs(result.virials - twin.virials).max() < bound
    assert abs(result.energy - twin.energies.sum()) < bound * len(types)


@pytest.mark.parametrize("case", ["sw, mixture", "tersoff, mixture"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_awkward_places(name: str, case: str) -> None:
    potential, energy = CASES[case]
    system = apart(SYSTEMS[name]().scaled(potential.cutoff + SKIN), 0.7)
    if len(system.x) > 80:
        system = System(system.x[:80], system.box)
    types = types_of(system, potential.ntypes)
    twin = twins.atom_energies(
        energy, system.x, types, system.box, potential.entries, potential.cutoff
    )
    f, result = evaluate(potential, system, types)
    scale = 1 + abs(twin.forces).max(initial=0)
    assert abs(f - twin.forces).max(initial=0) < 1e-12 * scale
    assert abs(result.energies - twin.energies).max(initial=0) < 1e-12 * scale


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("deterministic", [False, True])
def test_less_is_wanted(name: str, deterministic: bool) -> None:
    (potential, _), system = CASES[name], liquid()
    types = types_of(system, potential.ntypes)
    f, full = evaluate(potential, system, types, deterministic=deterministic)
    for want in (Want.FORCES, Want.TOTALS):
        g, result = evaluate(potential, system, types, deterministic=deterministic, want=want)
        assert np.array_equal(f, g)
    assert abs(result.energy - full.energy) < 1e-13 * len(types)
    np.testing.assert_allclose(result.virial, full.virial, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("precision", BOUNDS)
def test_deterministic_sums_know_neither_order_nor_threads(name: str, precision: str) -> None:
    (potential, _), system = CASES[name], liquid()
    types = types_of(system, potential.ntypes)
    f, result = evaluate(potential, system, types, precision, True)
    for seed, threads in ((1, 1), (2, 2), (3, 3)):
        order = np.random.default_rng(seed).permutation(len(system.x))
        g, other = evaluate(potential, system, types, precision, True, threads=threads, order=order)
        assert f.tobytes() == g.tobytes()
        assert result.energies.tobytes() == other.energies.tobytes()
        assert result.virials.tobytes() == other.virials.tobytes()


@pytest.mark.parametrize("name", CASES)
def test_threads_add_up_and_memory_is_used_again(name: str) -> None:
    potential, _ = CASES[name]
    kernel = potential.compiled("double")
    for spacing in (1.9, 1.6, 1.5, 1.9):
        system = lattice((3, 3, 3), spacing, 0.07, 21)
        types = types_of(system, potential.ntypes)
        expected, _ = evaluate(potential, system, types)
        for threads in (1, 3):
            f, _ = evaluate(potential, system, types, kernel=kernel, threads=threads)
            np.testing.assert_allclose(f, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_forces_are_derivatives(name: str) -> None:
    (potential, _), system = CASES[name], liquid()
    types = types_of(system, potential.ntypes)
    f, _ = evaluate(potential, system, types)
    step = 1e-5
    for atom, axis in ((0, 0), (17, 1), (100, 2)):
        energies = []
        for sign in (-1, 1):
            x = system.x.copy()
            x[atom, axis] += sign * step
            energies.append(evaluate(potential, System(x, system.box), types)[1].energy)
        assert -(energies[1] - energies[0]) / (2 * step) == pytest.approx(f[atom, axis], abs=2e-6)


def test_a_force_beyond_the_range_of_integers() -> None:
    potential, _ = CASES["sw"]
    values = potential.entries.values.copy()
    values[..., 0] *= 1e7
    strong = replace(potential, entries=replace(potential.entries, values=values))
    with pytest.raises(ForceRangeError):
        evaluate(strong, liquid(), types_of(liquid(), 1), deterministic=True)


@pytest.mark.parametrize("precision", BOUNDS)
def test_at_the_cutoff_there_is_nothing(precision: str) -> None:
    """Distances around the cutoff, where single precision may round r up to it or beyond."""
    potential, _ = CASES["sw"]
    box = lattice((5, 5, 5), 2.0, 0.0, 0).box
    for ulps in range(-4, 5):
        r = potential.cutoff * (1 + ulps * 3e-8)
        x = np.array([[1.0, 1.0, 1.0], [1.0 + r, 1.0, 1.0], [1.0, 2.0, 1.0]])
        f, result = evaluate(potential, System(x, box), np.zeros(3, np.int32), precision)
        assert np.isfinite(f).all() and abs(f[1]).max() < 1e-12
        assert np.isfinite(result.virials).all()
