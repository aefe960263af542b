"""What `mdapp stress` finds and how it ends: planted damage, refused calls, foreign folders."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from mpi4py import MPI

from mdapp.cli.stress import number_of_bytes
from mdapp.errors import InputError
from mdapp.parallel.launcher import mpirun_environment
from mdapp.stress import folder as folders
from mdapp.stress.bulk import RECORD
from mdapp.stress.figure import TIMED, figure_of
from mdapp.stress.interference import run_interference
from mdapp.stress.pattern import Buffer, key_of
from mdapp.stress.plan import PHASES
from mdapp.stress.session import Session, run_profile

IO500 = tuple(p for p in PHASES if not p.startswith("ckpt"))
ROOT = Path(__file__).resolve().parents[2]
SMALL = {"max_bytes": 24 << 20, "files": 40, "deadline_s": 0.05, "min_free": 0.0,
         "apis": ("posix",)}


def run(directory: Path, before: Callable[[str], None] = lambda name: None,
        **wishes: Any) -> Session:
    return run_profile(MPI.COMM_SELF, "smoke", directory, before=before, **{**SMALL, **wishes})


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def data(directory: Path) -> Path:
    (path,) = directory.glob("run-*")
    return path


def test_all_phases_are_valid_and_nothing_is_left(tmp_path: Path) -> None:
    session = run(tmp_path / "d")
    posix = [p.name for p in session.phases if p.api in ("posix", "")]
    assert posix == [p for p in PHASES if p != "mark" and not p.startswith("ckpt")]
    layouts = {p.api for p in session.phases if p.name == "ckpt-read"}
    assert layouts == {p.api for p in session.phases if p.name == "ckpt-commit"}
    assert {"sharded", "aggregated"} < layouts
    assert session.exit_code == 0, [(p.name, p.reasons) for p in session.phases]
    assert names(tmp_path / "d") == [folders.MARKER]
    assert all(p.total > 0 and p.seconds > 0 for p in session.phases)
    assert session.figures[0].value is None and "smoke" in session.figures[0].reason


def overwrite(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def swapped(path: Path) -> None:
    content = path.read_bytes()
    a, b = content[RECORD : 2 * RECORD], content[2 * RECORD : 3 * RECORD]
    overwrite(path, RECORD, b + a)


def flipped(path: Path) -> None:
    overwrite(path, 5000, bytes([path.read_bytes()[5000] ^ 4]))


def of_run(number: int, field: str) -> bytes:
    buffer = Buffer(RECORD)
    buffer.fill(key_of(number, field), 0, RECORD)
    return bytes(buffer.data)


KINDS: dict[str, Callable[[Path, int], None]] = {
    "bit flip": lambda path, old: flipped(path),
    "swapped": lambda path, old: swapped(path),
    "zeros": lambda path, old: overwrite(path, 8192, bytes(4096)),
    "stale": lambda path, old: overwrite(path, RECORD, of_run(old, "posix/hard")),
    "short file": lambda path, old: os.truncate(path, path.stat().st_size - 1000),
    "corrupted": lambda path, old: overwrite(path, 1024, bytes(range(1, 65))),
}


@pytest.mark.parametrize("kind", KINDS)
def test_planted_damage_is_found_and_named(tmp_path: Path, kind: str) -> None:
    """ST3, in the file that all ranks share."""
    old = run(tmp_path, phases=("easy-write",)).folder.run

    def damage(name: str) -> None:
        if name == "hard-read":
            KINDS[kind](data(tmp_path) / "posix" / "hard" / "shared", old)

    session = run(tmp_path, damage, phases=("hard-read", "easy-read"))
    bad = [p for p in session.phases if p.mismatches]
    assert [p.name for p in bad] == ["hard-read"] and session.exit_code == 1
    assert {f.kind for f in bad[0].findings} == {kind}, [str(f) for f in bad[0].findings]
    assert not bad[0].is_valid and "hard/shared" in str(bad[0].findings[0])


@pytest.mark.parametrize(("phase", "name", "act"), [
    ("easy-read", "posix/easy/00000000", lambda p: overwrite(p, 4096, bytes(512))),
    ("random-read", "posix/easy/00000000", lambda p: overwrite(p, 0, bytes(p.stat().st_size))),
    ("meta-hard-read", "meta-hard/file.0.3", lambda p: overwrite(p, 3900, b"\0")),
    ("meta-hard-stat", "meta-hard/file.0.3", lambda p: os.truncate(p, 3900)),
    ("meta-easy-stat", "meta-easy/00000000/file.0.3", os.unlink),
    ("meta-hard-read", "meta-hard/file.0.3", os.unlink),
    ("meta-hard-delete", "meta-hard/file.0.3", os.unlink),
    ("scan", "meta-hard/file.0.1", os.unlink),
    ("scan", "meta-hard/file.0.1", lambda p: os.utime(p, (1, 1))),
])  # fmt: skip
def test_damage_is_found_in_each_phase_that_looks(
    tmp_path: Path, phase: str, name: str, act: Callable[[Path], None]
) -> None:
    def damage(at: str) -> None:
        if at == phase:
            act(data(tmp_path) / name)

    session = run(tmp_path, damage, phases=(phase,), files=30)
    found = next(p for p in session.phases if p.name == phase)
    # File 1 has no "01" in its name; removing it must be seen in the number of entries.
    if phase == "scan" and act is not os.unlink:
        assert session.exit_code == 0
        return
    assert found.mismatches and session.exit_code == 1, found


def test_a_read_that_does_nothing_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [0]

    def lazy(fd: int, buffers: list[memoryview], offset: int) -> int:
        calls[0] += 1
        return len(buffers[0]) if calls[0] == 3 else real(fd, buffers, offset)

    real = os.preadv
    monkeypatch.setattr(os, "preadv", lazy)
    session = run(tmp_path, phases=("easy-read",))
    assert session.exit_code == 1
    assert {f.kind for f in session.phases[-1].findings} == {"not read"}


@pytest.mark.parametrize(("call", "number", "phase"), [
    ("fsync", errno.EIO, "easy-write"), ("pwrite", errno.ENOSPC, "easy-write"),
    ("fsync", errno.EIO, "hard-write"), ("close", errno.EDQUOT, "hard-write"),
    ("open", errno.ENOSPC, "meta-hard-create"), ("mkdir", errno.ENOSPC, "meta-easy-create"),
    ("preadv", errno.EIO, "hard-read"), ("unlink", errno.EIO, "meta-hard-delete"),
])  # fmt: skip
def test_a_refused_call_makes_the_phase_invalid_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int, phase: str
) -> None:
    """ST4."""
    real, armed = getattr(os, call), [False]

    def refuse(*arguments: Any, **more: Any) -> Any:
        if not armed[0]:
            return real(*arguments, **more)
        if call == "close":
            real(*arguments)
        raise OSError(number, os.strerror(number))

    def arm(name: str) -> None:
        armed[0] = name == phase

    monkeypatch.setattr(os, call, refuse)
    session = run(tmp_path, arm, phases=IO500)
    armed[0] = False
    bad = [p for p in session.phases if p.errors]
    assert [p.name for p in bad] == [phase] and not bad[0].is_valid
    assert bad[0].errors == {errno.errorcode[number]: 1} and session.exit_code == 4
    left_out = [p for p in session.phases if any("left out" in r for r in p.reasons)]
    assert bool(left_out) == (phase.endswith(("write", "create")))
    assert names(tmp_path) == [folders.MARKER]


def test_memory_is_seen_in_the_evidence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ST5: without asking the kernel to forget, a file that was just written is in memory."""
    monkeypatch.setattr("mdapp.stress.phase.forget", lambda path: None)
    session = run(tmp_path, phases=("easy-read",))
    read = session.phases[-1]
    assert "cached" in read.flags and read.evidence["resident"] > 0.9
    assert session.exit_code == 0


