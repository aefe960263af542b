"""How much the models of a committee disagree, by the measures of DeePMD-kit.

    force of an atom      eps_i  = sqrt(<|F_i - <F_i>|^2>)            max, min and mean over atoms
    virial component      eps_ab = sqrt(<(W_ab - <W_ab>)^2>) / N         max, min and rms over nine

<> is the mean over the models, N the number of atoms. Y. Zhang et al. 2020,
doi 10.1016/j.cpc.2020.107206; the columns of a line are those of DeePMD-kit's `model_devi.out`,
with one more at the end where a limit is given: on how many atoms the forces deviate by more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mdapp.parallel.reduce import exact_sum, largest_over_ranks

if TYPE_CHECKING:
    from mpi4py import MPI

COLUMNS = ("max_devi_v", "min_devi_v", "avg_devi_v", "max_devi_f", "min_devi_f", "avg_devi_f")
NINE = np.array([1, 1, 1, 2, 2, 2])           # how often xx yy zz yz xz xy stand in the tensor


@dataclass(frozen=True)
class Deviation:
    """Of one frame.

    Attributes
    ----------
    virial : (6,) of the components xx yy zz yz xz xy, energy per atom
    max_force, min_force, mean_force : over the atoms, energy / length
    above : atoms whose forces deviate by more than the limit; 0 without one
    """

    virial: NDArray[np.float64]
    max_force: float
    min_force: float
    mean_force: float
    above: int = 0

    def values(self) -> tuple[float, ...]:
        """Numbers in the order of `COLUMNS`."""
        rms = float(np.sqrt(NINE @ self.virial**2 / NINE.sum()))
        return (float(self.virial.max()), float(self.virial.min()), rms,
                self.max_force, self.min_force, self.mean_force)


def force_deviations(forces: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) of forces (models, n, 3)."""
    spread = forces - forces.mean(axis=0)
    deviations: NDArray[np.float64] = np.sqrt((spread**2).sum(axis=2).mean(axis=0))
    return deviations


def deviation_of(forces: NDArray[np.float64], virials: NDArray[np.float64]) -> Deviation:
    """The deviation of a structure that is all here: forces (models, n, 3), virials (models, 6)."""
    of_atoms = force_deviations(forces)
    n = max(len(of_atoms), 1)
    return Deviation(virials.std(axis=0) / n, float(of_atoms.max(initial=0.0)),
                     float(of_atoms.min()) if len(of_atoms) else 0.0, float(of_atoms.sum()) / n)


def deviation(comm: MPI.Intracomm, forces: NDArray[np.float64], virials: NDArray[np.float64],
              limit: float | None = None) -> Deviation:
    """The deviation of a frame whose atoms are spread over ranks; collective.

    Parameters
    ----------
    forces : (models, n, 3) on the atoms of this rank
    virials : (models, 6) shares of this rank
    limit : see Deviation.above
    """
    of_atoms = force_deviations(forces)
    largest = largest_over_ranks(comm, float(of_atoms.max(initial=0.0)))
    smallest = -largest_over_ranks(comm, float((-of_atoms).max(initial=-np.inf)))
    natoms = comm.allreduce(len(of_atoms))
    above = comm.allreduce(int((of_atoms > limit).sum()) if limit is not None else 0)
    total = exact_sum(comm, lambda: [of_atoms[:, None]], 1)[0]
    whole = exact_sum(comm, lambda: [virials.reshape(1, -1)], virials.size).reshape(virials.shape)
    return Deviation(whole.std(axis=0) / max(natoms, 1), largest,
                     smallest if natoms else 0.0, float(total) / max(natoms, 1), above)


def heading(limit: float | None) -> str:
    """The first line of a file of deviations."""
    names = (*COLUMNS, "above_limit") if limit is not None else COLUMNS
    return f"#{'step':>11}" + "".join(f"{name:>19}" for name in names) + "\n"


def line(step: int, found: Deviation, limit: float | None) -> str:
    """A frame's line of such a file."""
    last = f"{found.above:>19d}" if limit is not None else ""
    return f"{step:>12d}" + "".join(f"{value:>19.6e}" for value in found.values()) + last + "\n"
