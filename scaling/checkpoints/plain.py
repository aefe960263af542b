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

import numpy as np
from mpi4py import MPI

from mdapp.storage.files import REAL, raw
from mdapp.storage.metrics import Outcome
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from scaling.checkpoints.bench import Bench

PIECE = 8 << 20




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




def open_store(bench: Bench, name: str, **options: Any) -> CheckpointStore:
    """A store of the benchmark; nothing is removed while a clock runs."""
    chosen = CheckpointOptions(keep_last=1000, **options)
    return CheckpointStore(bench.comm, bench.folder / name / "checkpoints", chosen)


def drop(comm: MPI.Intracomm, outcome: Outcome) -> None:
    """Remove a checkpoint of the rounds, while no clock runs."""
    if comm.rank == 0:
        shutil.rmtree(outcome.path)
    comm.Barrier()
