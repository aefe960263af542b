"""Programs that test_collect.py starts on several ranks; prints what must be true of all."""

import mdapp  # noqa: F401  isort: skip

import errno
import resource
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from mdapp.storage import collect
from mdapp.storage.coherence import RECORDS, lost_records
from mdapp.storage.errors import CheckpointError, StorageAccessError
from mdapp.storage.files import REAL
from mdapp.storage.manifest import Manifest, decode
from mdapp.storage.names import MANIFEST, step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.faults.faulty import Fault, FaultyFileSystem
from tests.faults.pages import PageCachingFileSystem
from tests.restart.store_ranks import behind_heads, failure_of, whole
from tests.restart.stored import changed, make_state, owner_of, same_atoms

WORLD = MPI.COMM_WORLD
TOGETHER = {"layout": "aggregated", "group": WORLD.size, "block_atoms": 50}


def options(**more) -> CheckpointOptions:
    return CheckpointOptions(**{**TOGETHER, **more})


def manifest_of(place: Path, step: int = 1000) -> Manifest:
    return decode((place / step_name(step) / MANIFEST).read_bytes())


def probe(folder: Path) -> None:
    """A client of whole pages is found out for any number of nodes; a real one is not."""
    lost = {}
    for nodes in range(2, WORLD.size + 1):
        node = min(WORLD.rank, nodes - 1)
        leads = WORLD.rank < nodes
        assert lost_records(WORLD, REAL, folder, leads, 60.0) == 0
        lost[nodes] = lost_records(WORLD, PageCachingFileSystem(), folder, leads, 60.0)
        assert 0 < lost[nodes] <= 2 * RECORDS * nodes, (node, lost)
        WORLD.Barrier()
    assert not list(folder.iterdir())
    assert WORLD.allgather(lost) == [lost] * WORLD.size
    for kind, n in (("open", 1), ("pwrite", 3), ("fsync", 1), ("pread", 3)):
        fs = FaultyFileSystem()
        if WORLD.rank == 1 or kind == "open":
            fs.arm(Fault(kind, n, errno.EIO, onwards=True))
        try:
            lost_records(WORLD, fs, folder, True, 60.0)
        except StorageAccessError as error:
            text = str(error)
        assert WORLD.allgather(text) == [text] * WORLD.size and "EIO" in text
        WORLD.Barrier()
        assert not list(folder.iterdir())
    if WORLD.rank == 0:
        print("probed", len(lost))


def demotion(folder: Path) -> None:
    """Two nodes of two ranks: what a client of whole pages would lose is sent instead."""
    node, state = WORLD.rank // 2, make_state(WORLD)
    told: list[str] = []

    def open_store(name: str, fs=None, **more) -> CheckpointStore:
        fs = fs or PageCachingFileSystem()
        return CheckpointStore(
            WORLD, folder / name, options(**more), fs, node=node, log=told.append
        )

    # That the loss is real: with one node nobody suspects anything.
    with CheckpointStore(WORLD, folder / "lost", options(), PageCachingFileSystem(),
                         node=0) as store:  # fmt: skip
        store.write(state)
        assert manifest_of(folder / "lost").engine == "pwrite"
        try:
            store.restore(None, owner_of(WORLD.size))
            raise AssertionError("nothing was lost")
        except CheckpointError as error:
            assert "checksum" in str(error) or "CRC" in str(error), error
    with open_store("honest", fs=REAL) as store:
        store.write(state)
    assert manifest_of(folder / "honest").engine == "pwrite" and not told
    for name, more in (("auto", {}), ("asked", {"layout": "shared", "transport": "collect"})):
        with open_store(name, **more) as store:
            store.write(state)
            back = store.restore(None, owner_of(WORLD.size))
            assert same_atoms(whole(WORLD, back), make_state())
        found = manifest_of(folder / name)
        assert found.engine == "collect", (name, found.engine)
        assert found.decomposition["ranks_of_nodes"] == [[0, 2, 2]]
        assert len(told) == (WORLD.rank == 0), told
    refused = {"pwrite": {"transport": "pwrite"}, "async": {"mode": "async"},
               "shared": {"layout": "shared", "engine": "pwrite"}}  # fmt: skip
    for name, more in refused.items():
        for _ in range(2):              # the lock was given back
            try:
                open_store(name, **more)
                raise AssertionError(f"{name} was not refused")
            except StorageAccessError as error:
                text = str(error)
            assert f"not coherent, and {name} cannot do without" in text, text
            assert WORLD.allgather(text) == [text] * WORLD.size
    # Nodes that share no file have nothing to fear, and nothing is tried.
    fs = PageCachingFileSystem()
    with open_store("apart", fs=fs, layout="sharded"):
        assert not [path for path in fs.opened if "canary" in path]
    if WORLD.rank == 0:
        print(told[0])


