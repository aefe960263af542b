"""Products of panels and blocks: against NumPy, and each atom by itself."""

import numpy as np
import pytest

from potentials import gemm

SHAPES = [(1, 1, 1), (40, 30, 50), (70, 301, 25)]      # atoms, inputs, outputs
ERRORS = {np.float64: 1e-14, np.float32: 1e-6}


def product_of(atoms: np.ndarray, weights: np.ndarray, dtype: type) -> np.ndarray:
    """(m, n) of atoms (m, k) and weights (k, n), by way of panels and blocks."""
    m, k = atoms.shape
    a, c = gemm.panels_for(m, k, dtype), gemm.panels_for(m, weights.shape[1], dtype)
    fill(a, atoms)
    gemm.product(gemm.blocks_of(weights, dtype), a, c)
    return read(c, m, weights.shape[1])


def fill(panels: np.ndarray, atoms: np.ndarray) -> None:
    lanes = panels.shape[2]
    for i, row in enumerate(atoms):
        panels[i // lanes, :len(row), i % lanes] = row


def read(panels: np.ndarray, m: int, n: int) -> np.ndarray:
    lanes = panels.shape[2]
    return np.array([panels[i // lanes, :n, i % lanes] for i in range(m)])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_product_is_numpys(shape: tuple[int, int, int], dtype: type) -> None:
    m, k, n = shape
    rng = np.random.default_rng(1)
    atoms, weights = rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)
    exact = atoms.astype(float) @ weights
    size = np.abs(atoms).astype(float) @ np.abs(weights)
    assert (np.abs(product_of(atoms, weights, dtype) - exact) <= ERRORS[dtype] * size).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_atoms_bits_do_not_depend_on_the_others(dtype: type) -> None:
    rng = np.random.default_rng(2)
    atoms, weights = rng.normal(size=(70, 301)), rng.normal(size=(301, 25))
    together = product_of(atoms, weights, dtype)
    order = rng.permutation(70)[:41]
    np.testing.assert_array_equal(product_of(atoms[order], weights, dtype), together[order])


def bf16(values: np.ndarray) -> np.ndarray:
    """Rounded to eight bits, ties to even."""
    mantissa, exponent = np.frexp(values.astype(np.float64))
    return np.ldexp(np.rint(np.ldexp(mantissa, 8)), exponent - 8)


def pairs_of(atoms: np.ndarray) -> np.ndarray:
    """Panels of atoms in pairs of bf16."""
    k = atoms.shape[1]
    panels = gemm.panels_for(len(atoms), k + k % 2, np.float32)
    fill(panels, atoms)
    count, rows, lanes = panels.shape
    words = np.empty((count, rows // 2, lanes), np.int32)
    for panel, out in zip(panels, words, strict=True):
        gemm.rounded_pairs(panel.reshape(-1), lanes, out.reshape(-1))
    return words


def test_bf16_is_rounded_to_the_nearest() -> None:
    values = np.array([1.0, 1 + 2.0**-8, 1 + 3 * 2.0**-8, -3.14159, 1e-20, 65504.0], np.float32)
    words = pairs_of(np.stack([values, values], axis=1))
    lanes = words.shape[2]
    low = np.array([words[i // lanes, 0, i % lanes] << 16 for i in range(6)], np.int32)
    high = np.array([words[i // lanes, 0, i % lanes] & ~0xFFFF for i in range(6)], np.int32)
    np.testing.assert_array_equal(low.view(np.float32), bf16(values))
    np.testing.assert_array_equal(high.view(np.float32), bf16(values))


@pytest.mark.skipif(not gemm.has_bf16(), reason="needs a processor that multiplies bf16 numbers")
def test_bf16_products_are_summed_in_single_precision() -> None:
    rng = np.random.default_rng(3)
    atoms, weights = rng.normal(size=(40, 301)), rng.normal(size=(301, 25))
    c = gemm.panels_for(40, 25, np.float32)
    gemm.product(gemm.paired(gemm.blocks_of(weights, np.float32)), pairs_of(atoms), c)
    exact, size = bf16(atoms) @ bf16(weights), np.abs(atoms) @ np.abs(weights)
    assert (np.abs(read(c, 40, 25) - exact) <= 1e-6 * size).all()


@pytest.mark.skipif(not gemm.has_bf16(), reason="needs a processor that multiplies bf16 numbers")
def test_sums_of_bf16_products_do_not_stick() -> None:
    """A sum of ones that is kept in bf16 stops at 256."""
    ones = np.ones((1, 32768))
    c = gemm.panels_for(1, 1, np.float32)
    gemm.product(gemm.paired(gemm.blocks_of(ones.T, np.float32)), pairs_of(ones), c)
    assert c[0, 0, 0] == 32768
