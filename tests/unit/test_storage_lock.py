"""Locks of a folder: by the kernel where it can, by a file with a heartbeat where it cannot."""

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mdapp.storage.errors import LockedError
from mdapp.storage.files import FileSystem
from mdapp.storage.lock import DirectoryLock, Owner, read_owner


class NoFlock(FileSystem):
    """A file system without such locks."""

    def call(self, kind, function, *args, **kwargs):
        if kind == "flock":
            raise OSError(errno.ENOLCK, "no locks")
        return super().call(kind, function, *args, **kwargs)


@pytest.fixture(params=[FileSystem, NoFlock])
def fs(request) -> FileSystem:
    return request.param()


def test_one_at_a_time(tmp_path: Path, fs: FileSystem) -> None:
    first = DirectoryLock(tmp_path, "a" * 32, fs=fs)
    second = DirectoryLock(tmp_path, "b" * 32, fs=fs)
    first.acquire()
    first.check()
    for _ in range(2):
        with pytest.raises(LockedError, match=f"process {os.getpid()} on"):
            second.acquire()
    first.check()
    first.release()
    second.acquire()
    second.check()
    with pytest.raises(LockedError, match="not locked"):
        first.check()
    second.release()


def test_a_lock_that_was_replaced(tmp_path: Path, fs: FileSystem) -> None:
    lock = DirectoryLock(tmp_path, "a" * 32, fs=fs)
    lock.acquire()
    for name in ("LOCK", "LOCK.excl"):
        if (tmp_path / name).exists():
            (tmp_path / name).unlink()
            (tmp_path / name).write_text("{}")
    with pytest.raises(LockedError, match="lost its folder"):
        lock.check()


def test_the_kernel_frees_the_lock_of_a_killed_process(tmp_path: Path) -> None:
    program = (
        "import mdapp, sys, time; from pathlib import Path\n"
        "from mdapp.storage.lock import DirectoryLock\n"
        "lock = DirectoryLock(Path(sys.argv[1]), 'c' * 32); lock.acquire()\n"
        "print('got', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"got\n"
        mine = DirectoryLock(tmp_path, "a" * 32)
        with pytest.raises(LockedError, match=f"process {other.pid}"):
            mine.acquire()
        other.kill()
        other.wait()
        mine.acquire()
        mine.check()


def leave_behind(folder: Path, **changes) -> None:
    owner = replace(Owner.this_process("d" * 32), **changes)
    (folder / "LOCK.excl").write_text(json.dumps(asdict(owner)))


def test_a_dead_owner_on_this_node(tmp_path: Path) -> None:
    leave_behind(tmp_path, pid=2**22 + 1)
    lock = DirectoryLock(tmp_path, "a" * 32, fs=NoFlock())
    lock.acquire()
    assert read_owner(tmp_path / "LOCK.excl").run_uuid == "a" * 32


def test_an_owner_before_the_last_boot(tmp_path: Path) -> None:
    leave_behind(tmp_path, boot_id="another")
    DirectoryLock(tmp_path, "a" * 32, fs=NoFlock()).acquire()


def test_an_owner_elsewhere_counts_by_its_heartbeat(tmp_path: Path) -> None:
    leave_behind(tmp_path, host="elsewhere")
    lock = DirectoryLock(tmp_path, "a" * 32, stale_s=900, fs=NoFlock())
    with pytest.raises(LockedError, match="break-lock"):
        lock.acquire()
    DirectoryLock(tmp_path, "a" * 32, break_lock=True, fs=NoFlock()).acquire()
    leave_behind(tmp_path, host="elsewhere")
    old = time.time() - 1000
    os.utime(tmp_path / "LOCK.excl", (old, old))
    lock.acquire()
    lock.check()
    assert time.time() - (tmp_path / "LOCK.excl").stat().st_mtime < 100


def test_a_lock_file_of_nonsense(tmp_path: Path) -> None:
    (tmp_path / "LOCK").write_bytes(b"\xff{")
    DirectoryLock(tmp_path, "a" * 32).acquire()


def test_a_read_that_fails_takes_no_lock_away(tmp_path: Path, fs: FileSystem) -> None:
    """The storage may be ill for a moment: that is no sign of another owner."""
    lock = DirectoryLock(tmp_path, "a" * 32, fs=fs)
    lock.acquire()
    healthy = fs.call

    def ill(kind, function, *args, **kwargs):
        if kind in ("open", "pread"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return healthy(kind, function, *args, **kwargs)

    fs.call = ill
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        lock.check()
    fs.call = healthy
    lock.check()
    lock.release()


def test_a_lock_that_somebody_removed_can_be_given_up(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path, "a" * 32, fs=NoFlock())
    lock.acquire()
    (tmp_path / "LOCK.excl").unlink()
    lock.release()
