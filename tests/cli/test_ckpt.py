"""`mdapp ckpt` as a user types it: every sub-command, every exit code, alone and under mpirun."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.cli.command import run_command
from mdapp.cli.main import invoke
from mdapp.model.box import Box
from mdapp.storage.audit import Level, audit, block_tables, restart_choice
from mdapp.storage.catalogue import catalogue, read_manifest
from mdapp.storage.envelope import seal, unseal
from mdapp.storage.errors import StorageAccessError
from mdapp.storage.files import FileSystem
from mdapp.storage.lock import DirectoryLock
from mdapp.storage.names import MANIFEST, step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.state import State
from mdapp.storage.store import CheckpointStore

NATOMS = 3000
OPTIONS = CheckpointOptions(block_atoms=500, keep_last=100)
STEPS = (100, 200, 300)


def state_of(step: int, natoms: int = NATOMS) -> State:
    rng = np.random.default_rng(step)
    return State(
        step=step, time=step * 0.005, timestep=0.005, units="lj",
        box=Box.orthogonal([0, 0, 0], [10, 11, 12], [True, True, True]), natoms=natoms,
        species=("A", "B"), mass=np.array([1.0, 2.0]),
        fields={
            "id": np.arange(1, natoms + 1, dtype=np.int64),
            "x": rng.uniform(0, 10, (natoms, 3)), "v": rng.normal(size=(natoms, 3)),
            "type": rng.integers(0, 2, natoms, dtype=np.int32),
            "image": np.zeros((natoms, 3), np.int32),
        },
        integrator={"name": "nve"}, rng={"generator": "counter", "seed": 1},
        potential={"style": "lj/cut"}, deck={"units": "lj"}, invariants={"pe": -1.5},
    )  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "checkpoints"
    with CheckpointStore(MPI.COMM_SELF, folder, OPTIONS) as store:
        for step in STEPS:
            store.write(state_of(step))
    return folder.parent


@pytest.fixture
def run_dir(template: Path, tmp_path: Path) -> Path:
    """Folder of a run with the checkpoints of three steps."""
    shutil.copytree(template, tmp_path / "melt.run")
    return tmp_path / "melt.run"


@pytest.fixture
def folder(run_dir: Path) -> Path:
    return run_dir / "checkpoints"


@pytest.fixture
def ckpt(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Run `mdapp ckpt` in this process; returns its exit code and what it printed."""

    def run(*words: Any) -> tuple[int, str]:
        capsys.readouterr()
        code = run_command(lambda: invoke(["ckpt", *map(str, words)]))
        out, err = capsys.readouterr()
        assert "Traceback" not in err and "defect" not in err, err
        return code, out + err

    return run


def shard(folder: Path, step: int) -> Path:
    return folder / step_name(step) / "s000" / "shard-00000.h5"


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def flip_data(folder: Path, step: int, field: str = "v", block: int = 2) -> None:
    path = folder / step_name(step)
    manifest = read_manifest(path)
    ((_, _, table),) = block_tables(path, manifest)
    column = [f.name for f in manifest.fields].index(field)
    flip(shard(folder, step), int(table[block]["offset"][column]) + 5)


def flip_head(folder: Path, step: int) -> None:
    flip(shard(folder, step), 30)


def change_manifest(folder: Path, step: int, **changes: Any) -> None:
    path = folder / step_name(step) / MANIFEST
    path.write_bytes(seal({**unseal(path.read_bytes(), "m"), **changes}))


# --- list ----------------------------------------------------------------------------------------


def test_list(ckpt: Any, run_dir: Path, folder: Path) -> None:
    for where in (run_dir, folder):
        code, text = ckpt("list", where)
        lines = text.splitlines()
        assert code == 0 and [line.split()[0] for line in lines[1:]] == [
            step_name(s) for s in (300, 200, 100)]  # fmt: skip
        assert all(w in lines[1] for w in ("1.5", "3000", "sharded", "committed", "no"))


