"""`mdapp run --profile`: how much arithmetic a step is, and how near to the machine's best it runs.

Operations are the potential's own count (`potentials.operations`) for the neighbours that atoms
have at the end of the run. The yardstick is a large matrix product in the arithmetic of the run's
precision, measured by every rank at the same time: the most that its core gives to anything. Where
a potential says how large its products are, these are measured too, by mdapp and by BLAS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mdapp.neighbors.counting import count_within
from mdapp.perf.gemm import LARGE, best_time
from mdapp.perf.gemm_backends import backends
from potentials.operations import Operations

if TYPE_CHECKING:
    from mdapp.simulation import Simulation

ARITHMETIC = {"double": "double", "mixed": "single", "single": "single", "bf16": "bf16"}


def profile(sim: Simulation) -> dict[str, Any]:
    """The body of `profile` in the report of a run; collective, after the report itself."""
    def within(distance: float) -> float:
        atoms = sim.atoms
        found = count_within(atoms.x[:atoms.ntotal], sim.clusters, distance)
        return float(sim.comm.allreduce(found)) / max(sim.natoms, 1)

    neighbors = within(sim.potential.cutoff)
    count = getattr(sim.potential, "operations", None)
    if count is None:
        return {"neighbors": neighbors, "flop_per_atom_step": None}
    operations: Operations = count(within)
    peak = sim.comm.allreduce(large_product(ARITHMETIC[sim.deck.run.precision]))
    force_s = sim.comm.allreduce(sim.timers.seconds["force"]) / sim.comm.size
    done = operations.total * sim.natoms * sim.steps_done
    rate = done / force_s / 1e9 if force_s else 0.0
    products: dict[str, float] = {}
    if operations.shape is not None:
        found = rates_at(operations.shape, ARITHMETIC[sim.deck.run.precision])
        products = {name: sim.comm.allreduce(of_one) / sim.comm.size
                    for name, of_one in found.items()}
    return {"neighbors": neighbors, "flop_per_atom_step": operations.total,
            "product_shape": operations.shape, "product_gflops": products,
            "gemm_share": operations.products / operations.total, "force_gflops": rate,
            "peak_gflops": peak * sim.deck.run.threads,
            "fraction_of_peak": rate / (peak * sim.deck.run.threads)}


def large_product(precision: str) -> float:
    """Gflop/s of a large product on this core, by the fastest of the back ends that have it."""
    return max(rates_at(LARGE, precision).values())


def rates_at(shape: tuple[int, int, int], precision: str) -> dict[str, float]:
    """Gflop/s of mdapp's products and of BLAS's, where these have the precision."""
    random = np.random.default_rng(1)
    m, k, n = shape
    a, w = random.normal(size=(m, k)), random.normal(size=(k, n))
    return {backend.name: 2e-9 * m * k * n / best_time(backend.prepare(a, w, precision))
            for backend in backends()[0]
            if precision in backend.precisions and backend.name in ("mdapp", "blas")}
