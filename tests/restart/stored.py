"""States to store: atoms in a box, unlike from rank to rank, some of them outside of it."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from mpi4py import MPI

from mdapp.model.box import Box
from mdapp.storage.state import State

BOX = Box.orthogonal([-1.0, 0.0, 2.0], [9.0, 4.0, 9.0])
TYPES = 3


def make_state(
    comm: MPI.Comm = MPI.COMM_SELF,
    step: int = 1000,
    natoms: int = 300,
    seed: int = 7,
    empty: tuple[int, ...] = (),
) -> State:
    """The same `natoms` atoms for any number of ranks, dealt out unevenly; none to `empty`."""
    rng = np.random.default_rng([seed, step])
    fields = {
        "id": np.ascontiguousarray(rng.permutation(natoms).astype(np.int64) + 1),
        "x": BOX.lo + BOX.lengths * rng.uniform(-0.2, 1.2, (natoms, 3)),
        "v": rng.standard_normal((natoms, 3)),
        "type": rng.integers(0, TYPES, natoms).astype(np.int32),
        "image": rng.integers(-3, 4, (natoms, 3)).astype(np.int32),
    }
    takers = [r for r in range(comm.size) if r not in empty]
    holder = np.array(takers)[(np.arange(natoms) ** 2 // 7) % len(takers)] if takers else None
    mine = {k: np.ascontiguousarray(a[holder == comm.rank]) for k, a in fields.items()}
    return State(
        step=step, time=step * 0.005, timestep=0.005, units="lj", box=BOX, natoms=natoms,
        species=("A", "B", "C"), mass=np.array([1.0, 2.5, 0.1]), fields=mine,
        integrator={"name": "nve"}, rng={"seed": seed}, potential={"style": "lj/cut"},
        deck={"run": {"steps": 5}}, invariants={"pe": -1.25},
    )  # fmt: skip


def owner_of(ranks: int):
    """Ranks by position along y; any of them may get none."""

    def owner(x: np.ndarray) -> np.ndarray:
        assert (x >= BOX.lo).all() and (x < BOX.hi).all()
        return np.minimum((x[:, 1] / 4.0 * ranks).astype(np.int64), ranks - 1)

    return owner


def nobody_but_first(x: np.ndarray) -> np.ndarray:
    return np.zeros(len(x), np.int64)


def by_id(state: State) -> dict[str, np.ndarray]:
    order = np.argsort(state.fields["id"])
    return {k: a[order] for k, a in state.fields.items()}


def same_atoms(a: State, b: State) -> bool:
    left, right = by_id(a), by_id(b)
    return left.keys() == right.keys() and all(
        left[k].tobytes() == right[k].tobytes() for k in left
    )


def changed(state: State, **values) -> State:
    """A copy of a state with a field replaced."""
    return replace(state, fields={**state.fields, **values})


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where there is one: hundreds of fsyncs take a while on a disk."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="mdapp-test-", dir=base))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
