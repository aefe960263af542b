"""Checkpoints on N ranks read by M, by every layout and engine, and with failures of one rank."""

import errno
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.model.atoms import Atoms
from mdapp.model.state_hash import state_hash
from mdapp.storage.disk import Disk
from mdapp.storage.errors import ConflictError, NothingToRestartError
from mdapp.storage.layout import TAMED_OMPIO
from mdapp.storage.manifest import VERSION, decode
from mdapp.storage.names import MANIFEST, step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.faults.faulty import Fault, FaultyFileSystem
from tests.restart.stored import changed, make_state, owner_of, quick_folder, same_atoms

PROGRAMS = str(Path(__file__).with_name("store_ranks.py"))


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path / "run" / "checkpoints"


def test_n_to_m(mpirun, folder: Path) -> None:
    """R1: {1, 2, 3, 4, 8} to {1, 2, 3, 4, 8}, all layouts, empty writers and empty readers."""
    end = mpirun(8, [PROGRAMS, "n_to_m", str(folder)], timeout=280)
    assert end.code == 0, end.stderr
    layouts = 6 if h5py.get_config().mpi else 5
    assert f"restarts {25 * layouts}" in end.stdout


def test_every_engine_writes_the_same(mpirun, folder: Path) -> None:
    end = mpirun(4, [PROGRAMS, "engines", str(folder)], timeout=120)
    assert end.code == 0, end.stderr
    assert f"engines {9 if h5py.get_config().mpi else 7} blocks 26" in end.stdout


def test_one_rank_fails(mpirun, folder: Path) -> None:
    """Rank 0 makes calls of all kinds; the last rank at least opens, syncs and closes its file."""
    end = mpirun(3, [PROGRAMS, "one_rank_fails", str(folder)], timeout=200)
    assert end.code == 0, end.stderr
    failures = int(end.stdout.split("failures")[1])
    assert failures >= 5 * 3 + 5 * 3, end.stdout


def test_allowed_ompio(mpirun, folder: Path) -> None:
    """With its data sieving off and without vulcan, Open MPI's own MPI-IO keeps bytes apart."""
    if not h5py.get_config().mpi or "Open MPI" not in MPI.Get_library_version():
        pytest.skip("needs an h5py that is built with Open MPI")
    env = {"OMPI_MCA_io": "ompio", **TAMED_OMPIO}
    end = mpirun(3, [PROGRAMS, "ompio", str(folder)], timeout=120, env=env)
    assert end.code == 0, end.stderr
    assert "written through OMPIO" in end.stdout


