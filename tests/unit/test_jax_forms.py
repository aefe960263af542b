"""NEP and Deep Potential in JAX against the compiled kernels: programs that share no formula."""

from itertools import pairwise

import numpy as np
import pytest

from mdapp.evaluate import Structure, single_point
from mdapp.fit.neighbors import pairs_of
from mdapp.model.box import Box
from potentials.deep_potential.model import Layer, Model, Network
from potentials.deep_potential.potential import DeepPotential
from potentials.nep.model import NEPModel, ZBLSection, dimension
from potentials.nep.potential import NEP

jax = pytest.importorskip("jax", reason="needs mdapp[jax]")
from potentials.deep_potential.jax_form import DeepPotentialForm  # noqa: E402
from potentials.jax_model.program import enable_x64  # noqa: E402
from potentials.nep.jax_form import NEPForm  # noqa: E402

TYPES = np.array([0, 1, 1, 0, 1, 0, 0, 1], np.int32)
ROUNDING = 1e-10              # of sums of some hundred terms of size 1 and more


def system() -> tuple[Box, np.ndarray]:
    rng = np.random.default_rng(4)
    sites = np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    return Box.orthogonal(np.zeros(3), [5.6, 5.8, 6.1]), 2.8 * sites + rng.normal(0, 0.2, (8, 3))


def nep(seed: int) -> NEPModel:
    rng, t, m, n_max, basis, l_max = np.random.default_rng(seed), 2, 5, (3, 2), (5, 4), 4
    flags = (True, True, True, True, True, True)
    dim = dimension(n_max, l_max, flags)
    return NEPModel(
        5, ("O", "Hf"), np.array([5.0, 4.6]), np.array([4.2, 3.8]), n_max, basis, l_max, flags,
        rng.normal(size=(t, m, dim)), rng.normal(size=(t, m)), rng.normal(size=(t, m)), 0.3,
        rng.normal(size=t), rng.normal(size=(4, 6, t, t)), rng.normal(size=(3, 5, t, t)),
        0.1 * rng.random(dim), ZBLSection(1.0, 2.4))


def deep(seed: int, radial: bool, one_sided: bool) -> Model:
    rng = np.random.default_rng(seed)

    def network(*widths: int, last: int = 0) -> Network:
        layers = [Layer(rng.normal(size=(n, m)), rng.normal(size=m), rng.random(m) + 0.5, True,
                        m in (n, 2 * n)) for n, m in pairwise(widths)]
        if last:
            layers.append(Layer(rng.normal(size=(widths[-1], 1)), rng.normal(size=1), None, False))
        return Network(tuple(layers))

    columns, inputs = (1, 6) if radial else (4, 18)
    mean = np.zeros((2, columns))
    mean[:, 0] = 0.2, 0.3
    return Model(
        ("O", "Hf"), radial, 5.0, 1.5, (40, 44), 0 if radial else 3, one_sided, mean,
        0.3 + rng.random((2, columns)), 0.1,
        tuple(network(1, 3, 6) for _ in range(2 if one_sided else 4)),
        tuple(network(inputs, 5, 5, last=1) for _ in range(2)), rng.normal(size=2))


def by_jax(form, box: Box, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies (n,), forces (n, 3) and virial (3, 3) of the whole cell."""
    pairs = pairs_of(box, x, form.cutoff)
    n, counts = len(x), np.diff(pairs.start)
    m = counts.max()
    r, j, mask = np.full((n, m, 3), 50.0), np.zeros((n, m), np.int32), np.zeros((n, m), bool)
    back = np.zeros((n, m), int)
    i = np.repeat(np.arange(n), counts)
    k = np.arange(len(i)) - pairs.start[i]
    r[i, k], j[i, k], mask[i, k] = pairs.r, TYPES[pairs.j], True
    back[i, k] = (i * m + k)[pairs.back]
    with enable_x64(True):
        def total(r):
            energies = form.energy(form.params(), r, TYPES, j, mask)
            return energies.sum(), energies

        g, energies = jax.jit(jax.grad(total, has_aux=True))(r)
    g = np.where(mask[..., None], np.asarray(g), 0)
    forces = (g - np.where(mask[..., None], g.reshape(-1, 3)[back], 0)).sum(1)
    return np.asarray(energies), forces, -np.einsum("nma,nmb->ab", r, g)


def compare(form, potential) -> None:
    box, x = system()
    energies, forces, virial = by_jax(form, box, x)
    found = single_point(Structure.of_arrays(box, x, TYPES, ("O", "Hf")), potential, units="metal")
    size = abs(forces).max()
    assert size > 1e-3
    assert abs(found.energies - energies).max() < ROUNDING * max(1, abs(energies).max())
    assert abs(found.forces - forces).max() < ROUNDING * size
    assert abs(found.virial - virial.ravel()[[0, 4, 8, 5, 2, 1]]).max() < ROUNDING * 10 * size


def test_nep_with_all_products_and_zbl() -> None:
    model = nep(1)
    compare(NEPForm(model), NEP(model, (0, 1)))


@pytest.mark.parametrize(("radial", "one_sided"), [(False, True), (False, False), (True, True)])
def test_deep_potential_with_steps_and_empty_slots(radial: bool, one_sided: bool) -> None:
    model = deep(2, radial, one_sided)
    compare(DeepPotentialForm(model), DeepPotential(model, (0, 1), None))


def test_padding_and_neighbours_beyond_the_cutoff_change_nothing() -> None:
    box, x = system()
    for form in (NEPForm(nep(3)), DeepPotentialForm(deep(3, False, True))):
        energies, forces, _ = by_jax(form, box, x)
        form.cutoff *= 1.2                    # of the list
        more, same, _ = by_jax(form, box, x)
        assert abs(more - energies).max() < 1e-12 * abs(energies).max()
        assert abs(same - forces).max() < 1e-12 * abs(forces).max()
