"""The NEP kernel against its twin, derivatives, rewritten models, precisions, orders, threads."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from potentials import simd
from potentials.base import ForceRangeError, Want
from potentials.nep.harmonics import bounds, pull, store_harmonics, weights
from potentials.nep.model import NEPModel, ZBLSection
from potentials.nep.potential import NEP
from potentials.nep.writer import write_nep
from potentials.registry import PotentialError, make_potential
from tests.twins.evaluate import evaluate as on_one_rank
from tests.twins.evaluate import types_of
from tests.twins.nep import NONE, energies, flexible, forces_by_jax, invented, legendre
from tests.twins.systems import System, lattice

MODELS = {
    "all products, flexible ZBL": invented(1, zbl=flexible(3)),
    "one network, universal ZBL": invented(
        2, ("C", "O"), 3, flags=(True, True, *NONE[2:]), zbl=ZBLSection(0.9, 1.6)),
    "biases of MatPL, type-wise ZBL": invented(
        3, ("C", "O"), 4, flags=NONE, zbl=ZBLSection(0.3, 1.7, 0.7)),
    "a degree of three": invented(5, ("C", "H"), 4, 3, (*NONE[:3], True, False, False),
                                  own_bias=False, basis_size=(0, 9), neurons=9),
    "no angles": invented(6, ("C",), 4, 0, NONE, own_bias=False),
}  # fmt: skip


@pytest.fixture(params=MODELS)
def model(request) -> NEPModel:
    return MODELS[request.param]


def liquid(cells: int = 2) -> System:
    return lattice((cells,) * 3, 2.3, 0.07, 21)


def potential_of(model: NEPModel) -> NEP:
    return NEP(model, tuple(range(len(model.elements))))


def evaluate(model, system: System, types, precision="double", deterministic=False, kernel=None,
             **asked):  # fmt: skip
    potential = potential_of(model)
    kernel = kernel or potential.compiled(precision, deterministic)
    return on_one_rank(kernel, potential.cutoff, "full", system, types, **asked)


def test_energies_of_a_liquid(model: NEPModel) -> None:
    system = liquid()
    types = types_of(system, len(model.elements))
    twin = energies(model, system.x, types, system.box)
    _, result = evaluate(model, system, types)
    assert np.ptp(twin) > 1e-3
    np.testing.assert_allclose(result.energies, twin, rtol=0, atol=2e-13 * abs(twin).max())


def test_forces_and_virial_are_derivatives(model: NEPModel) -> None:
    """Of the sum of energies, by six positions and all six strains."""
    system = liquid()
    types = types_of(system, len(model.elements))
    structure = Structure.of_arrays(system.box, system.x, types, model.elements)
    potential = potential_of(model)
    kernel = potential.compiled("double")

    def energy(x, edges) -> float:
        box = Box.from_vectors(edges)
        moved = Structure.of_arrays(box, x, types, model.elements)
        return single_point(moved, potential, kernel=kernel).energy

    found = single_point(structure, potential, kernel=kernel)
    assert abs(found.forces.sum(axis=0)).max() < 1e-12 * len(types)
    scale, edges = abs(found.forces).max(), system.box.edges
    for atom, axis in ((0, 0), (11, 1), (30, 2)):
        e = np.zeros_like(system.x)
        e[atom, axis] = 1
        value = -derivative(lambda h, e=e: energy(system.x + h * e, edges))
        assert value == pytest.approx(found.forces[atom, axis], abs=1e-8 * scale)
    for k, (a, b) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
        e = np.zeros((3, 3))
        e[a, b] = 1
        value = -derivative(lambda h, e=e: energy(system.x @ (np.eye(3) + h * e),
                                                  edges @ (np.eye(3) + h * e)))  # fmt: skip
        assert value == pytest.approx(found.virial[k], abs=1e-8 * abs(found.virial).max())


def test_forces_of_the_twin() -> None:
    pytest.importorskip("jax")
    model, rng = MODELS["all products, flexible ZBL"], np.random.default_rng(8)
    x, types = liquid().x[:5], rng.integers(0, 3, 5).astype(np.int32)
    box = Box.orthogonal([-9.0] * 3, [12.0] * 3, (False,) * 3)
    f, _ = evaluate(model, System(x, box), types)
    expected = forces_by_jax(model, x, types)
    assert abs(f - expected).max() < 1e-12 * abs(expected).max()


def derivative(energy, step: float = 1e-4) -> float:
    """Of a function at 0, to sixth order."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    return sum(w * (energy(k * step) - energy(-k * step)) for k, w in weights.items()) / step