def test_files_follow_the_stripe(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large datasets begin at a multiple of it, and the manifest says so."""
    disk = Disk("lustre", 4 << 20)
    monkeypatch.setattr("mdapp.storage.store.disk_of", lambda fs, folder: disk)
    state = make_state(natoms=20000)
    with open_store(folder) as store:
        store.write(state)
        path = folder / step_name(state.step)
        assert same_atoms(store.restore(None, owner_of(1)), state)
    manifest = decode((path / MANIFEST).read_bytes())
    stored = {"type": "lustre", "stripe": 4 << 20, "alignment": 4 << 20, "level": "parallel"}
    assert manifest.plain["storage"] == stored
    with h5py.File(path / manifest.files[0].path) as opened:
        offsets = [d.id.get_offset() for d in opened["atoms"].values()]
    assert all(offset % (4 << 20) == 0 for offset in offsets)


def test_rounds(mpirun, folder: Path) -> None:
    end = mpirun(4, [PROGRAMS, "rounds", str(folder)], timeout=120)
    assert end.code == 0, end.stderr
    assert end.stdout.count("rounds agree") == 4


@pytest.mark.skipif(h5py.get_config().mpi, reason="this h5py can write in parallel")
def test_no_parallel_h5py(folder: Path) -> None:
    with pytest.raises(InputError, match=r"h5py that is built with MPI.*pwrite"):
        CheckpointStore(MPI.COMM_SELF, folder, CheckpointOptions(layout="shared"))


# --- one rank ------------------------------------------------------------------------------------


def open_store(folder: Path, **options) -> CheckpointStore:
    return CheckpointStore(MPI.COMM_SELF, folder, CheckpointOptions(block_atoms=64, **options))


def test_the_hash_is_that_of_the_run(folder: Path) -> None:
    """The manifest's state hash is the one that a run reports."""
    state = make_state()
    atoms = Atoms(mass=state.mass, nlocal=300, **state.fields)
    with open_store(folder) as store:
        assert store.write(state).state_hash == state_hash(atoms, MPI.COMM_SELF)


def test_further_fields_travel_and_count(folder: Path) -> None:
    """A field of three bytes an atom: stored, returned, and part of the hash."""
    spin = np.arange(900, dtype=np.int8).reshape(300, 3)
    state = changed(make_state(), spin=spin)
    state.declared = {"spin": ("1", "spin")}
    plain, other = make_state(step=2000), changed(make_state(), spin=spin + np.int8(1))
    with open_store(folder) as store:
        hashes = {store.write(state).state_hash}
        restored = store.restore(None, owner_of(1))
        assert same_atoms(restored, state) and restored.declared == {"spin": ("1", "spin")}
        with pytest.raises(ConflictError):
            store.write(other)
        hashes.add(store.write(plain).state_hash)
    assert len(hashes) == 2


def test_no_atoms_at_all(folder: Path) -> None:
    with open_store(folder) as store:
        store.write(make_state(natoms=0))
        assert store.restore(None, owner_of(1)).natoms == 0


@pytest.mark.parametrize("natoms", [1, 63, 64, 65, 128])
def test_blocks_of_every_size(folder: Path, natoms: int) -> None:
    state = make_state(natoms=natoms)
    with open_store(folder) as store:
        store.write(state)
        assert same_atoms(store.restore(None, owner_of(1)), state)


def test_the_same_step_twice(folder: Path) -> None:
    """W2: the same state again is a success without a write; another one is refused."""
    with open_store(folder) as store:
        first = store.write(make_state())
        assert store.write(make_state()).result == "present"
        with pytest.raises(ConflictError, match=first.uuid):
            store.write(make_state(seed=8))
        assert store.write(make_state(step=1001)).result == "committed"


def test_a_damaged_one_makes_room(folder: Path) -> None:
    with open_store(folder) as store:
        store.write(make_state())
        (folder / step_name(1000) / MANIFEST).unlink()
        assert store.write(make_state()).result == "committed"
    assert len([p for p in folder.iterdir() if p.name.startswith(".bad-")]) == 1


def test_an_empty_folder_of_that_name(folder: Path) -> None:
    """A rename onto an empty directory would succeed; here it is set aside first."""
    with open_store(folder) as store:
        (folder / step_name(1000)).mkdir()
        assert store.write(make_state()).result == "committed"
        assert store.restore(None, owner_of(1)).step == 1000


def test_a_name_taken_at_the_last_moment(folder: Path) -> None:
    """Between the check and the rename somebody makes the directory: a conflict, not success."""

    class Racing(FaultyFileSystem):
        def rename(self, old: Path, new: Path) -> None:
            if new.name.startswith("step-"):
                new.mkdir()
                (new / "x").touch()
            super().rename(old, new)

    with (
        CheckpointStore(MPI.COMM_SELF, folder, fs=Racing()) as store,
        pytest.raises(ConflictError, match="exists already"),
    ):
        store.write(make_state())
    assert not [p for p in folder.iterdir() if p.name.startswith(".tmp-")]


def test_retention_and_lineage(folder: Path) -> None:
    """R2: rotation goes on; multiples stay; parents are named; LATEST follows."""
    uuids = []
    with open_store(folder, keep_last=2, keep_every=400) as store:
        for step in range(100, 1100, 100):
            uuids.append(store.write(make_state(step=step)).uuid)
        assert [c.step for c in store.committed()] == [1000, 900, 800, 400]
    manifest = decode((folder / step_name(1000) / MANIFEST).read_bytes())
    assert (manifest.parent_uuid, manifest.uuid) == (uuids[-2], uuids[-1])
    assert (folder / "LATEST").read_text().strip() == step_name(1000)


def test_the_last_verified_one_stays(folder: Path) -> None:
    with open_store(folder, keep_last=2) as store:
        store.write(make_state(step=100))
        store.restore(None, owner_of(1))
        for step in (200, 300, 400):
            store.write(make_state(step=step))
        assert [c.step for c in store.committed()] == [400, 300, 100]


def test_an_older_branch(folder: Path) -> None:
    """B1: refused without a word for it; afterwards the abandoned branch is never chosen."""
    with open_store(folder) as store:
        for step in (100, 200, 300):
            store.write(make_state(step=step))
    older = folder / step_name(100)
    with open_store(folder) as store:
        with pytest.raises(ConflictError, match="discard-newer"):
            store.restore(older, owner_of(1))
        assert store.restore(older, owner_of(1), discard_newer=True).step == 100
        assert [c.step for c in store.committed()] == [100]
        store.write(make_state(step=150))
    with open_store(folder) as store:
        assert store.restore(None, owner_of(1)).step == 150
    assert len([p for p in folder.iterdir() if p.name.startswith(".old-")]) == 2


def test_from_another_folder(folder: Path) -> None:
    """A restart elsewhere reads an older one freely, and changes nothing there."""
    with open_store(folder) as store:
        for step in (100, 200):
            store.write(make_state(step=step))
    before = sorted(p.name for p in folder.iterdir())
    with open_store(folder.parent / "other") as store:
        assert store.restore(folder / step_name(100), owner_of(1)).step == 100
        assert store.restore(folder, owner_of(1)).step == 200
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_moved_folder(folder: Path) -> None:
    """T1."""
    with open_store(folder) as store:
        store.write(make_state())
    moved = folder.with_name("moved")
    folder.rename(moved)
    with open_store(moved) as store:
        assert same_atoms(store.restore(None, owner_of(1)), make_state())


def test_nothing_to_restart_from(folder: Path) -> None:
    """W2: none at all; the message lists what there is."""
    with open_store(folder) as store:
        assert store.newest() is None
        with pytest.raises(NothingToRestartError, match="LOCK") as caught:
            store.restore(None, owner_of(1))
        assert caught.value.exit_code == 7
        with pytest.raises(NothingToRestartError, match="no such folder"):
            store.restore(folder / "nowhere", owner_of(1))


def test_a_reader_may_refuse(folder: Path) -> None:
    """`accept` sees all but the atoms, and its refusal is no damage."""

    def refuse(header) -> None:
        assert header.natoms == 300 and header.potential == {"style": "lj/cut"}
        raise InputError("potential: another one")

    with open_store(folder) as store:
        store.write(make_state())
        with pytest.raises(InputError, match="another one"):
            store.restore(None, owner_of(1), accept=refuse)
        assert store.newest().step == 1000


def test_the_memory_limit(folder: Path) -> None:
    with open_store(folder, max_restart_memory=1000) as store:
        store.write(make_state())
        with pytest.raises(InputError, match="max_restart_memory"):
            store.restore(None, owner_of(1))


def test_wrong_states_are_refused(folder: Path) -> None:
    state = make_state()
    wrong = {
        "of type": changed(state, spin=np.zeros(300, complex)),
        "it must be <f8": changed(state, x=state.fields["x"].astype(np.float32)),
        "not contiguous": changed(state, v=np.asfortranarray(state.fields["v"])),
        "masses": changed(state, type=state.fields["type"] + np.int32(7)),
    }
    with open_store(folder) as store:
        for message, bad in wrong.items():
            with pytest.raises(InputError, match=message):
                store.write(bad)
        state.natoms = 301
        with pytest.raises(InputError, match="own 300 atoms, the system has 301"):
            store.write(state)
    assert [p.name for p in folder.iterdir()] == ["LOCK"]


def test_every_file_is_synced_on_its_first_descriptor(folder: Path) -> None:
    """F1: opened before its first byte, synced after its last, before the name is published."""

    class Recording(FaultyFileSystem):
        def __init__(self) -> None:
            super().__init__()
            self.events: list[tuple[str, object]] = []

        def _do(self, kind, function, args, kwargs):
            result = super()._do(kind, function, args, kwargs)
            what = (result, str(args[0])) if kind == "open" else args[0]
            self.events.append((kind, what))
            return result

    fs = Recording()
    with CheckpointStore(MPI.COMM_SELF, folder, fs=fs) as store:
        fs.events.clear()
        store.write(make_state())
    kinds = [k for k, _ in fs.events]
    published = [k for k, (kind, _) in enumerate(fs.events) if kind == "rename"][1]
    shard = next(w for k, w in fs.events if k == "open" and str(w[1]).endswith(".h5"))
    opened = fs.events.index(("open", shard))
    closed = fs.events.index(("close", shard[0]), opened)
    inside = [k for k, (kind, what) in enumerate(fs.events) if what == shard[0]]
    inside = [kinds[k] for k in inside if opened < k < closed]
    assert inside == ["ftruncate", *["pwrite"] * (len(inside) - 2), "fsync"]
    assert inside.count("pwrite") == 1 + 5 + 1 and closed < published
    assert kinds[published + 1 : published + 4] == ["open", "fsync", "close"]


def test_written_bytes_are_those_in_memory(folder: Path) -> None:
    """Plain h5py sees the arrays, and the checksum of a block is that of the array's bytes."""
    state = make_state()
    with open_store(folder) as store:
        store.write(state)
    with h5py.File(folder / step_name(1000) / "s000" / "shard-00000.h5") as file:
        for name, array in state.fields.items():
            assert file[f"atoms/{name}"][:].tobytes() == array.tobytes()
        row = file["blocks"][1]
    assert row["crc"][1] == zlib.crc32(state.fields["x"][64:128].tobytes())
    assert row["bbox_lo"].tolist() == state.fields["x"][64:128].min(axis=0).tolist()
    assert (row["id_min"], row["id_max"]) == (
        state.fields["id"][64:128].min(), state.fields["id"][64:128].max(),
    )  # fmt: skip


def test_failures_are_counted(folder: Path) -> None:
    fs = FaultyFileSystem()
    with CheckpointStore(MPI.COMM_SELF, folder, fs=fs) as store:
        for k in (1, 2):
            fs.arm(Fault("mkdir", 1, errno.EIO))
            with pytest.raises(Exception, match=os.strerror(errno.EIO)):
                store.write(make_state())
            assert store.failures == k
        fs.disarm()
        store.write(make_state())
        assert store.failures == 0


GOLDEN = sorted(Path(__file__).with_name("golden").glob("*/step-*"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.parent.name)
def test_golden_checkpoints_are_read(folder: Path, path: Path) -> None:
    """V1: one checkpoint of each format version that was ever released, written by 3 ranks."""
    with open_store(folder) as store:
        found = store.restart(path, owner_of(1))
    assert found.manifest.state_hash == "aa29d6437821bf68f2f66baec9fa85e9"
    assert sorted(found.state.fields["id"]) == list(range(1, 61))
    assert found.state.mass.tolist() == [1.0, 2.5, 0.1] and found.state.time == 5.0


def test_there_is_a_golden_checkpoint_of_this_version() -> None:
    assert "{}.{}".format(*VERSION) in [path.parent.name for path in GOLDEN]
