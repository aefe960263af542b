"""Philox against the known answers of its authors, and the streams built on it."""

import numpy as np
import pytest

from mdapp.model import rng
from mdapp.model.rng import Purpose, normal_pair, philox4x32, uniform_pair

ALL = 0xFFFFFFFF


@pytest.mark.parametrize("counter, key, answer", [     # Random123 1.14, kat_vectors, philox4x32 10
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ALL, ALL, ALL, ALL), (ALL, ALL), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    ((0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
     (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
])
def test_known_answers(counter, key, answer):
    assert philox4x32(*counter, *key) == answer


def test_every_part_of_the_key_and_counter_matters():
    base = {"seed": 7, "purpose": 1, "step": 1000, "atom": 12345, "draw": 0}
    def pair(**change):
        return uniform_pair(*{**base, **change}.values())
    others = [pair(seed=8), pair(purpose=2), pair(step=1001), pair(step=1000 + 2**32),
              pair(atom=12346), pair(atom=12345 + 2**32), pair(draw=1), pair()]
    assert len(set(others)) == len(others)
    assert pair() == others[-1]


def test_uniform_numbers_have_the_moments_of_the_interval():
    u = np.array([uniform_pair(1, 1, 0, i, 0) for i in range(50_000)]).ravel()
    n = len(u)
    assert u.min() > 0 and u.max() < 1
    assert abs(u.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    assert abs(u.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / n)


def test_normal_numbers_are_normal_and_independent():
    z = np.array([normal_pair(3, 2, 17, i, 0) for i in range(50_000)])
    n = len(z)
    assert np.all(abs(z.mean(axis=0)) < 4 / np.sqrt(n))
    assert np.all(abs(z.var(axis=0) - 1) < 4 * np.sqrt(2 / n))
    assert np.all(abs((z**4).mean(axis=0) - 3) < 4 * np.sqrt(96 / n))
    assert abs((z[:, 0] * z[:, 1]).mean()) < 4 / np.sqrt(n)


def test_vectors_follow_the_ids_in_any_order():
    ids = np.array([5, 2**40, 17, 1])
    for gaussian in (False, True):
        a = rng.vectors(11, Purpose.VELOCITIES, 0, ids, gaussian=gaussian)
        b = rng.vectors(11, Purpose.VELOCITIES, 0, ids[::-1].copy(), gaussian=gaussian)
        assert (a == b[::-1]).all() and a.shape == (4, 3)
        assert len(np.unique(a)) == 12


def test_purposes_are_distinct():
    assert len({int(p) for p in Purpose}) == len(Purpose.__members__)
    assert all(p <= Purpose.PLUGIN_FIRST for p in Purpose)
