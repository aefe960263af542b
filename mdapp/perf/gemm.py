"""How fast, and how exactly, does this machine multiply matrices?

Rates are of single products of the shapes that potentials have, m atoms x k inputs x n outputs, and
of a large one, which shows what the units give at best. The checks are exact and need no other
machine to compare with: numbers whose last bits a narrower format would lose, and sums that a
narrow accumulator would not reach. A library that computes a float32 product in bf16, as some do
when told to be fast, fails them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mdapp.perf.gemm_backends import Backend, Product

LARGE = (1024, 1024, 1024)
SHAPES = (LARGE, (256, 1600, 240), (256, 240, 240), (256, 30, 50))
SECONDS = 0.08            # of repetition for a rate
DEEP = 32768              # terms of a sum that no narrow accumulator reaches
ALLOWED = {"double": 1e-14, "single": 1e-5, "bf16": 1e-2}      # relative, Frobenius


@dataclass(frozen=True)
class Rate:
    """One rank's rate of one product.

    Attributes
    ----------
    shape : m, k, n
    gflops : 1e9 operations a second; a multiplication and an addition are two
    """

    backend: str
    precision: str
    shape: tuple[int, int, int]
    gflops: float


@dataclass(frozen=True)
class Fault:
    """A product that is not what its precision promises."""

    backend: str
    precision: str
    text: str


def rates(backend: Backend) -> Iterator[Rate]:
    """Rates of all precisions and shapes."""
    random = np.random.default_rng(1)
    for m, k, n in SHAPES:
        a, w = random.normal(size=(m, k)), random.normal(size=(k, n))
        for precision in backend.precisions:
            seconds = best_time(backend.prepare(a, w, precision))
            yield Rate(backend.name, precision, (m, k, n), 2e-9 * m * k * n / seconds)


def best_time(product: Product) -> float:
    """The least time of one product, in s: what disturbs a product only adds."""
    product.run()
    best, end = float("inf"), time.perf_counter() + SECONDS
    while (start := time.perf_counter()) < end:
        product.run()
        best = min(best, time.perf_counter() - start)
    return best


def faults(backend: Backend) -> Iterator[Fault]:
    """What is wrong with the results of a back end; nothing, one hopes."""
    for precision in backend.precisions:
        for text in filter(None, (lost_bits(backend, precision), stuck_sum(backend, precision),
                                  error(backend, precision))):
            yield Fault(backend.name, precision, text)


def product_of(backend: Backend, a: np.ndarray, w: np.ndarray, precision: str) -> np.ndarray:
    """The product, in double."""
    product = backend.prepare(a, w, precision)
    product.run()
    return product.result()


def lost_bits(backend: Backend, precision: str) -> str:
    """Whether operands lose bits that their format has: 1 + 2^-40, or 1 + 2^-12 in single."""
    if precision == "bf16":
        return ""
    excess = 2.0**-40 if precision == "double" else 2.0**-12
    c = product_of(backend, np.full((64, 64), 1 + excess), np.ones((64, 64)), precision)
    found = float(np.max(np.abs(c - 64 * (1 + excess))))
    return f"operands of {precision} are rounded: {found:.1e} is lost" if found else ""


def stuck_sum(backend: Backend, precision: str) -> str:
    """Whether a sum of ones stops where a narrow accumulator would."""
    found = product_of(backend, np.ones((64, DEEP)), np.ones((DEEP, 64)), precision).min()
    return f"a sum of {DEEP} ones is {found:g}" if found != DEEP else ""


def error(backend: Backend, precision: str) -> str:
    """Whether a product of random numbers is as good as its precision."""
    random = np.random.default_rng(2)
    a, w = random.normal(size=(256, 240)), random.normal(size=(240, 240))
    exact = a @ w
    found = np.linalg.norm(product_of(backend, a, w, precision) - exact) / np.linalg.norm(exact)
    return f"relative error {found:.1e}" if not found <= ALLOWED[precision] else ""
