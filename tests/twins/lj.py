"""Lennard-Jones by the definition: every atom with every image of every atom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from tests.twins.images import shifts

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class Energies:
    """What a kernel must give, and the scale of its rounding errors.

    Attributes
    ----------
    energies (n,), forces (n, 3), virials (n, 6) : of each atom
    strength (n,) : sum of |repulsion| + |attraction| over pairs, which cancel to `forces`
    depth (n,) : the same of the energy, shift included
    torque (n,) : sum of strength times distance
    """

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]
    strength: NDArray[np.float64]
    depth: NDArray[np.float64]
    torque: NDArray[np.float64]


def lennard_jones(
    x: NDArray[np.float64],
    types: NDArray[np.int32],
    box: Box,
    epsilon,
    sigma,
    rc,
    shift: bool = False,
) -> Energies:
    """Sum over all pairs closer than rc.

    Parameters
    ----------
    x : (n, 3)
    types : (n,) from 0
    epsilon, sigma, rc : (ntypes, ntypes)
    shift : whether the energy vanishes at rc
    """
    n = len(x)
    result = Energies(
        np.zeros(n), np.zeros((n, 3)), np.zeros((n, 6)), np.zeros(n), np.zeros(n), np.zeros(n)
    )
    for i in range(n):
        e, s, cut = epsilon[types[i], types], sigma[types[i], types], rc[types[i], types]
        for vector in shifts(box, float(np.max(rc))):
            d = x[i] - (x + vector)
            r = np.sqrt((d**2).sum(axis=1))
            near = r < cut
            near[i] &= bool(vector.any())
            d, r, ee, ss, rr = d[near], r[near], e[near], s[near], cut[near]
            pair = 4 * ee * ((ss / r) ** 12 - (ss / r) ** 6)
            size = 4 * ee * ((ss / r) ** 12 + (ss / r) ** 6)
            if shift:
                offset = 4 * ee * ((ss / rr) ** 12 - (ss / rr) ** 6)
                pair, size = pair - offset, size + abs(offset)
            force = (24 * ee / r * (2 * (ss / r) ** 12 - (ss / r) ** 6) / r)[:, None] * d
            result.energies[i] += pair.sum() / 2
            result.forces[i] += force.sum(axis=0)
            for k, (a, b) in enumerate(VOIGT):
                result.virials[i, k] += (d[:, a] * force[:, b]).sum() / 2
            push = 24 * ee / r * (2 * (ss / r) ** 12 + (ss / r) ** 6)
            result.strength[i] += push.sum()
            result.depth[i] += size.sum() / 2
            result.torque[i] += (push * r).sum() / 2
    return result
