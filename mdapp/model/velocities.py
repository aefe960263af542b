"""Initial velocities: without drift, at an exact temperature, the same for any number of ranks.

In this order, which is LAMMPS's for `velocity create`:

1. v = xi / sqrt(m), with xi three deviates per atom (uniform in (-1/2, 1/2) or normal) 2. v <-
v - sum(m v) / sum(m)                     linear momentum removed 3. v <- v - omega x (r -
r_cm), I omega = L       angular momentum removed, on request 4. v <- v sqrt(T / T_now), T_now =
mvv2e sum(m v^2) / ((3 N - 3) boltz)

Scaling comes last so that the temperature is exact; 3N - 3 is used whether or not momentum was
removed, as LAMMPS's default temperature has it.  Uniform deviates are the default there and
here: after a few collisions nothing of their shape is left, and step 4 makes their variance
irrelevant.

The sums run over all ranks.  The caller passes `total`, a sum that must not depend on the order
or the distribution of the terms; with it, everything here is a function of each atom's id (or
position) alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model import lammps_random, rng
from mdapp.model.elements import nearest
from mdapp.model.units import Units

GENERATORS = ("counter", "lammps-geom", "lammps-all")
DISTRIBUTIONS = ("uniform", "gaussian")

Total = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class VelocityOptions:
    """What a deck says about initial velocities.

    Attributes
    ----------
    temperature : in the units of the run, >= 0
    seed : of the generator
    generator : counter (Philox, by id), lammps-geom or lammps-all (see `lammps_random`)
    distribution : uniform or gaussian
    zero_momentum, zero_rotation : what is removed before scaling
    """

    temperature: float
    seed: int = 1
    generator: str = "counter"
    distribution: str = "uniform"
    zero_momentum: bool = True
    zero_rotation: bool = False

    def __post_init__(self) -> None:
        """Check every value; InputError names the key."""
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise InputError(f"system.temperature: {self.temperature} must be finite and 0 or more")
        for key, value, known in (("velocities", self.generator, GENERATORS),
                                  ("distribution", self.distribution, DISTRIBUTIONS)):
            if value not in known:
                raise InputError(f"system.{key}: unknown value {value!r}{nearest(value, known)}; "
                                 f"it may be {', '.join(known)}")
        low, high = (0, rng.SEED_LIMIT - 1) if self.generator == "counter" else lammps_random.SEEDS
        if not low <= self.seed <= high:
            raise InputError(f"system.seed: {self.seed} must be {low} to {high} "
                             f"with velocities = {self.generator!r}")


def create(options: VelocityOptions, units: Units, *, id: NDArray[np.int64],
           x: NDArray[np.float64], mass: NDArray[np.float64], natoms: int, total: Total,
           unwrapped: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Velocities of the atoms of one rank; collective over all ranks through `total`.

    Parameters
    ----------
    options, units : what is wanted
    id : (n,) int64, global ids of the atoms that this rank owns
    x : (n, 3) float64, their positions as the source gave them (lammps-geom reads every bit)
    mass : (n,) float64, the mass of each atom
    natoms : atoms in the whole system
    total : (n, k) terms of this rank's atoms -> (k,) sums over all ranks, in which the order of
        the terms must not matter
    unwrapped : (n, 3) float64, positions with image flags applied, for zero_rotation; default x

    Returns
    -------
    (n, 3) float64

    Raises
    ------
    InputError : a temperature that the system cannot have (on all ranks alike)
    """
    if options.temperature == 0 or natoms == 0:
        return np.zeros((len(id), 3))
    if natoms == 1:
        raise InputError(
            f"system.temperature: {options.temperature} cannot be given to one atom, whose three "
            "degrees of freedom are those of the centre of mass; set temperature = 0")
    v = _deviates(options, id, x) * (1.0 / np.sqrt(mass))[:, None]
    if options.zero_momentum:
        _remove_momentum(v, mass, total)
    if options.zero_rotation:
        _remove_rotation(v, mass, x if unwrapped is None else unwrapped, total)
    now = temperature(v, mass, natoms, units, total)
    if not now > 0:
        raise InputError(f"system.temperature: {options.temperature} cannot be reached: nothing "
                         f"moves once momentum is removed from {natoms} atoms; set zero_rotation = "
                         "false or temperature = 0")
    v *= math.sqrt(options.temperature / now)
    return v


def temperature(v: NDArray[np.float64], mass: NDArray[np.float64], natoms: int, units: Units,
                total: Total) -> float:
    """Kinetic temperature with 3 N - 3 degrees of freedom; v is (n, 3), mass (n,)."""
    mv2 = float(total((mass * np.einsum("nc,nc->n", v, v))[:, None])[0])
    return mv2 * units.mvv2e / ((3 * natoms - 3) * units.boltz)


def _deviates(options: VelocityOptions, id: NDArray[np.int64],
              x: NDArray[np.float64]) -> NDArray[np.float64]:
    gaussian = options.distribution == "gaussian"
    match options.generator:
        case "lammps-geom":
            return lammps_random.geom_deviates(options.seed, x, gaussian=gaussian)
        case "lammps-all":
            return lammps_random.all_deviates(options.seed, id, gaussian=gaussian)
        case _:
            return rng.vectors(options.seed, rng.Purpose.VELOCITIES, 0, id, gaussian=gaussian)


def _remove_momentum(v: NDArray[np.float64], mass: NDArray[np.float64], total: Total) -> None:
    sums = total(np.column_stack([mass[:, None] * v, mass]))
    v -= sums[:3] / sums[3]


def _remove_rotation(v: NDArray[np.float64], mass: NDArray[np.float64], r: NDArray[np.float64],
                     total: Total) -> None:
    """Subtract the rigid rotation omega x d that carries the angular momentum.

    For atoms on a line (or at one place) the moment of inertia is singular: there is no
    rotation about that axis to remove, and the pseudo-inverse leaves it out.
    """
    sums = total(np.column_stack([mass[:, None] * r, mass]))
    d = r - sums[:3] / sums[3]
    angular = mass[:, None] * np.cross(d, v)
    products = mass[:, None] * np.column_stack([
        d[:, 0] * d[:, 0], d[:, 1] * d[:, 1], d[:, 2] * d[:, 2],
        d[:, 0] * d[:, 1], d[:, 0] * d[:, 2], d[:, 1] * d[:, 2]])
    sums = total(np.column_stack([angular, products]))
    xx, yy, zz, xy, xz, yz = sums[3:]
    inertia = np.array([[yy + zz, -xy, -xz], [-xy, xx + zz, -yz], [-xz, -yz, xx + yy]])
    omega = np.linalg.pinv(inertia, rcond=1e-12, hermitian=True) @ sums[:3]
    v -= np.cross(omega, d)
