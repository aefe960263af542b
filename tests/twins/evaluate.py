"""A kernel on one rank with ghosts made by hand, in any order of the atoms."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mdapp.neighbors.clusters import ClusterList
from mdapp.neighbors.images import Images
from potentials.base import Result, Want
from tests.twins.images import ghosts
from tests.twins.systems import System

SKIN = 0.3


def evaluate(kernel, cutoff: float, form: str, system: System, types: NDArray[np.int32],
             want=Want.PER_ATOM, threads: int = 1, order=None, exact: bool = False,
             charges: NDArray[np.float64] | None = None) -> tuple[NDArray, Result]:
    """Forces (n, 3) and the Result, in the order of the system.

    Parameters
    ----------
    form : of the lists: clusters or full
    order : in which the kernel gets the atoms
    charges : (n,), in units in which the Coulomb constant is 1
    """  # fmt: skip
    n = len(system.x)
    order = np.arange(n) if order is None else order
    x = system.x[order]
    images, owner = ghosts(x, system.box, cutoff + SKIN)
    x, ids = np.vstack([x, images]), np.concatenate([order, order[owner]]) + 1
    pairs = ClusterList(cutoff + SKIN, threads, exact, form)
    pairs.build(x, ids.astype(np.int64), n)
    f = np.full((n, 3), np.nan)
    exchange = Images(x, owner.astype(np.int32), np.zeros((len(owner), 3), np.int64))
    if charges is not None:
        kernel.accept_charges(charges[ids - 1], 1.0)
    result = kernel.compute(x, types[ids - 1], n, pairs, f, want, exchange)
    back = np.argsort(order)
    if result.energies is not None:
        result.energies, result.virials = result.energies[back], result.virials[back]
    return f[back], result


def types_of(system: System, ntypes: int) -> NDArray[np.int32]:
    """(n,) random types from 0, the same at every call."""
    return np.random.default_rng(5).integers(0, ntypes, len(system.x)).astype(np.int32)