def test_list_all_and_json(ckpt: Any, folder: Path, tmp_path: Path) -> None:
    (folder / ".tmp-000000000400-0123abcd").mkdir()
    (folder / step_name(100)).rename(folder / ".bad-000000000100-0123abcd")
    (folder / step_name(200) / MANIFEST).write_text("{}")
    code, text = ckpt("list", folder)
    assert code == 0 and "2 more" in text and ".tmp" not in text
    code, text = ckpt("list", folder, "--all", "--json", tmp_path / "list.json")
    document = json.loads((tmp_path / "list.json").read_text())
    assert (document["schema"], document["version"]) == ("mdapp.ckpt.list", 1)
    states = {e["name"]: e["state"] for e in document["checkpoints"]}
    assert states == {
        ".tmp-000000000400-0123abcd": "orphan", step_name(300): "committed",
        step_name(200): "bad", ".bad-000000000100-0123abcd": "bad",
    }  # fmt: skip
    newest = next(e for e in document["checkpoints"] if e["state"] == "committed")
    assert newest["natoms"] == NATOMS and newest["time"] == 1.5 and newest["files"] == 1
    assert newest["bytes"] > NATOMS * 72 and newest["age_s"] >= 0 and len(newest["uuid"]) == 32


def test_json_alone_on_standard_output(python: Any, folder: Path) -> None:
    end = python(["-m", "mdapp", "ckpt", "list", str(folder), "--json", "-"])
    assert end.code == 0, end.stderr
    assert len(json.loads(end.stdout)["checkpoints"]) == 3 and "committed" in end.stderr


@pytest.mark.parametrize("command", ["list", "verify", "inspect"])
def test_nothing_found(ckpt: Any, tmp_path: Path, command: str) -> None:
    (tmp_path / "empty").mkdir()
    assert ckpt(command, tmp_path / "empty")[0] == 7
    code, text = ckpt(command, tmp_path / "none")
    assert code == 7 and "no such folder" in text
    (tmp_path / "file").write_text("x")
    code, text = ckpt(command, tmp_path / "file")
    assert code == 7 and "is no folder" in text


# --- verify --------------------------------------------------------------------------------------


def test_all_good(ckpt: Any, run_dir: Path, folder: Path, tmp_path: Path) -> None:
    before = sorted(p for p in (folder / step_name(300)).rglob("*"))
    code, text = ckpt("verify", run_dir, "--json", tmp_path / "v.json")
    assert code == 0 and text.count("good") == 3
    assert text.splitlines()[-1] == f"a restart would use {step_name(300)}"
    document = json.loads((tmp_path / "v.json").read_text())
    assert document["schema"] == "mdapp.ckpt.verify" and document["restart"] == step_name(300)
    assert [c["step"] for c in document["checkpoints"]] == [300, 200, 100]
    assert document["checkpoints"][0]["bytes"] > NATOMS * 72
    # Noted beside the checkpoint, never in it.
    assert sorted(p for p in (folder / step_name(300)).rglob("*")) == before
    assert {e.verified for e in catalogue(folder)} == {True}


def test_quick_reads_little_and_notes_nothing(ckpt: Any, folder: Path) -> None:
    flip_data(folder, 300)
    code, text = ckpt("verify", folder, "--level", "quick")
    assert code == 0 and "quick" in text
    assert {e.verified for e in catalogue(folder)} == {False}
    flip_head(folder, 300)
    code, text = ckpt("verify", folder, "--level", "quick")
    assert code == 1 and "shard-00000.h5: the HDF5 metadata" in text


@pytest.mark.parametrize("field", ["id", "x", "v", "type", "image"])
def test_a_flipped_bit_is_named_by_file_block_and_field(
    ckpt: Any, folder: Path, field: str
) -> None:
    flip_data(folder, 300, field, block=4)
    code, text = ckpt("verify", folder / step_name(300))
    assert code == 1 and f"s000/shard-00000.h5, block 4, field {field}: its checksum is" in text
    assert "restart" not in text, "that is a question about a folder"


