"""Finding the atoms to blame when a run goes wrong."""

from __future__ import annotations

import numpy as np
from numba import njit

from mdapp.errors import RunError
from mdapp.model.atoms import Atoms
from mdapp.neighbors.clusters import ClusterList

NAMED = 5                     # atoms that a message lists


def check_motion(atoms: Atoms, timestep: float, farthest: float, step: int, rank: int) -> None:
    """Raise RunError if an owned atom moves farther than `farthest` in one step, or is nowhere.

    An atom that crosses more than a halo in one step may land anywhere: from then on atoms would
    be lost.
    """
    if not count_runaways(atoms.v, atoms.nlocal, farthest / timestep):
        return
    speed2 = np.einsum("nc,nc->n", atoms.v[:atoms.nlocal], atoms.v[:atoms.nlocal])
    ids = np.sort(atoms.id[:atoms.nlocal][~(speed2 <= (farthest / timestep) ** 2)])
    more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
    raise RunError(
        f"step {step}: lost atoms: {', '.join(map(str, ids[:NAMED]))}{more} (rank {rank}) move "
        f"more than {farthest:g} in one step. The run blew up: shorten run.timestep (now "
        f"{timestep:g}), check that no atoms overlap at the start, and that units, masses and "
        "potential belong together")


@njit(cache=True, nogil=True, error_model="numpy")
def count_runaways(v, n, fastest):
    """How many of the first n velocities v (cap, 3) exceed `fastest` or are not numbers."""
    count = 0
    for i in range(n):
        speed2 = v[i, 0] * v[i, 0] + v[i, 1] * v[i, 1] + v[i, 2] * v[i, 2]
        count += not speed2 <= fastest * fastest
    return count


def closest_pair(atoms: Atoms, clusters: ClusterList) -> tuple[float, tuple[int, int]]:
    """Distance and ids of the two nearest atoms listed on this rank; inf, (0, 0) if none are."""
    best, pair = np.inf, (0, 0)
    for chunk in clusters.chunks:
        r2, a, b = nearest_listed(atoms.x, clusters.slot_atom,
                                  chunk.first, chunk.start, chunk.partners)
        if r2 < best:
            best, pair = r2, (int(atoms.id[a]), int(atoms.id[b]))
    return float(np.sqrt(best)), pair


@njit(cache=True, nogil=True, error_model="numpy")
def nearest_listed(x, slot_atom, first, start, partners):
    """Squared distance and indices of the nearest two atoms of a chunk's pairs of clusters."""
    best, pair_a, pair_b = np.inf, 0, 0
    for k in range(len(start) - 1):
        i = first + k
        for p in range(start[k] - 1, start[k + 1]):  # one before the first: the cluster itself
            j = i if p < start[k] else np.int64(partners[p])
            for s in range(4):
                for t in range(4):
                    a, b = slot_atom[4 * i + s], slot_atom[4 * j + t]
                    if a < 0 or b < 0 or a == b:
                        continue
                    r2 = 0.0
                    for d in range(3):
                        r2 += (x[a, d] - x[b, d]) ** 2
                    if r2 < best:
                        best, pair_a, pair_b = r2, a, b
    return best, pair_a, pair_b

