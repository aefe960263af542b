"""Memory of a rank, by part.

What the arrays of a run hold of an owned atom and of a ghost; the lists by the number K of
neighbours within the reach, K = (4 pi / 3) rho R^3:

    clusters   U entries of four bytes shared by four atoms; U = 1.85 K, as counted on a perturbed
               lattice at LJ density (140 for K = 75.5), and two bytes of headers
    full       K entries of four bytes for each atom

each with a quarter more for growth. The fixed part of a process (interpreter, NumPy, Numba, MPI)
dominates on nodes with many ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scaling.model.costs import Costs
from scaling.model.geometry import Subdomain

GROWTH = 1.25
UNION = 1.85
OWNED = {
    "positions, velocities, forces": 72.0, "ids, types, images": 24.0,
    "positions at the last build": 24.0, "order of a sort, send lists": 8.0,
    "copies while sorting": 96.0,
}
GHOST = {"positions": 24.0, "ids, types": 12.0, "send lists": 4.0}


@dataclass(frozen=True)
class Memory:
    """Bytes of a rank.

    Attributes
    ----------
    parts : bytes by what holds them
    measured : bytes by the measured bytes an atom, where they are known
    """

    parts: dict[str, float]
    measured: float | None

    @property
    def total(self) -> float:
        """Bytes in all, by parts."""
        return sum(self.parts.values())


def neighbours(density: float, reach: float) -> float:
    """Atoms within the reach of an atom of a uniform system."""
    return 4 / 3 * math.pi * density * reach**3


def list_bytes(lists: str, density: float, reach: float) -> float:
    """Bytes an owned atom of neighbour lists, growth included."""
    k = neighbours(density, reach)
    each = {"clusters": UNION * k + 2.0, "full": 4 * k}
    return GROWTH * sum(each.get(form, 0.0) for form in lists.split("+"))


def memory_of(part: Subdomain, lists: str, reverse: bool, asynchronous: bool,
              costs: Costs) -> Memory:
    """Memory of a rank.

    Parameters
    ----------
    lists : what the potential wants: clusters, full, or both with + between
    reverse : whether forces on ghosts go back, which takes room of their own
    asynchronous : whether checkpoints are written beside the run from a copy
    """
    parts = {"process before its first atom": costs.fixed_bytes}
    parts |= {name: size * part.atoms for name, size in OWNED.items()}
    parts["neighbour lists"] = list_bytes(lists, part.density, part.reach) * part.atoms
    parts |= {f"ghosts: {name}": size * part.ghosts for name, size in GHOST.items()}
    if reverse:
        parts["ghosts: forces"] = 24.0 * part.ghosts
    if asynchronous:
        parts["checkpoint in flight"] = 72.0 * part.atoms
    measured = None
    if costs.bytes_per_atom is not None:
        measured = costs.fixed_bytes + costs.bytes_per_atom * part.atoms
    return Memory(parts, measured)
