"""Sorting by columns: an order of all atoms, along z within a column, with bounded grids."""

import numpy as np
import pytest

from mdapp.neighbors.columns import CELLS_PER_ATOM, column_grid, occupied_density, sort_by_column
from tests.twins.systems import SYSTEMS


def ordered(x: np.ndarray, ids: np.ndarray, first: int, last: int, reach: float = 1.0):
    grid = column_grid(x, len(x), reach)
    order, start = np.empty(last - first, np.int32), np.empty(grid.ncolumns + 1, np.int64)
    sort_by_column(x, ids, first, last, grid.origin, grid.edges, grid.shape, order, start)
    return grid, order, start


@pytest.mark.parametrize("name", [name for name in SYSTEMS if name != "no atoms"])
def test_columns_along_z(name: str) -> None:
    x = SYSTEMS[name]().x
    ids = np.random.default_rng(1).permutation(len(x)).astype(np.int64)
    for first, last in ((0, len(x)), (len(x) // 3, len(x)), (0, 0)):
        grid, order, start = ordered(x, ids, first, last)
        assert np.array_equal(np.sort(order), np.arange(first, last))
        assert start[0] == 0 and start[-1] == last - first and (np.diff(start) >= 0).all()
        for c in range(grid.ncolumns):
            members = order[start[c] : start[c + 1]]
            assert np.array_equal(members, members[np.lexsort((ids[members], x[members, 2]))])
            place = np.clip(
                ((x[members, :2] - grid.origin[:2]) / grid.edges[:2]).astype(int),
                0,
                grid.shape[:2] - 1,
            )
            assert (place == [c // grid.shape[1], c % grid.shape[1]]).all()


@pytest.mark.parametrize("name", SYSTEMS)
def test_grids_stay_small(name: str) -> None:
    """However sparse or flat the system: memory is bounded by the number of atoms."""
    x = SYSTEMS[name]().x
    for nlocal in (len(x), len(x) // 2, 0):
        grid = column_grid(x, nlocal, 1.0)
        assert (grid.shape >= 1).all() and np.isfinite(grid.edges).all() and (grid.edges > 0).all()
        assert grid.shape.prod() <= CELLS_PER_ATOM * len(x) + 64
        assert np.isfinite(grid.cluster_height) and grid.cluster_height > 0


def test_vacuum_does_not_count_as_density() -> None:
    x = np.random.default_rng(0).uniform(0, 4, (3000, 3))
    inside = occupied_density(x, 1.0)
    assert inside == pytest.approx(3000 / 64, rel=0.05)
    far = np.vstack([x, x + np.array([0, 0, 30.0])])
    assert occupied_density(far, 1.0) == pytest.approx(inside, rel=0.3)


def test_equal_heights_are_ordered_by_id() -> None:
    """Insertion sort below 64 atoms a slice, merge sort above: both with the same rule."""
    for n in (5, 63, 64, 65, 66, 200, 1000):
        rng = np.random.default_rng(n)
        x = np.zeros((n, 3))
        x[:, 2] = rng.integers(0, 3, n) * 1e-9
        ids = rng.permutation(n).astype(np.int64)
        _, order, start = ordered(x, ids, 0, n)
        assert len(start) == 2
        assert np.array_equal(order, np.lexsort((ids, x[:, 2])))
