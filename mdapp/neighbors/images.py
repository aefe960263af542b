"""Periodic images as ghosts, for any cell: sheared, left-handed, thin beside the cutoff, half open.

A run has ghosts from its neighbours, and needs an orthogonal box wide enough to have neighbours.
A single point has one process and whatever cell its user has: often a primitive one, several
times smaller than the cutoff.  Here every image that an atom can see is written down, and the
kernels then meet a cluster of atoms in empty space.

The lattice is what counts, not the edges that span it.  A cell that is sheared by many edges has
faces so close together that the slab of images around it would be absurdly large.  So the
periodic edges are first reduced to short vectors that span the same lattice, and atoms are
wrapped into the cell of those.  Open axes play no part in a lattice: they are replaced by
directions at right angles to the periodic ones, which keeps faces as far apart as can be.

An image is kept if it is within reach of the smallest rectangular box around the atoms.
Candidates come from the slab of fractional coordinates around them, atom by atom, so that few
are tried in vain.  Images are counted before they are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box

MOST_CANDIDATES = 200_000_000  # images to look at: a minute's work, and up to 8 GB if all were kept
SLACK = 1e-6                   # of an edge: fractional coordinates are rounded, distances decide


@dataclass(frozen=True)
class Images:
    """Atoms and the images they can see.

    Attributes
    ----------
    x : (n + nghost, 3) float64, the atoms, moved by whole edges, then their images
    owner : (nghost,) int32, the atom that each image is of
    shift : (nghost, 3) int64, whole edges k, m, n from it:
        x[n + g] = x[owner[g]] + (k a + m b + n c), to the last bit
    """

    x: NDArray[np.float64]
    owner: NDArray[np.int32]
    shift: NDArray[np.int64]

    def of_all(self, values: NDArray) -> NDArray:
        """Per-atom values (n, ...) continued to the images, (n + nghost, ...)."""
        return np.concatenate([values, values[self.owner]])

    def to_ghosts(self, values: NDArray) -> None:
        """Copy values of atoms to their images; see potentials.base.Exchange."""
        values[len(values) - len(self.owner):] = values[self.owner]

    def from_ghosts(self, values: NDArray) -> None:
        """Add values of images to those of their atoms; see potentials.base.Exchange."""
        np.add.at(values, self.owner, values[len(values) - len(self.owner):].copy())


def with_images(box: Box, x: NDArray[np.float64], reach: float) -> Images:
    """Wrap atoms into the reduced cell and add every image within `reach` of one of them.

    Parameters
    ----------
    box : any cell
    x : (n, 3) float64, finite positions, in the cell or outside
    reach : distance up to which pairs matter

    Raises
    ------
    InputError : the cell is so small beside the reach that its images would fill the memory
    """
    combinations, basis = lattice_basis(box)
    inverse = np.linalg.inv(basis).astype(np.float64)
    x = wrapped(box, x, combinations, inverse)
    if len(x) == 0:
        return Images(x, np.empty(0, np.int32), np.empty((0, 3), np.int64))
    first, last = candidates(x, combinations, inverse, reach)
    tried = (last - first + 1).prod(axis=1).sum()
    if not tried < MOST_CANDIDATES:
        raise InputError(f"the cell is too small for the cutoff: {len(x)} atoms have about "
                         f"{tried:.1e} images within {reach:g}, at most {MOST_CANDIDATES:.0e} can "
                         f"be held; its edges are {box.edges.tolist()}: check the units of the "
                         "structure and of the potential")
    first, last = first.astype(np.int64), last.astype(np.int64)
    near = (x, box.edges, combinations, first, last, x.min(axis=0), x.max(axis=0), reach * reach)
    images = room_for(place_images(*near, *room_for(0)))
    place_images(*near, *images)
    ghosts, owner, shift = images
    return Images(np.concatenate([x, ghosts]), owner, shift)


def room_for(count: int) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.int64]]:
    """Arrays for the positions, owners and shifts of images."""
    return np.empty((count, 3)), np.empty(count, np.int32), np.empty((count, 3), np.int64)


def lattice_basis(box: Box) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Short vectors of the lattice of the periodic axes, and three that span all of space.

    Returns
    -------
    combinations : (3, 3) int64, row k the edges that make the k-th lattice vector; zeros beyond
        the number of periodic axes
    basis : (3, 3) float64, the lattice vectors, then unit vectors at right angles to them
    """
    periodic = np.flatnonzero(box.periodic)
    combinations = np.zeros((3, 3), np.int64)
    k = len(periodic)
    combinations[:k, periodic] = reduced(box.edges[periodic])
    vectors = combinations[:k] @ box.edges
    complement = np.linalg.svd(vectors)[2][k:] if k else np.eye(3)
    return combinations, np.concatenate([vectors, complement])


