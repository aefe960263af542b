"""The pattern of `mdapp stress`, and what is told from wrong words."""

import numpy as np
import pytest

from mdapp.stress.decode import Finding, Known, decode, name_swaps
from mdapp.stress.figure import BANDWIDTHS, RATES, combine
from mdapp.stress.pattern import Buffer, key_of, spread_int, unspread

RUN, EARLIER = 0x1234_5678_9ABC_DEF0, 0x0FED_CBA9_8765_4321
KNOWN = Known(RUN, {"easy": (4, 1 << 20), "hard": (1, 1 << 20)}, (EARLIER,))


def twin(key: int, file: int, offset: int, n: int) -> list[int]:
    """The specification: one word after the other, in whole numbers of Python."""
    return [spread_int(key ^ (file * 2**37 + offset // 8 + i)) for i in range(n)]


@pytest.mark.parametrize("nbytes", [8, 13, 512, 3901, 47008])
def test_a_buffer_holds_the_words_of_its_place(nbytes: int) -> None:
    buffer = Buffer(nbytes)
    buffer.fill(np.uint64(77), 3, 4096)
    assert buffer.words.tolist() == twin(77, 3, 4096, len(buffer.words))
    assert len(buffer.data) == nbytes and buffer.is_right(np.uint64(77), 3, 4096)


@pytest.mark.parametrize("byte", [0, 7, 8, 3895, 3900])
def test_every_byte_is_checked_and_none_behind_the_last(byte: int) -> None:
    buffer = Buffer(3901)
    buffer.fill(np.uint64(5), 0, 0)
    buffer.data[byte] ^= 1
    assert not buffer.is_right(np.uint64(5), 0, 0)
    buffer.data[byte] ^= 1
    buffer.words[-1] ^= np.uint64(1) << np.uint64(63)       # beyond the 3901 bytes
    assert buffer.is_right(np.uint64(5), 0, 0)
    assert not buffer.is_right(np.uint64(5), 0, 0), "poisoned for the next read"


def test_spread_can_be_undone() -> None:
    words = np.random.default_rng(1).integers(0, 2**63, 1000).astype(np.uint64)
    assert [spread_int(int(w)) for w in unspread(words)] == words.tolist()


def found_in(change, nbytes: int = 4096, offset: int = 8192) -> list[Finding]:
    """What is told of a transfer of file 1 of "easy" after a change."""
    buffer = Buffer(nbytes)
    buffer.fill(key_of(RUN, "easy"), 1, offset)
    right = buffer.words.copy()
    change(buffer)
    return decode(buffer.words, right, KNOWN, "easy", 1, offset, "easy/1")


def test_each_kind_of_damage_is_named() -> None:
    def flip(b: Buffer) -> None:
        b.data[700] ^= 0x10

    def hole(b: Buffer) -> None:
        b.words[64:128] = 0

    def elsewhere(b: Buffer) -> None:
        b.fill(key_of(RUN, "hard"), 0, 1 << 16)

    def old(b: Buffer) -> None:
        b.fill(key_of(EARLIER, "easy"), 1, 8192)

    def noise(b: Buffer) -> None:
        b.words[10:12] = np.random.default_rng(2).integers(1, 2**63, 2).astype(np.uint64)

    def unread(b: Buffer) -> None:
        b.fill(key_of(RUN, "easy"), 1, 4096)        # what the last read left
        b.poison()

    (flipped,) = found_in(flip)
    assert (flipped.kind, flipped.offset, flipped.nbytes) == ("bit flip", 8192 + 696, 8)
    assert "(1 bits)" in flipped.detail
    (zeros,) = found_in(hole)
    assert (zeros.kind, zeros.offset, zeros.nbytes) == ("zeros", 8192 + 512, 512)
    (moved,) = found_in(elsewhere)
    assert (moved.kind, moved.nbytes, moved.source) == ("misplaced", 4096, ("hard", 0, 1 << 16))
    (stale,) = found_in(old)
    assert (stale.kind, stale.source) == ("stale", ("easy", 1, 8192))
    assert {f.kind for f in found_in(noise)} == {"corrupted"}
    assert {f.kind for f in found_in(unread)} == {"not read"}


def test_two_places_that_hold_each_others_words_are_swapped() -> None:
    a = Finding("misplaced", "f", "hard", 0, 0, 64, ("hard", 0, 640))
    b = Finding("misplaced", "f", "hard", 0, 640, 64, ("hard", 0, 0))
    c = Finding("misplaced", "f", "hard", 0, 1280, 64, ("hard", 0, 640))
    assert [f.kind for f in name_swaps([a, b, c])] == ["swapped", "swapped", "misplaced"]


def test_the_figure_has_io500s_formula() -> None:
    """BW and MD of the ISC26 production list, and the score that press quotes from io500.org."""
    figure = combine(dict.fromkeys(BANDWIDTHS, 26888.39), dict.fromkeys(RATES, 232754.76))
    assert figure.value == pytest.approx(79110, abs=1)
    uneven = combine(dict(zip(BANDWIDTHS, (1.0, 2.0, 4.0, 2.0), strict=True)),
                     dict(zip(RATES, (1.0, 256.0, *[1.0] * 6), strict=True)))
    assert (uneven.bandwidth, uneven.metadata) == pytest.approx((2.0, 2.0))
