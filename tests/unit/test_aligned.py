"""Arrays that begin at cache lines."""

import numpy as np
import pytest

from potentials.memory import LINE, aligned, aligned_copy, room


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int32])
@pytest.mark.parametrize("count", [1, 7, 1000, 100_003])
def test_where_they_begin(count: int, kind: type) -> None:
    """Small and large ones come from different places of the system."""
    values = np.arange(count)[None]
    for array in (room(count, kind), aligned((1, count), kind), aligned_copy(values, kind)):
        assert array.ctypes.data % LINE == 0 and array.flags.c_contiguous and array.dtype == kind
    assert not aligned((1, count), kind).any()
    np.testing.assert_array_equal(aligned_copy(values, kind), values)
    assert room(count, kind).shape == (count,)


def test_none_at_all() -> None:
    assert aligned((0,), np.float64).shape == (0,)
