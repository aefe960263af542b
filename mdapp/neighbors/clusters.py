"""Clusters of four atoms, and the list of pairs of clusters in reach of each other.

A pair kernel is fast when four atoms meet four others at once: their coordinates are three
contiguous loads, the sixteen distances fill the SIMD lanes, and the forces on the partners go
back by three contiguous stores, so that Newton's third law costs no scatter (the scheme of Pall &
Hess 2013, doi 10.1016/j.cpc.2013.06.003).  Against lists of single atoms it evaluates more pairs
beyond the cutoff, but each pair once instead of twice, and it gathers nothing.

The atoms of a column (columns.py) are cut into clusters of four along z.  Owned atoms and ghosts
are clustered apart, over the same grid.  A cluster ends early where its atoms would lie too far
apart; its empty slots hold dummies, whose lanes compute garbage that nobody reads.

Which pairs obey the third law.  Owned clusters are split into chunks, one a thread.  A pair
within a chunk is listed once and acts on both.  A pair with a ghost, or with another chunk's
cluster, is listed by each side and acts on the lister only.  So a chunk writes to its own atoms
alone: no reverse communication, no race between threads, no atomics.

Which pairs count.  A block holds pairs that were out of reach when it was listed.  As long as
lists are rebuilt in time that does not matter: whatever is within the cutoff counts.  But a run
that outlives its lists (LAMMPS's `check no`) misses pairs, and which ones would depend on how
atoms happened to be clustered.  An `exact` list therefore keeps a bit for each pair, set if it
was within reach: then the pairs are those of a list of single atoms, for any decomposition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdapp.neighbors.atom_lists import CLUSTERS, Rows, expand
from mdapp.neighbors.columns import ColumnGrid, column_grid, sort_by_column
from mdapp.neighbors.pair_search import find_pairs
from potentials import simd

MAX_EXTENT = 4.0      # a cluster ends where it would be longer than this many cluster heights ...
MAX_REACHES = 2.0     # ... or than this many reaches: 32-bit positions must not come round
ALIGN = 1.5 * 2.0**52 # added to a number, leaves its nearest integer in the lowest bits
DUMMY = 1e30          # coordinate of empty slots: beyond every cutoff, its square finite in float64


@dataclass
class Chunk:
    """The pairs that one thread evaluates: those of the clusters first..last-1.

    Attributes
    ----------
    start : (last - first + 1,) int64
    middle : (last - first,) int64
        partners[start[k]:middle[k]] of cluster first + k obey the third law,
        partners[middle[k]:start[k+1]] act one way
    partners : (capacity,) int32, cluster indices
    masks : (capacity,) uint16, of an exact list: bit 4 a + b is set if atom a of the cluster and
        atom b of the partner may act
    own_masks : (last - first,) uint16, the same for a cluster with itself
    """

    first: int
    last: int
    start: NDArray[np.int64]
    middle: NDArray[np.int64]
    partners: NDArray[np.int32]
    masks: NDArray[np.uint16]
    own_masks: NDArray[np.uint16]

    @classmethod
    def empty(cls, first: int, last: int, capacity: int, exact: bool) -> Chunk:
        """Room for `capacity` pairs of the clusters first..last-1."""
        n = last - first
        return cls(first, last, np.zeros(n + 1, np.int64), np.zeros(n, np.int64),
                   np.empty(capacity, np.int32), np.empty(capacity if exact else 0, np.uint16),
                   np.empty(n if exact else 0, np.uint16))

    def grow(self, used: int, done: int) -> None:
        """Make room for more pairs, keeping the first `used`, which `done` clusters have.

        The others are taken to have as many and a little more; what is freed on the way to an
        array that grows again and again may never return to the machine.
        """
        n = self.last - self.first
        expected = (used * n) // done if done else 0
        capacity = max(expected + expected // 32, len(self.partners) * 5 // 4) + 1024
        self.partners = np.concatenate([self.partners[:used], np.empty(capacity - used, np.int32)])
        if len(self.masks):
            self.masks = np.concatenate([self.masks[:used], np.empty(capacity - used, np.uint16)])

    def forget_masks(self) -> None:
        """Let go of what only rows of single atoms, which are there now, are made of."""
        self.masks = self.own_masks = np.empty(0, np.uint16)

    @property
    def npairs(self) -> int:
        """Pairs of clusters listed, those of a cluster with itself not counted."""
        return int(self.start[-1])


@dataclass
class ClusterList:
    """Clusters of the owned and ghost atoms of a rank, and the chunks of pairs between them.

    Attributes
    ----------
    slot_atom : (4 * nclusters,) int32, the atom in each slot, or -1
    nowned, nclusters : clusters of owned atoms, and all; owned ones come first
    chunks : one a thread
    reach : distance up to which pairs are listed, cutoff + skin
    exact : whether only pairs within reach at the build may act
    form : clusters, or full or clusters+full: rows of single atoms are wanted as well, see
        atom_lists.py
    rows : these, one a chunk
    """

    reach: float
    threads: int = 1
    exact: bool = False
    form: str = CLUSTERS
    slot_atom: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, np.int32))
    nowned: int = 0
    nclusters: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    rows: list[Rows] = field(default_factory=list)
    _rows: dict[str, list[Rows]] = field(default_factory=dict)
    _packed: dict[str, NDArray] = field(default_factory=dict)
    _pool: ThreadPoolExecutor | None = None

    def __post_init__(self) -> None:
        self.exact = self.exact or self.form != CLUSTERS     # rows are made of the bits

    def sort(self, x: NDArray[np.float64], ids: NDArray[np.int64]) -> NDArray[np.int32]:
        """The spatial order (n,) int32 of owned atoms x (n, 3), to apply before ghosts are made."""
        order = np.empty(len(x), np.int32)
        grid = column_grid(x, len(x), self.reach)
        sort_by_column(x, ids, 0, len(x), grid.origin, grid.edges, grid.shape,
                       order, np.empty(grid.ncolumns + 1, np.int64))
        return order

    def build(self, x: NDArray[np.float64], ids: NDArray[np.int64], nlocal: int) -> None:
        """Cluster the atoms x (n, 3), the first `nlocal` of them owned, and list pairs in reach."""
        grid = column_grid(x, nlocal, self.reach)
        starts, orders = [], []
        for first, last in ((0, nlocal), (nlocal, len(x))):
            order = np.empty(last - first, np.int32)
            column_start = np.empty(grid.ncolumns + 1, np.int64)
            sort_by_column(x, ids, first, last, grid.origin, grid.edges, grid.shape,
                           order, column_start)
            orders.append(order)
            starts.append(column_start)
        max_extent = min(MAX_EXTENT * grid.cluster_height, MAX_REACHES * self.reach)
        counts = [count_clusters(x, order, start, max_extent)
                  for order, start in zip(orders, starts, strict=True)]
        self.nowned, self.nclusters = counts[0], sum(counts)
        self.slot_atom = np.empty(4 * self.nclusters, np.int32)
        bounds = np.empty((self.nclusters, 6))
        columns, rectangles = [], []
        for order, start, first in zip(orders, starts, (0, self.nowned), strict=True):
            columns.append(np.empty(grid.ncolumns + 1, np.int32))
            rectangles.append(np.empty((grid.ncolumns, 4)))
            cut_clusters(x, order, start, max_extent, first,
                         self.slot_atom, bounds, columns[-1], rectangles[-1])
        self._packed.clear()
        packed = self.coordinates(x)
        self._find_pairs(packed, bounds, grid, columns, rectangles)

    def _find_pairs(self, packed, bounds, grid: ColumnGrid, columns, rectangles) -> None:
        edges = np.linspace(0, self.nowned, self.threads + 1).astype(np.int64)
        capacities = [len(c.partners) for c in self.chunks] + [0] * self.threads

        def search(k: int) -> Chunk:
            first, last = int(edges[k]), int(edges[k + 1])
            capacity = max(capacities[k], 40 * (last - first) + 256)
            chunk = Chunk.empty(first, last, capacity, self.exact)
            column = used = 0
            while True:
                column, used = find_pairs(
                    packed, bounds, *columns, *rectangles, column, grid.edges, grid.shape,
                    self.reach, first, last, chunk.start, chunk.middle, chunk.partners,
                    chunk.masks, chunk.own_masks, used)
                if column == grid.ncolumns:
                    return chunk
                chunk.grow(used, min(max(int(columns[0][column]), first), last) - first)

        self.chunks, self.rows, self._rows = [], [], {}   # old lists go before the new ones come
        self.chunks = list(self.each(search, range(self.threads)))
        if CLUSTERS not in self.form.split("+"):
            self._packed.clear()
        for form in self.form.split("+"):
            if form != CLUSTERS:
                self.rows = self._rows[form] = list(self.each(
                    lambda c: expand(c, self.slot_atom), self.chunks))
        if CLUSTERS not in self.form.split("+"):
            for chunk in self.chunks:
                chunk.forget_masks()

    def rows_of(self, form: str) -> list[Rows]:
        """Rows of one of several forms, one a chunk; none of clusters."""
        return self._rows.get(form, [])

    def each(self, work: Callable, items: Iterable) -> Iterable:
        """work(item) of all items, in as many threads as the list has; kernels release the GIL."""
        if self.threads == 1:
            return [work(item) for item in items]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads)
        return list(self._pool.map(work, items))

    def coordinates(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """x packed by clusters, (12 * nclusters,) float64: x0 x1 x2 x3 y0 .. z3 of each."""
        packed = self._buffer("float64", 12 * self.nclusters, np.float64)
        pack(x, self.slot_atom, packed, 0, self.nclusters)
        return packed

    def fixed_coordinates(self, x: NDArray[np.float64], unit: float) -> NDArray[np.int32]:
        """x packed by clusters in multiples of `unit`, modulo 2^32, (12 * nclusters,) int32.

        Differences of near atoms are exact.
        """
        packed = self._buffer("int32", 12 * self.nclusters, np.int32)
        pack_fixed(x, self.slot_atom, packed, 0, self.nclusters, 1.0 / unit)
        return packed

    def types(self, type_: NDArray[np.int32]) -> NDArray[np.int32]:
        """Types packed by slots, (4 * nclusters,) int32; they change at builds only."""
        if "type" not in self._packed:
            types = np.where(self.slot_atom >= 0, type_[self.slot_atom], 0)
            self._packed["type"] = types.astype(np.int32)
        return self._packed["type"]

    def _buffer(self, key: str, size: int, dtype) -> NDArray:
        if key not in self._packed:
            self._packed[key] = np.empty(size, dtype)
        return self._packed[key]

    @property
    def nbytes(self) -> int:
        """Memory of the lists and the packed copies."""
        lists = sum(array.nbytes for c in self.chunks
                    for array in (c.start, c.middle, c.partners, c.masks, c.own_masks))
        lists += sum(rows.nbytes for form in self._rows.values() for rows in form)
        return lists + self.slot_atom.nbytes + sum(b.nbytes for b in self._packed.values())

    @property
    def partners_per_cluster(self) -> float:
        """Mean number of listed partners: four times this are the lanes evaluated for an atom."""
        return sum(c.npairs for c in self.chunks) / max(self.nowned, 1)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _cluster_end(x, order, begin, end, max_extent):
    """End of the cluster that starts at order[begin] in a column that ends at `end`."""
    stop, a = begin + 1, order[begin]
    while stop < min(end, begin + 4):
        b = order[stop]
        if max(x[b, 2] - x[a, 2], abs(x[b, 0] - x[a, 0]), abs(x[b, 1] - x[a, 1])) > max_extent:
            break
        stop += 1
    return stop


@njit(cache=True, nogil=True, error_model="numpy")
def count_clusters(x, order, column_start, max_extent):
    """How many clusters the sorted columns are cut into."""
    count = 0
    for column in range(len(column_start) - 1):
        k, end = column_start[column], column_start[column + 1]
        while k < end:
            k = _cluster_end(x, order, k, end, max_extent)
            count += 1
    return count


@njit(cache=True, nogil=True, error_model="numpy")
def cut_clusters(x, order, column_start, max_extent, first,
                 slot_atom, bounds, column_cluster, rectangle):
    """Cut the sorted columns into clusters, numbered from `first`.

    slot_atom : (4 * nclusters,) int32, out, atom of each slot or -1
    bounds : (nclusters, 6) float64, out, xlo xhi ylo yhi zlo zhi of the atoms of each
    column_cluster : (columns + 1,) int32, out, first cluster of each column
    rectangle : (columns, 4) float64, out, xlo xhi ylo yhi of the atoms of each column
    """
    c = first
    for column in range(len(column_start) - 1):
        column_cluster[column] = c
        k, end = column_start[column], column_start[column + 1]
        rectangle[column, 0] = rectangle[column, 2] = np.inf
        rectangle[column, 1] = rectangle[column, 3] = -np.inf
        while k < end:
            stop = _cluster_end(x, order, k, end, max_extent)
            xlo = ylo = zlo = np.inf
            xhi = yhi = zhi = -np.inf
            for s in range(4):
                slot_atom[4 * c + s] = -1
                if k + s < stop:
                    a = order[k + s]
                    slot_atom[4 * c + s] = a
                    xlo, xhi = min(xlo, x[a, 0]), max(xhi, x[a, 0])
                    ylo, yhi = min(ylo, x[a, 1]), max(yhi, x[a, 1])
                    zlo, zhi = min(zlo, x[a, 2]), max(zhi, x[a, 2])
            bounds[c, 0], bounds[c, 1], bounds[c, 2] = xlo, xhi, ylo
            bounds[c, 3], bounds[c, 4], bounds[c, 5] = yhi, zlo, zhi
            rectangle[column, 0] = min(rectangle[column, 0], xlo)
            rectangle[column, 1] = max(rectangle[column, 1], xhi)
            rectangle[column, 2] = min(rectangle[column, 2], ylo)
            rectangle[column, 3] = max(rectangle[column, 3], yhi)
            c += 1
            k = stop
    column_cluster[len(column_start) - 1] = c


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _in_a_row(slot_atom, c):
    """Whether the slots of cluster c hold four consecutive atoms, as those of sorted atoms do."""
    a = slot_atom[4 * c]
    return (a >= 0 and slot_atom[4 * c + 1] == a + 1 and slot_atom[4 * c + 2] == a + 2
            and slot_atom[4 * c + 3] == a + 3)


@njit(cache=True, nogil=True, error_model="numpy")
def pack(x, slot_atom, packed, first, last):
    """packed[12 c + 4 d + s] = coordinate d of the atom in slot s of cluster c.

    Clusters first..last-1; x : (n, 3) float64; packed : (12 * nclusters,) float64, out
    """
    for c in range(first, last):
        if _in_a_row(slot_atom, c):
            atoms = simd.load(x, 3 * np.int64(slot_atom[4 * c]), 12)
            simd.store(packed, 12 * c, simd.transpose(atoms, 4))
            continue
        for s in range(4):
            a = slot_atom[4 * c + s]
            for d in range(3):
                packed[12 * c + 4 * d + s] = x[a, d] if a >= 0 else DUMMY


@njit(cache=True, nogil=True, error_model="numpy")
def pack_fixed(x, slot_atom, packed, first, last, per_unit):
    """As `pack`, in multiples of 1 / per_unit modulo 2^32; packed : (12 * nclusters,) int32, out.

    Dummies lie 2^31 units away from their cluster, as far as 32 bits can tell.
    """
    for c in range(first, last):
        if _in_a_row(slot_atom, c):
            atoms = simd.load(x, 3 * np.int64(slot_atom[4 * c]), 12)
            multiples = simd.low_words(simd.bits_of(atoms * per_unit + ALIGN))
            simd.store(packed, 12 * c, simd.transpose(multiples, 4))
            continue
        for s in range(4):
            a = slot_atom[4 * c + s]
            for d in range(3):
                if a >= 0:
                    packed[12 * c + 4 * d + s] = np.int32(np.int64(np.rint(x[a, d] * per_unit)))
                else:
                    packed[12 * c + 4 * d + s] = packed[12 * c + 4 * d] + np.int64(2**31)
