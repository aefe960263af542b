"""Nothing lost: each system call of a commit fails, dies, or lies; bits flip; files go missing.

After every fault the same oracle: the older checkpoint is untouched, whatever carries a committed
name is whole, and a restart gives the new state if the commit was reported and the old one if not.
"""

import errno
import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.storage.envelope import seal, unseal
from mdapp.storage.errors import (
    CheckpointError,
    DamagedError,
    FormatVersionError,
    LockedError,
    NonFiniteStateError,
    StorageAccessError,
)
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.manifest import decode
from mdapp.storage.names import MANIFEST, step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.reading import read_table, share_of
from mdapp.storage.restore import Restart
from mdapp.storage.retention import list_committed
from mdapp.storage.store import CheckpointStore
from tests.faults.faulty import Dead, Fault, FaultyFileSystem
from tests.restart.stored import changed, make_state, owner_of, quick_folder, same_atoms

OPTIONS = CheckpointOptions(block_atoms=64)
OLD, NEW = make_state(step=1000), make_state(step=2000)


@pytest.fixture
def folder() -> Iterator[Path]:
    with quick_folder() as path:
        yield path / "run" / "checkpoints"


def open_store(folder: Path, fs: FileSystem = REAL, **options) -> CheckpointStore:
    chosen = CheckpointOptions(**{"block_atoms": 64, **options})
    return CheckpointStore(MPI.COMM_SELF, folder, chosen, fs)


def write(folder: Path, *states, **options) -> None:
    with open_store(folder, **options) as store:
        for state in states:
            assert store.write(state).result == "committed"


def restored_step(folder: Path) -> int:
    """Restart with healthy storage; the state must be one that was written, bit by bit."""
    with open_store(folder) as store:
        state = store.restore(None, owner_of(1))
    assert same_atoms(state, OLD if state.step == 1000 else NEW)
    return state.step


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def commit_calls(folder: Path) -> list[str]:
    """Kinds of the system calls of one commit, in order."""
    fs = FaultyFileSystem()
    write(folder, OLD)
    with open_store(folder, fs) as store:
        fs.arm()
        store.write(NEW)
        return list(fs.calls)


def every_call(folder: Path) -> list[tuple[str, int]]:
    seen: Counter[str] = Counter()
    found = []
    for kind in commit_calls(folder):
        seen[kind] += 1
        found.append((kind, seen[kind]))
    return found


def commit_under(folder: Path, *faults: Fault) -> tuple[str, FaultyFileSystem]:
    """Write OLD in health and NEW under faults; what became of it, or the error's name."""
    shutil.rmtree(folder, ignore_errors=True)
    write(folder, OLD)
    fs = FaultyFileSystem()
    store = open_store(folder, fs)
    fs.arm(*faults)
    try:
        return store.write(NEW).result, fs
    except CheckpointError as error:
        assert "step-000000001000" in str(error), error
        return type(error).__name__, fs
    except Dead:
        return "dead", fs
    finally:
        fs.disarm()
        if fs._dead:
            fs.bury()
        else:
            store.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC], ids=errno.errorcode.get)
def test_every_call_of_a_commit_fails(folder: Path, number: int) -> None:
    """E1, E2, I1: nothing published or all of it; the older one intact; no litter; life goes on."""
    ends: Counter[str] = Counter()
    for kind, n in every_call(folder):
        fault = Fault(kind, n, number)
        end, fs = commit_under(folder, fault)
        assert fs.struck, fault
        ends[end] += 1
        committed = end in ("committed", "undurable")
        assert restored_step(folder) == (2000 if committed else 1000), fault
        if end in ("committed", "StorageAccessError", "DurabilityError"):
            assert not [p for p in names(folder) if p.startswith(".tmp-")], fault
        if not committed:
            write(folder, NEW)
    assert ends["StorageAccessError"] > 15 and ends["committed"] > 3 and ends["undurable"] == 3


