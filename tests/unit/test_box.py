"""Cells: what is refused, and the geometry of any three vectors."""

import numpy as np
import pytest

from mdapp.model.box import Box


def test_orthogonal() -> None:
    box = Box.orthogonal((-1.0, 2.0, 0.0), (1.0, 5.0, 4.0), (True, False, True))
    assert box.is_orthogonal and box.lengths.tolist() == [2, 3, 4] and box.hi.tolist() == [1, 5, 4]
    assert box.volume == pytest.approx(24) and box.heights() == pytest.approx([2, 3, 4])
    assert box.periodic.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("lo", "hi"),
    [
        ((0, 0, 0), (1, 0, 1)),
        ((0, 0, 0), (1, -1, 1)),
        ((0, 0, 0), (1, np.inf, 1)),
        ((0, np.nan, 0), (1, 1, 1)),
    ],
)
def test_an_edge_must_be_positive_and_finite(lo, hi) -> None:
    with pytest.raises(ValueError, match="every edge must be positive and finite"):
        Box.orthogonal(lo, hi)


@pytest.mark.parametrize(
    "edges", [np.zeros((3, 3)), [[1, 0, 0], [2, 0, 0], [0, 0, 1]], np.full((3, 3), np.nan)]
)
def test_edges_must_span_a_volume(edges) -> None:
    with pytest.raises(ValueError, match="span a volume"):
        Box.from_vectors(edges)


def test_tilted_and_left_handed() -> None:
    edges = np.array([[0.0, 2, 0], [2, 0.5, 0], [0.3, 0.1, 1.5]])
    box = Box.from_vectors(edges, lo=(1.0, 2.0, 3.0))
    assert not box.is_orthogonal
    assert box.volume == pytest.approx(6.0)
    a, b, c = edges
    assert box.heights()[0] == pytest.approx(6.0 / np.linalg.norm(np.cross(b, c)))
    assert box.heights()[2] == pytest.approx(6.0 / np.linalg.norm(np.cross(a, b)))
    s = np.random.default_rng(0).uniform(-2, 2, (10, 3))
    assert box.fractional(s @ edges + [1, 2, 3]) == pytest.approx(s)
    assert not Box.from_vectors(np.diag([1.0, -1.0, 1.0])).is_orthogonal
