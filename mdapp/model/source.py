"""Where atoms come from: a lattice, a file, arrays in memory; one interface for all.

A source knows its box, its species and how many atoms it has before any atom exists, and then
hands the atoms out in blocks of bounded size.  Every rank walks the same source and keeps what
lies in its subdomain, so nothing that grows with the number of atoms is ever held by one rank,
and no rank sends atoms to another at the start.  A rank passes the corners of its subdomain as a
hint: a source that can (a lattice) makes only the atoms near it, one that cannot (a file)
ignores it; in both cases the caller tests each atom exactly.

Ids, not the order of the blocks, name an atom: they are the same for every number of ranks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box

BLOCK_ATOMS = 65536    # the most atoms in a block: a few MB, enough to hide the cost of a call


@dataclass(frozen=True)
class Block:
    """Some atoms of a system.

    Attributes
    ----------
    id : (n,) int64, from 1, unique in the system
    type : (n,) int32, index into the source's `mass` and `species`, from 0
    x : (n, 3) float64, positions; inside the box along periodic axes
    v : (n, 3) float64 velocities, or None where the source has none
    image : (n, 3) int32 image flags (unwrapped = x + image @ box.edges), or None: all zero
    q : (n,) float64 charges, or None where the source has none
    """

    id: NDArray[np.int64]
    type: NDArray[np.int32]
    x: NDArray[np.float64]
    v: NDArray[np.float64] | None = None
    image: NDArray[np.int32] | None = None
    q: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.id)


class AtomSource(Protocol):
    """A system of atoms that is handed out in pieces.

    Attributes
    ----------
    box : the cell
    natoms : number of atoms, known before the blocks are walked
    mass : (ntypes,) float64
    species : ntypes names, element symbols where they are known
    charged : whether all blocks have charges
    """

    @property
    def box(self) -> Box: ...                       # noqa: D102 - said above

    @property
    def natoms(self) -> int: ...                    # noqa: D102

    @property
    def mass(self) -> NDArray[np.float64]: ...      # noqa: D102

    @property
    def species(self) -> tuple[str, ...]: ...       # noqa: D102

    @property
    def charged(self) -> bool: ...                  # noqa: D102

    def blocks(self, lo: NDArray[np.float64] | None = None,
               hi: NDArray[np.float64] | None = None) -> Iterator[Block]:
        """Hand out the whole system, at most BLOCK_ATOMS atoms at a time; can be walked again.

        Parameters
        ----------
        lo, hi : (3,) Cartesian corners; blocks surely without an atom in lo <= x <= hi may be
            left out

        Raises
        ------
        InputError : what the source reads turns out to be unusable
        """
        ...


@dataclass(frozen=True)
class ArraySource:
    """Atoms that are in memory already: from ASE, from Python, from a test."""

    box: Box
    mass: NDArray[np.float64]
    species: tuple[str, ...]
    atoms: Block

    @property
    def natoms(self) -> int:
        """Number of atoms."""
        return len(self.atoms)

    @property
    def charged(self) -> bool:
        """Whether there are charges."""
        return self.atoms.q is not None

    def blocks(self, lo: NDArray[np.float64] | None = None,
               hi: NDArray[np.float64] | None = None) -> Iterator[Block]:
        """Slice the arrays; the hint is not used, slicing costs nothing."""
        for start in range(0, self.natoms, BLOCK_ATOMS):
            part = slice(start, start + BLOCK_ATOMS)
            a = self.atoms
            yield Block(a.id[part], a.type[part], a.x[part],
                        None if a.v is None else a.v[part],
                        None if a.image is None else a.image[part],
                        None if a.q is None else a.q[part])