def test_all_damages_are_found_and_the_next_older_is_what_a_restart_takes(
    ckpt: Any, folder: Path, tmp_path: Path
) -> None:
    assert ckpt("verify", folder)[0] == 0
    flip_data(folder, 300, "x", 0)
    flip_data(folder, 300, "v", 5)
    shard(folder, 200).unlink()
    code, text = ckpt("verify", folder, "--json", tmp_path / "v.json")
    assert code == 1 and text.splitlines()[-1] == f"a restart would use {step_name(100)}"
    checkpoints = json.loads((tmp_path / "v.json").read_text())["checkpoints"]
    assert [(d["block"], d["field"]) for d in checkpoints[0]["damages"]] == [(0, "x"), (5, "v")]
    assert [d["reason"] for d in checkpoints[1]["damages"]] == ["missing"]
    assert [e.verified for e in catalogue(folder)] == [False, False, True], "refuted notes go"


def test_truncation_swapped_blocks_and_a_stale_manifest(ckpt: Any, folder: Path) -> None:
    os.truncate(shard(folder, 300), shard(folder, 300).stat().st_size // 2)
    shutil.copy(shard(folder, 100), shard(folder, 200))
    shutil.copy(folder / step_name(200) / MANIFEST, folder / step_name(100) / MANIFEST)
    code, text = ckpt("verify", folder)
    assert code == 1 and "bytes instead of" in text and "is of step 200" in text
    assert text.count("DAMAGED") == 3 and "no valid checkpoint" in text


def test_atoms_in_the_wrong_place_with_the_right_checksums(ckpt: Any, folder: Path) -> None:
    body = unseal((folder / step_name(300) / MANIFEST).read_bytes(), "m")
    change_manifest(folder, 300, state_hash={**body["state_hash"], "h1": "0" * 16})
    code, text = ckpt("verify", folder / step_name(300))
    assert code == 1 and "the state hash of its atoms is" in text


def test_a_newer_version_is_no_damage(ckpt: Any, folder: Path) -> None:
    change_manifest(folder, 300, version=[2, 0])
    flip_data(folder, 100)
    code, text = ckpt("verify", folder)
    assert code == 6 and "format version 2.0" in text
    assert "a restart would stop at" in text
    assert ckpt("inspect", folder)[0] == 6
    assert {e.name: e.state for e in catalogue(folder)}[step_name(300)] == "newer"


def test_what_cannot_be_read_is_no_damage(folder: Path) -> None:
    class Broken(FileSystem):
        def call(self, kind, function, *args, **kwargs):  # type: ignore[no-untyped-def]
            if kind == "pread" and "shard" in str(Path(f"/proc/self/fd/{args[0]}").readlink()):
                raise OSError(5, "Input/output error")
            return super().call(kind, function, *args, **kwargs)

    verdict = audit(MPI.COMM_SELF, folder / step_name(300), Level.full, Broken())
    assert verdict.code == StorageAccessError.exit_code == 4 and not verdict.damages
    assert "EIO" in verdict.lines()[0]
    assert restart_choice([verdict])[0] is None


def test_a_file_that_does_not_belong_is_told_of(ckpt: Any, folder: Path) -> None:
    (folder / step_name(300) / "s000" / "shard-00007.h5").write_text("x")
    code, text = ckpt("verify", folder / step_name(300))
    assert code == 0 and "s000/shard-00007.h5: does not belong" in text


def test_a_moved_checkpoint_is_still_one(ckpt: Any, folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / step_name(200), tmp_path / "kept")
    code, text = ckpt("verify", tmp_path / "kept")
    assert code == 0 and "kept  good" in text


def test_verification_in_parallel(mpirun: Any, folder: Path, tmp_path: Path) -> None:
    flip_data(folder, 200, "type", 5)
    for ranks in (2, 3):
        words = ["ckpt", "verify", str(folder), "--json", "v.json"]
        end = mpirun(ranks, ["-m", "mdapp", *words], timeout=120)
        assert end.code == 1, end.stdout + end.stderr
        document = json.loads((tmp_path / "v.json").read_text())
        assert document["ranks"] == ranks and document["restart"] == step_name(300)
        assert [c["code"] for c in document["checkpoints"]] == [0, 1, 0]
        assert [(d["block"], d["field"]) for d in document["checkpoints"][1]["damages"]] == [
            (5, "type")]  # fmt: skip
        assert end.stdout.count("DAMAGED") == 1 and end.stdout.count("a restart would use") == 1
        single = audit(MPI.COMM_SELF, folder / step_name(300), Level.full)
        assert document["checkpoints"][0]["bytes"] == single.bytes, "every byte once"


def test_physics_recomputes_the_energies(ckpt: Any, mpirun: Any, tmp_path: Path) -> None:
    deck = tmp_path / "melt.toml"
    deck.write_text(
        'units = "lj"\n[system]\nlattice = "fcc"\ndensity = 0.8442\ncells = [6, 5, 5]\n'
        'temperature = 1.44\n[potential]\nstyle = "lj/cut"\nepsilon = 1.0\nsigma = 1.0\n'
        'rc = 2.5\n[run]\nsteps = 20\ngrid = [2, 1, 1]\n[checkpoint]\nevery = 10\n'
    )
    end = mpirun(2, ["-m", "mdapp", "run", str(deck)], timeout=200)
    assert end.code == 0, end.stdout + end.stderr
    folder = tmp_path / "melt.run" / "checkpoints"
    code, text = ckpt("verify", folder.parent, "--level", "physics")
    assert code == 0 and text.count("recomputed pe = ") == 2, text
    body = unseal((folder / step_name(20) / MANIFEST).read_bytes(), "m")
    body["invariants"]["pe"] *= 1.001
    change_manifest(folder, 20, invariants=body["invariants"])
    code, text = ckpt("verify", folder, "--level", "physics")
    assert code == 1 and "pe is" in text and f"would use {step_name(10)}" in text
    assert ckpt("verify", folder)[0] == 0, "the bits are whole"


def test_physics_needs_a_deck(ckpt: Any, folder: Path) -> None:
    code, text = ckpt("verify", folder, "--level", "physics")
    assert code == 0 and "saved no energies" in text
    change_manifest(folder, 300, invariants={"pe": 1.0, "ke": 1.0})
    code, text = ckpt("verify", folder, "--level", "physics")
    assert code == 2 and "its deck cannot be run: system: missing" in text


# --- inspect -------------------------------------------------------------------------------------


def test_inspect_the_newest(ckpt: Any, run_dir: Path, folder: Path, tmp_path: Path) -> None:
    code, text = ckpt("inspect", run_dir, "--blocks", "--json", tmp_path / "i.json")
    assert code == 0
    for words in ("step           300, time 1.5", "3000:", "(step-000000000200)", "lj/cut",
                  "numpy", "<f8", "nx3", "s000/shard-00000.h5", "crc v"):  # fmt: skip
        assert words in text, words
    document = json.loads((tmp_path / "i.json").read_text())
    assert document["schema"] == "mdapp.ckpt.inspect" and document["name"] == step_name(300)
    assert document["manifest"]["natoms"] == NATOMS
    assert [b["count"] for b in document["blocks"]] == [500] * 6
    assert document["blocks"][1]["id_min"] == 501 and set(document["blocks"][0]["crc"]) == {
        "id", "x", "v", "type", "image"}  # fmt: skip


def test_inspect_the_first_of_a_run(ckpt: Any, folder: Path) -> None:
    code, text = ckpt("inspect", folder / step_name(100))
    assert code == 0 and "none, a first one" in text and "crc v" not in text
    (folder / step_name(100) / MANIFEST).write_bytes(b"")
    assert ckpt("inspect", folder / step_name(100))[0] == 1


# --- prune ---------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.glob("step-*"))


def test_prune(ckpt: Any, run_dir: Path, folder: Path, tmp_path: Path) -> None:
    code, text = ckpt("prune", run_dir, "--keep-last", 2, "--dry-run")
    assert code == 0 and "would remove step-000000000100" in text and len(names(folder)) == 3
    code, text = ckpt("prune", run_dir, "--keep-last", 2, "--json", tmp_path / "p.json")
    assert code == 0 and "removed 1 checkpoints" in text
    assert names(folder) == [step_name(200), step_name(300)]
    document = json.loads((tmp_path / "p.json").read_text())
    assert document["removed"] == [step_name(100)] and document["bytes"] > 72 * NATOMS
    assert "removed 0 checkpoints" in ckpt("prune", run_dir, "--keep-last", 2)[1]


def test_prune_keeps_the_last_verified_one_and_multiples(ckpt: Any, folder: Path) -> None:
    assert ckpt("verify", folder / step_name(100))[0] == 0
    assert "removed 0" in ckpt("prune", folder, "--keep-last", 2, "--max-bytes", 1)[1]
    for mark in folder.glob(".verified-*"):
        mark.unlink()
    assert "removed 0" in ckpt("prune", folder, "--keep-last", 2, "--keep-every", 100)[1]
    assert "removed 1" in ckpt("prune", folder, "--keep-last", 2, "--keep-every", 150)[1]


def test_prune_wrong_use(ckpt: Any, folder: Path) -> None:
    assert ckpt("prune", folder)[0] == 2
    assert ckpt("prune", folder, "--keep-last", 1)[0] == 2
    code, text = ckpt("prune", folder / step_name(100), "--keep-last", 2)
    assert code == 2 and "is one checkpoint" in text
    assert ckpt("prune", folder / "none", "--keep-last", 2)[0] == 7
    assert len(names(folder)) == 3


@pytest.mark.parametrize("words", [["prune", "--keep-last", "2"], ["repair"]])
def test_a_folder_in_use_is_left_alone(ckpt: Any, folder: Path, words: list[str]) -> None:
    lock = DirectoryLock(folder, "0" * 32)
    lock.acquire()
    try:
        code, text = ckpt(words[0], folder, *words[1:])
        assert code == 5 and f"process {os.getpid()}" in text and len(names(folder)) == 3
        assert ckpt("verify", folder)[0] == 0, "reading takes no lock"
    finally:
        lock.release()
    assert ckpt(words[0], folder, *words[1:])[0] == 0, "and the command gives its own back"
    assert ckpt(words[0], folder, *words[1:])[0] == 0


# --- repair --------------------------------------------------------------------------------------


def test_repair_tidies_up(ckpt: Any, folder: Path) -> None:
    (folder / ".tmp-000000000400-0123abcd").mkdir()
    (folder / "LATEST").write_text(step_name(100))
    code, text = ckpt("repair", folder, "--dry-run")
    assert code == 0 and "would be removed" in text
    assert f"LATEST would be set to {step_name(300)} (was {step_name(100)})" in text
    assert (folder / ".tmp-000000000400-0123abcd").exists()
    code, text = ckpt("repair", folder)
    assert code == 0 and not (folder / ".tmp-000000000400-0123abcd").exists()
    assert (folder / "LATEST").read_text() == step_name(300) + "\n"
    assert f"LATEST is {step_name(300)}" in ckpt("repair", folder)[1]


def test_repair_renews_metadata_from_good_blocks(ckpt: Any, folder: Path, tmp_path: Path) -> None:
    import h5py

    with h5py.File(shard(folder, 300)) as file:
        x = file["atoms/x"][:]
    old = read_manifest(folder / step_name(300))
    shard(folder, 300).open("r+b").write(b"\xff" * 2000)
    assert ckpt("verify", folder)[0] == 1
    code, text = ckpt("repair", folder, "--dry-run")
    assert "would be made anew" in text
    assert read_manifest(folder / step_name(300)).uuid == old.uuid
    code, text = ckpt("repair", folder, "--json", tmp_path / "r.json")
    assert code == 0 and "made anew from good blocks" in text, text
    new = read_manifest(folder / step_name(300))
    assert new.uuid != old.uuid and new.state_hash == old.state_hash
    assert new.plain["storage"]["repaired_from"] == old.uuid
    with h5py.File(shard(folder, 300)) as file:
        assert np.array_equal(file["atoms/x"][:], x) and file.attrs["uuid"] == new.uuid
    assert ckpt("verify", folder)[0] == 0
    assert [p.name for p in folder.glob(".bad-*")] == [f".bad-000000000300-{old.uuid[:8]}"]
    assert json.loads((tmp_path / "r.json").read_text())["rebuilt"] == {
        step_name(300): step_name(300)}  # fmt: skip


def test_repair_cannot_bring_atoms_back(ckpt: Any, folder: Path) -> None:
    flip_head(folder, 300)
    flip_data(folder, 300, "x")
    before = shard(folder, 300).read_bytes()
    code, text = ckpt("repair", folder)
    assert code == 1 and "cannot be repaired" in text
    assert shard(folder, 300).read_bytes() == before, "nothing committed is edited"
    assert (folder / "LATEST").read_text().strip() == step_name(200)


def test_repair_brings_back_what_a_restart_set_aside(ckpt: Any, folder: Path) -> None:
    flip_head(folder, 300)
    aside = folder / ".bad-000000000300-0123abcd"
    (folder / step_name(300)).rename(aside)
    code, text = ckpt("repair", folder)
    assert code == 0 and names(folder) == [step_name(s) for s in STEPS], text
    assert ckpt("verify", folder)[0] == 0 and aside.exists()


def test_repair_brings_nothing_back_that_a_run_went_on_without(ckpt: Any, folder: Path) -> None:
    flip_head(folder, 200)
    (folder / step_name(200)).rename(folder / ".bad-000000000200-0123abcd")
    assert ckpt("repair", folder)[0] == 0
    assert names(folder) == [step_name(100), step_name(300)]


def test_repair_of_several_files_written_by_ranks(mpirun: Any, ckpt: Any, tmp_path: Path) -> None:
    """A rank without atoms, and files that several ranks share."""
    script = tmp_path / "write.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from mpi4py import MPI\n"
        "from tests.cli.test_ckpt import state_of\n"
        "from mdapp.storage.options import CheckpointOptions\n"
        "from mdapp.storage.store import CheckpointStore\n"
        "comm = MPI.COMM_WORLD\n"
        "state = state_of(7)\n"
        "owner = state.fields['id'] % 2 if comm.size > 1 else 0 * state.fields['id']\n"
        "mine = owner == comm.rank\n"
        "state.fields = {k: a[mine] for k, a in state.fields.items()}\n"
        "for group in (1, 2):\n"
        "    options = CheckpointOptions(layout='aggregated', group=group, block_atoms=400)\n"
        "    with CheckpointStore(comm, f'c{group}', options) as store:\n"
        "        store.write(state)\n"
    )
    root = Path(__file__).resolve().parents[2]
    end = mpirun(3, [str(script), str(root)], timeout=120)
    assert end.code == 0, end.stdout + end.stderr
    for group, files in ((1, 3), (2, 2)):
        folder = tmp_path / f"c{group}"
        shards = sorted((folder / step_name(7)).rglob("*.h5"))
        assert len(shards) == files
        for path in shards:
            flip(path, 40)
        assert ckpt("verify", folder)[0] == 1
        code, text = ckpt("repair", folder)
        assert code == 0, text
        assert ckpt("verify", folder)[0] == 0
        manifest = read_manifest(folder / step_name(7))
        single = state_of(7)
        with CheckpointStore(MPI.COMM_SELF, tmp_path / f"s{group}", OPTIONS) as store:
            assert store.write(single).state_hash == manifest.state_hash


def test_repair_where_there_is_nothing(ckpt: Any, tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    code, text = ckpt("repair", tmp_path / "c")
    assert code == 7 and "holds no good checkpoint" in text


# --- the command line ----------------------------------------------------------------------------


def test_help_and_wrong_use(python: Any, ckpt: Any, folder: Path) -> None:
    end = python(["-m", "mdapp", "ckpt", "--help"])
    assert end.code == 0 and "Examples:" in end.stdout and "Exit codes: 0 good" in end.stdout
    for command in ("list", "verify", "inspect", "prune", "repair"):
        assert command in end.stdout
        code, text = ckpt(command, "--help")
        assert code == 0 and "--json" in text and "DIR" in text
    code, text = ckpt()
    assert code == 2 and "Missing command" in text
    code, text = ckpt("verfy", folder)
    assert code == 2 and "verify" in text
    code, text = ckpt("verify", folder, "--level", "deep")
    assert code == 2 and "must be one of quick, full, physics" in text
    assert ckpt("verify")[0] == 2
