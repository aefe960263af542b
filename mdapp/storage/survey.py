"""What must be known of a state before a byte of it is written: step 0 of a commit.

One pass over the atoms, block by block, so that each block is fetched from memory once: bounding
box, range of ids, ranges of all fields, state hash. A state with a NaN or an infinity is recognised
here, and never becomes a checkpoint: it would push out the good ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.storage.blocks import add_hash, make_table, survey_atoms
from mdapp.storage.cargo import Cargo, steady
from mdapp.storage.crc import WORTH_IT, crc32
from mdapp.storage.state import STANDARD, Field


@dataclass(frozen=True)
class Survey:
    """What is known of the atoms of all ranks.

    Attributes
    ----------
    natoms_by_type, state_hash : as the manifest has them
    ranges : {field: [least, largest]}; None where there are no atoms
    finite : whether all values are finite
    """

    natoms_by_type: tuple[int, ...]
    state_hash: str
    ranges: dict[str, list[float | int] | None]
    finite: bool


@dataclass(frozen=True)
class LocalSurvey:
    """The part of one rank, before the sums over ranks; `low` and `high` have one a field."""

    sums: NDArray[np.uint64]
    by_type: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def survey_rank(cargo: Cargo, ntypes: int) -> LocalSurvey:
    """Look at the atoms of one rank, and complete the rows of its table; in any thread.

    Raises
    ------
    InputError
        A type that there is no mass for.
    """
    n = len(cargo.fields)
    sums, by_type = np.zeros(2, np.uint64), np.zeros(ntypes, np.int64)
    low, high = np.full(n, np.inf), np.full(n, -np.inf)
    for row, (begin, end) in zip(cargo.table, cargo.bounds(), strict=True):
        for arrays in steady(cargo.arrays, range(n)):
            part, counts = np.zeros_like(sums), np.zeros_like(by_type)
            spans = look(row, [a[begin:end] for a in arrays], part, counts)
        sums += part
        by_type += counts
        for k, (least, largest) in enumerate(spans):
            low[k], high[k] = np.minimum(low[k], least), np.maximum(high[k], largest)
        if spans[3][0] < 0 or spans[3][1] >= ntypes:
            raise InputError(
                f"checkpoint: atom types run from {spans[3][0]} to {spans[3][1]}, but there are "
                f"{ntypes} masses"
            )
    return LocalSurvey(sums, by_type, low, high)


def look(
    row: Any, block: list[NDArray[Any]], sums: NDArray[np.uint64], by_type: NDArray[np.int64]
) -> list[tuple[Any, Any]]:
    """Fill in the row of a block, and add to the sums of hash and types.

    Returns
    -------
    list
        Least and greatest value of each field.
    """
    n, others = len(STANDARD), block[len(STANDARD) :]
    spans, ranges = np.empty((2, 2, 3)), np.empty((3, 2), np.int64)
    words = block[1].view(np.uint64), block[2].view(np.uint64)
    survey_atoms(tuple(block[:n]), not others, words, sums, spans, ranges, by_type)
    if others:
        add_hash(block, sums)
    row["id_min"], row["id_max"] = ranges[0]
    row["bbox_lo"], row["bbox_hi"] = spans[0]
    found = [(r[0], r[1]) for r in ranges]
    found[1:1] = [(s[0].min(), s[1].max()) for s in spans]
    return [*found, *((values.min(), values.max()) for values in others)]


def sum_surveys(comm: MPI.Comm, fields: tuple[Field, ...], local: LocalSurvey) -> Survey:
    """Put the parts of all ranks together; collective."""
    sums, by_type, low, high = (a.copy() for a in vars(local).values())
    comm.Allreduce(MPI.IN_PLACE, sums, MPI.SUM)
    comm.Allreduce(MPI.IN_PLACE, by_type, MPI.SUM)
    # MPI.MIN may drop a NaN: whether all is finite is asked for itself. A rank without atoms has
    # met nothing, and its bounds are still the infinities that they began with.
    here = np.isfinite(low).all() and np.isfinite(high).all()
    finite = np.array([int(here or bool((low > high).all()))])
    comm.Allreduce(MPI.IN_PLACE, finite, MPI.MIN)
    comm.Allreduce(MPI.IN_PLACE, low, MPI.MIN)
    comm.Allreduce(MPI.IN_PLACE, high, MPI.MAX)
    h1, h2 = (int(h) for h in sums)
    return Survey(
        tuple(int(n) for n in by_type), f"{h1:016x}{h2:016x}",
        {f.name: _range(f, low[k], high[k]) for k, f in enumerate(fields)}, bool(finite[0]),
    )  # fmt: skip


def _range(item: Field, low: float, high: float) -> list[float | int] | None:
    if not (np.isfinite(low) and np.isfinite(high)):
        return None
    if np.issubdtype(np.dtype(item.dtype), np.integer):
        return [int(low), int(high)]
    return [float(low), float(high)]


def exercise() -> None:
    """Compile, or load from the cache, what a checkpoint runs: the first one shall not be slow."""
    arrays = [f.empty(1) for f in STANDARD]
    for array in arrays:
        array[:] = 0
    table, sums, counts = make_table(arrays, 0, 1), np.zeros(2, np.uint64), np.zeros(1, np.int64)
    look(table[0], arrays, sums, counts)
    crc32(bytes(WORTH_IT))
