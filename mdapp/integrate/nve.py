"""Velocity Verlet: constant energy.

    v(t + dt/2) = v(t)        + dt/2 f(t) / m
    x(t + dt)   = x(t)        + dt v(t + dt/2)
    f(t + dt)   = -dE/dx at x(t + dt)                      the engine, between the two halves
    v(t + dt)   = v(t + dt/2) + dt/2 f(t + dt) / m

The two half kicks are not merged into one between steps: their sum rounds otherwise than the two,
and the trajectory would depend on when energies are printed.

W. C. Swope et al. 1982, doi 10.1063/1.442716.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdapp.model.atoms import Atoms
from potentials import simd


@dataclass(frozen=True)
class VelocityVerlet:
    """The integrator of `run.ensemble = "nve"`.

    Attributes
    ----------
    timestep : dt
    ftm2v : force * time / mass in velocities, from the unit system
    """

    timestep: float
    ftm2v: float

    def first_half(self, atoms: Atoms) -> None:
        """Half a kick and the drift; positions are those of the next step afterwards."""
        x, v, n = atoms.x, atoms.v, atoms.nlocal
        atoms.move_on()
        step = atoms.f, atoms.type, self._kicks(atoms), self.timestep
        first = last = 0
        if atoms.x is not x and len(atoms.mass) == 1:
            first, last = blocks_of_lines(atoms.x, atoms.v, n)
            kick_drift_away(x, v, *step, first, last, atoms.x, atoms.v)
        kick_drift(x, v, *step, 0, first, atoms.x, atoms.v)
        kick_drift(x, v, *step, last, n, atoms.x, atoms.v)

    def second_half(self, atoms: Atoms) -> None:
        """The other half of the kick, with the forces at the new positions."""
        kick(atoms.v, atoms.f, atoms.type, self._kicks(atoms), atoms.nlocal)

    def _kicks(self, atoms: Atoms) -> NDArray[np.float64]:
        """dt/2 / m of each type, (ntypes,), in velocities per force."""
        return 0.5 * self.timestep * self.ftm2v / atoms.mass


@njit(cache=True, nogil=True, error_model="numpy")
def kick_drift(x, v, f, type_, kicks, dt, first, last, x_next, v_next):
    """v_next = v + kicks[type] f, x_next = x + dt v_next, of the atoms first..last-1.

    All are (cap, 3). The next ones may be the same arrays as x and v: an atom is read before it is
    written.
    """
    for i in range(first, last):
        k = kicks[np.uint64(type_[i])]
        vx, vy, vz = v[i, 0] + k * f[i, 0], v[i, 1] + k * f[i, 1], v[i, 2] + k * f[i, 2]
        v_next[i, 0], v_next[i, 1], v_next[i, 2] = vx, vy, vz
        x_next[i, 0] = x[i, 0] + dt * vx
        x_next[i, 1] = x[i, 1] + dt * vy
        x_next[i, 2] = x[i, 2] + dt * vz


def blocks_of_lines(x: NDArray[np.float64], v: NDArray[np.float64], n: int) -> tuple[int, int]:
    """The longest run of eight atoms and eight atoms, first..last-1, that are whole cache lines."""
    for first in range(min(8, n)):
        if not any((a.ctypes.data + 24 * first) % 64 for a in (x, v)):
            return first, n - (n - first) % 8
    return 0, 0


@njit(cache=True, nogil=True, error_model="numpy")
def kick_drift_away(x, v, f, type_, kicks, dt, first, last, x_next, v_next):
    """As `kick_drift`, of one type and into other arrays, which are not fetched to be overwritten.

    first, last : of `blocks_of_lines`
    """
    k, t = simd.splat(kicks[0], 8), simd.splat(dt, 8)
    for line in range(3 * first, 3 * last, 8):
        moved = simd.load(v, line, 8) + k * simd.load(f, line, 8)
        simd.stream(v_next, line, moved)
        simd.stream(x_next, line, simd.load(x, line, 8) + t * moved)
    simd.fence()


@njit(cache=True, nogil=True, error_model="numpy")
def kick(v, f, type_, kicks, n):
    """v += kicks[type] f of the first n atoms; v (cap, 3) in place."""
    for i in range(n):
        k = kicks[np.uint64(type_[i])]
        v[i, 0] += k * f[i, 0]
        v[i, 1] += k * f[i, 1]
        v[i, 2] += k * f[i, 2]
