"""A hash of the state of all atoms, whatever their order and whichever ranks hold them.

Each atom's id, position, velocity, type and image make seven-and-two words of 64 bits, its charge,
if it has one, another; a chain of bijective mixes turns them into one, and the words of all atoms
are summed modulo 2^64, twice with different endings.  Integer sums commute, so any number of ranks
gives the same 128 bits; an atom lost, doubled, swapped or changed by one bit gives others.

    h = s1;  for each word w:  h = mix(h ^ w);      h1 = sum h,   h2 = sum mix(h ^ s2)

A mix waits for the one before it, but atoms do not wait for each other: 64 go through the chain
side by side, in vector registers.

`mix` is the finaliser of SplitMix64 (Steele, Lea & Flood 2014, doi 10.1145/2660193.2660195).
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from numba import njit

from mdapp.model.atoms import Atoms

S1 = np.uint64(0x9E3779B97F4A7C15)
S2 = np.uint64(0xD1B54A32D192ED03)
LANES = 64


def state_hash(atoms: Atoms, comm: MPI.Comm) -> str:
    """32 hexadecimal digits, h1 then h2, of the owned atoms of all ranks; collective."""
    n = atoms.nlocal
    sums = np.zeros(2, np.uint64)
    arrays = (atoms.id[:n], atoms.x[:n].view(np.uint64), atoms.v[:n].view(np.uint64),
              atoms.type[:n], atoms.image[:n])
    if atoms.q is None:
        hash_atoms(*arrays, sums)
    else:
        hash_more(*arrays, atoms.q[:n, None].view(np.uint64), sums)
    comm.Allreduce(MPI.IN_PLACE, sums, MPI.SUM)
    return f"{int(sums[0]):016x}{int(sums[1]):016x}"


@njit(cache=True, nogil=True, inline="always")
def mix(h):
    """A bijection of 64-bit words in which every bit depends on every other."""
    h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return h ^ (h >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def two_words(low, high):
    """Two 32-bit integers as one word of 64."""
    return np.uint64(np.uint32(low)) | (np.uint64(np.uint32(high)) << np.uint64(32))


@njit(cache=True, nogil=True)
def hash_atoms(ids, x, v, types, image, sums):
    """Add h1 and h2 of all atoms to sums (2,); x and v are (n, 3) bit patterns, uint64."""
    h, words = np.empty(LANES, np.uint64), np.empty((8, LANES), np.uint64)
    h1, h2 = np.uint64(0), np.uint64(0)
    for begin in range(0, len(ids), LANES):
        count = min(LANES, len(ids) - begin)
        _gather(begin, count, ids, x, v, types, image, h, words)
        # All lanes, also those of no atom: a fixed count is what makes vector instructions of it.
        for k in range(LANES):
            h[k] = mix(h[k])
        for w in range(8):
            for k in range(LANES):
                h[k] = mix(h[k] ^ words[w, k])
        for k in range(count):
            h1 += h[k]
        for k in range(count):
            h2 += mix(h[k] ^ S2)
    sums[0] += h1
    sums[1] += h2


@njit(cache=True, nogil=True)
def hash_more(ids, x, v, types, image, words, sums):
    """As hash_atoms, with further words (n, k) uint64 of each atom."""
    for i in range(len(ids)):
        h = mix(S1 ^ np.uint64(ids[i]))
        for d in range(3):
            h = mix(h ^ x[i, d])
        for d in range(3):
            h = mix(h ^ v[i, d])
        h = mix(h ^ two_words(types[i], image[i, 0]))
        h = mix(h ^ two_words(image[i, 1], image[i, 2]))
        for k in range(words.shape[1]):
            h = mix(h ^ words[i, k])
        sums[0] += h
        sums[1] += mix(h ^ S2)


@njit(cache=True, nogil=True)
def _gather(begin, count, ids, x, v, types, image, h, words):
    """The words of some atoms, one lane an atom."""
    for k in range(count):
        i = begin + k
        h[k] = S1 ^ np.uint64(ids[i])
        for d in range(3):
            words[d, k] = x[i, d]
            words[3 + d, k] = v[i, d]
        words[6, k] = two_words(types[i], image[i, 0])
        words[7, k] = two_words(image[i, 1], image[i, 2])