def test_a_disk_that_stays_full(folder: Path) -> None:
    """E1, E3: from the n-th write on there is no space; when there is again, it works."""
    writes = [n for kind, n in every_call(folder) if kind == "pwrite"]
    for n in writes[:-1]:
        for number in (errno.ENOSPC, errno.EDQUOT):
            end, _ = commit_under(folder, Fault("pwrite", n, number, onwards=True))
            assert end == "StorageAccessError"
            assert restored_step(folder) == 1000
    write(folder, NEW)
    assert restored_step(folder) == 2000


def test_killed_at_every_call_of_a_commit(folder: Path) -> None:
    """K1: the restart finds the last committed one, and clears the litter away."""
    steps = []
    calls = every_call(folder)
    for n in range(1, len(calls) + 1):
        end, _ = commit_under(folder, Fault("*", n, "die"))
        assert end == "dead", n
        steps.append(restored_step(folder))
        assert not [p for p in names(folder) if p.startswith((".tmp-", ".trash-"))], n
    renamed = [k for k, (kind, _) in enumerate(calls) if kind == "rename"][1]
    assert steps == [1000] * (renamed + 1) + [2000] * (len(calls) - renamed - 1)


def test_killed_while_old_ones_are_removed(folder: Path) -> None:
    """R2: a removal that is cut off never leaves fewer than two, nor a half one as if whole."""
    states = [make_state(step=s) for s in (1000, 1500, 1700)]
    fs = FaultyFileSystem()
    write(folder, *states, keep_last=2)
    with open_store(folder, fs, keep_last=2) as store:
        fs.arm()
        store.write(NEW)
        calls = len(fs.calls)
    for n in range(calls - 14, calls + 1):
        shutil.rmtree(folder)
        write(folder, *states, keep_last=2)
        fs = FaultyFileSystem()
        store = open_store(folder, fs, keep_last=2)
        fs.arm(Fault("*", n, "die"))
        with pytest.raises(Dead):
            store.write(NEW)
        fs.bury()
        assert len(list_committed(folder, REAL)) >= 2
        with open_store(folder) as after:
            assert after.restore(None, owner_of(1)).step in (1700, 2000)


def test_a_removal_that_fails_is_a_warning(folder: Path) -> None:
    write(folder, make_state(step=10), make_state(step=20))
    fs = FaultyFileSystem()
    with open_store(folder, fs, keep_last=2) as store:
        fs.arm(Fault("unlink", 1, errno.EIO, onwards=True))
        outcome = store.write(NEW)
    assert outcome.result == "committed" and "not removed" in outcome.warnings[0]
    assert [c.step for c in list_committed(folder, REAL)] == [2000, 20]
    write(folder, make_state(step=3000))
    assert not [p for p in names(folder) if p.startswith(".trash-")]


def test_an_fsync_that_fails_is_never_repeated(folder: Path) -> None:
    """I1: the file is given up, and the state written once more into a new directory."""
    calls = every_call(folder)
    syncs = [n for kind, n in calls if kind == "fsync"]
    data = 2  # after the folder's, before the manifest's
    end, fs = commit_under(folder, Fault("fsync", data, errno.EIO))
    assert end == "committed"
    drafts = {path.name for path in fs.made if path.name.startswith(".tmp-")}
    assert len(drafts) == 2 and len(fs.made) == 4
    end, fs = commit_under(folder, Fault("fsync", data, errno.EIO, onwards=True))
    assert end in ("DurabilityError", "StorageAccessError")
    assert fs.calls.count("fsync") < 2 * len(syncs)
    assert restored_step(folder) == 1000


def test_short_writes_and_reads_are_continued(folder: Path) -> None:
    """I2."""
    for kind, n in every_call(folder):
        if kind == "pwrite":
            end, _ = commit_under(folder, Fault("pwrite", n, "short"))
            assert end == "committed"
            assert restored_step(folder) == 2000
    fs = FaultyFileSystem()
    with open_store(folder, fs) as store:
        fs.arm(Fault("pread", 1, "short"), Fault("pread", 3, "short"), Fault("pread", 7, "short"))
        assert store.restore(None, owner_of(1)).step == 2000


