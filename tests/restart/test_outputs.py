"""O1: dumps and trajectories of a run that was killed, and what else can befall them.

A run is really killed between two checkpoints, with frames after the last one. The restart must
leave files that cannot be told from those of a run that nobody killed, or begin new parts and say
so; it never appends to a file that is not the one it left.
"""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from mpi4py import MPI

import mdapp.text_file
from mdapp.deck import build_deck
from mdapp.simulation import Simulation
from mdapp.storage.names import step_name
from mdapp.storage.outputs import TAIL_BYTES
from tests.restart.test_async import DECK

COMM = MPI.COMM_SELF
TEXTS = ("a.dump", "c.dump", "e.xyz")
KILLED_AT, RESTART = 27, 20
TABLE = {
    **DECK,
    "run": {"steps": 40, "timestep": 0.005, "deterministic": True},
    "checkpoint": {"every": 10, "keep_last": 9},
    "output": [
        {"kind": "atom", "every": 5, "file": "a.dump"},
        {"kind": "custom", "every": 4, "file": "c.dump", "columns": ["id", "x", "vy", "fz"]},
        {"kind": "extxyz", "every": 3, "file": "e.xyz"},
        {"kind": "h5md", "every": 5, "file": "t.h5md"},
    ],
}
KILLED = f"""
import json, os, signal, sys
from mpi4py import MPI
from mdapp.deck import build_deck
from mdapp.simulation import Simulation
def kill(step):
    if step == {KILLED_AT} and MPI.COMM_WORLD.rank == MPI.COMM_WORLD.size - 1:
        os.kill(os.getpid(), signal.SIGKILL)
Simulation(build_deck(json.loads(sys.argv[1])), MPI.COMM_WORLD, sys.argv[2], on_step=kill).run()
"""


def run(out: Path, **options) -> list[str]:
    """What a run to its last step told its user."""
    said: list[str] = []
    sim = Simulation(build_deck(TABLE), COMM, out, tell=said.append, **options)
    sim.run()
    sim.close()
    return said


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    run(out)
    return out


@pytest.fixture
def killed(tmp_path: Path, mpirun) -> Path:
    """Folder of a run that was killed with SIGKILL; made once, since it is only copied."""
    store = tmp_path.parent / "killed-once"
    if not store.exists():
        draft = tmp_path / "draft"
        draft.mkdir()
        end = mpirun(2, ["-c", KILLED, json.dumps(TABLE), str(draft)])
        assert end.code != 0
        draft.rename(store)
    out = tmp_path / "run"
    shutil.copytree(store, out)
    return out


def steps_of(path: Path) -> list[int]:
    with h5py.File(path) as file:
        return file["particles/trajectory/position/step"][:].tolist()


def goes_on(whole: Path, part: Path) -> bool:
    """Whether a part holds the frames from the restart on.

    The frame of the restart itself, where it is due, comes after the wrapping of a checkpoint.
    """
    text = part.read_bytes()
    if part.name.startswith("a"):
        frames = text.split(b"ITEM: TIMESTEP\n")
        assert frames[0] == b"" and frames[1].startswith(b"20\n")
        text = b"".join(b"ITEM: TIMESTEP\n" + frame for frame in frames[2:])
    return len(text) > 5000 and whole.read_bytes().endswith(text)


def test_the_killed_run_left_frames_after_its_checkpoint(killed: Path, whole: Path) -> None:
    """The tests below are about something: files are longer than the checkpoint knows."""
    manifest = json.loads((killed / "checkpoints" / step_name(RESTART) / "manifest.json")
                          .read_text())["body"]
    noted = {entry["path"]: entry for entry in manifest["outputs"]}
    assert sorted(noted) == sorted(TEXTS)
    for name in TEXTS:
        assert (killed / name).stat().st_size > noted[name]["size"] > TAIL_BYTES / 8
    assert [noted[name]["last_step"] for name in TEXTS] == [20, 20, 18]


