"""The random numbers behind LAMMPS's `velocity create`, to start from its velocities.

The generator is the "minimal standard" of Park and Miller (doi 10.1145/63039.63042):

    s <- 16807 s mod (2^31 - 1),    u = s / (2^31 - 1)

and a gaussian deviate comes from Marsaglia's polar method, which makes two at a time and keeps
one for the next call.  LAMMPS draws three numbers an atom in one of two ways:

- `loop geom`: every atom has a generator of its own, seeded by a one-at-a-time hash (Jenkins,
  Dr. Dobb's Journal, September 1997) of the user's seed and of the bytes of its coordinates,
  27 bits kept, zero becoming one, the first five numbers thrown away.  It does not depend on
  the number of ranks, but on the last bit of every position.
- `loop all`: one stream for the whole system, handed out in the order of ids.  n steps multiply
  the state by 16807^n, so a rank reaches the uniform numbers of its atoms by jumping; the polar
  method rejects, its use of the stream cannot be foreseen, and a rank runs through all of it.

These are LAMMPS's numbers, not good ones (a period of 2^31, spent on three draws an atom after
7e8 atoms); the counter-based generator of `rng.py` is the default.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

MULTIPLIER = 16807
MODULUS = 2147483647
INVERSE = 1.0 / MODULUS
HASH_MASK = 0x7FFFFFF
WARM_UP = 5

SEEDS = (1, MODULUS - 1)      # what a user may give as seed, both ends included


def geom_deviates(seed: int, x: NDArray[np.float64], *, gaussian: bool) -> NDArray[np.float64]:
    """Three raw deviates per atom from its position, as `loop geom` draws them.

    Parameters
    ----------
    seed : 1 .. 2^31 - 2
    x : (n, 3) float64, every bit of which counts
    gaussian : unit variance, or else uniform in (-1/2, 1/2)

    Returns
    -------
    (n, 3) float64
    """
    x = np.ascontiguousarray(x, np.float64)
    coordinate_bytes = x.view(np.int8).reshape(len(x), 24)
    deviates: NDArray[np.float64] = _geom_deviates(seed, coordinate_bytes, gaussian)
    return deviates


def all_deviates(seed: int, ids: NDArray[np.int64], *, gaussian: bool) -> NDArray[np.float64]:
    """Three raw deviates per atom from one stream, as `loop all` draws them.

    Parameters
    ----------
    seed : 1 .. 2^31 - 2
    ids : (n,) int64, the atoms wanted, from 1
    gaussian : unit variance, or else uniform in (-1/2, 1/2)

    Returns
    -------
    (n, 3) float64, in the order of `ids`
    """
    order = np.argsort(ids, kind="stable")
    deviates = np.empty((len(ids), 3))
    draw = _all_gaussian if gaussian else _all_uniform
    deviates[order] = draw(seed, ids[order])
    return deviates


@njit(cache=True)
def _next(state):  # type: ignore[no-untyped-def]
    return state * MULTIPLIER % MODULUS


@njit(cache=True)
def _jump(state, n):  # type: ignore[no-untyped-def]
    """Advance the state by n draws, multiplying with 16807^n mod 2^31 - 1."""
    factor = MULTIPLIER
    while n > 0:
        if n & 1:
            state = state * factor % MODULUS
        factor = factor * factor % MODULUS
        n >>= 1
    return state


@njit(cache=True)
def _polar(state):  # type: ignore[no-untyped-def]
    """Two gaussian deviates in the order in which LAMMPS returns them, and the state after."""
    while True:
        state = _next(state)
        v1 = 2.0 * (INVERSE * state) - 1.0
        state = _next(state)
        v2 = 2.0 * (INVERSE * state) - 1.0
        rsq = v1 * v1 + v2 * v2
        if rsq < 1.0 and rsq != 0.0:
            break
    factor = math.sqrt(-2.0 * math.log(rsq) / rsq)
    return v2 * factor, v1 * factor, state


@njit(cache=True)
def _mix(hashed, byte):  # type: ignore[no-untyped-def]
    """One step of the hash; the char that LAMMPS adds is signed, and all is modulo 2^32."""
    hashed = (hashed + byte) & 0xFFFFFFFF
    hashed = (hashed + (hashed << 10)) & 0xFFFFFFFF
    return hashed ^ (hashed >> 6)


@njit(cache=True)
def _geom_state(seed, coordinate_bytes):  # type: ignore[no-untyped-def]
    """State of an atom's own generator after its warm-up."""
    hashed = 0
    for shift in (0, 8, 16, 24):
        byte = (seed >> shift) & 0xFF
        hashed = _mix(hashed, byte - 256 if byte > 127 else byte)
    for byte in coordinate_bytes:
        hashed = _mix(hashed, np.int64(byte))
    hashed = (hashed + (hashed << 3)) & 0xFFFFFFFF
    hashed ^= hashed >> 11
    hashed = (hashed + (hashed << 15)) & 0xFFFFFFFF
    state = hashed & HASH_MASK
    if state == 0:
        state = 1
    return _jump(state, WARM_UP)


@njit(cache=True)
def _geom_deviates(seed, coordinate_bytes, gaussian):  # type: ignore[no-untyped-def]
    n = len(coordinate_bytes)
    out = np.empty((n, 3))
    for i in range(n):
        state = _geom_state(seed, coordinate_bytes[i])
        if gaussian:
            out[i, 0], out[i, 1], state = _polar(state)
            out[i, 2], _, state = _polar(state)
        else:
            for d in range(3):
                state = _next(state)
                out[i, d] = INVERSE * state - 0.5
    return out


@njit(cache=True)
def _all_uniform(seed, sorted_ids):  # type: ignore[no-untyped-def]
    out = np.empty((len(sorted_ids), 3))
    state, done = seed, 0                     # draws so far
    for n in range(len(sorted_ids)):
        wanted = 3 * (sorted_ids[n] - 1)
        state = _jump(state, wanted - done)
        for d in range(3):
            state = _next(state)
            out[n, d] = INVERSE * state - 0.5
        done = wanted + 3
    return out


@njit(cache=True)
def _all_gaussian(seed, sorted_ids):  # type: ignore[no-untyped-def]
    """Walk the stream two atoms, that is three pairs, at a time: a pair never spans more."""
    out = np.empty((len(sorted_ids), 3))
    six = np.empty(6)
    state, walked = seed, 0                   # atoms walked so far, an even number
    for n in range(len(sorted_ids)):
        while walked < sorted_ids[n]:
            six[0], six[1], state = _polar(state)
            six[2], six[3], state = _polar(state)
            six[4], six[5], state = _polar(state)
            walked += 2
        start = 0 if sorted_ids[n] % 2 == 1 else 3
        out[n] = six[start:start + 3]
    return out
