"""Programs that test_elsewhere.py starts on eight ranks."""

import mdapp  # noqa: F401  isort: skip

import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.restart.store_ranks import part_of, whole
from tests.restart.stored import BOX, changed, make_state, owner_of, same_atoms

WORLD = MPI.COMM_WORLD
COUNTS = (1, 3, 8)


def few(comm: MPI.Comm):
    """Five atoms: fewer than ranks, all of them in one block of one file a rank."""
    return make_state(comm, natoms=5)


def corner(comm: MPI.Comm):
    """All atoms in one corner of the box: on one rank before, and on one after."""
    state = make_state(comm, natoms=600)
    inside = BOX.lo + 0.05 * BOX.lengths * np.abs(np.sin(state.fields["x"]))
    return changed(state, x=np.ascontiguousarray(inside))


def one_type(comm: MPI.Comm):
    """Two of the three types have no atoms."""
    state = make_state(comm, natoms=600)
    return changed(state, type=np.full(state.nlocal, 1, np.int32))


def none(comm: MPI.Comm):
    return make_state(comm, natoms=0)


def main(folder: Path) -> None:
    """R1: N to M for systems at the edge."""
    done = 0
    for make in (few, corner, one_type, none):
        reference = make(MPI.COMM_SELF)
        for n in COUNTS:
            place = folder / make.__name__ / str(n)
            comm = part_of(n)
            if comm is not None:
                with CheckpointStore(comm, place, CheckpointOptions(block_atoms=100)) as store:
                    store.write(make(comm))
            WORLD.Barrier()
            for m in COUNTS:
                comm = part_of(m)
                if comm is not None:
                    with CheckpointStore(comm, place) as store:
                        state = store.restore(None, owner_of(m))
                    assert same_atoms(whole(comm, state), reference), (place, m)
                    if make is corner:
                        assert len(state.fields["id"]) == (600 if comm.rank == 0 else 0)
                WORLD.Barrier()
                done += 1
    if WORLD.rank == 0:
        print("restarts", done)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
