"""Rows of single atoms against all distances."""

import numpy as np
import pytest

from mdapp.neighbors.atom_lists import FULL, transposed
from mdapp.neighbors.clusters import ClusterList
from tests.twins.images import ghosts
from tests.twins.systems import SYSTEMS

REACH = 1.0


def built(name: str, threads: int) -> tuple[ClusterList, np.ndarray, int]:
    system = SYSTEMS[name]()
    images, owner = ghosts(system.x, system.box, REACH)
    n = len(system.x)
    x = np.vstack([system.x, images])
    pairs = ClusterList(REACH, threads, form=FULL)
    pairs.build(x, np.concatenate([np.arange(n), owner]).astype(np.int64) + 1, n)
    return pairs, x, n


def in_reach(x: np.ndarray, n: int) -> set[tuple[int, int]]:
    found = set()
    for i in range(n):
        d2 = ((x - x[i]) ** 2).sum(axis=1)
        d2[i] = np.inf
        found |= {(i, int(j)) for j in np.flatnonzero(d2 < REACH**2)}
    return found


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", SYSTEMS)
def test_rows_have_all_neighbours_once(name: str, threads: int) -> None:
    pairs, x, n = built(name, threads)
    found = []
    for rows in pairs.rows:
        for k, i in enumerate(pairs.slot_atom[rows.first : rows.last]):
            row = rows.neighbors[rows.start[k] : rows.start[k + 1]].tolist()
            assert i >= 0 or not row
            found += [(int(i), j) for j in row]
    assert len(found) == len(set(found)) and set(found) == in_reach(x, n)


def test_a_block_seen_from_the_other_side() -> None:
    for mask in (0, 0xFFFF, 0x1234, 0x8001, 0x0F0F):
        bits = np.array([(mask >> k) & 1 for k in range(16)]).reshape(4, 4)
        expected = sum(int(b) << k for k, b in enumerate(bits.T.reshape(-1)))
        assert transposed(mask) == expected