def test_lost_writes_are_found(folder: Path) -> None:
    """L1: the system says that it wrote, and did not."""
    steps = []
    writes = [n for kind, n in every_call(folder) if kind == "pwrite"]
    for n in writes:
        end, _ = commit_under(folder, Fault("pwrite", n, "lose"))
        assert end == "committed"
        steps.append(restored_step(folder))
        set_aside = [p for p in names(folder) if p.startswith(".bad-")]
        assert len(set_aside) == (steps[-1] == 1000)
    assert steps == [1000] * (len(writes) - 1) + [2000]  # the last one is LATEST


def test_lost_writes_are_found_before_publication(folder: Path) -> None:
    """L1 with verify_after_write: the lost write is noticed, and the state written again."""
    shutil.rmtree(folder, ignore_errors=True)
    fs = FaultyFileSystem()
    with open_store(folder, fs, verify_after_write=True) as store:
        for n in range(2, 20):
            fs.arm(Fault("pwrite", n, "lose"))
            outcome = store.write(make_state(step=1000 * n))
            assert outcome.result == "committed" and outcome.metrics["retries"] == 1
            assert "not what was written" in outcome.warnings[0]


# --- damage ---------------------------------------------------------------------------------------


def restart(path: Path, fs: FileSystem = REAL, **options):
    """Read one checkpoint without setting anything aside."""
    chosen = CheckpointOptions(**options)
    return Restart(MPI.COMM_SELF, fs, chosen, lambda path, uuid: "").run(path, owner_of(1))


def extents(path: Path) -> dict[str, list[tuple[Path, int, int]]]:
    """Every byte that a restart relies on: {part: [(file, offset, length), ...]}."""
    manifest = decode((path / MANIFEST).read_bytes())
    found = {"manifest": [(path / MANIFEST, 0, (path / MANIFEST).stat().st_size)]}
    for entry in manifest.files:
        found.setdefault("head", []).append((path / entry.path, 0, entry.head_len))
    for part in share_of(manifest, 0, 1).parts:
        with REAL.open(path / part.entry.path) as file:
            table, _ = read_table(file, manifest, part)
        place = (path / part.entry.path, part.writer.table_offset, table.nbytes)
        found.setdefault("table", []).append(place)
        for row in table:
            for k, item in enumerate(manifest.fields):
                offset, length = int(row["offset"][k]), int(row["count"]) * item.atom_bytes
                found.setdefault(item.name, []).append((path / part.entry.path, offset, length))
    return found


PARTS = ("manifest", "head", "table", "id", "x", "v", "type", "image")


def flip_and_read(path: Path, seeds: range) -> list[str]:
    """Flip one bit after the other, and back; the parts in which one went unnoticed."""
    places = extents(path)
    assert set(places) == set(PARTS)
    missed = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        part = PARTS[seed % len(PARTS)]
        file, offset, length = places[part][rng.integers(len(places[part]))]
        at, bit = offset + int(rng.integers(length)), int(rng.integers(8))
        flip(file, at, bit)
        try:
            restart(path)
            missed.append(f"{part} seed {seed}")
        except DamagedError as error:
            assert file.name in str(error), error
        flip(file, at, bit)
    restart(path)
    return missed


def flip(file: Path, at: int, bit: int) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        byte = opened.read(1)[0]
        opened.seek(at)
        opened.write(bytes([byte ^ 1 << bit]))


def test_each_flipped_bit_is_found(folder: Path) -> None:
    """C2, thinned."""
    write(folder, OLD)
    assert flip_and_read(folder / step_name(1000), range(240)) == []


@pytest.mark.slow
def test_each_of_many_flipped_bits_is_found(folder: Path) -> None:
    """C2: more than a thousand seeds."""
    write(folder, OLD)
    assert flip_and_read(folder / step_name(1000), range(1000, 3000)) == []