def test_damage_is_found_through_hdf5_too(tmp_path: Path) -> None:
    damaged = []

    def damage(name: str) -> None:
        kind, _, api = name.partition("-read [")
        if api:
            (path,) = (data(tmp_path) / api.rstrip("]") / kind).iterdir()
            content = path.read_bytes()
            overwrite(path, len(content) - 47008 * 60, bytes(4096))
            damaged.append(name)

    session = run(tmp_path, damage, phases=("easy-read", "hard-read"), apis=("h5py",))
    bad = [f"{p.name} [{p.api}]" for p in session.phases if p.mismatches]
    assert bad == damaged and len(bad) == 2 and session.exit_code == 1
    assert {f.kind for p in session.phases for f in p.findings} == {"zeros"}


def test_hdf5_without_space_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(door: Any, content: Any, offset: int) -> None:
        raise RuntimeError("no space")

    monkeypatch.setattr("mdapp.stress.hdf5.Door.write", full)
    session = run(tmp_path, phases=("easy-read",), apis=("h5py",))
    assert session.exit_code == 4
    assert [(p.name, p.api) for p in session.phases if p.errors] == [("easy-write", "h5py")]


def test_a_damaged_checkpoint_is_found(tmp_path: Path) -> None:
    def damage(name: str) -> None:
        if name == "ckpt-read [sharded]":
            shard = next((data(tmp_path) / "sharded").glob("checkpoints/step-*2/**/*.h5"))
            overwrite(shard, shard.stat().st_size - 3000, b"U" * 1000)

    session = run(tmp_path, damage, phases=("ckpt-read",))
    bad = [p for p in session.phases if p.mismatches]
    assert [(p.name, p.api, p.mismatches) for p in bad] == [("ckpt-read", "sharded", 1)]
    assert session.exit_code == 1


