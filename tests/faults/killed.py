"""A writer that is killed n times: `killed.py FOLDER N`; what it reported must be there each time.

A child restarts from the newest checkpoint and writes one after the other, telling its parent of
each through a pipe; after a random time the parent kills it and looks for what it was told.
"""

import mdapp  # noqa: F401  isort: skip

import json
import os
import select
import signal
import sys
from pathlib import Path
from random import Random

from mpi4py import MPI

from mdapp.storage.files import REAL
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.retention import list_committed
from mdapp.storage.store import CheckpointStore
from tests.faults.oracle import compare, verify
from tests.restart.stored import make_state, owner_of

OPTIONS = CheckpointOptions(block_atoms=64, keep_last=2)


def write_for_ever(folder: Path, pipe: int) -> None:
    with CheckpointStore(MPI.COMM_SELF, folder, OPTIONS) as store:
        step = 0
        if store.candidates():
            found = store.restart(None, owner_of(1))
            step = found.state.step
            compare(found.state, found.manifest.state_hash, make_state(step=step))
        while True:
            step += 1000
            assert store.write(make_state(step=step)).result == "committed"
            os.write(pipe, step.to_bytes(8, "little"))


def kill_once(folder: Path, seconds: float) -> tuple[int, bool]:
    """Start a writer and kill it; the last step that it told, and whether the kill ended it."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            write_for_ever(folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    select.select([], [], [], seconds)
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    told = os.read(reading, 1 << 16)
    os.close(reading)
    return int.from_bytes(told[-8:], "little"), os.WIFSIGNALED(status)


def main(folder: Path, times: int) -> None:
    random, last, killed = Random(17), 0, 0
    with CheckpointStore(MPI.COMM_SELF, folder, OPTIONS) as store:
        store.write(make_state(step=1000))
        store.restart(None, owner_of(1))
    for _ in range(times):
        told, ended = kill_once(folder, random.uniform(0.0, 0.06))
        killed += ended
        last = max(last, told)
        assert list_committed(folder, REAL)[0].step >= last
        verify(folder)
    print(json.dumps({"killed": killed, "last": last}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
