"""The grid of ranks: every point has one owner, neighbours agree, hops reach far enough."""

import itertools

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.parallel.grid import NOBODY, RankGrid, least_surface_grid


def grids(box: Box, shape: tuple[int, int, int]) -> list[RankGrid]:
    n = int(np.prod(shape))
    return [RankGrid.for_rank(rank, n, box, shape) for rank in range(n)]


@pytest.mark.parametrize(
    ("ranks", "lengths", "shape"),
    [
        (1, (3, 4, 5), (1, 1, 1)),
        (8, (1, 1, 1), (2, 2, 2)),
        (8, (100, 1, 1), (8, 1, 1)),
        (8, (1, 1, 100), (1, 1, 8)),
        (12, (1, 1, 1), None),
        (7, (1, 2, 1), (1, 7, 1)),
        (4, (2, 2, 1), (2, 2, 1)),
    ],
)
def test_the_least_surface(ranks: int, lengths, shape) -> None:
    found = least_surface_grid(ranks, np.array(lengths, float))
    if shape is not None:
        assert found == shape

    def surface(s):
        a, b, c = np.array(lengths) / s
        return a * b + b * c + c * a

    every = [s for s in itertools.product(range(1, ranks + 1), repeat=3) if np.prod(s) == ranks]
    assert surface(found) <= min(map(surface, every)) * (1 + 1e-9)


@pytest.mark.parametrize(
    "periodic", [(True, True, True), (False, True, False), (False, False, False)]
)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 1), (1, 1, 5), (3, 2, 2)])
def test_every_point_has_one_owner(shape, periodic) -> None:
    """Inside the box, on every plane and corner, and outside an open face."""
    box = Box.orthogonal((-1.0, 0.1, 5.0), (2.0, 1.3, 5.7), periodic)
    every = grids(box, shape)
    values = []
    for d in range(3):
        planes = every[0].planes[d]
        assert planes[0] == box.lo[d] and planes[-1] == box.hi[d] and (np.diff(planes) > 0).all()
        inside = np.concatenate(
            [planes[:-1], np.nextafter(planes[1:], -np.inf), planes[:-1] + 0.01]
        )
        values.append(inside if periodic[d] else np.concatenate([inside, [planes[-1], -1e9, 1e9]]))
    x = np.array(list(itertools.product(*values)))
    owners = np.zeros(len(x), int)
    for rank, grid in enumerate(every):
        mine = ((x >= grid.lo) & (x < grid.hi)).all(axis=1)
        owners += mine
        assert grid.nranks == len(every) and grid.rank_at(grid.coords) == rank
        for d in range(3):
            assert (grid.layer_of(d, x[mine, d]) == grid.coords[d]).all()
    assert (owners == 1).all()


@pytest.mark.parametrize("periodic", [(True, True, True), (False, True, False)])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 3), (4, 2, 1)])
def test_neighbours_agree(shape, periodic) -> None:
    """My upper neighbour's lower neighbour am I, and the shifts there and back cancel."""
    box = Box.orthogonal((0.0, 0, 0), (3.0, 4.0, 5.0), periodic)
    every = grids(box, shape)
    for rank, grid in enumerate(every):
        for axis, direction in itertools.product(range(3), (-1, 1)):
            other, shift = grid.neighbor(axis, direction)
            outside = not 0 <= grid.coords[axis] + direction < shape[axis]
            if outside and not periodic[axis]:
                assert other == NOBODY
                continue
            back, back_shift = every[other].neighbor(axis, -direction)
            assert back == rank and back_shift == -shift
            assert shift == (-direction * box.lengths[axis] if outside else 0.0)


def test_hops() -> None:
    def hops(parts: int, reach: float, periodic: bool = True) -> int:
        box = Box.orthogonal((0.0, 0, 0), (8.0, 1.0, 1.0), (periodic, True, True))
        return RankGrid.for_rank(0, parts, box, (parts, 1, 1)).hops(0, reach)

    assert hops(1, 7.9) == 1
    assert hops(1, 8.1) == 2
    assert hops(4, 1.9) == 1 and hops(4, 2.0) == 1 and hops(4, 2.1) == 2
    assert hops(8, 2.8) == 3
    assert hops(2, 50.0) == 13
    assert hops(8, 50.0, periodic=False) == 7, "an open box ends"
    assert hops(1, 50.0, periodic=False) == 0


def test_what_cannot_be_laid_out() -> None:
    box = Box.orthogonal((0.0, 0, 0), (1.0, 1, 1))
    with pytest.raises(
        InputError,
        match=r"run.grid = \[2, 2, 1\]: makes 4 subdomains for 6 ranks; its product must be 6",
    ):
        RankGrid.for_rank(0, 6, box, (2, 2, 1))
    tilted = Box.from_vectors([[1, 0, 0], [0.1, 1, 0], [0, 0, 1]])
    with pytest.raises(InputError, match="orthogonal"):
        RankGrid.for_rank(0, 1, tilted)
