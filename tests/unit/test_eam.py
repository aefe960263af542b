"""The EAM kernel against its twin: types, precisions, threads, orders, sums."""

from dataclasses import replace

import numpy as np
import pytest

from potentials.base import ForceRangeError, Want
from potentials.eam.kernel import EAMKernel
from tests.twins.eam import embedded_atom, invented
from tests.twins.evaluate import SKIN, types_of
from tests.twins.evaluate import evaluate as on_one_rank
from tests.twins.systems import SYSTEMS, System, apart, lattice

TABLES = {"one type": invented(1), "alloy": invented(3, seed=2),
          "Finnis-Sinclair": invented(2, finnis_sinclair=True, seed=3)}  # fmt: skip
# Errors of forces and energies, in units of a pair's; single precision rounds r^2 to 6e-8.
BOUNDS = {"double": 2e-13, "mixed": 3e-5, "single": 3e-5}


def evaluate(tables, system: System, types, precision="double", deterministic=False,
             kernel=None, **asked):  # fmt: skip
    kernel = kernel or EAMKernel(tables, precision, deterministic)
    return on_one_rank(kernel, tables.cutoff, "clusters", system, types, **asked)


def liquid() -> System:
    return lattice((4, 4, 4), 1.68, 0.07, 21)


@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("name", TABLES)
def test_a_liquid(name: str, precision: str, deterministic: bool) -> None:
    tables, system = TABLES[name], liquid()
    types = types_of(system, tables.ntypes)
    twin = embedded_atom(system.x, types, system.box, tables)
    f, result = evaluate(tables, system, types, precision, deterministic)
    bound = max(BOUNDS[precision], 1e-9 if deterministic else 0.0)
    assert abs(f - twin.forces).max() < bound
    assert abs(result.energies - twin.energies).max() < bound
    assert abs(result.virials - twin.virials).max() < bound
    assert abs(result.energy - twin.energies.sum()) < bound * len(types)


@pytest.mark.parametrize("name", SYSTEMS)
def test_awkward_places(name: str) -> None:
    tables = TABLES["alloy"]
    system = apart(SYSTEMS[name]().scaled(tables.cutoff + SKIN), 0.7)
    if len(system.x) > 250:
        system = System(system.x[:250], system.box)
    types = types_of(system, 3)
    twin = embedded_atom(system.x, types, system.box, tables)
    f, result = evaluate(tables, system, types)
    scale = 1 + abs(twin.forces).max(initial=0)
    assert abs(f - twin.forces).max(initial=0) < 1e-12 * scale
    assert abs(result.energies - twin.energies).max(initial=0) < 1e-12 * scale


def test_densities_beyond_the_table_continue_on_a_line() -> None:
    tables = invented(1)
    squeezed = lattice((3, 3, 3), 0.9, 0.02, 4)
    twin = embedded_atom(squeezed.x, types_of(squeezed, 1), squeezed.box, tables)
    assert twin.densities.min() > tables.drho * (tables.embedding.shape[1] - 1)
    f, result = evaluate(tables, squeezed, types_of(squeezed, 1))
    assert result.energy == pytest.approx(twin.energies.sum(), rel=1e-12)
    assert abs(f - twin.forces).max() < 1e-11 * (1 + abs(twin.forces).max())


@pytest.mark.parametrize("deterministic", [False, True])
def test_less_is_wanted(deterministic: bool) -> None:
    tables, system = TABLES["alloy"], liquid()
    types = types_of(system, 3)
    f, full = evaluate(tables, system, types, deterministic=deterministic)
    for want in (Want.FORCES, Want.TOTALS):
        g, result = evaluate(tables, system, types, deterministic=deterministic, want=want)
        assert np.array_equal(f, g)
    assert abs(result.energy - full.energy) < 1e-13 * len(types)
    np.testing.assert_allclose(result.virial, full.virial, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize(("precision", "bound"), [("mixed", 3e-7), ("single", 3e-6)])
def test_errors_of_totals_do_not_grow_with_the_atoms(precision: str, bound: float) -> None:
    """A crystal, whose atoms are all rounded alike; single sums over them would lose 2e-3."""
    tables, system = TABLES["one type"], lattice((14, 14, 14), 1.68, 0.0, 21)
    types = types_of(system, 1)
    _, exact = evaluate(tables, system, types, want=Want.TOTALS)
    _, result = evaluate(tables, system, types, precision, want=Want.TOTALS)
    assert result.energy == pytest.approx(exact.energy, rel=bound)
    np.testing.assert_allclose(result.virial, exact.virial, rtol=bound, atol=0.1)


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("precision", BOUNDS)
def test_deterministic_sums_know_neither_order_nor_threads(name: str, precision: str) -> None:
    tables, system = TABLES[name], liquid()
    types = types_of(system, tables.ntypes)
    f, result = evaluate(tables, system, types, precision, True)
    for seed, threads in ((1, 1), (2, 2), (3, 3)):
        order = np.random.default_rng(seed).permutation(len(system.x))
        g, other = evaluate(tables, system, types, precision, True, threads=threads, order=order)
        assert f.tobytes() == g.tobytes()
        assert result.energies.tobytes() == other.energies.tobytes()
        assert result.virials.tobytes() == other.virials.tobytes()


def test_forces_are_derivatives() -> None:
    tables, system = TABLES["Finnis-Sinclair"], liquid()
    types = types_of(system, 2)
    f, _ = evaluate(tables, system, types)
    step = 1e-5
    for atom, axis in ((0, 0), (17, 1), (100, 2)):
        energies = []
        for sign in (-1, 1):
            x = system.x.copy()
            x[atom, axis] += sign * step
            energies.append(evaluate(tables, System(x, system.box), types)[1].energy)
        assert -(energies[1] - energies[0]) / (2 * step) == pytest.approx(f[atom, axis], abs=2e-8)


def test_memory_is_used_again_for_more_pairs_and_for_fewer() -> None:
    tables = TABLES["alloy"]
    kernel = EAMKernel(tables, "double", False)
    for spacing in (1.9, 1.68, 1.5, 1.9):
        system = lattice((4, 4, 4), spacing, 0.07, 21)
        types = types_of(system, 3)
        expected, _ = evaluate(tables, system, types)
        f, _ = evaluate(tables, system, types, kernel=kernel)
        assert np.array_equal(f, expected)


def test_a_force_beyond_the_range_of_integers() -> None:
    tables = replace(TABLES["one type"], z2=1e7 * TABLES["one type"].z2)
    system = liquid()
    with pytest.raises(ForceRangeError):
        evaluate(tables, system, types_of(system, 1), deterministic=True)
