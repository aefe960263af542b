"""The Deep Potential kernel against its twin: forms, types, precisions, orders, slots."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from potentials.base import KernelError, Want
from potentials.deep_potential import potential as potential_module
from potentials.deep_potential.format import write_model
from potentials.deep_potential.model import Model
from potentials.deep_potential.potential import DeepPotential
from potentials.deep_potential.table import tabulated
from potentials.gemm import has_bf16
from potentials.registry import PotentialError, make_potential
from tests.twins import deep_potential as twin
from tests.twins.evaluate import evaluate as on_one_rank
from tests.twins.evaluate import types_of
from tests.twins.systems import System, lattice

RADIAL = {"radial": True, "one_sided": False}
# Of energies, forces and virials, all of the order of 1; in single precision networks round.
EXACT, ROUNDED = 1e-12, 2e-5


def potential(model: Model, tolerance: float | None = None) -> DeepPotential:
    table = None if tolerance is None else tabulated(model, tolerance)
    return DeepPotential(model, tuple(range(len(model.elements))), table)


def liquid(seed: int = 21) -> System:
    return lattice((2, 2, 2), 2.6, 0.07, seed)


def evaluate(made: DeepPotential, system: System, precision="double", deterministic=False, **asked):
    kernel = made.compiled(precision, deterministic)
    types = types_of(system, made.ntypes)
    return on_one_rank(kernel, made.cutoff, "full", system, types, **asked)


@pytest.mark.parametrize(
    ("given", "tolerance", "precision", "deterministic"),
    [
        ({}, None, "double", False),
        ({"one_sided": False, "protection": 0.1}, None, "double", False),
        ({}, 1e-11, "double", True),
        (RADIAL, 1e-11, "double", True),
        ({}, 1e-8, "mixed", True),
        pytest.param(RADIAL, None, "double", True, marks=pytest.mark.slow),
        pytest.param({}, None, "mixed", True, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_the_twin(given, tolerance, precision, deterministic) -> None:
    """Different enough systems for each: two types, other sums, statistics far from 0."""
    model, system = twin.invented(**given), liquid()
    expected = twin.evaluate(model, system.x, types_of(system, 2), system.box)
    f, result = evaluate(potential(model, tolerance), system, precision, deterministic)
    bound = ROUNDED if precision == "mixed" else EXACT if tolerance is None else 100 * tolerance
    if deterministic:
        bound = max(bound, 1e-10)
    assert np.ptp(expected.energies) > 0.1 and abs(expected.forces).max() > 0.1
    np.testing.assert_allclose(result.energies, expected.energies, rtol=0, atol=bound)
    np.testing.assert_allclose(f, expected.forces, rtol=0, atol=bound)
    np.testing.assert_allclose(result.virials, expected.virials, rtol=0, atol=bound)


@pytest.mark.skipif(not has_bf16(), reason="needs a processor that multiplies bf16 numbers")
def test_bf16_is_coarser_than_mixed_and_no_coarser_than_its_numbers() -> None:
    """Eight bits of a factor are 2^-9; of sums of some hundred products less is left."""
    made, system = potential(twin.invented(), 1e-8), liquid()
    exact, half, single = (evaluate(made, system, precision, deterministic=True)
                           for precision in ("double", "bf16", "mixed"))  # fmt: skip
    size = abs(exact[0]).max()
    assert 1e-4 * size < abs(half[0] - exact[0]).max() < 2.0**-6 * size
    assert abs(single[0] - exact[0]).max() < 1e-5 * size
    assert 0 < abs(half[1].energy - exact[1].energy) < 2.0**-8 * abs(exact[1].energies).sum()


def test_a_precision_that_is_slower_than_a_better_one_is_told(monkeypatch) -> None:
    made = potential(twin.invented(), 1e-8)
    rates = {"bf16": 100.0, "single": 90.0}
    monkeypatch.setattr(potential_module, "gflops", lambda shape, kind: rates[kind])
    (text,) = made.remarks("bf16")
    assert "bf16 run at 100 Gflop/s here, in single precision at 90" in text
    rates["bf16"] = 110.0
    assert made.remarks("bf16") == made.remarks("mixed") == ()


def test_why_there_is_no_bf16() -> None:
    """On a machine without it, and of a potential that has no use for it."""
    made = replace(potential(twin.invented(), 1e-8), precisions=("double", "mixed"),
                   absent={"bf16": "this processor does not"})  # fmt: skip
    structure = Structure.of_arrays(liquid().box, liquid().x, types_of(liquid(), 2), ("A", "B"))
    with pytest.raises(InputError, match="can do double, mixed; this processor does not"):
        single_point(structure, made, "bf16", units="metal")


@pytest.mark.parametrize(("tolerance", "radial"), [(1e-8, False), (None, False), (1e-8, True)])
def test_operations_are_those_of_the_loops(tolerance: float | None, radial: bool) -> None:
    """The products' from the widths: one multiplication and addition a weight and direction."""
    model = twin.invented(1, radial=radial, sel=(30,))
    found = potential(model, tolerance).operations(lambda r: 10.0 * (r == model.cutoff))
    inputs = 12 if radial else 12 * 4 - 6
    weights = inputs * 10 + 10 * 10 + 10 * 20 + 20
    tanh = 28 * (10 + 10 + 20 + 1)
    if tolerance is None:
        weights += 10 * (3 + 3 * 6 + 6 * 12)
        tanh += 10 * 28 * (3 + 6 + 12)
    assert found.products == 4 * weights + tanh
    assert found.shape == (128, inputs, 10)
    assert found.pairs > 10 * 12 * (2 if radial else 20)


