"""When to rebuild the lists: LAMMPS's `every`, `delay` and `check`.

A list made for cutoff + skin misses no pair as long as no atom has moved more than half the
skin.  Every `every` steps, but not within `delay` steps of the last build, there is an occasion
to rebuild; with `check` it is taken only if some atom of some rank has moved that far.  An atom
that had already moved so far at the very first occasion may have gone too far before it: such a
build is counted as dangerous.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from mpi4py import MPI
from numba import njit
from numpy.typing import NDArray

from mdapp.model.atoms import Atoms


@dataclass
class RebuildTrigger:
    """Decides, alike on all ranks, whether the step at hand needs new lists.

    Attributes
    ----------
    builds, dangerous : rebuilds asked for so far, and those that may have come too late
    age : steps since the last build
    """

    comm: MPI.Comm
    skin: float
    every: int = 1
    delay: int = 0
    check: bool = True
    builds: int = 0
    dangerous: int = 0
    age: int = 0
    _held: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))

    def hold(self, atoms: Atoms) -> None:
        """Remember the positions that the lists have just been built for."""
        self.age = 0
        if self.check:
            if len(self._held) < atoms.nlocal:
                self._held = np.empty((len(atoms.x), 3))
            self._held[:atoms.nlocal] = atoms.x[:atoms.nlocal]

    def due(self, atoms: Atoms) -> bool:
        """Whether the lists must be rebuilt now; called once a step, after positions have moved."""
        self.age += 1
        if self.age < self.delay or self.age % self.every:
            return False
        if self.check:
            moved2 = np.array([largest_displacement2(atoms.x, self._held, atoms.nlocal)])
            self.comm.Allreduce(MPI.IN_PLACE, moved2, MPI.MAX)
            if moved2[0] <= (self.skin / 2) ** 2:
                return False
            self.dangerous += self.age == max(self.every, self.delay)
        self.builds += 1
        return True


@njit(cache=True, nogil=True, error_model="numpy")
def largest_displacement2(x, held, n):
    """Largest squared distance between x[:n] and held[:n]; infinite where one is not a number."""
    most = 0.0
    for i in range(n):
        dx, dy, dz = x[i, 0] - held[i, 0], x[i, 1] - held[i, 1], x[i, 2] - held[i, 2]
        moved2 = dx * dx + dy * dy + dz * dz
        if not moved2 <= most:
            most = moved2 if moved2 == moved2 else np.inf
    return most
