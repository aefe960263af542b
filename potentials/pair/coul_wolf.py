"""Damped Coulomb forces of Wolf: the energy is shifted at the cutoff, and so is the force.

With u(r) = erfc(alpha r) / r, for r < rc,

    E(r)  = k q_i q_j [u(r) - u(rc)]                    F(r) = -k q_i q_j [u'(r) - u'(rc)]
    E_i   = -k q_i^2 [u(rc) / 2 + alpha / sqrt(pi)]     of each charge with itself

Each is the sum over a neutralised sphere, in the limit of a charge that reaches its surface; but
the limits do not go together, and the force is not the derivative of this energy. It is that of
`coul/dsf`, whose energy a run conserves: take this style to compare with others who have it.

D. Wolf, P. Keblinski, S. R. Phillpot, J. Eggebrecht, J. Chem. Phys. 110, 8254 (1999),
doi 10.1063/1.478738; the force as in https://docs.lammps.org/pair_coul.html.
"""

from __future__ import annotations

from dataclasses import dataclass

from potentials.pair.coul_dsf import DampedShiftedForce


@dataclass(frozen=True)
class Wolf(DampedShiftedForce):
    """The potential of `pair_style coul/wolf`; rc is (ntypes, ntypes), one number or 0."""

    style = "coul/wolf"
    known = {"derivative": "the force is shifted, the energy has no such term"}    # noqa: RUF012

    def shifts_of_energy(self) -> tuple[float, float]:
        """A and B of the energy u(r) - A - B r."""
        return self.at_cutoff()[0], 0.0