def test_forces_and_virial_of_the_twin_are_derivatives() -> None:
    model, system = twin.invented(), liquid()
    types, h = types_of(system, 2), 1e-5
    answer = twin.evaluate(model, system.x, types, system.box)

    def energy(x, box) -> float:
        found = evaluate(potential(model), System(x, box))[1].energies
        return float(found.sum())

    for atom, axis in ((0, 0), (11, 1)):
        step = np.zeros_like(system.x)
        step[atom, axis] = h
        slope = (energy(system.x + step, system.box) - energy(system.x - step, system.box)) / 2 / h
        assert -slope == pytest.approx(answer.forces[atom, axis], abs=1e-8)
    scaled = [Box.orthogonal(system.box.lo * s, system.box.hi * s) for s in (1 + h, 1 - h)]
    slope = (energy(system.x * (1 + h), scaled[0]) - energy(system.x * (1 - h), scaled[1])) / 2 / h
    assert -slope == pytest.approx(answer.virials[:, :3].sum(), abs=1e-7)


def test_deterministic_sums_know_neither_order_nor_threads() -> None:
    made, system = potential(twin.invented(), 1e-8), lattice((3, 3, 3), 2.6, 0.07, 3)
    f, result = evaluate(made, system, deterministic=True)
    for seed, threads in ((1, 1), (2, 3)):
        order = np.random.default_rng(seed).permutation(len(system.x))
        g, other = evaluate(made, system, deterministic=True, threads=threads, order=order)
        assert f.tobytes() == g.tobytes()
        assert result.energies.tobytes() == other.energies.tobytes()
        assert result.virials.tobytes() == other.virials.tobytes()


def test_less_is_wanted() -> None:
    made, system = potential(twin.invented()), liquid()
    f, full = evaluate(made, system)
    g, result = evaluate(made, system, want=Want.TOTALS)
    np.testing.assert_allclose(g, f, rtol=0, atol=1e-13)
    assert result.energy == pytest.approx(full.energy, rel=1e-13)
    np.testing.assert_allclose(result.virial, full.virial, rtol=0, atol=1e-11)


def test_empty_slots_count() -> None:
    """More slots, or slots that give nothing, are another model."""
    model, system = twin.invented(), liquid()
    energies = [evaluate(potential(m), system)[1].energies
                for m in (model, replace(model, sel=(22, 40)),
                          replace(model, mean=np.zeros_like(model.mean)))]  # fmt: skip
    assert abs(energies[0] - energies[1]).min() > 1e-4
    assert abs(energies[0] - energies[2]).min() > 1e-4


def test_more_neighbors_than_slots_are_an_error_that_names_the_atom() -> None:
    system = liquid()
    types = types_of(system, 2)
    first = int(np.flatnonzero(types == 1)[0])
    with pytest.raises(KernelError, match=r"has \d+ neighbors of type Bb, and the model has 3 slot"
                                          r"s for them \(sel = \[40, 3\]\)") as caught:  # fmt: skip
        evaluate(potential(twin.invented(sel=(40, 3))), system)
    assert caught.value.atom is not None and caught.value.told(np.arange(99) + 7).startswith("atom")
    assert first >= 0


