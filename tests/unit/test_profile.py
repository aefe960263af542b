"""Profiles of runs: neighbours counted, and what is said of a potential's operations."""

import numpy as np
import pytest

from mdapp.neighbors.clusters import ClusterList
from mdapp.neighbors.counting import count_within
from mdapp.perf.profile import profile
from mdapp.perf.report import profile_lines
from mdapp.simulation import Simulation
from potentials.operations import Operations
from tests.twins.images import ghosts
from tests.twins.systems import lattice

DECK = {"units": "lj", "system": {"lattice": "fcc", "density": 0.8442, "cells": [4, 4, 4]},
        "potential": {"style": "lj/cut", "epsilon": 1.0, "sigma": 1.0, "rc": 2.5},
        "run": {"steps": 2}}


@pytest.mark.parametrize("threads", [1, 3])
def test_neighbors_are_counted_from_either_side(threads: int) -> None:
    system = lattice((3, 3, 3), 1.68, 0.07, 21)
    images, owner = ghosts(system.x, system.box, 2.0)
    x, n = np.vstack([system.x, images]), len(system.x)
    pairs = ClusterList(2.0, threads, False, "clusters")
    pairs.build(x, np.concatenate([np.arange(n), owner]) + 1, n)
    distance = np.linalg.norm(x[:n, None] - x[None, :], axis=2)
    for range_ in (1.3, 1.9):
        assert count_within(x, pairs, range_) == (distance < range_).sum() - n


class Counted:
    """A run whose potential counts operations: a thousand a neighbour, and a product."""

    cutoff = 2.5

    def operations(self, within) -> Operations:
        return Operations(1000.0 * within(self.cutoff), 50000.0, (64, 30, 24))


def test_operations_are_the_potentials_count_for_the_neighbors_at_hand(tmp_path) -> None:
    from mdapp.deck import Deck

    sim = Simulation(Deck.model_validate(DECK), out=tmp_path)
    sim.run()
    found = profile(sim)
    assert found["neighbors"] == pytest.approx(54) and found["flop_per_atom_step"] is None
    assert "does not count" in profile_lines(found)[0]
    sim.potential = Counted()
    found = profile(sim)
    assert found["flop_per_atom_step"] == pytest.approx(104000)
    assert found["gemm_share"] == pytest.approx(50 / 104)
    rate = 104000 * sim.natoms * 2 / sim.timers.seconds["force"] / 1e9
    assert found["force_gflops"] == pytest.approx(rate)
    assert found["fraction_of_peak"] == pytest.approx(rate / found["peak_gflops"])
    assert set(found["product_gflops"]) == {"mdapp", "blas"}
    first, second, third = profile_lines(found)
    assert "104 kflop per atom-step, 48% of them in matrix products" in first
    assert f"{rate:.4g} Gflop/s in the force phase" in second
    assert "products of 64 x 30 x 24: mdapp " in third and ", blas " in third
    sim.close()
