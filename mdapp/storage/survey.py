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
from mdapp.storage.blocks import (
    Table,
    add_hash,
    block_bounds,
    make_table,
    survey_atoms,
)
from mdapp.storage.crc import WORTH_IT, crc32
from mdapp.storage.state import STANDARD, Field, State


@dataclass
class Survey:
    """A state, ready to be written.

    Attributes
    ----------
    fields, arrays : what is stored, this rank's part
    table : rows of this rank, without places and checksums
    natoms, natoms_by_type, state_hash : of all ranks
    ranges : {field: [least, largest]} of all ranks; None where there are no atoms
    finite : whether all values are finite
    """

    fields: tuple[Field, ...]
    arrays: list[NDArray[Any]]
    table: Table
    natoms: int
    natoms_by_type: tuple[int, ...]
    state_hash: str
    ranges: dict[str, list[float | int] | None]
    finite: bool

    @property
    def bytes(self) -> int:
        """Bytes of the atoms of all ranks."""
        return self.natoms * sum(f.atom_bytes for f in self.fields)


@dataclass
class LocalSurvey:
    """The part of one rank, before the sums over ranks; `arrays` are those that were looked at."""

    arrays: list[NDArray[Any]]
    table: Table
    sums: NDArray[np.uint64]
    by_type: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def survey_rank(
    state: State, fields: tuple[Field, ...], rank: int, block_atoms: int,
    into: list[NDArray[Any]] | None = None,
) -> LocalSurvey:  # fmt: skip
    """Look at the atoms of one rank.

    Parameters
    ----------
    into
        Arrays that the atoms are copied to first, block by block; the copy is then looked at, while
        it is still in the cache.

    Raises
    ------
    InputError
        A type that the state has no mass for.
    """
    source = [state.fields[f.name] for f in fields]
    arrays = source if into is None else into
    table = make_table(arrays, rank, block_atoms)
    sums, ntypes = np.zeros(2, np.uint64), len(state.mass)
    by_type = np.zeros(ntypes, np.int64)
    low, high = np.full(len(fields), np.inf), np.full(len(fields), -np.inf)
    for row, (begin, end) in zip(table, block_bounds(table), strict=True):
        block, live = ([a[begin:end] for a in part] for part in (arrays, source))
        spans = look(row, live, block, into is not None, sums, by_type)
        for k, (least, largest) in enumerate(spans):
            low[k], high[k] = np.minimum(low[k], least), np.maximum(high[k], largest)
        if spans[3][0] < 0 or spans[3][1] >= ntypes:
            raise InputError(
                f"checkpoint: atom types run from {spans[3][0]} to {spans[3][1]}, but there are "
                f"{ntypes} masses"
            )
    return LocalSurvey(arrays, table, sums, by_type, low, high)


def look(
    row: Any, live: list[NDArray[Any]], kept: list[NDArray[Any]], copies: bool,
    sums: NDArray[np.uint64], by_type: NDArray[np.int64],
) -> list[tuple[Any, Any]]:  # fmt: skip
    """Copy a block, if `copies`; fill in its row, and add to the sums of hash and types.

    Returns
    -------
    list
        Least and greatest value of each field.
    """
    n, others = len(STANDARD), kept[len(STANDARD) :]
    if copies:
        for array, source in zip(others, live[n:], strict=True):
            array[...] = source
    spans, ranges = np.empty((2, 2, 3)), np.empty((3, 2), np.int64)
    words = kept[1].view(np.uint64), kept[2].view(np.uint64)
    survey_atoms(
        tuple(live[:n]), tuple(kept[:n]), copies, not others, words, sums, spans, ranges, by_type
    )
    if others:
        add_hash(kept, sums)
    row["id_min"], row["id_max"] = ranges[0]
    row["bbox_lo"], row["bbox_hi"] = spans[0]
    found = [(r[0], r[1]) for r in ranges]
    found[1:1] = [(s[0].min(), s[1].max()) for s in spans]
    return [*found, *((values.min(), values.max()) for values in others)]


def sum_surveys(
    comm: MPI.Comm, state: State, fields: tuple[Field, ...], local: LocalSurvey
) -> Survey:
    """Put the parts of all ranks together; collective.

    Raises
    ------
    InputError
        The ranks do not hold as many atoms as the state says; on all ranks.
    """
    count = np.array([state.nlocal], np.int64)
    comm.Allreduce(MPI.IN_PLACE, count, MPI.SUM)
    if count[0] != state.natoms:
        raise InputError(
            f"checkpoint: the ranks own {count[0]} atoms, the system has {state.natoms}"
        )
    comm.Allreduce(MPI.IN_PLACE, local.sums, MPI.SUM)
    comm.Allreduce(MPI.IN_PLACE, local.by_type, MPI.SUM)
    # MPI.MIN may drop a NaN: whether all is finite is asked for itself.
    here = np.isfinite(local.low).all() and np.isfinite(local.high).all()
    finite = np.array([int(here or state.nlocal == 0)])
    comm.Allreduce(MPI.IN_PLACE, finite, MPI.MIN)
    comm.Allreduce(MPI.IN_PLACE, local.low, MPI.MIN)
    comm.Allreduce(MPI.IN_PLACE, local.high, MPI.MAX)
    h1, h2 = (int(h) for h in local.sums)
    return Survey(
        fields, local.arrays, local.table, int(count[0]),
        tuple(int(n) for n in local.by_type), f"{h1:016x}{h2:016x}",
        {f.name: _range(f, local.low[k], local.high[k]) for k, f in enumerate(fields)},
        bool(finite[0]),
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
    look(table[0], arrays, arrays, False, sums, counts)
    crc32(bytes(WORTH_IT))
