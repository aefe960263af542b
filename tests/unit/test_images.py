"""Periodic images against a search of everything in sight."""

from itertools import product

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.neighbors.images import lattice_basis, reduced, with_images

CELLS = {
    "cube": np.eye(3) * 4.0,
    "triclinic": np.array([[4.0, 0, 0], [1.3, 3.5, 0], [-0.8, 1.1, 3.0]]),
    "left-handed": np.array([[0, 4.0, 0], [3.0, 0.5, 0], [0.2, 0.3, 3.5]]),
    "any orientation": np.array([[1.0, 2.0, 3.0], [-2.5, 1.0, 0.3], [0.2, -1.0, 2.9]]),
    "sheared": np.array([[2.03, 0, 0], [11.0, 2.47, 0], [-7.0, 9.0, 1.98]]),
    "needle": np.array([[0.7, 0, 0], [0, 0.8, 0], [0, 0, 20.0]]),
}
BOUNDARIES = [tuple(map(bool, p)) for p in product((1, 0), repeat=3)]


def every_image_in_reach(box, x, reach):
    """All (owner, shift) with an image within reach of an atom of x, by trying a wide range."""
    widest = np.abs((x[:, None] - x[None]) @ np.linalg.inv(box.edges)).max(axis=(0, 1))
    ranges = [int(np.ceil(w + reach / h)) if periodic else 0
              for w, h, periodic in zip(widest, box.heights(), box.periodic, strict=True)]
    found = set()
    for shift in product(*(range(-r, r + 1) for r in ranges)):
        if any(shift):
            images = x + np.array(shift) @ box.edges
            distance = np.linalg.norm(images[:, None] - x[None], axis=2).min(axis=1)
            found |= {(int(i), shift) for i in np.flatnonzero(distance < reach)}
    return found


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_no_image_in_reach_is_missing_and_none_comes_twice(
        name: str, boundary: tuple[bool, ...]) -> None:
    rng = np.random.default_rng(1)
    box, reach = Box.from_vectors(CELLS[name], boundary, lo=(0.5, -2.0, 1.0)), 2.5
    x = box.lo + rng.random((5, 3)) @ box.edges
    images = with_images(box, x, reach)
    n = len(x)
    near = images.x[:n]
    keys = [(int(i), tuple(s)) for i, s in zip(images.owner, images.shift.tolist(), strict=True)]
    assert len(set(keys)) == len(keys)
    assert set(keys) >= every_image_in_reach(box, near, reach)
    lo, hi = near.min(axis=0), near.max(axis=0)
    gap = np.maximum(np.maximum(lo - images.x[n:], images.x[n:] - hi), 0)
    assert (np.linalg.norm(gap, axis=1) <= reach).all()          # and none is far away in vain
    assert not images.shift[:, ~box.periodic].any()


@pytest.mark.parametrize("name", CELLS)
def test_an_image_is_its_owner_and_whole_edges_to_the_last_bit(name: str) -> None:
    box = Box.from_vectors(CELLS[name], lo=(-1, 0, 3))
    images = with_images(box, np.random.default_rng(2).normal(0, 10, (7, 3)), 3.0)
    (a, b, c), (k, m, n) = box.edges, images.shift.T[:, :, None]
    assert len(images.owner) > 7
    assert (images.x[7:] == images.x[images.owner] + (k * a + m * b + n * c)).all()
    assert (images.of_all(np.arange(7))[7:] == images.owner).all()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_atoms_outside_move_by_edges_of_periodic_axes_only(boundary: tuple[bool, ...]) -> None:
    box = Box.from_vectors(CELLS["triclinic"], boundary)
    x = np.random.default_rng(3).normal(0, 30, (20, 3))
    moved = (with_images(box, x, 1.0).x[:20] - x) @ np.linalg.inv(box.edges)
    assert np.abs(moved - np.rint(moved)).max() < 1e-12
    assert not np.rint(moved)[:, ~box.periodic].any()


