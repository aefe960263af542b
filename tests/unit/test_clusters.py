"""Cluster lists against scipy's tree of points: every pair within reach, once, on each side."""

import itertools

import numpy as np
import pytest
from scipy.spatial import cKDTree

from mdapp.neighbors.clusters import DUMMY, ClusterList
from tests.twins.images import ghosts
from tests.twins.systems import SYSTEMS

REACH = 1.0


def built(name: str, threads: int = 1, exact: bool = False, shuffle: int | None = None):
    """A list of a system with its ghosts: (clusters, x, ids, nlocal)."""
    system = SYSTEMS[name]()
    x, owner = ghosts(system.x, system.box, REACH)
    n = len(system.x)
    x, ids = np.vstack([system.x, x]), np.append(np.arange(n), owner).astype(np.int64) + 1
    if shuffle is not None:
        order = np.random.default_rng(shuffle).permutation(n)
        x[:n], ids[:n] = x[order], ids[order]
    clusters = ClusterList(REACH, threads, exact)
    clusters.build(x, ids, n)
    return clusters, x, ids, n


def blocks(clusters: ClusterList):
    """(cluster, partner, mask or None, whether both sides are acted upon) of every listed block."""
    for chunk in clusters.chunks:
        for k in range(chunk.last - chunk.first):
            i = chunk.first + k
            yield i, i, chunk.own_masks[k] if clusters.exact else None, False
            for p in range(chunk.start[k], chunk.start[k + 1]):
                yield (
                    i,
                    int(chunk.partners[p]),
                    chunk.masks[p] if clusters.exact else None,
                    p < chunk.middle[k],
                )


def acting(clusters: ClusterList, x: np.ndarray, reach: float) -> list[tuple[int, int]]:
    """Every (i, j) such that the listed blocks let j act on i, within `reach`, with repetitions."""
    slots = clusters.slot_atom.reshape(-1, 4)
    pairs = []
    for i, j, mask, both in blocks(clusters):
        for s, t in itertools.product(range(4), range(4)):
            a, b = int(slots[i, s]), int(slots[j, t])
            if a < 0 or b < 0 or (i == j and s == t):
                continue
            if mask is not None and not int(mask) >> (4 * s + t) & 1:
                continue
            if mask is None and ((x[a] - x[b]) ** 2).sum() >= reach**2:
                continue
            pairs.append((a, b))
            if both:
                pairs.append((b, a))
    return pairs


def expected(x: np.ndarray, nlocal: int, reach: float) -> tuple[set, set]:
    """Pairs (owned, any) closer than reach, and those so near to it that rounding decides."""
    if not len(x):
        return set(), set()
    tree = cKDTree(x)
    margin = reach * 1e-9 + abs(x).max() * 1e-14
    sure, close = (
        tree.query_pairs(r, output_type="ndarray") for r in (reach - margin, reach + margin)
    )

    def directed(pairs):
        both = np.vstack([pairs, pairs[:, ::-1]])
        return {(int(a), int(b)) for a, b in both if a < nlocal}

    return directed(sure), directed(close)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_pair_within_reach_once(name: str, exact: bool) -> None:
    clusters, x, _, n = built(name, exact=exact)
    found = acting(clusters, x, REACH)
    must, may = expected(x, n, REACH)
    assert len(found) == len(set(found)), "a pair twice"
    assert must <= set(found) <= may


@pytest.mark.parametrize("threads", [2, 3, 7])
@pytest.mark.parametrize(
    "name",
    [
        "liquid",
        "slab and vacuum",
        "sparse gas",
        "one atom",
        "no atoms",
        "many at one place",
        "reach wider than the box",
    ],
)
def test_chunks_keep_to_their_own_atoms(name: str, threads: int) -> None:
    """A thread acts on the atoms of its clusters only, and together they do what one does."""
    clusters, x, _, n = built(name, threads)
    assert len(clusters.chunks) == threads
    assert clusters.chunks[0].first == 0 and clusters.chunks[-1].last == clusters.nowned
    for a, b in itertools.pairwise(clusters.chunks):
        assert a.last == b.first
    for chunk in clusters.chunks:
        for k in range(chunk.last - chunk.first):
            third_law = chunk.partners[chunk.start[k] : chunk.middle[k]]
            assert (third_law > chunk.first + k).all() and (third_law < chunk.last).all()
            assert chunk.start[k] <= chunk.middle[k] <= chunk.start[k + 1]
    found = acting(clusters, x, REACH)
    must, may = expected(x, n, REACH)
    assert len(found) == len(set(found)) and must <= set(found) <= may


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_atom_has_one_slot(name: str) -> None:
    clusters, x, _, n = built(name)
    slots = clusters.slot_atom
    used = slots[slots >= 0]
    assert np.array_equal(np.sort(used), np.arange(len(x)))
    assert len(slots) == 4 * clusters.nclusters
    owned = slots[: 4 * clusters.nowned]
    assert np.array_equal(np.sort(owned[owned >= 0]), np.arange(n))
    assert (slots.reshape(-1, 4)[:, 0] >= 0).all(), "an empty cluster"
    packed = clusters.coordinates(x).reshape(-1, 3, 4)
    filled = slots.reshape(-1, 4) >= 0
    assert (packed.transpose(0, 2, 1)[~filled] == DUMMY).all()
    assert np.array_equal(packed.transpose(0, 2, 1)[filled], x[slots[slots >= 0]])


