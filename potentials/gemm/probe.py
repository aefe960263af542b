"""How fast this core multiplies, at the shapes that a model has."""

from __future__ import annotations

import time

import numpy as np

from potentials.gemm.product import blocks_of, paired, panels_for, product

REPEATS, SECONDS = 3, 0.02
WORTH = 1.2            # times the rate of single precision, from which on bf16 is worth its errors


def gflops(shape: tuple[int, int, int], precision: str) -> float:
    """Rate of a product in double, single or bf16, in 1e9 operations a second.

    shape : atoms, inputs, outputs
    """
    m, k, n = shape
    dtype = np.float64 if precision == "double" else np.float32
    weights, panels = blocks_of(np.ones((k, n)), dtype), panels_for(m, k + k % 2, dtype)
    panels[:], out = 1.0, panels_for(m, n, dtype)
    if precision == "bf16":
        weights, panels = paired(weights), paired(panels)
    product(weights, panels, out)
    best, repeats, end = float("inf"), 0, time.perf_counter() + SECONDS
    while repeats < REPEATS or time.perf_counter() < end:
        start = time.perf_counter()
        product(weights, panels, out)
        best, repeats = min(best, time.perf_counter() - start), repeats + 1
    return 2e-9 * m * k * n / best
