"""The seam between the engine and a force law.

The engine holds atoms, finds neighbours and talks to other ranks.  A potential gets arrays and gives back forces, and on
request energy and virial; it knows nothing of MPI.  What it needs of the engine it declares:

    cutoff       range of the interaction of a site; the engine adds its skin and makes the halo that wide
    scatters     it adds to the forces of ghosts, and the engine must send those back to their owners
    halo_fields  per-atom scalars that the engine must forward to ghosts between its passes
    precisions   which of double, mixed, single, bf16 it can do
    known        what it does not claim, e.g. {"continuous_energy": "not shifted at the cutoff"}

A potential is a frozen description, cheap to send to every rank.  `compiled` turns it into a `Kernel` for one precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
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


class PairList(Protocol):
    """What a cluster-pair kernel sees of the engine's neighbour list; mdapp.neighbors.clusters has the details."""

    slot_atom: NDArray[np.int32]
    nowned: int
    nclusters: int
    exact: bool
    chunks: list[Any]

    def coordinates(self, x: NDArray[np.float64]) -> NDArray[np.float64]: ...
    def fixed_coordinates(self, x: NDArray[np.float64], unit: float) -> NDArray[np.int32]: ...
    def types(self, type_: NDArray[np.int32]) -> NDArray[np.int32]: ...
    def each(self, work: Callable[[Any], Any], items: Iterable[Any]) -> Iterable[Any]: ...


class Kernel(Protocol):
    """A potential compiled for one precision."""

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int, pairs: PairList,
                f: NDArray[np.float64], want: Want) -> Result:
        """Write the forces on the owned atoms to f[:nlocal] and return what `want` asks for.

        Parameters
        ----------
        x : (ntotal, 3) float64, owned atoms first, then ghosts
        type_ : (ntotal,) int32, from 0
        pairs : neighbours of these atoms, built for a reach >= the potential's cutoff

        Raises
        ------
        ForceRangeError : in deterministic mode, a pair force beyond the range of the integer sums
        """
        ...


class Potential(Protocol):
    """The description of a force law; see the module's head for what it declares."""

    style: str
    cutoff: float
    scatters: bool
    halo_fields: tuple[str, ...]
    precisions: tuple[str, ...]
    known: Mapping[str, str]

    def compiled(self, precision: str, deterministic: bool) -> Kernel: ...


class ForceRangeError(ArithmeticError):
    """A pair force left the range of the integer sums of the deterministic mode."""
