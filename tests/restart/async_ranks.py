"""Programs that test_async.py and test_async_faults.py start on several ranks."""

import errno
import json
import sys
import time
import uuid
from functools import partial
from itertools import product
from pathlib import Path
from random import Random

from mpi4py import MPI

import mdapp
import mdapp.checkpoint_levels
from mdapp.deck import build_deck
from mdapp.simulation import Simulation
from mdapp.storage.errors import CheckpointError
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.faults.in_thread import ForWriters
from tests.restart.stored import make_state, owner_of
from tests.restart.test_async import DECK

WORLD = MPI.COMM_WORLD


def same_bytes(folder: Path, options: str) -> None:
    """Write one state in both modes, with the same identities."""
    for mode in ("sync", "async"):
        random = Random(7)
        uuid.uuid4 = lambda random=random: uuid.UUID(int=random.getrandbits(128), version=4)
        chosen = CheckpointOptions(block_atoms=200, mode=mode, **json.loads(options))
        with CheckpointStore(WORLD, folder / mode, chosen) as store:
            state = make_state(WORLD, natoms=5000, empty=(2,))
            if store.background is None:
                store.write(state)
            else:
                store.background.begin(state)
                store.background.finish()


def one_writer_fails(folder: Path) -> None:
    """Whichever rank's writer fails, and whatever the others do: one error, on all ranks."""
    kind = "pwrite"
    for victim, slow in product(range(3), (0.0, 0.2)):
        fs = ForWriters()
        place = folder / f"{victim}-{slow}"
        options = CheckpointOptions(block_atoms=64, mode="async")
        with CheckpointStore(WORLD, place, options, fs) as store:
            store.background.begin(make_state(WORLD, step=1000))
            store.background.finish()
            if WORLD.rank == victim:
                fs.fails = {kind: errno.ENOSPC}
            else:
                fs.delays = {kind: slow}
            error = error_of(store, make_state(WORLD, step=2000))
            assert "No space left" in error and f"[rank {victim} of 3]" in error, error
            assert WORLD.allgather(error) == [error] * 3
            fs.fails, fs.delays = {}, {}
            assert store.newest().step == 1000
            store.background.begin(make_state(WORLD, step=3000))
            assert store.background.finish().result == "committed"
            assert store.restore(None, owner_of(3)).step == 3000
        if WORLD.rank == 0:
            assert not list(place.glob(".tmp-*"))
            print("survived", victim, flush=True)


def error_of(store: CheckpointStore, state) -> str:
    """Poll as a run does: what all ranks hear of is what was true at the poll step before."""
    background = store.background
    try:
        background.begin(state)
        before = (False, False)
        while True:
            mine = background.status()
            if background.poll(*before) is not None:
                return ""
            before = tuple(WORLD.allreduce(int(m), MPI.MAX) > 0 for m in mine)
    except CheckpointError as error:
        return str(error)


def skewed(folder: Path, overrun: str) -> None:
    """Ranks out of step, one of them with a slow writer: the run comes to its end."""
    fs = ForWriters()
    fs.delays = {"fsync": 0.3} if WORLD.rank == 1 else {"pwrite": 0.002}
    mdapp.checkpoint_levels.CheckpointStore = partial(CheckpointStore, fs=fs)
    table = {"every": 5, "poll_steps": 2, "mode": "async", "overrun": overrun, "keep_last": 9}
    deck = build_deck({**DECK, "checkpoint": table})
    random = Random(WORLD.rank)
    sim = Simulation(deck, WORLD, folder, on_step=lambda s: time.sleep(0.004 * random.random()))
    sim.run()
    sim.close()
    if WORLD.rank == 0:
        ends = [(e["step"], e["result"]) for e in sim.checkpoints.written]
        print(json.dumps(ends))


def hangs(folder: Path) -> None:
    """A writer that never comes back."""
    fs = ForWriters()
    if WORLD.rank == 1:
        fs.delays = {"fsync": 1000.0}
    options = CheckpointOptions(block_atoms=64, mode="async", io_timeout_s=1.0)
    with CheckpointStore(WORLD, folder, options, fs) as store:
        store.background.begin(make_state(WORLD))
        store.background.finish()


if __name__ == "__main__":
    {"same_bytes": same_bytes, "one_writer_fails": one_writer_fails, "skewed": skewed,
     "hangs": hangs}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])  # fmt: skip
