"""The one pass over the atoms of a block, against numpy: hash, ranges, counts."""

import numpy as np
import pytest

from mdapp.storage.blocks import TILE, add_hash, make_table
from mdapp.storage.survey import look

SPOILS = (None, np.nan, np.inf, -np.inf)


def block(n: int, seed: int, further: bool) -> list[np.ndarray]:
    """A block in which a value of x and one of v may be spoilt."""
    rng = np.random.default_rng([n, seed])
    x, v = rng.standard_normal((2, n, 3))
    for array, spoil in ((x, SPOILS[seed % 4]), (v, SPOILS[seed // 4 % 4])):
        if spoil is not None:
            array[rng.integers(n), rng.integers(3)] = spoil
    arrays = [rng.permutation(n) + 1, x, v, rng.integers(0, 3, n).astype(np.int32),
              rng.integers(-4, 5, (n, 3)).astype(np.int32)]  # fmt: skip
    return arrays + [rng.integers(0, 9, (n, 3)).astype(np.int8)] * further


@pytest.mark.parametrize("further", [True, False])
@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 333, TILE, TILE + 1, 2 * TILE + 77])
def test_one_pass_sees_what_numpy_sees(n: int, further: bool) -> None:
    for seed in range(16):
        live = block(n, seed, further)
        row, sums, counts = make_table(live, 0, n)[0], np.zeros(2, np.uint64), np.zeros(3, int)
        found = look(row, live, sums, counts)
        expected = np.zeros(2, np.uint64)
        add_hash(live, expected)
        assert sums.tolist() == expected.tolist()
        assert counts.tolist() == np.bincount(live[3], minlength=3).tolist()
        for pair, array in zip(found, live, strict=True):
            np.testing.assert_array_equal(pair, (array.min(), array.max()))
        np.testing.assert_array_equal(row["bbox_lo"], live[1].min(axis=0))
        np.testing.assert_array_equal(row["bbox_hi"], live[1].max(axis=0))
        assert (row["id_min"], row["id_max"]) == (1, n)


def test_a_type_without_a_mass_is_found_and_not_counted() -> None:
    arrays = block(10, 0, False)
    arrays[3][:] = [0, 1, 2, 0, 7, -3, 0, 0, 0, 0]
    row, sums, counts = make_table(arrays, 0, 10)[0], np.zeros(2, np.uint64), np.zeros(3, int)
    found = look(row, arrays, sums, counts)
    assert found[3] == (-3, 7) and counts.tolist() == [6, 1, 1]
