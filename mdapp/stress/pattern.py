"""What is written: words that say where they belong.

The word at byte g (a multiple of 8) of file n of a field f in run u is

    w = mix(K xor (n 2^37 + g / 8)),        K = mix(u xor mix(f))

with `mix` the finaliser of splitmix64, a bijection. So no two words of a run are equal (there is
nothing to compress or to deduplicate, which the rules of IO500 forbid), and a word that is found at
a wrong place can be turned back into the place it belongs to: `unmix(w) xor K`. IOR's pattern fills
all transfers of a rank with the same bytes, and cannot see one at the wrong place.

Every word is computed, in transfers of every size: with vector instructions that costs 0.1 ms for
2 MiB, less than to compare with a prepared buffer.

G. L. Steele, D. Lea and C. H. Flood, Fast splittable pseudorandom number generators,
OOPSLA 2014, doi:10.1145/2660193.2660195.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

Words = NDArray[np.uint64]
FILE_SHIFT = 37                 # words of a file: 2^40 bytes; the file's number above
MASK64 = (1 << 64) - 1
POISON = 0xA5A5A5A5A5A5A5A5
POISON_EVERY = 64               # words, 512 bytes: a sector that was not read keeps one

_M1, _M2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_M1_INVERSE, _M2_INVERSE = pow(_M1, -1, 1 << 64), pow(_M2, -1, 1 << 64)
_C1, _C2 = np.uint64(_M1), np.uint64(_M2)


def mix_int(z: int) -> int:
    """The finaliser of splitmix64, of one number below 2^64."""
    z = (z ^ (z >> 30)) * _M1 & MASK64
    z = (z ^ (z >> 27)) * _M2 & MASK64
    return z ^ (z >> 31)


def unmix(z: Words) -> Words:
    """Inverse of `mix_int`, word by word."""
    z = z ^ (z >> np.uint64(31)) ^ (z >> np.uint64(62))
    z = z * np.uint64(_M2_INVERSE)
    z = z ^ (z >> np.uint64(27)) ^ (z >> np.uint64(54))
    z = z * np.uint64(_M1_INVERSE)
    undone: Words = z ^ (z >> np.uint64(30)) ^ (z >> np.uint64(60))
    return undone


def key_of(run: int, field: str) -> int:
    """K of a field of a run; `run` is a number below 2^64."""
    return mix_int(run ^ mix_int(zlib.crc32(field.encode())))


@njit(cache=True, nogil=True, inline="always")
def _mix(z: Any) -> Any:
    z = (z ^ (z >> uint64(30))) * _C1
    z = (z ^ (z >> uint64(27))) * _C2
    return z ^ (z >> uint64(31))


@njit(cache=True, nogil=True)
def fill_words(words: Words, key: np.uint64, first: np.uint64) -> None:
    """Write the words `first`, `first + 1`, ... of a field."""
    for i in range(words.size):
        words[i] = _mix(key ^ (first + uint64(i)))


@njit(cache=True, nogil=True)
def differs(words: Words, key: np.uint64, first: np.uint64, last_mask: np.uint64) -> bool:
    """Whether any word is not what `fill_words` writes; of the last only bits of the mask count."""
    n = words.size - 1
    wrong = uint64(0)
    for i in range(n):
        wrong |= words[i] ^ _mix(key ^ (first + uint64(i)))
    wrong |= (words[n] ^ _mix(key ^ (first + uint64(n)))) & last_mask
    return bool(wrong != uint64(0))


class Buffer:
    """Bytes of one transfer, and the words that they lie in.

    Attributes
    ----------
    words : (ceil(n / 8),) uint64
    data : memoryview of the n bytes
    """

    def __init__(self, nbytes: int):
        self.words: Words = np.zeros(-(-nbytes // 8), np.uint64)
        self.data = self.words.view(np.uint8)[:nbytes].data
        self._last = np.uint64(MASK64 >> 8 * (-nbytes % 8))

    def fill(self, key: int, file: int, offset: int) -> None:
        """Make it what belongs at `offset`, a multiple of 8, of a file."""
        fill_words(self.words, np.uint64(key), first_word(file, offset))

    def poison(self) -> None:
        """Make sure that a read which does nothing is seen in each sector."""
        self.words[::POISON_EVERY] = np.uint64(POISON)

    def is_right(self, key: int, file: int, offset: int) -> bool:
        """Whether it is what belongs there."""
        return not bool(differs(self.words, np.uint64(key), first_word(file, offset), self._last))

    def expected(self, key: int, file: int, offset: int) -> Words:
        """What belongs there; the bytes behind the last one are as they are."""
        right = np.empty_like(self.words)
        fill_words(right, np.uint64(key), first_word(file, offset))
        right[-1] = (right[-1] & self._last) | (self.words[-1] & ~self._last)
        return right


def first_word(file: int, offset: int) -> np.uint64:
    """Number of the word at a byte of a file."""
    return np.uint64((file << FILE_SHIFT) | (offset >> 3))


def compile_pattern() -> None:
    """Compile before a clock runs."""
    buffer = Buffer(16)
    buffer.fill(1, 0, 0)
    buffer.is_right(1, 0, 0)
