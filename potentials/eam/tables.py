"""What an EAM potential is made of: its functions, tabulated over equidistant knots.

    E = sum_i F_i(rho_i) + 1/2 sum_ij phi_ij(r_ij),    rho_i = sum_j f_ji(r_ij)

f_st is the density that an atom of type s contributes at one of type t; in all but Finnis-Sinclair
files it depends on s alone. Tables hold z2 = r phi instead of phi.

M. S. Daw and M. I. Baskes 1984, doi 10.1103/PhysRevB.29.6443; M. W. Finnis and J. E. Sinclair 1984,
doi 10.1080/01418618408244210.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials.eam.splines import cubic_spline
from potentials.memory import aligned_copy


@dataclass(frozen=True)
class Tables:
    """Functions of a number of types, from r = 0 and rho = 0 on.

    Attributes
    ----------
    drho, dr : spacings of the knots
    cutoff : range of the interaction
    embedding : (ntypes, nrho) float64, F of each type
    density : (ntypes, ntypes, nr) float64, of type s at type t
    z2 : (ntypes, ntypes, nr) float64, r phi, symmetric
    mass : (ntypes,) float64, as the file gives them
    """

    drho: float
    dr: float
    cutoff: float
    embedding: NDArray[np.float64]
    density: NDArray[np.float64]
    z2: NDArray[np.float64]
    mass: NDArray[np.float64]

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.embedding)

    def pair_rows(self, real: type) -> NDArray[Any]:
        """Splines of all functions of r, side by side: one row a knot and pair of types.

        Returns
        -------
        array
            (ntypes^2 * nr, 8 or 12) of `real`, aligned to cache lines. The columns are a, b, c, d
            of each function: with one type a a b b c c d d of density and z2, so that one line
            holds a knot; with more of the density of type j at i, that of i at j, and z2, for the
            row of the pair (i, j).
        """
        n, nr = self.ntypes, self.density.shape[-1]
        blocks = []
        for i in range(n):
            for j in range(n):
                functions = [self.density[j, i], self.density[i, j], self.z2[i, j]]
                if n == 1:
                    functions = functions[1:]
                splines = np.stack([cubic_spline(f) for f in functions], axis=-1)
                blocks.append(splines.reshape(nr, -1))
        return aligned_copy(np.concatenate(blocks), real)

    def embedding_rows(self) -> NDArray[np.float64]:
        """(ntypes * nrho, 4) splines of F."""
        return np.concatenate([cubic_spline(f) for f in self.embedding])