def failures(folder: Path) -> None:
    """A full disk under the aggregator, at any call; a member that breaks in the middle."""
    fs, count = FaultyFileSystem(), 0
    with CheckpointStore(WORLD, folder, options(transport="collect"), fs) as store:
        for step, n in enumerate((1, 2, 3, 9, 10, 11, 12, 20, 40), 1000):
            if WORLD.rank == 0:
                fs.arm(Fault("pwrite", n, errno.ENOSPC, onwards=True))
            error = failure_of(store, make_state(WORLD, step=step))
            assert WORLD.allgather(error) == [error] * WORLD.size
            assert "ENOSPC" in error and "shard-00000.h5" in error, (n, error)
            fs.disarm()
            count += 1
        plain = collect.Courier.pwrite
        for step, (victim, n) in enumerate(((1, 1), (2, 5), (WORLD.size - 1, 9)), 2000):
            if WORLD.rank == victim:
                break_at(n, plain)
            error = failure_of(store, make_state(WORLD, step=step))
            collect.Courier.pwrite = plain
            assert WORLD.allgather(error) == [error] * WORLD.size
            assert "broken" in error and f"[rank {victim} of {WORLD.size}]" in error, error
            count += 1
        assert store.write(make_state(WORLD, step=3000)).result == "committed"
        assert store.restore(None, owner_of(WORLD.size)).step == 3000
    assert WORLD.rank == 0 or not [k for k in fs.calls if k in ("pwrite", "fsync")]
    if WORLD.rank == 0:
        assert not [p for p in folder.iterdir() if p.name.startswith(".tmp-")]
        print("failures", count)


def break_at(n: int, plain) -> None:
    calls = iter(range(1, n + 1))

    def pwrite(self, data, offset):
        if next(calls) == n:
            raise MemoryError("broken")
        plain(self, data, offset)

    collect.Courier.pwrite = pwrite


def pieces(folder: Path) -> None:
    """Blocks larger than a piece: the same bytes, whatever the size of pieces; empty ranks too."""
    state, found = make_state(WORLD, natoms=2000, empty=(0, 2)), []
    for name, size in (("plain", None), ("large", 64 << 20), ("odd", 1001), ("tiny", 64)):
        collect.PIECE = size or collect.PIECE
        chosen = options(transport="collect" if size else "pwrite", block_atoms=700)
        with CheckpointStore(WORLD, folder / name, chosen) as store:
            store.write(state)
        found.append(behind_heads(folder / name / step_name(1000)))
        WORLD.Barrier()
    assert all(data == found[0] for data in found) and len(found[0]) == 1
    if WORLD.rank == 0:
        print("pieces", len(found))


def memory(folder: Path) -> None:
    """The aggregator holds two pieces, not its members' atoms."""
    natoms = 0 if WORLD.rank == 0 else 1 << 20
    total, block = (WORLD.size - 1) * (1 << 20), 1 << 19
    small = make_state(WORLD, step=1)
    with CheckpointStore(WORLD, folder, options(transport="collect", block_atoms=block)) as store:
        store.write(small)
        state = changed(
            make_state(WORLD, step=2, natoms=0),
            id=np.arange(natoms, dtype=np.int64) + WORLD.rank * natoms,
            x=np.full((natoms, 3), 3.0), v=np.ones((natoms, 3)),
            type=np.zeros(natoms, np.int32), image=np.zeros((natoms, 3), np.int32),
        )  # fmt: skip
        state.natoms = total
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        outcome = store.write(state)
        grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert outcome.metrics["bytes"] > 72 * total
    piece = 24 * block
    if WORLD.rank == 0:
        assert grown < 2 * piece + (16 << 20), (grown, piece)
        print("grown by", grown, "of", outcome.metrics["bytes"])


PROGRAMS = {f.__name__: f for f in (probe, demotion, failures, pieces, memory)}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](Path(sys.argv[2]))
