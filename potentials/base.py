"""The seam between the engine and a force law.

The engine holds atoms, finds neighbours and talks to other ranks.  A potential gets arrays and
gives back forces, and on request energy and virial; it knows nothing of MPI.  Between its passes
it may hand values of owned atoms to their ghosts, and what it has added to ghosts back to their
owners (`Exchange`).  What it needs of the engine it declares:

    cutoff       range of the interaction of a site; the halo is wider by the engine's skin
    lists        the neighbours it wants: clusters, or full lists of single atoms; a sum of
                 potentials may want both, clusters+full
    precisions   which of double, mixed, single, bf16 it can do
    known        what it does not claim, e.g. {"continuous_energy": "not shifted at the cutoff"};
                 the engine asks it for "ranks" (more than one) and "deterministic"

A potential may count the floating-point operations of an atom and step, `operations(within)`, see
potentials.operations; say why it has not some precision, `absent`, by its name; and say what a user
should know before a run in one that it has, `remarks(precision)`.

A kernel that needs the cell, which most do not, has a method `accept_box(edges, periodic)`. One
that is compiled anew for other numbers of neighbours says how often it was, `compilations`, and how
long that took, `compile_s`.

A potential between charges declares `charges = True`; the engine refuses it where atoms have none.
Its kernel has a method `accept_charges(q, coulomb)`, called after each building of lists: q
(ntotal,) are the charges of atoms and ghosts in the order of these lists, which is that of x, and
coulomb is 1 / (4 pi eps0) in the units of the run, so that coulomb q_i q_j / r is an energy.

A potential is a frozen description, cheap to send to every rank.  `compiled` turns it into a
`Kernel` for one precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Want(Enum):
    """How much a kernel is asked for; each includes the ones before."""

    FORCES = 0
    TOTALS = 1                # the rank's share of energy and virial
    PER_ATOM = 2              # and each atom's share


@dataclass
class Result:
    """What a kernel returns beside the forces, which it writes in place.

    Attributes
    ----------
    energy : this rank's share of the potential energy
    virial : (6,) float64, this rank's share of W = -dE/dstrain, order xx yy zz yz xz xy
    energies : (nlocal,) float64, per-atom energies; half of a pair's energy to each partner
    virials : (nlocal, 6) float64, per-atom virials, same order
    """

    energy: float = 0.0
    virial: NDArray[np.float64] | None = None
    energies: NDArray[np.float64] | None = None
    virials: NDArray[np.float64] | None = None


class Rows(Protocol):
    """Neighbours of single atoms, one chunk's; see mdapp.neighbors.atom_lists."""

    first: int
    last: int
    start: NDArray[np.int64]
    neighbors: NDArray[np.int32]


class PairList(Protocol):
    """What a cluster-pair kernel sees of the engine's list; see mdapp.neighbors.clusters."""

    nowned: int
    nclusters: int
    exact: bool
    reach: float
    chunks: list[Any]

    @property
    def slot_atom(self) -> NDArray[np.int32]:
        """(4 * nclusters,) the atom in each slot, or -1."""
        ...

    @property
    def rows(self) -> Sequence[Rows]:
        """Lists of single atoms, one a chunk, for a potential that wants them."""
        ...

    def rows_of(self, form: str) -> Sequence[Rows]:
        """The same of one form, where several are wanted."""
        ...

    def coordinates(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """x (n, 3) packed by clusters: x0 x1 x2 x3 y0 .. z3 of each."""
        ...

    def fixed_coordinates(self, x: NDArray[np.float64], unit: float) -> NDArray[np.int32]:
        """The same in whole multiples of `unit`, modulo 2^32."""
        ...

    def types(self, type_: NDArray[np.int32]) -> NDArray[np.int32]:
        """Types packed by slots, four a cluster."""
        ...

    def each(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]:
        """work(item) of all items, in threads where there are several."""
        ...


class Exchange(Protocol):
    """The way from owned atoms to their ghosts and back; collective."""

    def to_ghosts(self, values: NDArray[Any]) -> None:
        """Copy the values of owned atoms to their ghosts; (ntotal,) or (ntotal, k), in place."""
        ...

    def from_ghosts(self, values: NDArray[Any]) -> None:
        """Add the values of ghosts to those of their owners; (ntotal,) or (ntotal, k), in place."""
        ...


class Kernel(Protocol):
    """A potential compiled for one precision."""

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Write the forces on the owned atoms to f[:nlocal] and return what `want` asks for.

        Parameters
        ----------
        x : (ntotal, 3) float64, owned atoms first, then ghosts
        type_ : (ntotal,) int32, from 0
        pairs : neighbours of these atoms, built for a reach >= the potential's cutoff
        exchange : between these atoms and ghosts

        Raises
        ------
        ForceRangeError : in deterministic mode, a pair force beyond the range of the integer sums
        """
        ...


class Potential(Protocol):
    """The description of a force law; see the module's head for what it declares."""

    @property
    def style(self) -> str:
        """The name it goes by in decks and reports."""
        ...

    @property
    def cutoff(self) -> float:
        """Range of the interaction of a site, in length units."""
        ...

    @property
    def lists(self) -> str:
        """The neighbours it wants: clusters or full."""
        ...

    @property
    def precisions(self) -> tuple[str, ...]:
        """What `compiled` accepts."""
        ...

    @property
    def known(self) -> Mapping[str, str]:
        """What it does not claim, by the name of the property that fails."""
        ...

    def compiled(self, precision: str, deterministic: bool) -> Kernel:
        """The kernel for one precision, with order-independent sums if `deterministic`."""
        ...


def precisions_of(potential: Potential, asked: str) -> str:
    """What a potential can do in place of a precision that it has not, and why not that."""
    why = getattr(potential, "absent", {}).get(asked)
    return (f"{potential.style} can do {', '.join(potential.precisions)}"
            + (f"; {why}" if why else ""))


def remarks_of(potential: Potential, precision: str) -> tuple[str, ...]:
    """What a user should know before a run in a precision."""
    remarks: Callable[[str], tuple[str, ...]] | None = getattr(potential, "remarks", None)
    return remarks(precision) if remarks else ()


class ForceRangeError(ArithmeticError):
    """A pair force left the range of the integer sums of the deterministic mode."""


class KernelError(RuntimeError):
    """A kernel cannot evaluate these atoms, for a reason of its own.

    Where one atom is to blame, `atom` is its index among the owned ones, and the message goes on
    behind its name. On several ranks it must be raised after all exchanges.
    """

    def __init__(self, text: str, atom: int | None = None):
        super().__init__(text)
        self.atom = atom

    def told(self, ids: NDArray[np.int64]) -> str:
        """The message, with the id of the atom."""
        return str(self) if self.atom is None else f"atom {ids[self.atom]} {self}"