def test_every_bit_of_a_manifest_matters(folder: Path) -> None:
    write(folder, OLD)
    data = (folder / step_name(1000) / MANIFEST).read_bytes()
    decode(data)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises(DamagedError):
            decode(bytes(damaged))


@pytest.mark.parametrize("part", PARTS)
def test_damage_leads_to_the_older_one(folder: Path, part: str) -> None:
    """C2: set aside, named, and the restart has the older state."""
    write(folder, OLD, NEW)
    file, offset, length = extents(folder / step_name(2000))[part][0]
    flip(file, offset + length // 2, 3)
    told: list[str] = []
    with CheckpointStore(MPI.COMM_SELF, folder, OPTIONS, log=told.append) as store:
        restored = store.restart(None, owner_of(1))
        assert restored.state.step == 1000 and same_atoms(restored.state, OLD)
        assert list(restored.fallbacks) == [step_name(2000)]
    assert file.name in told[-1]
    if part in ("id", "x", "v", "type", "image"):
        assert f"block 0, field {part}" in told[-1]
    assert [p[:18] for p in names(folder) if p.startswith(".bad-")] == [".bad-000000002000-"]


def test_truncation_at_every_sixteenth(folder: Path) -> None:
    """C1."""
    write(folder, OLD)
    path = folder / step_name(1000)
    for file in (path / "s000" / "shard-00000.h5", path / MANIFEST):
        data = file.read_bytes()
        for k in range(16):
            file.write_bytes(data[: len(data) * k // 16])
            with pytest.raises(DamagedError, match=file.name):
                restart(path)
        file.write_bytes(data + b"\0")
        with pytest.raises(DamagedError, match=file.name):
            restart(path)
        file.write_bytes(data)
    restart(path)


def test_a_missing_shard_and_a_surplus_one(folder: Path) -> None:
    """C4."""
    write(folder, OLD)
    path = folder / step_name(1000)
    shutil.copy(path / "s000" / "shard-00000.h5", path / "s000" / "shard-00001.h5")
    restart(path)
    (path / "s000" / "shard-00000.h5").unlink()
    with pytest.raises(DamagedError, match=r"shard-00000\.h5: missing"):
        restart(path)


def test_shards_of_another_step_and_run(folder: Path) -> None:
    """C3: a file of the right size, whole in itself, that belongs elsewhere."""
    write(folder, OLD, NEW)
    other = folder.parent / "other"
    write(other, NEW)
    shard = Path("s000", "shard-00000.h5")
    path = folder / step_name(2000)
    good = (path / shard).read_bytes()
    for source in (folder / step_name(1000) / shard, other / step_name(2000) / shard):
        shutil.copy(source, path / shard)
        with pytest.raises(DamagedError, match="metadata"):
            restart(path)
    (path / shard).write_bytes(good)
    restart(path)


def test_swapped_blocks(folder: Path) -> None:
    """C3: two blocks of a field change places."""
    write(folder, OLD)
    path = folder / step_name(1000)
    (file, a, n), (_, b, m), *_ = extents(path)["v"]
    assert n == m
    data = bytearray(file.read_bytes())
    data[a : a + n], data[b : b + n] = data[b : b + n], data[a : a + n]
    file.write_bytes(data)
    with pytest.raises(DamagedError, match="block 0, field v"):
        restart(path)


def edit(path: Path, change) -> None:
    """Change the body of a manifest and seal it again."""
    body = unseal((path / MANIFEST).read_bytes(), "")
    change(body)
    (path / MANIFEST).write_bytes(seal(body))


def test_a_newer_version_stops_the_restart(folder: Path) -> None:
    """C4: it is no damage; nothing is set aside, nothing older taken."""
    write(folder, OLD, NEW)
    edit(folder / step_name(2000), lambda body: body.update(version=[2, 0]))
    with (
        open_store(folder) as store,
        pytest.raises(FormatVersionError, match=r"version 2\.0") as caught,
    ):
        store.restore(None, owner_of(1))
    assert caught.value.exit_code == 6
    assert step_name(2000) in names(folder)


def test_an_unknown_algorithm_stops_the_restart(folder: Path) -> None:
    write(folder, OLD)
    edit(folder / step_name(1000), lambda body: body["checksum"].update(block="xxh3_64"))
    with pytest.raises(FormatVersionError, match="xxh3_64"):
        restart(folder / step_name(1000))


def test_a_newer_minor_version_is_read(folder: Path) -> None:
    write(folder, OLD)
    edit(folder / step_name(1000), lambda body: body.update(version=[1, 7], novelty={"a": 1}))
    assert restart(folder / step_name(1000)).state.step == 1000


def test_wrong_types_in_a_manifest(folder: Path) -> None:
    """C4: another byte order, or another type, is refused by name."""
    write(folder, OLD)
    path = folder / step_name(1000)
    good = (path / MANIFEST).read_bytes()
    for dtype in (">f8", "<f4", "float64"):
        edit(path, lambda body, dtype=dtype: body["fields"][1].update(dtype=dtype))
        with pytest.raises(DamagedError, match="fields"):
            restart(path)
        (path / MANIFEST).write_bytes(good)


def test_all_damaged(folder: Path) -> None:
    write(folder, OLD, NEW)
    for step in (1000, 2000):
        (folder / step_name(step) / MANIFEST).unlink()
    with open_store(folder) as store, pytest.raises(DamagedError, match="no valid") as caught:
        store.restore(None, owner_of(1))
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ESTALE], ids=errno.errorcode.get)
def test_a_storage_that_fails_is_no_damage(folder: Path, number: int) -> None:
    """Q1, N1: each read or open fails for good; the restart stops, nothing is set aside."""
    write(folder, OLD, NEW)
    before = names(folder)
    fs = FaultyFileSystem()
    fs.arm()
    restart(folder, fs)
    counts = Counter(fs.calls)
    for kind in ("open", "pread"):
        for n in range(1, counts[kind] + 1):
            fs = FaultyFileSystem()
            with open_store(folder, fs) as store:
                fs.arm(Fault(kind, n, number, onwards=True))
                with pytest.raises(StorageAccessError) as caught:
                    store.restore(None, owner_of(1))
                fs.disarm()
            assert caught.value.exit_code == 4
            assert [p for p in names(folder) if not p.startswith(".verified")] == before, (kind, n)


def test_a_moment_of_staleness_is_waited_for(folder: Path) -> None:
    """N1: another node sees the file a little later."""
    write(folder, OLD)
    fs = FaultyFileSystem()
    fs.arm(Fault("open", 2, errno.ENOENT), Fault("open", 3, errno.ESTALE))
    assert restart(folder / step_name(1000), fs).state.step == 1000
    assert fs.slept > 0


# --- states, locks, real limits -------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_broken_state_is_refused_and_dumped_once(folder: Path, bad: float) -> None:
    """Y1."""
    write(folder, OLD)
    v = NEW.fields["v"].copy()
    v[17, 1] = bad
    with open_store(folder) as store:
        for step in (2000, 3000):
            broken = changed(make_state(step=step), v=v)
            with pytest.raises(NonFiniteStateError, match=f"step {step}: v of some atom"):
                store.write(broken)
    dumps = [p for p in names(folder) if p.startswith("crash-")]
    assert len(dumps) == 1 and dumps[0].startswith("crash-000000002000-")
    dumped = restart_dump(folder / dumps[0])
    assert not np.isfinite(dumped.fields["v"]).all()
    assert restored_step(folder) == 1000


def restart_dump(path: Path):
    return Restart(MPI.COMM_SELF, REAL, CheckpointOptions(), lambda p, u: "").run(
        path, lambda x: np.zeros(len(x), np.int64)
    ).state


def test_two_jobs_in_one_folder(folder: Path) -> None:
    """W1: the second ends with exit code 5, the first is unharmed."""
    with open_store(folder) as first:
        first.write(OLD)
        before = names(folder)
        with pytest.raises(LockedError, match=f"process {os.getpid()}") as caught:
            open_store(folder)
        assert caught.value.exit_code == 5 and names(folder) == before
        first.write(NEW)
    assert restored_step(folder) == 2000


def test_a_lock_that_was_stolen_stops_the_writer(folder: Path) -> None:
    """W1: before anything is written, and again before the name is published."""
    write(folder, OLD)
    for late in (False, True):

        class Thief(FaultyFileSystem):
            def exists(self, path: Path, late: bool = late) -> bool:
                if late and "mkdir" in self.calls and (folder / "LOCK").exists():
                    (folder / "LOCK").unlink()
                return super().exists(path)

            def write_durably(self, path: Path, data: bytes) -> None:
                super().write_durably(path, data)
                self.exists(path)

        fs = Thief()
        with open_store(folder, fs) as store:
            fs.arm()
            if not late:
                (folder / "LOCK").unlink()
            with pytest.raises(LockedError):
                store.write(NEW)
        assert ("mkdir" in fs.calls) == late
        assert restored_step(folder) == 1000


def test_a_lock_left_by_a_dead_job(folder: Path) -> None:
    """W1: kill -9 of the owner; the next one gets in without being told to."""
    write(folder, OLD)
    lock = json.loads((folder / "LOCK").read_text())
    (folder / "LOCK").write_text(json.dumps({**lock, "pid": 2**22 + 1}))
    assert restored_step(folder) == 1000


def test_no_space_is_found_before_writing(folder: Path) -> None:
    class Small(FileSystem):
        def free_bytes(self, path: Path) -> int:
            return 1 << 20

    write(folder, OLD)
    with (
        open_store(folder, Small()) as store,
        pytest.raises(StorageAccessError, match=r"1048576 are free.*step-000000001000"),
    ):
        store.write(NEW)


class Endless(FileSystem):
    """Believes that there is space."""

    def free_bytes(self, path: Path) -> int:
        return 1 << 50


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    mount = tmp_path / "small"
    mount.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(mount)], capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("needs the right to mount a tmpfs (root)")
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    """E1 on a tmpfs."""
    folder = small_disk / "checkpoints"
    write_on(folder, make_state(step=1000, natoms=3000))
    with CheckpointStore(MPI.COMM_SELF, folder, CheckpointOptions(), Endless()) as store:
        with pytest.raises(StorageAccessError, match="ENOSPC"):
            store.write(make_state(step=2000, natoms=20000))
        assert [p for p in names(folder) if p.startswith(".tmp-")] == []
        assert store.write(make_state(step=3000, natoms=3000)).result == "committed"
        assert store.restore(None, owner_of(1)).step == 3000


