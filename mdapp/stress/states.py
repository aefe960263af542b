"""States without a simulation, and layouts to keep them in."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.model.box import Box
from mdapp.storage.files import REAL
from mdapp.storage.state import State

EDGE = 100.0


def random_state(comm: MPI.Intracomm, natoms: int, step: int) -> State:
    """Atoms in slabs along x, one slab a rank."""
    share = natoms // comm.size + (comm.rank < natoms % comm.size)
    first = comm.exscan(share) or 0
    rng = np.random.default_rng([1, comm.rank])
    x = EDGE * rng.random((share, 3))
    x[:, 0] = (comm.rank + x[:, 0] / EDGE) * EDGE / comm.size
    fields: dict[str, NDArray[Any]] = {
        "id": np.arange(first + 1, first + share + 1), "x": x, "v": rng.standard_normal((share, 3)),
        "type": np.zeros(share, np.int32), "image": np.zeros((share, 3), np.int32),
    }  # fmt: skip
    box = Box.orthogonal([0.0] * 3, [EDGE] * 3)
    return State(step=step, time=0.0, timestep=0.005, units="lj", box=box, natoms=natoms,
                 species=("A",), mass=np.ones(1), fields=fields)  # fmt: skip


def slabs(axis: int, ranks: int) -> Callable[[NDArray[np.float64]], NDArray[np.int64]]:
    """Owners by slabs along an axis."""

    def owner(x: NDArray[np.float64]) -> NDArray[np.int64]:
        return np.minimum((x[:, axis] * (ranks / EDGE)).astype(np.int64), ranks - 1)

    return owner


def forget_files(path: Path) -> None:
    """Ask the kernel to drop a file, or all files of a folder, from its cache."""
    for one in path.rglob("*") if path.is_dir() else [path]:
        if one.is_file():
            with REAL.open(one) as file:
                file.advise(0, 0, os.POSIX_FADV_DONTNEED)


def layouts() -> dict[str, dict[str, Any]]:
    """Layouts that this installation can write."""
    found: dict[str, dict[str, Any]] = {"sharded": {}, "aggregated": {"layout": "aggregated"}}
    if h5py.get_config().mpi:
        found["shared"] = {"layout": "shared", "verify_after_write": False}
    else:
        found["shared-pwrite"] = {"layout": "shared", "engine": "pwrite",
                                  "verify_after_write": False}  # fmt: skip
    return found