@pytest.mark.parametrize("radial", [False, True])
def test_a_pair_comes_into_range_smoothly(radial: bool) -> None:
    made = potential(twin.invented(radial=radial, one_sided=not radial), 1e-8)
    box = Box.orthogonal([-9.0] * 3, [9.0] * 3, (False,) * 3)
    found = []
    for r in (3.0 - 5e-6, 3.0 + 5e-6):
        system = System(np.array([[0.0, 0, 0], [r, 0, 0], [0, 1.5, 0]]), box)
        f, result = evaluate(made, system, deterministic=True)
        found.append((f, result.energies, result.virials))
    for inside, outside in zip(*found, strict=True):
        np.testing.assert_allclose(inside, outside, rtol=0, atol=1e-9)


def test_atoms_nearer_than_the_table_are_counted_and_go_on_as_a_line() -> None:
    model = twin.invented(1)
    made = potential(model, 1e-10)
    box = Box.orthogonal([-9.0] * 3, [9.0] * 3, (False,) * 3)
    kernel = made.compiled("double", True)
    nearest = tabulated(model, 1e-10).nearest
    forces = []
    for r, count in ((1.001 * nearest, 0), (nearest * 0.98, 2)):
        system = System(np.array([[0.0, 0, 0], [r, 0, 0]]), box)
        f, _ = on_one_rank(kernel, made.cutoff, "full", system, np.zeros(2, np.int32))
        assert kernel.beyond == count
        forces.append(f[0, 0])
    assert abs(forces[0] - forces[1]) < 0.2 * abs(forces[0])


def test_few_atoms_and_types_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.dp"
    model = twin.invented(sel=(22, 36))
    write_model(path, model)
    options = {"file": str(path), "species": ["Bb", "Aa", "Bb"], "compress": False}
    made = make_potential("deep_potential", options, 3)
    x = np.array([[0.0, 0, 0], [1.4, 0, 0], [0, 1.5, 0.3]])
    box = Box.orthogonal([-9.0] * 3, [9.0] * 3, (False,) * 3)
    types = np.array([0, 1, 2], np.int32)
    found = single_point(Structure.of_arrays(box, x, types, ("Bb", "Aa", "B")), made, units="metal")
    expected = twin.evaluate(model, x, np.array([1, 0, 1]), box)
    np.testing.assert_allclose(found.energies, expected.energies, rtol=0, atol=EXACT)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=EXACT)
    for n in (0, 1):
        system = System(x[:n], box)
        f, result = evaluate(potential(model), system)
        assert (f == 0).all() and len(result.energies) == n
    bad = [({"species": ["Aa", "Bb"]}, "3 atom types need an element each"),
           ({"species": ["Aa", "Bb", "Zz"]}, "has no element 'Zz'; it has Aa, Bb"),
           ({"compress": 2}, "compress = 2: must be true, false"),
           ({"compress": "yes"}, "compress = 'yes'")]  # fmt: skip
    for changed, text in bad:
        with pytest.raises(PotentialError, match=text):
            make_potential("deep_potential", options | changed, 3)
    with pytest.raises(ValueError, match="precision 'single'"):
        made.compiled("single")


@pytest.mark.parametrize("tolerance", [1e-4, 1e-7, 1e-10])
def test_the_table_is_as_good_as_was_asked_for(tolerance: float) -> None:
    model = twin.invented(neuron=(5, 10, 20))
    table = tabulated(model, tolerance)
    assert table.error <= tolerance
    s = table.lower + table.stride * np.linspace(0, table.intervals, 2001)[:-1]
    at = (s - table.lower) / table.stride
    whole = at.astype(int)
    powers = (at - whole)[:, None] ** np.arange(6)
    for net, part in zip(model.embeddings, table.coefficients, strict=True):
        values = twin.through(net, s[:, None])
        assert abs(np.einsum("np,npg->ng", powers, part[whole]) - values).max() <= tolerance
    coarser = tabulated(model, 1e3 * tolerance) if tolerance < 1e-4 else table
    assert coarser.stride >= table.stride


def test_a_table_that_cannot_be_as_good() -> None:
    with pytest.raises(ValueError, match=r"rounding allows .* at the least"):
        tabulated(twin.invented(), 1e-18)
    with pytest.raises(ValueError, match=r"needs a table of .* MiB, more than 512"):
        tabulated(replace(twin.invented(), scale=np.full((2, 4), 1e-9)), 1e-3)
