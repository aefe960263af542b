"""Programs that test_store.py starts on several ranks; prints what must be true of all of them."""

import mdapp  # noqa: F401  isort: skip

import errno
import sys
import zlib
from itertools import product
from pathlib import Path

import h5py
import numpy as np
from mpi4py import MPI

from mdapp.storage.errors import CheckpointError
from mdapp.storage.files import REAL
from mdapp.storage.manifest import Manifest, decode
from mdapp.storage.names import MANIFEST, step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.reading import read_table, share_of
from mdapp.storage.store import CheckpointStore
from tests.faults.faulty import Fault, FaultyFileSystem
from tests.restart.stored import make_state, nobody_but_first, owner_of, same_atoms

WORLD = MPI.COMM_WORLD
COUNTS = (1, 2, 3, 4, 8)


def part_of(ranks: int) -> MPI.Comm | None:
    """The first `ranks` ranks; None on the others."""
    part = WORLD.Split(0 if WORLD.rank < ranks else MPI.UNDEFINED, WORLD.rank)
    return None if part == MPI.COMM_NULL else part


def layouts() -> dict[str, dict]:
    found = {
        "sharded": {},
        "aggregated-3": {"layout": "aggregated", "group": 3},
        "aggregated-node": {"layout": "aggregated"},
        "shared-pwrite": {"layout": "shared", "engine": "pwrite"},
        "aggregated-collect": {"layout": "aggregated", "group": 3, "transport": "collect"},
    }
    if h5py.get_config().mpi:
        found["shared-collective"] = {"layout": "shared", "engine": "mpio-collective"}
    return found


def whole(comm: MPI.Comm, state):
    """The atoms of all ranks, on each."""
    parts = comm.allgather(dict(state.fields))
    joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
    return type(state)(**{**vars(state), "fields": joined})


def n_to_m(folder: Path) -> None:
    """R1: N ranks write, one of them empty; M read; every atom once, where it belongs."""
    reference, done = make_state(natoms=1000), 0
    for layout, options in layouts().items():
        for n in COUNTS:
            place = folder / layout / str(n)
            comm = part_of(n)
            if comm is not None:
                chosen = CheckpointOptions(block_atoms=37, **options)
                with CheckpointStore(comm, place, chosen) as store:
                    empty = (1,) if n > 1 else ()
                    store.write(make_state(comm, natoms=1000, empty=empty))
            WORLD.Barrier()
            for m in COUNTS:
                done += read_on(m, place, reference)
    if WORLD.rank == 0:
        print("restarts", done)


def read_on(m: int, place: Path, reference) -> int:
    comm = part_of(m)
    if comm is not None:
        owner = nobody_but_first if m == 3 else owner_of(m)
        with CheckpointStore(comm, place) as store:
            state = store.restore(None, owner)
        assert same_atoms(whole(comm, state), reference), (place, m)
        assert state.mass.tolist() == [1.0, 2.5, 0.1] and state.deck == {"run": {"steps": 5}}
        if m == 3:
            assert len(state.fields["id"]) == (1000 if comm.rank == 0 else 0)
    WORLD.Barrier()
    return 1


def engines(folder: Path) -> None:
    """Each layout and engine, one rank empty: the same checksums, files that plain h5py reads.

    Files of one layout are the same bytes after the head, which tells the uuid.
    """
    state = make_state(WORLD, natoms=5000, empty=(2,))
    choices = [("sharded", "pwrite"), ("sharded", "h5py"), ("aggregated", "pwrite"),
               ("aggregated", "h5py"), ("shared", "pwrite"),
               ("aggregated", "collect"), ("shared", "collect")]  # fmt: skip
    if h5py.get_config().mpi:
        choices += [("shared", "mpio-independent"), ("shared", "mpio-collective")]
    found, written = {}, {}
    for layout, engine in choices:
        place = folder / f"{layout}-{engine}"
        how = {"transport" if engine == "collect" else "engine": engine}
        options = CheckpointOptions(layout=layout, block_atoms=200, group=2, **how)
        with CheckpointStore(WORLD, place, options) as store:
            assert store.write(state).result == "committed"
            assert store.restore(None, owner_of(WORLD.size)).natoms == 5000
        if WORLD.rank == 0:
            found[layout, engine] = checksums(place / step_name(state.step))
            data = behind_heads(place / step_name(state.step))
            assert written.setdefault(layout, data) == data, (layout, engine)
            assert manifest_of(place / step_name(state.step)).engine == engine
        WORLD.Barrier()
    if WORLD.rank == 0:
        first, *others = found.values()
        assert all(other == first for other in others)
        print("engines", len(found), "blocks", len(first))


def manifest_of(path: Path) -> Manifest:
    return decode((path / MANIFEST).read_bytes())


def behind_heads(path: Path) -> list[bytes]:
    """What is in all files, without the heads."""
    return [(path / e.path).read_bytes()[e.head_len :] for e in manifest_of(path).files]