def reduced(vectors: NDArray[np.float64]) -> NDArray[np.int64]:
    """Integers (k, k) that make of k <= 3 vectors (k, 3) shorter ones that span the same lattice.

    A vector is replaced by its shortest equal modulo the others until none gets shorter, after
    I. A. Semaev, LNCS 2146, 181 (2001), doi 10.1007/3-540-44670-2_13.
    """
    k = len(vectors)
    combinations = np.eye(k, dtype=np.int64)
    around = np.array(list(product((-1, 0, 1), repeat=max(k - 1, 0))), np.int64)
    shorter = k > 1
    while shorter:
        shorter = False
        for i in range(k):
            b = combinations @ vectors
            others = np.delete(np.arange(k), i)
            guess = np.linalg.lstsq(b[others].T, b[i], rcond=None)[0]
            multiples = np.rint(guess).astype(np.int64) + around
            lengths2 = ((b[i] - multiples @ b[others]) ** 2).sum(axis=1)
            best = int(lengths2.argmin())
            if lengths2[best] < (1 - 1e-9) * (b[i] @ b[i]):
                combinations[i] -= multiples[best] @ combinations[others]
                shorter = True
    return combinations


def wrapped(box: Box, x: NDArray[np.float64], combinations: NDArray[np.int64],
            inverse: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions moved into the reduced cell by whole edges; those inside keep every bit."""
    k = np.count_nonzero(combinations.any(axis=1))
    out = np.floor(((x - box.lo) @ inverse)[:, :k]).astype(np.int64)
    moved = out.any(axis=1)
    a, b, c = (out[moved] @ combinations[:k]).T[:, :, None] * box.edges[:, None, :]
    x = np.array(x, np.float64)
    x[moved] -= a + b + c
    return x


def candidates(x: NDArray[np.float64], combinations: NDArray[np.int64],
               inverse: NDArray[np.float64], reach: float
               ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last multiples of the lattice vectors that may bring an image near the atoms.

    Both (n, 3), whole numbers in float64, so that a count of them cannot overflow.
    """
    s = x @ inverse
    width = reach * np.linalg.norm(inverse, axis=0) + SLACK
    first, last = np.ceil(s.min(axis=0) - width - s), np.floor(s.max(axis=0) + width - s)
    periodic = combinations.any(axis=1)
    return np.where(periodic, first, 0.0), np.where(periodic, last, 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def place_images(x, edges, combinations, first, last, lo, hi, reach2, ghosts, owner, shift):
    """Write images within reach of the box lo..hi while there is room; return how many there are.

    combinations : (3, 3) int64, row l the edges that make the l-th lattice vector
    first, last : (n, 3) int64, multiples of the lattice vectors to try for each atom
    ghosts, owner, shift : out, see Images
    """
    count = 0
    at, k = np.empty(3), np.empty(3, np.int64)
    for i in range(len(x)):
        for p in range(first[i, 0], last[i, 0] + 1):
            for q in range(first[i, 1], last[i, 1] + 1):
                for r in range(first[i, 2], last[i, 2] + 1):
                    if p == 0 and q == 0 and r == 0:
                        continue
                    outside2 = 0.0
                    for d in range(3):
                        k[d] = (p * combinations[0, d] + q * combinations[1, d]
                                + r * combinations[2, d])
                    for d in range(3):
                        at[d] = x[i, d] + (k[0] * edges[0, d] + k[1] * edges[1, d]
                                           + k[2] * edges[2, d])
                        gap = max(lo[d] - at[d], at[d] - hi[d], 0.0)
                        outside2 += gap * gap
                    if outside2 <= reach2:
                        if count < len(owner):
                            ghosts[count], owner[count], shift[count] = at, i, k
                        count += 1
    return count
