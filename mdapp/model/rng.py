"""Random numbers that depend on what they are for, not on who draws them.

A number is a function of (seed, purpose, step, global id, draw): every rank computes the
numbers of the atoms that it owns, in any order, and gets the same ones for every number of
ranks and after every restart, with no state to store.  The function is Philox4x32-10 of Salmon
et al. (doi 10.1145/2063384.2063405), a block cipher of ten rounds over a counter of four 32-bit
words with a key of two:

    counter = (id mod 2^32, id / 2^32, step mod 2^32, (step / 2^32) * 2^16 + draw)
    key     = (seed, purpose)

so ids reach 2^64, steps 2^48, draws 2^16 and seeds 2^32.  One call gives 128 bits: two
doubles.  A sequential generator per rank was the alternative; its numbers change with the
decomposition.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numba import njit
from numpy.typing import NDArray

SEED_LIMIT = 2**32      # seeds are 0 .. SEED_LIMIT - 1


class Purpose(IntEnum):
    """Everything that draws random numbers, so that no two uses ever share a stream.

    A plug-in takes a number from PLUGIN_FIRST on, up to 2^32 - 1.
    """

    VELOCITIES = 1
    LANGEVIN = 2
    STOCHASTIC_RESCALING = 3
    DISPLACEMENTS = 4
    PLUGIN_FIRST = 0x10000


_LOW = 0xFFFFFFFF
_MULTIPLIER_0 = 0xD2511F53      # the constants of the paper: multipliers and key increments
_MULTIPLIER_1 = 0xCD9E8D57
_WEYL_0 = 0x9E3779B9
_WEYL_1 = 0xBB67AE85


@njit(cache=True)
def philox4x32(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Ten rounds of Philox on a counter and a key.

    Parameters
    ----------
    c0, c1, c2, c3, k0, k1 : integers below 2^32

    Returns
    -------
    Four integers below 2^32 (uint64).
    """
    low = np.uint64(_LOW)
    half = np.uint64(32)
    c0, c1, c2, c3 = np.uint64(c0), np.uint64(c1), np.uint64(c2), np.uint64(c3)
    k0, k1 = np.uint64(k0), np.uint64(k1)
    for _ in range(10):
        product_0 = np.uint64(_MULTIPLIER_0) * c0
        product_1 = np.uint64(_MULTIPLIER_1) * c2
        c0, c1, c2, c3 = ((product_1 >> half) ^ c1 ^ k0, product_1 & low,
                          (product_0 >> half) ^ c3 ^ k1, product_0 & low)
        k0 = (k0 + np.uint64(_WEYL_0)) & low
        k1 = (k1 + np.uint64(_WEYL_1)) & low
    return c0, c1, c2, c3


@njit(cache=True)
def uniform_pair(seed, purpose, step, atom, draw):  # type: ignore[no-untyped-def]
    """Two doubles in (0, 1), neither end included: the centres of 2^52 equal cells.

    Parameters
    ----------
    seed, purpose : key of the stream, below 2^32
    step : time step, below 2^48
    atom : global id
    draw : which pair, below 2^16
    """
    atom, step = np.uint64(atom), np.uint64(step)
    low, half = np.uint64(_LOW), np.uint64(32)
    r0, r1, r2, r3 = philox4x32(
        atom & low, atom >> half, step & low,
        ((step >> half) << np.uint64(16)) | np.uint64(draw), seed, purpose)
    scale = 2.0**-52
    first = ((r0 << half) | r1) >> np.uint64(12)
    second = ((r2 << half) | r3) >> np.uint64(12)
    return (np.float64(first) + 0.5) * scale, (np.float64(second) + 0.5) * scale


@njit(cache=True)
def normal_pair(seed, purpose, step, atom, draw):  # type: ignore[no-untyped-def]
    """Two independent standard normal deviates (Box and Muller, doi 10.1214/aoms/1177706645)."""
    u, w = uniform_pair(seed, purpose, step, atom, draw)
    radius = math.sqrt(-2.0 * math.log(u))
    angle = 2.0 * math.pi * w
    return radius * math.cos(angle), radius * math.sin(angle)


@njit(cache=True)
def _vectors(seed, purpose, step, ids, gaussian):  # type: ignore[no-untyped-def]
    out = np.empty((len(ids), 3))
    for n in range(len(ids)):
        if gaussian:
            out[n, 0], out[n, 1] = normal_pair(seed, purpose, step, ids[n], 0)
            out[n, 2], _ = normal_pair(seed, purpose, step, ids[n], 1)
        else:
            a, b = uniform_pair(seed, purpose, step, ids[n], 0)
            c, _ = uniform_pair(seed, purpose, step, ids[n], 1)
            out[n, 0], out[n, 1], out[n, 2] = a - 0.5, b - 0.5, c - 0.5
    return out


def vectors(seed: int, purpose: int, step: int, ids: NDArray[np.int64], *,
            gaussian: bool) -> NDArray[np.float64]:
    """Three deviates per atom.

    Parameters
    ----------
    seed, purpose, step : see `uniform_pair`
    ids : (n,) int64, global ids
    gaussian : unit variance, or else uniform in (-1/2, 1/2)

    Returns
    -------
    (n, 3) float64
    """
    out: NDArray[np.float64] = _vectors(seed, int(purpose), step, ids, gaussian)
    return out