def checksums(path: Path) -> list[tuple]:
    """(writer, count, checksums) of all blocks; and what h5py reads is what the tables say."""
    manifest = manifest_of(path)
    rows = []
    for part in share_of(manifest, 0, 1).parts:
        with REAL.open(path / part.entry.path) as file:
            table, damages = read_table(file, manifest, part)
        assert not damages
        rows += [(int(r["writer"]), int(r["count"]), r["crc"].tolist()) for r in table]
        with h5py.File(path / part.entry.path) as opened:
            assert opened.attrs["uuid"] == manifest.uuid
            for k, field in enumerate(manifest.fields):
                dataset = opened[f"atoms/{field.name}"]
                start = dataset.id.get_offset()
                for row in table:
                    a = (int(row["offset"][k]) - start) // field.atom_bytes
                    block = dataset[a : a + int(row["count"])]
                    assert zlib.crc32(block.tobytes()) == row["crc"][k]
            stored = opened["blocks"][:]
            mine = stored[stored["writer"] == part.writer.rank]
            assert mine["crc"].tolist() == table["crc"].tolist()
    return sorted(rows)


def one_rank_fails(folder: Path) -> None:
    """E1, H2: a failure of one rank, at any call of it, is an error on all; nobody hangs."""
    choices = [{}, {"layout": "aggregated", "group": 2}, {"layout": "shared", "engine": "pwrite"},
               {"layout": "shared", "transport": "collect"}]
    if h5py.get_config().mpi:
        choices += [
            {"layout": "shared", "engine": e} for e in ("mpio-independent", "mpio-collective")
        ]
    failures = 0
    for number, (options, victim) in enumerate(product(choices, (0, WORLD.size - 1))):
        fs = FaultyFileSystem()
        place = folder / str(number)
        chosen = CheckpointOptions(block_atoms=64, **options)
        with CheckpointStore(WORLD, place, chosen, fs) as store:
            store.write(make_state(WORLD, step=1000))
            newest = 1000
            for step, (kind, n) in enumerate(FAULTS, 2000):
                if WORLD.rank == victim:
                    fs.arm(Fault(kind, n, errno.ENOSPC, onwards=True))
                error = failure_of(store, make_state(WORLD, step=step))
                fs.disarm()
                assert WORLD.allgather(error) == [error] * WORLD.size
                newest, failures = (newest, failures + 1) if error else (step, failures)
                assert store.newest().step == newest
            assert store.restore(None, owner_of(WORLD.size)).step == newest
        if WORLD.rank == 0:
            assert not [p for p in place.iterdir() if p.name.startswith(".tmp-")]
    if WORLD.rank == 0:
        print("failures", failures)


FAULTS = (("open", 1), ("pwrite", 1), ("pwrite", 4), ("fsync", 1), ("close", 1))


def failure_of(store: CheckpointStore, state) -> str:
    try:
        store.write(state)
    except CheckpointError as error:
        return str(error)
    return ""


def rounds(folder: Path) -> None:
    """Redistribution in many small rounds gives what one round gives."""
    from mdapp.storage.redistribute import owners, redistribute
    from mdapp.storage.state import fields_of

    state = make_state(WORLD, natoms=3000, empty=(0,))
    fields = fields_of(state)
    x, n = state.fields["x"], state.nlocal
    by_place = owners(x, state.box, owner_of(WORLD.size), WORLD.size)
    for destination in (by_place, np.full(n, WORLD.size - 1), np.full(n, WORLD.rank),
                        np.random.default_rng(WORLD.rank).integers(0, WORLD.size, n)):  # fmt: skip
        results = []
        for round_bytes, room in product((1 << 30, 4000, 1), (0, 10, 3000)):
            arrays = [np.concatenate([a, a[:1].repeat(room, 0)] if n else [a, f.empty(room)])
                      for f, a in zip(fields, state.fields.values(), strict=True)]  # fmt: skip
            arrays, came = redistribute(WORLD, fields, arrays, destination, round_bytes)
            ids = arrays[0]
            foreign = np.flatnonzero(~np.isin(ids, state.fields["id"]))
            assert foreign.tolist() == ([] if came is None else came.tolist())
            results.append([a[np.argsort(ids)].tobytes() for a in arrays])
        assert results == results[:1] * len(results)
        assert WORLD.allreduce(len(ids)) == 3000
        told = WORLD.allgather((state.fields["id"], destination))
        expected = np.concatenate([i[d == WORLD.rank] for i, d in told])
        assert sorted(expected.tolist()) == sorted(ids.tolist())
    print("rounds agree", flush=True)


def ompio(folder: Path) -> None:
    """Open MPI's own MPI-IO, which a run must ask for."""
    state = make_state(WORLD, natoms=3000, empty=(1,))
    for engine in ("mpio-independent", "mpio-collective"):
        options = CheckpointOptions(layout="shared", engine=engine, allow_ompio=True)
        with CheckpointStore(WORLD, folder / engine, options) as store:
            assert store.write(state).result == "committed"
            assert store.restore(None, owner_of(WORLD.size)).natoms == 3000
    if WORLD.rank == 0:
        print("written through OMPIO")


PROGRAMS = {f.__name__: f for f in (n_to_m, engines, one_rank_fails, rounds, ompio)}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](Path(sys.argv[2]))