def write_on(folder: Path, state) -> None:
    with CheckpointStore(MPI.COMM_SELF, folder, CheckpointOptions(), Endless()) as store:
        store.write(state)


def test_a_read_only_file_system(small_disk: Path) -> None:
    """P2: the restart reads and renames nothing; a write says why it cannot."""
    folder = small_disk / "checkpoints"
    write_on(folder, OLD)
    write_on(folder, NEW)
    file, offset, _ = extents(folder / step_name(2000))["x"][0]
    flip(file, offset, 2)
    before = names(folder)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with CheckpointStore(MPI.COMM_SELF, folder, OPTIONS) as store:
        assert store.restore(None, owner_of(1)).step == 1000
        with pytest.raises(StorageAccessError, match="EROFS"):
            store.write(make_state(step=3000))
    assert names(folder) == before


def test_metrics_tell_each_attempt(folder: Path) -> None:
    end, _ = commit_under(folder, Fault("pwrite", 3, errno.ENOSPC))
    assert end == "StorageAccessError"
    text = (folder.parent / "ckpt-metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["result"] for line in lines] == ["committed", "failed"]
    assert "ENOSPC" in lines[1]["errors"] and lines[0]["bytes"] == 72 * 300 + 140 * 5
    assert lines[0]["stall_s"] >= lines[0]["write_s"]["max"] > 0