@njit
def harmonics_and_pull(u, weights, y, g):
    a, b, c = simd.load(u, 0, 8), simd.load(u, 8, 8), simd.load(u, 16, 8)
    store_harmonics(8, a, b, c, y, 0)
    simd.store_each(g, 0, pull(8, a, b, c, weights))


def test_harmonics_of_all_degrees() -> None:
    """Sums over products are Legendre polynomials, for any two directions; gradients."""
    rng = np.random.default_rng(9)
    d, w = rng.normal(size=(3, 8)), rng.normal(size=80)
    u = d / np.linalg.norm(d, axis=0)

    def of(u):
        y, g = np.zeros((80, 8)), np.zeros((3, 8))
        harmonics_and_pull(u.ravel(), w.repeat(8), y.reshape(-1), g.reshape(-1))
        return y, g

    y, g = of(u)
    for degree in range(1, 9):
        k = slice(degree**2 - 1, (degree + 1) ** 2 - 1)
        expected = (2 * degree + 1) / (4 * np.pi) * legendre(u.T @ u, degree)
        found = np.einsum("k,ka,kb->ab", weights(8)[k], y[k], y[k])
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * expected.max())
        assert (abs(y[k]) <= bounds(8)[k, None]).all()
    for axis in range(3):
        step = np.zeros((3, 1))
        step[axis] = 1.0
        slope = derivative(lambda h, step=step: w @ of(u + h * step)[0], 1e-3)
        np.testing.assert_allclose(slope, g[axis], rtol=0, atol=1e-9 * abs(g).max())


def test_rotated_and_mirrored_neighbors_have_the_same_energies() -> None:
    model, rng = MODELS["all products, flexible ZBL"], np.random.default_rng(7)
    x, types = rng.uniform(0, 3, (12, 3)), rng.integers(0, 3, 12).astype(np.int32)
    turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    box = Box.orthogonal([-9.0] * 3, [9.0] * 3, (False,) * 3)
    found = [evaluate(model, System(np.ascontiguousarray(y), box), types)
             for y in (x, x @ turned, -x)]  # fmt: skip
    scale = abs(found[0][1].energies).max()
    for (f, result), turn in zip(found[1:], (turned, -np.eye(3)), strict=True):
        assert abs(result.energies - found[0][1].energies).max() < 1e-12 * scale
        assert abs(f - found[0][0] @ turn).max() < 1e-12 * abs(f).max()


def test_a_model_rewritten_is_the_same(tmp_path: Path) -> None:
    """Elements in another order, nep3 as nep4, MatPL's nep4 as nep5: the same bits."""
    system = liquid()
    types = types_of(system, 2)
    three, four = MODELS["one network, universal ZBL"], MODELS["biases of MatPL, type-wise ZBL"]
    pairs = [
        (three, replace(three, version=4, w0=three.w0.repeat(2, 0), b0=three.b0.repeat(2, 0),
                        w1=three.w1.repeat(2, 0))),
        (four, replace(four, version=5)),
    ]  # fmt: skip
    for one, other in pairs:
        write_nep(tmp_path / "one", one)
        write_nep(tmp_path / "other", other)
        made = [make_potential("nep", {"file": str(tmp_path / name), "species": ["O", "C"]}, 2)
                for name in ("one", "other")]  # fmt: skip
        same(*(on_one_rank(p.compiled("double"), p.cutoff, "full", system, types) for p in made))


def test_elements_in_another_order() -> None:
    model, order = MODELS["all products, flexible ZBL"], [2, 0, 1]
    pairs = {frozenset(p): row for p, row in zip(
        [(0,), (0, 1), (0, 2), (1,), (1, 2), (2,)], model.zbl.rows, strict=True)}  # fmt: skip
    rows = [pairs[frozenset((order[a], order[b]))] for a in range(3) for b in range(a, 3)]
    other = replace(
        model, elements=tuple(model.elements[k] for k in order), w0=model.w0[order],
        b0=model.b0[order], w1=model.w1[order], own_bias=model.own_bias[order],
        radial_cutoff=model.radial_cutoff[order], angular_cutoff=model.angular_cutoff[order],
        c_radial=model.c_radial[:, :, order][..., order],
        c_angular=model.c_angular[:, :, order][..., order],
        zbl=replace(model.zbl, rows=np.array(rows)))  # fmt: skip
    system = liquid()
    types = types_of(system, 3)
    made = [NEP(m, tuple(m.elements.index(e) for e in ("H", "O", "C"))) for m in (model, other)]
    same(*(on_one_rank(p.compiled("double"), p.cutoff, "full", system, types) for p in made))


