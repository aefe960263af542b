"""What is written: words that say where they belong.

The word at byte g (a multiple of 8) of file n of a field f in run u is

    w = spread(K xor (n 2^37 + g / 8)),     K = mix(u xor mix(f)),     spread(x) = y xor (y >> 32)
                                                                       with y = x M mod 2^64

with `mix` the finaliser of splitmix64 and M one of its odd factors. `spread` is a bijection: no two
words of a run are equal (there is nothing to find for whoever looks for equal blocks, which the
rules of IO500 forbid), and a word at a wrong place can be turned back into the place it belongs to.
IOR's pattern fills all transfers of a rank with the same bytes, and cannot see one at a wrong
place.

Every word is computed, in transfers of every size: one multiplication a word is 0.06 ms for 2 MiB,
less than to compare with a prepared buffer. With the two of splitmix64 it took twice as long, and a
tenth of the time of a fast read.

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
POISON = np.uint64(0xA5A5A5A5A5A5A5A5)
POISON_EVERY = 64               # words, 512 bytes: a sector that was not read keeps one

_M1, _M2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_FACTOR, _INVERSE = np.uint64(_M1), np.uint64(pow(_M1, -1, 1 << 64))


def mix_int(z: int) -> int:
    """The finaliser of splitmix64, of one number below 2^64."""
    z = (z ^ (z >> 30)) * _M1 & MASK64
    z = (z ^ (z >> 27)) * _M2 & MASK64
    return z ^ (z >> 31)


def spread_int(x: int) -> int:
    """The word of a number below 2^64."""
    y = x * _M1 & MASK64
    return y ^ (y >> 32)


def unspread(words: Words) -> Words:
    """Inverse of `spread_int`, word by word."""
    numbers: Words = (words ^ (words >> np.uint64(32))) * _INVERSE
    return numbers


def key_of(run: int, field: str) -> np.uint64:
    """K of a field of a run; `run` is a number below 2^64."""
    return np.uint64(mix_int(run ^ mix_int(zlib.crc32(field.encode()))))


@njit(cache=True, nogil=True, inline="always")
def _spread(x: Any) -> Any:
    y = x * _FACTOR
    return y ^ (y >> uint64(32))


@njit(cache=True, nogil=True)
def fill_words(words: Words, key: np.uint64, first: np.uint64) -> None:
    """Write the words `first`, `first + 1`, ... of a field."""
    for i in range(words.size):
        words[i] = _spread(key ^ (first + uint64(i)))


@njit(cache=True, nogil=True)
def differs(words: Words, key: np.uint64, first: np.uint64, last_mask: np.uint64) -> bool:
    """Whether any word is not what `fill_words` writes; of the last only bits of the mask count.

    If all are right, they are poisoned for the next read.
    """
    n = words.size - 1
    wrong = uint64(0)
    for i in range(n):
        wrong |= words[i] ^ _spread(key ^ (first + uint64(i)))
    wrong |= (words[n] ^ _spread(key ^ (first + uint64(n)))) & last_mask
    if wrong != uint64(0):
        return True
    for i in range(0, words.size, POISON_EVERY):
        words[i] = POISON
    return False


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

    def fill(self, key: np.uint64, file: int, offset: int) -> None:
        """Make it what belongs at `offset`, a multiple of 8, of a file."""
        fill_words(self.words, key, first_word(file, offset))

    def poison(self) -> None:
        """Make sure that a read which does nothing is seen in each sector."""
        self.words[::POISON_EVERY] = POISON

    def is_right(self, key: np.uint64, file: int, offset: int) -> bool:
        """Whether it is what belongs there; if so, it is poisoned for the next read."""
        return not differs(self.words, key, first_word(file, offset), self._last)

    def expected(self, key: np.uint64, file: int, offset: int) -> Words:
        """What belongs there; the bytes behind the last one are as they are."""
        right = np.empty_like(self.words)
        fill_words(right, key, first_word(file, offset))
        right[-1] = (right[-1] & self._last) | (self.words[-1] & ~self._last)
        return right


def first_word(file: int, offset: int) -> np.uint64:
    """Number of the word at a byte of a file."""
    return np.uint64((file << FILE_SHIFT) | (offset >> 3))


def compile_pattern() -> None:
    """Compile before a clock runs."""
    buffer = Buffer(16)
    buffer.fill(np.uint64(1), 0, 0)
    buffer.is_right(np.uint64(1), 0, 0)
