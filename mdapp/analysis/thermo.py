"""Thermodynamic output: the quantities of LAMMPS's thermo lines, printed as LAMMPS prints them.

    temp  = mvv2e sum m v^2 / ((3 N - 3) kB)
    P_ab  = nktv2p (mvv2e sum m v_a v_b + W_ab) / V,     press = mean of the diagonal

Energies are per atom in lj units and of the whole system in metal units.  All sums over atoms are
exact (parallel/reduce.py), so that a line does not depend on how the atoms are spread over ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.model.units import Units
from mdapp.parallel.reduce import exact_sum, sum_over_ranks
from potentials.base import Result

if TYPE_CHECKING:
    from mpi4py import MPI

PIECE = 16384                 # atoms whose terms are laid out at a time

HEADINGS = {
    "step": "Step", "elapsed": "Elapsed", "time": "Time", "dt": "Dt", "cpu": "CPU",
    "atoms": "Atoms", "temp": "Temp", "press": "Press",
    "pe": "PotEng", "ke": "KinEng", "etotal": "TotEng", "enthalpy": "Enthalpy",
    "evdwl": "E_vdwl", "epair": "E_pair", "emol": "E_mol",
    "vol": "Volume", "density": "Density", "lx": "Lx", "ly": "Ly", "lz": "Lz",
    "xlo": "Xlo", "xhi": "Xhi", "ylo": "Ylo", "yhi": "Yhi", "zlo": "Zlo", "zhi": "Zhi",
    "pxx": "Pxx", "pyy": "Pyy", "pzz": "Pzz", "pxy": "Pxy", "pxz": "Pxz", "pyz": "Pyz",
    "nbuild": "Nbuild", "ndanger": "Ndanger",
}
INTEGERS = frozenset({"step", "elapsed", "atoms", "nbuild", "ndanger"})
PRESSURES = ("pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
ALWAYS = ("step", "time", "temp", "pe", "ke", "etotal", "press", *PRESSURES, "vol")


@dataclass
class Thermo:
    """Collects thermo rows and formats them.

    Attributes
    ----------
    columns : what is printed, in LAMMPS's words
    rows : what was measured, `ALWAYS` and the printed columns; the same on all ranks
    """

    comm: MPI.Comm
    units: Units
    natoms: int
    columns: Sequence[str]
    rows: list[dict[str, float]] = field(default_factory=list)

    @property
    def last(self) -> dict[str, float]:
        """The latest row."""
        return self.rows[-1]

    def measure(self, atoms: Atoms, box: Box, result: Result,
                counters: dict[str, float]) -> dict[str, float]:
        """Append the row of the present state; collective.

        Parameters
        ----------
        result : energy and virial of this rank's atoms, per atom where the sums must be exact
        counters : step, time, dt, elapsed, cpu, nbuild, ndanger
        """
        mv2, pe, w = self.sums(atoms, result)
        dof = max(3 * self.natoms - 3, 1)
        ke = 0.5 * mv2[:3].sum()
        temp = 2 * ke / (dof * self.units.boltz)
        p = self.units.nktv2p * (mv2 + w) / box.volume
        scale = 1.0 / max(self.natoms, 1) if self.units.thermo_normalised else 1.0
        press = float(p[:3].mean())
        row = dict(counters) | {
            "atoms": self.natoms, "temp": temp, "press": press,
            "pe": pe * scale, "ke": ke * scale, "etotal": (pe + ke) * scale,
            "enthalpy": (pe + ke + press * box.volume / self.units.nktv2p) * scale,
            "evdwl": pe * scale, "epair": pe * scale, "emol": 0.0,
            "vol": box.volume, "density": self._density(atoms, box),
            **dict(zip(PRESSURES, p, strict=True)),
            **{f"l{d}": box.lengths[k] for k, d in enumerate("xyz")},
            **{f"{d}lo": box.lo[k] for k, d in enumerate("xyz")},
            **{f"{d}hi": box.hi[k] for k, d in enumerate("xyz")},
        }
        kept = dict.fromkeys([*ALWAYS, *self.columns])
        self.rows.append({name: int(row[name]) if name in INTEGERS else float(row[name])
                          for name in kept})
        return self.rows[-1]

    def sums(self, atoms: Atoms, result: Result
             ) -> tuple[NDArray[np.float64], float, NDArray[np.float64]]:
        """(mvv2e sum m v_a v_b (6,), potential energy, virial (6,)) of all atoms; collective."""
        mv2 = self.units.mvv2e * exact_sum(self.comm, lambda: kinetic_terms(atoms), 6)
        potential = exact_sum(self.comm, potential_terms(result), 7)
        return mv2, float(potential[0]), potential[1:]

    def _density(self, atoms: Atoms, box: Box) -> float:
        """Mass per volume, g/cm^3 in metal units, reduced in lj."""
        if "density" not in self.columns:
            return 0.0
        counts = np.bincount(atoms.type[:atoms.nlocal], minlength=len(atoms.mass)).astype(np.int64)
        counts = sum_over_ranks(self.comm, counts)
        grams = 1.0 / 0.602214129 if self.units.name == "metal" else 1.0
        return float(counts @ atoms.mass) * grams / box.volume

    def header(self) -> str:
        """The line of headings, in LAMMPS's layout."""
        return " ".join(f"{HEADINGS[c]:^10} " if c in INTEGERS else f"{HEADINGS[c]:^14}"
                        for c in self.columns)

    def line(self, row: dict[str, float]) -> str:
        """One row, in LAMMPS's layout."""
        return " ".join(f"{int(row[c]):>10d} " if c in INTEGERS else f"{row[c]:< 14.8g}"
                        for c in self.columns)


def kinetic_terms(atoms: Atoms) -> Iterator[NDArray[np.float64]]:
    """m v_a v_b of the owned atoms, (n, 6) a piece: xx yy zz yz xz xy."""
    for first in range(0, atoms.nlocal, PIECE):
        last = min(first + PIECE, atoms.nlocal)
        terms = np.empty((last - first, 6))
        fill_kinetic(atoms.v, atoms.type, atoms.mass, first, last, terms)
        yield terms


def potential_terms(result: Result) -> Callable[[], Iterator[NDArray[np.float64]]]:
    """Energy and virial, (n, 7) a piece: those of each atom, or this rank's share in one row."""
    def pieces() -> Iterator[NDArray[np.float64]]:
        if result.energies is None or result.virials is None:
            yield np.concatenate([[result.energy], result.virial])[None]
            return
        for first in range(0, len(result.energies), PIECE):
            part = slice(first, first + PIECE)
            yield np.column_stack([result.energies[part], result.virials[part]])
    return pieces


@njit(cache=True, nogil=True, error_model="numpy")
def fill_kinetic(v, type_, mass, first, last, terms):
    """m v_a v_b of the atoms first..last-1; terms : (last - first, 6) float64, out."""
    for i in range(first, last):
        m = mass[type_[i]]
        vx, vy, vz = v[i, 0], v[i, 1], v[i, 2]
        k = i - first
        terms[k, 0], terms[k, 1], terms[k, 2] = m * vx * vx, m * vy * vy, m * vz * vz
        terms[k, 3], terms[k, 4], terms[k, 5] = m * vy * vz, m * vx * vz, m * vx * vy
