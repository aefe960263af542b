"""Sums over all atoms of all ranks that do not depend on the order of the terms.

Floating-point addition rounds differently in every order, so that a sum over ranks changes with
their number.  Here each term is cut into two integers on grids chosen from the largest term of
all, and integers are added: 26 bits each, room for 2^37 terms, and together the 52 bits that a
double has (the two-level form of the binned sums of Demmel & Nguyen, doi 10.1109/ARITH.2013.9).
It costs two passes and two small reductions, which is nothing at the cadence of thermo output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mpi4py import MPI

LEVEL_BITS = 26
Pieces = Callable[[], Iterable[NDArray[np.float64]]]


def exact_sum(comm: MPI.Comm, pieces: Pieces, width: int) -> NDArray[np.float64]:
    """Column sums over all pieces of all ranks, the same bits for any distribution of the rows.

    Parameters
    ----------
    pieces : called twice; each time yields the same (n, width) float64 arrays, of any n

    Returns
    -------
    (width,) float64; NaN in a column that has a term that is not finite
    """
    from mpi4py import MPI

    largest = np.zeros(width)
    for terms in pieces():
        largest_terms(terms, largest)
    comm.Allreduce(MPI.IN_PLACE, largest, MPI.MAX)
    finite = np.isfinite(largest)
    _, exponent = np.frexp(np.where(finite, largest, 1.0))
    units = np.ldexp(1.0, np.maximum(exponent - LEVEL_BITS, -900))
    sums = np.zeros((width, 2), np.int64)
    for terms in pieces():
        add_levels(terms, units, sums)
    comm.Allreduce(MPI.IN_PLACE, sums, MPI.SUM)
    total = sums[:, 0] * units + sums[:, 1] * (units * 2.0**-LEVEL_BITS)
    return np.where(finite, total, np.nan)


def largest_over_ranks(comm: MPI.Comm, value: float) -> float:
    """The largest of a number that each rank has."""
    from mpi4py import MPI

    return float(comm.allreduce(value, MPI.MAX))


def sum_over_ranks(comm: MPI.Comm, values: NDArray[Any]) -> NDArray[Any]:
    """Element-wise sum of an array over all ranks; for integers, whose sum has one value."""
    total = np.empty_like(values)
    comm.Allreduce(values, total)
    return total


@njit(cache=True, nogil=True, error_model="numpy")
def largest_terms(terms, largest):
    """largest[k] = max(largest[k], |terms[:, k]|), infinite where a term is NaN."""
    for i in range(terms.shape[0]):
        for k in range(terms.shape[1]):
            size = abs(terms[i, k])
            if not size <= largest[k]:
                largest[k] = size if size == size else np.inf


@njit(cache=True, nogil=True, error_model="numpy")
def add_levels(terms, units, sums):
    """Add the two integer parts of each term to sums (width, 2)."""
    fine = 2.0**LEVEL_BITS
    for i in range(terms.shape[0]):
        for k in range(terms.shape[1]):
            coarse = np.rint(terms[i, k] / units[k])
            sums[k, 0] += np.int64(coarse)
            sums[k, 1] += np.int64(np.rint((terms[i, k] - coarse * units[k]) / units[k] * fine))