def test_fixed_coordinates_are_exact_differences() -> None:
    """Modulo 2^32, whatever the origin: differences of near atoms are those of the rounded ones."""
    clusters, x, _, _ = built("far from the origin")
    unit = 2.0**-26
    packed = clusters.fixed_coordinates(x, unit).reshape(-1, 3, 4).transpose(0, 2, 1).reshape(-1, 3)
    atoms = clusters.slot_atom
    grid = np.rint(x / unit).astype(np.int64)
    for a, b in itertools.pairwise(range(0, len(atoms), 3)):
        if min(atoms[a], atoms[b]) >= 0 and abs(x[atoms[a]] - x[atoms[b]]).max() < 30:
            difference = (packed[a] - packed[b]).astype(np.int64)
            assert np.array_equal(difference, grid[atoms[a]] - grid[atoms[b]])


@pytest.mark.parametrize(
    "name", ["liquid", "gas", "all at one z", "many at one place", "slab and vacuum"]
)
def test_the_order_of_the_atoms_does_not_matter(name: str) -> None:
    """Clusters hold the same ids whatever order the atoms came in."""
    one, _, ids, _ = built(name)
    for seed in range(3):
        other, _, other_ids, _ = built(name, shuffle=seed)

        def named(slots, names):
            return np.where(slots >= 0, names[slots], 0)

        owned = slice(0, 4 * one.nowned)
        assert np.array_equal(
            named(one.slot_atom[owned], ids), named(other.slot_atom[owned], other_ids)
        )


def test_a_second_build_forgets_the_first() -> None:
    """From many atoms to few and back: no slot, pair or packed type of before survives."""
    clusters, x, ids, n = built("liquid", exact=True)
    types = np.ones(len(x), np.int32)
    clusters.types(types)
    small = SYSTEMS["sparse gas"]().x
    clusters.build(small, np.arange(1, len(small) + 1), len(small))
    must, may = expected(small, len(small), REACH)
    assert must <= set(acting(clusters, small, REACH)) <= may
    assert not clusters.types(np.zeros(len(small), np.int32)).any()
    clusters.build(x, ids, n)
    must, may = expected(x, n, REACH)
    assert must <= set(acting(clusters, x, REACH)) <= may


def test_lists_grow() -> None:
    """A heap so dense that the first guess of the length is far too short."""
    x = np.random.default_rng(0).uniform(0, 0.4, (1200, 3))
    clusters = ClusterList(REACH, 1, True)
    clusters.build(x, np.arange(1, 1201), 1200)
    filled = clusters.slot_atom.reshape(-1, 4) >= 0
    pairs = 0
    for chunk in clusters.chunks:
        i = np.repeat(np.arange(chunk.first, chunk.last), np.diff(chunk.start))
        k = np.arange(chunk.npairs)
        lanes = (chunk.masks[: chunk.npairs, None] >> np.arange(16)) & 1
        real = (filled[i][:, :, None] & filled[chunk.partners[: chunk.npairs]][:, None]).reshape(
            -1, 16
        )
        both = k < np.repeat(chunk.middle, np.diff(chunk.start))
        pairs += ((lanes & real).sum(axis=1) * (1 + both)).sum()
        own = (chunk.own_masks[:, None] >> np.arange(16)) & 1
        mine = filled[chunk.first : chunk.last]
        pairs += (own & (mine[:, :, None] & mine[:, None]).reshape(-1, 16)).sum()
    assert pairs == 1200 * 1199


def test_clusters_of_a_liquid_are_compact() -> None:
    """What speed hangs on: few lanes beyond reach, few dummies."""
    clusters, x, _, n = built("liquid")
    assert clusters.nowned <= 1.35 * n / 4
    pairs = len(expected(x, n, REACH)[0])
    lanes = sum(16 * (2 if both else 1) for *_, both in blocks(clusters))
    assert lanes < 3.5 * pairs
    assert clusters.partners_per_cluster > 0 and clusters.nbytes > 0
