"""States without a simulation, and the yardstick: one process, one file, one call after the other.

Before a read the kernel is asked to forget the files (posix_fadvise), which it does for pages that
are on the device; a cache inside the device or below a virtual machine is beyond anyone's reach.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.model.box import Box
from mdapp.storage.files import REAL, raw
from mdapp.storage.metrics import Outcome
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.state import State
from mdapp.storage.store import CheckpointStore
from scaling.checkpoints.bench import Bench

PIECE = 8 << 20
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


def on_first(comm: MPI.Intracomm, function: Callable[..., object], *args: object) -> None:
    """Call on rank 0 only; the others go on."""
    if comm.rank == 0:
        function(*args)


def write_plainly(path: Path, data: memoryview) -> None:
    """One process, one file, one call after the other, one fsync."""
    with REAL.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
        for begin in range(0, len(data), PIECE):
            file.pwrite(data[begin : begin + PIECE], begin)
        file.fsync()


def read_plainly(path: Path, size: int) -> None:
    """One process reads one file from its begin to its end."""
    buffer = np.empty(PIECE, np.uint8)
    with REAL.open(path) as file:
        for begin in range(0, size, PIECE):
            file.pread_into(raw(buffer), begin)


def forget(path: Path) -> None:
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


def open_store(bench: Bench, name: str, **options: Any) -> CheckpointStore:
    """A store of the benchmark; nothing is removed while a clock runs."""
    chosen = CheckpointOptions(keep_last=1000, **options)
    return CheckpointStore(bench.comm, bench.folder / name / "checkpoints", chosen)


def drop(comm: MPI.Intracomm, outcome: Outcome) -> None:
    """Remove a checkpoint of the rounds, while no clock runs."""
    if comm.rank == 0:
        shutil.rmtree(outcome.path)
    comm.Barrier()