def test_files_are_those_of_a_run_that_nobody_killed(killed: Path, whole: Path) -> None:
    with (killed / "c.dump").open("ab") as file:
        file.write(b"ITEM: TIMESTEP\n28\nITEM: NUM")      # torn within a frame
    assert not [line for line in run(killed, restart="auto") if "next frames" in line]
    for name in TEXTS:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name
    assert sorted(p.name for p in killed.iterdir()) == sorted(
        [*(p.name for p in whole.iterdir()), "t.0001.h5md"])
    assert steps_of(killed / "t.h5md") == [0, 5, 10, 15, 20]
    assert steps_of(killed / "t.0001.h5md") == [25, 30, 35, 40]


def cut(path: Path) -> None:
    os.truncate(path, 5000)


def edit(path: Path) -> None:
    """Another digit in what the checkpoint knew, shortly before its end."""
    text = path.read_bytes()
    at = text.index(b"\n20\n") if b"\n20\n" in text else text.index(b"step=18")
    path.write_bytes(text[:at - 9] + bytes([text[at - 9] ^ 1]) + text[at - 8:])


def replace(path: Path) -> None:
    path.write_bytes(b"years of work\n" * 40_000)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(("harm", "why"), [
    (cut, "at the checkpoint it had"), (edit, "not what it was"), (replace, "not what it was"),
])
def test_a_file_that_is_another_is_left_alone(
    killed: Path, whole: Path, name: str, harm: Callable[[Path], None], why: str
) -> None:
    harm(killed / name)
    left = (killed / name).read_bytes()
    said = run(killed, restart="auto")
    stem, suffix = name.split(".")
    part = killed / f"{stem}.0001.{suffix}"
    assert [line for line in said if why in line and str(part) in line], said
    assert (killed / name).read_bytes() == left
    assert goes_on(whole / name, part)
    for other in set(TEXTS) - {name}:
        assert (killed / other).read_bytes() == (whole / other).read_bytes()

    # The next restart goes on with the part, not with the file that was left.
    grown = part.read_bytes()
    newest = killed / "checkpoints" / step_name(40)
    shutil.rmtree(newest)
    with part.open("ab") as file:
        file.write(b"half a fra")
    run(killed, restart="auto")
    assert part.read_bytes() == grown and (killed / name).read_bytes() == left


def test_a_file_that_is_gone_begins_anew(killed: Path, whole: Path) -> None:
    (killed / "a.dump").unlink()
    run(killed, restart="auto")
    assert goes_on(whole / "a.dump", killed / "a.dump")


def test_another_folder_gets_files_of_its_own(killed: Path, whole: Path, tmp_path: Path) -> None:
    before = {name: (killed / name).read_bytes() for name in TEXTS}
    said = run(tmp_path / "other", restart=str(killed / "checkpoints"))
    assert not [line for line in said if "next frames" in line]
    assert {name: (killed / name).read_bytes() for name in TEXTS} == before
    for name in TEXTS:
        assert goes_on(whole / name, tmp_path / "other" / name)


def test_a_failed_sync_fails_the_checkpoint_and_condemns_the_part(
    tmp_path: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """fsync tells of a loss once: what it failed for is not vouched for by a later one."""
    real, seen = mdapp.text_file.note_output, []

    def once(fs, folder, name):
        seen.append(name)
        if len(seen) == 4:       # a.dump at the second checkpoint, of step 20
            raise OSError(5, os.strerror(5), str(folder / name))
        return real(fs, folder, name)

    monkeypatch.setattr(mdapp.text_file, "note_output", once)
    said = run(tmp_path)
    assert [line for line in said if "checkpoint of step 20 failed" in line and "a.dump" in line]
    assert [line for line in said if "cannot be synced" in line and "a.0001.dump" in line]
    names = sorted(p.name for p in (tmp_path / "checkpoints").glob("step-*"))
    assert names == [step_name(s) for s in (10, 40)], "after a failure the wait doubles"
    first, second = (tmp_path / name for name in ("a.dump", "a.0001.dump"))
    assert (whole / "a.dump").read_bytes().startswith(first.read_bytes())
    heads = [re.findall(r"TIMESTEP\n(\d+)\n", path.read_text()) for path in (first, second)]
    assert heads == [["0", "5", "10", "15", "20"], ["25", "30", "35", "40"]]
