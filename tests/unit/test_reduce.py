"""Sums that do not depend on the order of their terms, and are right to the last bits."""

import math

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.parallel.reduce import exact_sum


def total(terms: np.ndarray, cuts: int = 1) -> np.ndarray:
    return exact_sum(MPI.COMM_SELF, lambda: np.array_split(terms, cuts), terms.shape[1])


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30, 1e-250, 1e200])
def test_right_and_the_same_in_any_order(scale: float) -> None:
    rng = np.random.default_rng(0)
    terms = rng.normal(size=(5000, 3)) * scale * 10.0 ** rng.uniform(-12, 0, (5000, 3))
    reference = total(terms)
    for k in range(3):
        exact = math.fsum(terms[:, k])
        assert abs(reference[k] - exact) <= 5000 * 2.0**-53 * abs(terms[:, k]).max()
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(5000)
        assert np.array_equal(total(terms[order], seed + 1), reference)


def test_cancelling_terms_cancel() -> None:
    terms = np.array([[1e15], [1.0], [-1e15], [1.0]])
    assert total(terms)[0] == 2.0


def test_one_term_keeps_its_bits() -> None:
    """Energies of a rank that has only totals pass through: at most the last bit may go."""
    values = np.random.default_rng(3).normal(size=200) * 10.0 ** np.random.default_rng(4).uniform(
        -9, 9, 200
    )
    for value in values:
        assert total(np.array([[value]]))[0] == pytest.approx(value, rel=2.0**-51)


def test_nothing_and_zero() -> None:
    assert total(np.empty((0, 2))).tolist() == [0.0, 0.0]
    assert total(np.zeros((4, 2))).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_term_spoils_its_column_only(bad: float) -> None:
    terms = np.ones((10, 2))
    terms[3, 1] = bad
    result = total(terms)
    assert result[0] == 10.0 and not np.isfinite(result[1])