def test_atoms_far_outside_need_no_more_images() -> None:
    box, x = Box.from_vectors(CELLS["triclinic"]), np.random.default_rng(5).random((9, 3))
    far = x + 100 * np.arange(27).reshape(9, 3) @ box.edges
    assert len(with_images(box, far, 3.0).owner) == len(with_images(box, x, 3.0).owner)


def test_atoms_inside_keep_every_bit() -> None:
    box = Box.orthogonal((-1, -1, -1), (2, 3, 4))
    x = box.lo + np.random.default_rng(4).random((50, 3)) * box.lengths
    assert (with_images(box, x, 1.0).x[:50] == x).all()


def test_a_sheared_cell_needs_no_more_images_than_its_lattice() -> None:
    """The same lattice and atom, spanned by edges that are sheared by hundreds of lengths."""
    cube, sheared = np.eye(3), np.array([[1, 0, 0], [400, 1, 0], [-300, 700, 1.0]])
    atom = np.zeros((1, 3))
    counts = [len(with_images(Box.from_vectors(e), atom, 2.5).owner) for e in (cube, sheared)]
    assert counts == [80, 80]              # points of Z^3 but 0 with k^2 + m^2 + n^2 <= 6.25


@pytest.mark.parametrize("seed", range(20))
def test_reduced_vectors_span_the_same_lattice_and_are_the_shortest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    short = rng.normal(size=(3, 3))
    unimodular = np.eye(3, dtype=int)
    for _ in range(12):
        i, j = rng.permutation(3)[:2]
        unimodular[i] += rng.integers(-3, 4) * unimodular[j]
    vectors = unimodular @ short
    combinations = reduced(vectors)
    assert round(abs(np.linalg.det(combinations))) == 1
    b = combinations @ vectors
    multiples = np.array([k for k in product(range(-3, 4), repeat=3) if any(k)])
    shortest = np.linalg.norm(multiples @ b, axis=1).min()
    assert np.linalg.norm(b, axis=1).min() <= shortest * (1 + 1e-9)


def test_open_axes_are_at_right_angles_to_the_lattice() -> None:
    box = Box.from_vectors([[3.0, 0, 0], [0, 3, 0], [50, 40, 0.1]], (True, True, False))
    _, basis = lattice_basis(box)
    assert np.abs(basis[2]) == pytest.approx([0, 0, 1], abs=1e-12)


def test_no_atoms_and_no_periodic_axis() -> None:
    box = Box.from_vectors(CELLS["triclinic"])
    assert with_images(box, np.empty((0, 3)), 2.0).x.shape == (0, 3)
    alone = with_images(Box.from_vectors(CELLS["cube"], (False,) * 3), np.full((2, 3), 99.0), 50.0)
    assert len(alone.owner) == 0 and (alone.x == 99.0).all()


def test_a_cell_in_the_wrong_units_is_refused_before_memory_is_full() -> None:
    with pytest.raises(InputError, match=r"too small for the cutoff.*units"):
        with_images(Box.from_vectors(np.eye(3) * 1e-3), np.zeros((1, 3)), 10.0)


@pytest.mark.parametrize("name", CELLS)
def test_values_to_images_and_back(name: str) -> None:
    """Every image gets its atom's value, and gives its own back, counted one by one."""
    box = Box.from_vectors(CELLS[name], (True, True, False))
    images = with_images(box, np.random.default_rng(3).random((6, 3)) @ box.edges, 3.0)
    n, owner = 6, images.owner.tolist()
    assert len(owner) > n
    out = np.arange(1.0, 1 + 3 * (n + len(owner))).reshape(-1, 3)
    expected = np.concatenate([out[:n], [out[k] for k in owner]])
    images.to_ghosts(out)
    assert np.array_equal(out, expected)
    back = np.arange(100, 100 + n + len(owner))
    sums = [100 + k + sum(100 + n + g for g, o in enumerate(owner) if o == k) for k in range(n)]
    images.from_ghosts(back)
    assert back[:n].tolist() == sums