def same(one, other) -> None:
    assert np.array_equal(one[0], other[0])
    for name in ("energies", "virials"):
        assert np.array_equal(getattr(one[1], name), getattr(other[1], name))


def test_less_is_wanted() -> None:
    model, system = MODELS["one network, universal ZBL"], liquid()
    types = types_of(system, 2)
    f, full = evaluate(model, system, types)
    for want in (Want.FORCES, Want.TOTALS):
        g, result = evaluate(model, system, types, want=want)
        assert np.array_equal(f, g)
    assert result.energy == full.energy
    np.testing.assert_allclose(result.virial, full.virial, rtol=1e-12, atol=1e-10)


def test_single_precision() -> None:
    """Numbers of 24 bits; what is a hundred times worse than their rounding is a mistake."""
    model, system = MODELS["all products, flexible ZBL"], liquid()
    types = types_of(system, 3)
    f, exact = evaluate(model, system, types)
    for deterministic in (False, True):
        g, result = evaluate(model, system, types, "mixed", deterministic)
        assert 1e-9 < abs(f - g).max() < 1e-5 * abs(f).max()
        assert abs(result.energies - exact.energies).max() < 1e-5 * abs(exact.energies).max()
        assert abs(result.virials - exact.virials).max() < 1e-5 * abs(exact.virials).max()


def test_deterministic_sums_know_neither_order_nor_threads() -> None:
    model, system = MODELS["all products, flexible ZBL"], liquid(3)
    types = types_of(system, 3)
    g, exact = evaluate(model, system, types)
    for precision in ("double", "mixed"):
        f, result = evaluate(model, system, types, precision, True)
        # Sums over neighbours are rounded to 42 bits of the largest summand there can be.
        bound = 1e-8 if precision == "double" else 1e-5
        assert abs(f - g).max() < bound * abs(g).max()
        assert abs(result.energies - exact.energies).max() < bound * abs(exact.energies).max()
        for seed, threads in ((1, 1), (2, 3)):
            order = np.random.default_rng(seed).permutation(len(system.x))
            h, other = evaluate(model, system, types, precision, True, threads=threads,
                                order=order)  # fmt: skip
            assert f.tobytes() == h.tobytes()
            assert result.energies.tobytes() == other.energies.tobytes()
            assert result.virials.tobytes() == other.virials.tobytes()


def test_few_atoms_many_neighbors_and_memory_used_again() -> None:
    model = MODELS["all products, flexible ZBL"]
    kernel = potential_of(model).compiled("double")
    open_box = Box.orthogonal([0.0] * 3, [9.0] * 3, (False,) * 3)
    systems = [System(np.zeros((0, 3)), open_box), System(np.full((1, 3), 2.5), open_box),
               *(lattice((3, 3, 3), a, 0.07, 21) for a in (2.6, 2.3, 1.7, 2.6))]  # fmt: skip
    for system in systems:
        types = types_of(system, 3)
        f, result = evaluate(model, system, types, kernel=kernel)
        g, expected = evaluate(model, system, types)
        assert np.array_equal(f, g) and np.array_equal(result.energies, expected.energies)
    alone = evaluate(model, systems[1], np.full(1, 2, np.int32))[1].energies
    assert alone == pytest.approx(energies(model, systems[1].x, np.array([2]), open_box), rel=1e-13)


def test_a_force_beyond_the_range_of_integers() -> None:
    model, system = MODELS["all products, flexible ZBL"], liquid()
    with pytest.raises(ForceRangeError, match="a force exceeds"):
        evaluate(replace(model, w1=model.w1 * 1e9), system, types_of(system, 3), "double", True)


def test_options(tmp_path: Path) -> None:
    path = str(tmp_path / "nep.txt")
    write_nep(tmp_path / "nep.txt", MODELS["all products, flexible ZBL"])
    bad = [({"species": ["C", "N"]}, "has no element 'N'; it has C, H, O"),
           ({"species": ["C"]}, "2 atom types need an element each"),
           ({}, "2 atom types need an element each"),
           ({"file": "none", "species": ["C", "O"]}, "no such file")]  # fmt: skip
    for options, text in bad:
        with pytest.raises(PotentialError, match=text):
            make_potential("nep", {"file": path, **options}, 2)
    made = make_potential("nep", {"file": path, "species": ["O", "O"]}, 2)
    assert made.files == (path,) and made.cutoff == pytest.approx(2.6 * 0.88)
    with pytest.raises(ValueError, match="precision 'half'"):
        made.compiled("half")
