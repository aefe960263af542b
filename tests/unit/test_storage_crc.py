"""Checksums: zlib's values, whatever the processor offers."""

import zlib

import numpy as np
import pytest
from numba import njit

from mdapp.storage import crc

NOISE = np.random.default_rng(7).integers(0, 256, 3 * crc.WORTH_IT, np.uint8).tobytes()


@pytest.mark.parametrize("start", [0, 1, 0xDEADBEEF, 0xFFFFFFFF])
def test_the_value_is_zlibs_for_every_length(start: int) -> None:
    lengths = [*range(crc.WORTH_IT - 3, crc.WORTH_IT + 600), len(NOISE), 0, 1]
    assert all(crc.crc32(NOISE[:n], start) == zlib.crc32(NOISE[:n], start) for n in lengths)


def test_the_begin_of_the_data_need_not_be_aligned() -> None:
    whole = memoryview(NOISE)
    assert all(crc.crc32(whole[k:]) == zlib.crc32(whole[k:]) for k in range(70))


def test_a_checksum_continues_another() -> None:
    cut = crc.WORTH_IT + 17
    assert crc.crc32(NOISE[cut:], crc.crc32(NOISE[:cut])) == zlib.crc32(NOISE)


def test_any_contiguous_buffer_will_do() -> None:
    array = np.frombuffer(NOISE, np.float64).reshape(-1, 3)
    assert crc.crc32(memoryview(array).cast("B")) == zlib.crc32(NOISE)


@pytest.mark.parametrize("lanes", [2, 4, 8])
def test_registers_of_every_width_give_the_same(lanes: int, monkeypatch) -> None:
    if lanes > crc.LANES:
        pytest.skip(f"this processor multiplies polynomials in {crc.LANES} lanes, not in {lanes}")
    monkeypatch.setattr(crc, "LANES", lanes)
    monkeypatch.setattr(crc, "WIDTH", 8 * lanes * crc.REGISTERS)
    monkeypatch.setattr(crc, "fold", njit(crc.fold.py_func))
    for n in (crc.WORTH_IT, crc.WORTH_IT + 255, len(NOISE)):
        assert crc.crc32(NOISE[:n], 5) == zlib.crc32(NOISE[:n], 5)


def test_without_such_an_instruction_zlib_does_it(monkeypatch) -> None:
    monkeypatch.setattr(crc, "LANES", 0)
    assert crc.crc32(NOISE, 3) == zlib.crc32(NOISE, 3)


def test_the_constants_are_those_of_the_paper() -> None:
    # Gopal et al., the constants k1 and k2 of the reflected CRC-32, for a distance of 512 bits
    assert crc.power_of_x(512 + 32) == 0x154442BD4
    assert crc.power_of_x(512 - 32) == 0x1C6E41596
