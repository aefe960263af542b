"""Elementary functions of vector registers against NumPy in longer arithmetic."""

import math

import numpy as np
import pytest
from numba import njit

from potentials import simd
from potentials.vector_math import (
    erfc,
    exp,
    nearest,
    polynomial,
    positive_part,
    sine_cosine,
    tanh,
)

CUBIC = (0.5, -2.0, 0.25, 3.0)


@njit
def exp_of_all(x, out):
    for k in range(0, len(x), 16):
        simd.store(out, k, exp(simd.load(x, k, 16)))


@njit
def tanh_of_all(x, out):
    for k in range(0, len(x), 16):
        simd.store(out, k, tanh(simd.load(x, k, 16)))


@njit
def erfc_of_all(x, out, bell):
    for k in range(0, len(x), 16):
        values = erfc(simd.load(x, k, 16))
        simd.store(out, k, values[0])
        simd.store(bell, k, values[1])


@njit
def cubic_of_all(x, out):
    for k in range(0, len(x), 16):
        simd.store(out, k, positive_part(polynomial(simd.load(x, k, 16), CUBIC)))


@njit
def sine_cosine_of_all(x, sines, cosines, whole):
    for k in range(0, len(x), 8):
        v = simd.load(x, k, 8)
        sine, cosine = sine_cosine(v)
        simd.store(sines, k, sine)
        simd.store(cosines, k, cosine)
        simd.store(whole, k, nearest(v))


def test_sine_and_cosine() -> None:
    edges = [0.0, 1e-9, -1e-300, 0.5, -0.5, 1.5, -1.5, 0.25]
    x = np.concatenate([np.linspace(-np.pi / 2, np.pi / 2, 40000), edges])
    sines, cosines, whole = (np.empty_like(x) for _ in range(3))
    sine_cosine_of_all(x, sines, cosines, whole)
    exact = x.astype(np.longdouble)
    assert abs(sines - np.sin(exact)).max() < 2.5e-16
    assert abs(cosines - np.cos(exact)).max() < 2.5e-16
    assert sines[40000] == 0.0 and cosines[40000] == 1.0
    assert np.array_equal(whole, np.rint(x))


RANGES = [("float64", -600.0, 708.0), ("float32", -60.0, 87.0)]


@pytest.mark.parametrize(("dtype", "least", "largest"), RANGES)
def test_exp(dtype: str, least: float, largest: float) -> None:
    rng = np.random.default_rng(1)
    x = np.concatenate([
        rng.uniform(least, largest, 40000), rng.uniform(-1, 1, 40000),
        rng.normal(0, 1e-6, 1600), [0.0, -0.0, largest, least],
        np.log(2) * (np.arange(-60, 60) + 0.5), np.zeros(4)])  # fmt: skip
    x = np.resize(x, len(x) // 16 * 16).astype(dtype)
    out = np.empty_like(x)
    exp_of_all(x, out)
    exact = np.exp(x.astype(np.longdouble))
    errors = abs(out - exact) / np.spacing(exact.astype(dtype))
    assert errors.max() < 1.0 and (out[x == 0] == 1).all()


@pytest.mark.parametrize(("dtype", "least", "largest"), RANGES)
def test_exp_beyond_its_range_is_far_from_subnormal(
    dtype: str, least: float, largest: float
) -> None:
    x = np.array([1e30, 2 * largest, 2 * least, -1e30] * 4, dtype)
    out = np.empty_like(x)
    exp_of_all(x, out)
    ends = np.exp(np.array([largest, largest, least, least] * 4))
    np.testing.assert_allclose(out, ends, rtol=1e-14 if dtype == "float64" else 2e-6)
    assert (out >= 1e9 * np.finfo(dtype).tiny).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_polynomials(dtype: str) -> None:
    x = np.random.default_rng(2).normal(size=64).astype(dtype)
    out = np.empty_like(x)
    cubic_of_all(x, out)
    expected = np.maximum(np.polynomial.polynomial.polyval(x.astype(float), CUBIC), 0)
    np.testing.assert_allclose(out, expected, atol=30 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_tanh(dtype: str) -> None:
    x = np.concatenate([np.random.default_rng(3).normal(0, 3, 4080), [0.0, 1e30, -1e30]])
    x = np.resize(x, 4096).astype(dtype)
    out = np.empty_like(x)
    tanh_of_all(x, out)
    error = abs(out - np.tanh(x.astype(np.longdouble)))
    assert error.max() < 2 * np.finfo(dtype).eps and (out[x == 0] == 0).all()


@pytest.mark.parametrize(
    ("dtype", "largest", "least"), [("float64", 24.0, 1e-15), ("float32", 7.5, 5e-7)]
)
def test_erfc(dtype: str, largest: float, least: float) -> None:
    """Against the C library; rounding of x^2 alone changes e^(-x^2) by x^2 eps / 2."""
    rng = np.random.default_rng(4)
    x = np.concatenate([np.linspace(0, largest, 4000), rng.uniform(0, 3, 4000),
                        10 ** rng.uniform(-20, 0, 400)])  # fmt: skip
    x = np.resize(x, len(x) // 16 * 16).astype(dtype)
    out, bell = np.empty_like(x), np.empty_like(x)
    erfc_of_all(x, out, bell)
    bound = least + 0.6 * x.astype(float) ** 2 * np.finfo(dtype).eps
    exact = np.array([math.erfc(v) for v in x.tolist()])
    assert (abs(out.astype(float) / exact - 1) <= bound).all()
    assert (abs(bell.astype(float) / np.exp(-x.astype(np.longdouble) ** 2) - 1) <= bound).all()
    assert out[0] == pytest.approx(1, rel=least) and bell[0] == 1


def test_erfc_far_out_is_small_and_finite() -> None:
    x = np.full(16, 1e8)
    out, bell = np.empty_like(x), np.empty_like(x)
    erfc_of_all(x, out, bell)
    assert (out >= 0).all() and (out < 1e-260).all()
