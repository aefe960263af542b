"""One job at a time may write to a folder of checkpoints.

The lock is an exclusive `flock` on the file LOCK, which the kernel drops when the process dies in
any way; so a lock that is left behind costs nothing, and the content of the file only says who
holds it. Where the file system has no such locks, or keeps them on each node for itself, a file
LOCK.excl is made exclusively instead, and its time is renewed as a heartbeat. It counts as left
behind if its owner was a process of this node that is gone, or if its heart stopped long ago.

LOCK is never unlinked: a second job could lock the file that is on its way out while a third locks
its successor.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdapp.storage.errors import LockedError
from mdapp.storage.files import REAL, File, FileSystem
from mdapp.storage.names import LOCK

JOB_VARIABLES = ("SLURM_JOB_ID", "PBS_JOBID", "FLUX_JOB_ID", "LSB_JOBID", "JOB_ID")
UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
MOST_BYTES = 1 << 16
# Mount options by which a network file system says that its locks stay on one node.
LOCAL_OPTIONS = frozenset({"localflock", "local_lock=flock", "local_lock=all", "nolock"})


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    host: str
    boot_id: str
    pid: int
    job_id: str
    run_uuid: str
    start: float

    @classmethod
    def this_process(cls, run_uuid: str) -> Owner:
        """Describe the process that runs this."""
        job = next((os.environ[v] for v in JOB_VARIABLES if os.environ.get(v)), "")
        return cls(socket.gethostname(), boot_id(), os.getpid(), job, run_uuid, time.time())

    def __str__(self) -> str:
        job = f", job {self.job_id}" if self.job_id else ""
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.start))
        return f"process {self.pid} on {self.host}{job}, since {since}"

    def is_gone(self) -> bool:
        """Whether the process is known to have ended: it ran here, and now it does not."""
        if self.host != socket.gethostname():
            return False
        if self.boot_id != boot_id():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False


def boot_id() -> str:
    """Tell one start of this machine from the next; empty where the system cannot."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


class DirectoryLock:
    """The lock of a folder, held by one process.

    Parameters
    ----------
    directory : the folder, which exists
    run_uuid : identity of the run
    stale_s : age of a heartbeat, in s, at which an owner on another host counts as gone
    break_lock : take a lock that rests on LOCK.excl whoever holds it
    """

    def __init__(
        self,
        directory: Path,
        run_uuid: str,
        stale_s: float = 900.0,
        break_lock: bool = False,
        fs: FileSystem = REAL,
    ):
        self.path, self.exclusive = directory / LOCK, directory / (LOCK + ".excl")
        self.owner = Owner.this_process(run_uuid)
        self._stale_s, self._break, self._fs = stale_s, break_lock, fs
        self._file: File | None = None
        self._marked = False

    def acquire(self) -> None:
        """Take the lock, or say who has it; waits for nobody.

        Raises
        ------
        LockedError
            Another process holds it.
        OSError
            The file cannot be made.
        """
        file = self._fs.open(self.path, os.O_RDWR | os.O_CREAT)
        try:
            if not self._flock(file):
                self._mark()
            content = json.dumps(asdict(self.owner)).encode() + b"\n"
            file.truncate(0)
            file.pwrite(content, 0)
        except BaseException:
            file.abandon()
            raise
        self._file = file

    def _flock(self, file: File) -> bool:
        """Lock the file; False if locks of this file system mean nothing to other nodes."""
        import fcntl

        if is_client_local(self.path):
            return False
        try:
            self._fs.call("flock", fcntl.flock, file.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in UNSUPPORTED:
                return False
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise self._locked(self.path) from None
            raise
        return True

    def _mark(self) -> None:
        """Make LOCK.excl, after removing one that was left behind."""
        for _ in range(2):
            try:
                with self._fs.open(self.exclusive, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
                    file.pwrite(json.dumps(asdict(self.owner)).encode() + b"\n", 0)
                self._marked = True
                return
            except FileExistsError:
                if not self._left_behind():
                    raise self._locked(self.exclusive) from None
                with contextlib.suppress(FileNotFoundError):
                    self._fs.unlink(self.exclusive)
        raise self._locked(self.exclusive)

    def _left_behind(self) -> bool:
        owner = read_owner(self.exclusive, self._fs)
        if self._break or (owner is not None and owner.is_gone()):
            return True
        try:
            age = time.time() - self._fs.lstat(self.exclusive).st_mtime
        except FileNotFoundError:
            return True
        return age > self._stale_s

    def _locked(self, path: Path) -> LockedError:
        owner = read_owner(path, self._fs)
        return LockedError(
            f"{path.parent}: in use by {owner or 'another process'}; wait for it, give this run a "
            "folder of its own (--out, checkpoint.dir)"
            + (", or --break-lock if it is dead" if path == self.exclusive else "")
        )

    def check(self) -> None:
        """Make sure that the lock is still ours, and renew the heartbeat.

        Raises
        ------
        LockedError
            Somebody replaced or removed it.
        OSError
            It cannot be told; a storage that fails for a moment takes no lock away.
        """
        if self._file is None:
            raise LockedError(f"{self.path}: not locked")
        path = self.exclusive if self._marked else self.path
        try:
            same = self._marked or os.path.samestat(
                os.fstat(self._file.fd), self._fs.lstat(self.path)
            )
            owner = _owner_in(self._fs.read_small(path, MOST_BYTES))
        except FileNotFoundError:
            same, owner = False, None
        if not same or owner != self.owner:
            raise LockedError(f"{path}: taken by {owner or 'somebody'}; this run lost its folder")
        if self._marked:
            self._fs.call("utime", os.utime, path)

    def release(self) -> None:
        """Give the lock up."""
        if self._file is None:
            return
        if self._marked:
            with contextlib.suppress(OSError):
                if read_owner(self.exclusive, self._fs) == self.owner:
                    self._fs.unlink(self.exclusive)
        self._file.abandon()
        self._file, self._marked = None, False


def read_owner(path: Path, fs: FileSystem = REAL) -> Owner | None:
    """Read who holds a lock; None if the file does not say."""
    try:
        return _owner_in(fs.read_small(path, MOST_BYTES))
    except FileNotFoundError:
        raise
    except OSError:
        return None


def _owner_in(content: bytes) -> Owner | None:
    try:
        found: Any = json.loads(content)
        return Owner(**found)
    except (ValueError, TypeError):
        return None


def is_client_local(path: Path) -> bool:
    """Whether the file system of `path` is mounted with locks that other nodes do not see."""
    try:
        lines = Path("/proc/self/mounts").read_text().splitlines()
        real = path.parent.resolve()
    except OSError:
        return False
    mounts = [line.split() for line in lines]
    inside = [m for m in mounts if len(m) > 3 and real.is_relative_to(_unescape(m[1]))]
    if not inside:
        return False
    deepest = max(inside, key=lambda m: len(_unescape(m[1])))
    return bool(LOCAL_OPTIONS & set(deepest[3].split(",")))


def _unescape(mount_point: str) -> str:
    return mount_point.encode().decode("unicode_escape")