def test_a_full_run_that_could_not_be_valid_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ST9, ST11: within the caps nothing could last 300 s."""
    monkeypatch.setattr("mdapp.stress.probe.PROBE_S", 0.05)
    wishes = {k: v for k, v in SMALL.items() if k != "deadline_s"}
    with pytest.raises(InputError, match=r"easy-write, .* say at least --max-bytes"):
        run_profile(MPI.COMM_SELF, "full", tmp_path, **wishes)
    assert names(tmp_path) == [folders.MARKER]


def test_a_full_run_with_another_deadline_has_no_figure(tmp_path: Path) -> None:
    """ST9: a phase is invalid, so there is none; exit code 8."""
    wishes = {**SMALL, "phases": IO500}
    session = run_profile(MPI.COMM_SELF, "full", tmp_path, **wishes)
    assert session.exit_code == 8
    assert {p.name for p in session.phases if not p.is_valid} == set(TIMED)
    assert "easy-write is invalid" in session.figures[0].reason
    for phase in session.phases:                # what is left if the rules were met
        phase.reasons.clear()
    figure = figure_of(session.plan, session.phases)
    assert figure.value == pytest.approx((figure.bandwidth * figure.metadata) ** 0.5)
    assert "is missing" in figure_of(session.plan, session.phases[1:]).reason


# --- folders --------------------------------------------------------------------------------------


def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="not made by mdapp stress"):
        run(tmp_path)
    (tmp_path / folders.MARKER).write_text("{}")
    with pytest.raises(InputError, match="not made by mdapp stress"):
        run(tmp_path)
    with pytest.raises(InputError, match="nothing in it is removed"):
        folders.clean(tmp_path)
    assert names(tmp_path) == [folders.MARKER, "thesis.tex"]


def test_clean_removes_runs_and_nothing_else(tmp_path: Path) -> None:
    """ST11: what --keep or a kill -9 leaves."""
    run(tmp_path, keep=True, phases=("easy-write",))
    (tmp_path / "notes").write_text("mine")
    assert len(folders.clean(tmp_path)) == 1
    assert names(tmp_path) == ["notes"]


@pytest.mark.parametrize(("wishes", "text"), [
    ({"phases": ("easy-rite",)}, "did you mean easy-write"),
    ({"apis": ("nfs",)}, "must be among"),
    ({"max_bytes": 1000}, "need at least"),
    ({"min_free": 0.99}, "are free"),
    ({"max_bytes": 1 << 60}, "are free"),
])  # fmt: skip
def test_wishes_that_cannot_be_met_are_refused_before_the_folder_is_made(
    tmp_path: Path, wishes: dict[str, Any], text: str
) -> None:
    with pytest.raises(InputError, match=text):
        run(tmp_path / "new", **wishes)
    assert not (tmp_path / "new").exists()


def test_memory_is_refused_unless_it_is_asked_for() -> None:
    place = Path("/dev/shm")
    if not place.is_dir() or folders.file_system_type(place) != "tmpfs":
        pytest.skip("needs a tmpfs")
    with pytest.raises(InputError, match="--allow-tmpfs"):
        run(place / "mdapp-stress-test")
    assert not (place / "mdapp-stress-test").exists()


def test_the_guard_stops_a_phase_when_space_gets_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mdapp.stress.phase.GUARD_S", 0.0)
    real = os.statvfs

    def nearly_full(path: Any) -> Any:
        status = list(real(path))
        status[4] = status[2] // 10                          # f_bavail, of f_blocks
        return os.statvfs_result(status)

    def arm(name: str) -> None:
        if name == "hard-write":
            monkeypatch.setattr(os, "statvfs", nearly_full)

    session = run(tmp_path, arm, phases=("hard-read",), min_free=0.2, max_bytes=24 << 20)
    write, read = session.phases
    assert write.stopped_at == "guard" and not write.is_valid
    assert "left out" in read.reasons[0] and session.exit_code == 8


@pytest.mark.parametrize("text", ["many", "0", "-1GiB", "1PiB2", "nan", "1e30"])
def test_bytes_must_be_a_number(text: str) -> None:
    with pytest.raises(InputError, match="number of bytes"):
        number_of_bytes(text)
    assert number_of_bytes("1.5GiB") == 3 << 29 and number_of_bytes("500MB") == 500_000_000


@pytest.mark.parametrize(("loads", "count", "text"), [
    ([0.0], 5, "must be above 0"), ([0.5], 4, "at least 5"),
])  # fmt: skip
def test_an_experiment_needs_loads_and_checkpoints(
    tmp_path: Path, loads: list[float], count: int, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        run_interference(MPI.COMM_SELF, lambda: None, tmp_path, loads=loads, rounds=1, count=count)


def test_the_easy_write_beside_fio(tmp_path: Path) -> None:
    if shutil.which("fio") is None:
        pytest.skip("needs fio (Debian: apt install fio)")
    session = run(tmp_path, phases=("easy-write",), beside_fio=True)
    found = session.fio
    assert found is not None and found["ratio"]["value"] > 0
    assert len(found["fio_s"]) == len(found["mdapp_s"]) == found["rounds"] == 5
    assert f"--size={found['bytes']}" in found["command"]
    assert names(tmp_path) == [folders.MARKER]


def test_without_fio_there_is_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="apt install fio"):
        run(tmp_path / "d", beside_fio=True)
    assert not (tmp_path / "d").exists()


# --- ends -----------------------------------------------------------------------------------------

ENDLESS = ("smoke", "--max-bytes", "64MiB", "--min-free", "0", "--deadline", "60", "--api", "posix")


def started(command: list[str], directory: Path) -> subprocess.Popen[str]:
    """The command in a session of its own, once it has begun to write."""
    # Open MPI kills ranks a second after their SIGTERM, which can be short on a busy machine.
    env = {**mpirun_environment(), "PYTHONPATH": str(ROOT),
           "OMPI_MCA_odls_base_sigkill_timeout": "3"}
    process = subprocess.Popen(command, env=env, cwd=directory.parent, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)
    end = time.monotonic() + 30
    while not list(directory.glob("run-*/posix/easy/*")):
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.01)
    return process


@pytest.mark.parametrize(("ranks", "sign"), [
    (1, signal.SIGTERM), (1, signal.SIGINT), (1, signal.SIGKILL), (2, signal.SIGTERM),
    (2, signal.SIGINT),
])  # fmt: skip
def test_an_interrupted_run_clears_up_and_clean_does_it_after_a_kill(
    tmp_path: Path, mpirun_command_of: Callable[[int], list[str]], sign: int, ranks: int
) -> None:
    """ST11: signals to mpirun or to the one process."""
    directory = tmp_path / "d"
    command = [sys.executable, "-m", "mdapp", "stress", *ENDLESS, "--dir", str(directory)]
    launcher = mpirun_command_of(2) if ranks == 2 else []
    process = started([*launcher, *command], directory)
    process.send_signal(sign)
    try:
        out, err = process.communicate(timeout=20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode != 0, out + err
    left = names(directory)
    if sign == signal.SIGKILL:
        assert len(left) == 2
        (directory / "notes").write_text("mine")
        assert len(folders.clean(directory)) == 1 and names(directory) == ["notes"]
    else:
        assert left == [folders.MARKER], out + err
        assert ranks == 2 or process.returncode == 130
        assert "Traceback" not in err
