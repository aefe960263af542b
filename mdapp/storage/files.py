"""The one door to the operating system: everything that storage does to files goes through here.

Each system call passes `FileSystem.call`, which does nothing but call it. A test puts a subclass in
its place that fails the n-th call of a kind with any error, loses a write, shortens one, or stops
the world as a power cut would; so each step of a commit can be broken in milliseconds, without
root, ptrace or a disk that is really full.

What the methods add is what a careful caller would repeat everywhere: short reads and writes are
continued, a write of nothing is an error, pieces stay below the 2 GiB where kernels and network
file systems cut, and an error names its file, which `pwrite` and `fsync` themselves do not.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

PIECE = 64 << 20
SMALL_FILE = 1 << 30
RETRY_DELAYS = (0.1, 0.2, 0.4, 0.8, 1.6)
# What a network file system may say for a moment about a file that another client just made.
PASSING = frozenset({errno.ENOENT, errno.ESTALE})

P = ParamSpec("P")
T = TypeVar("T")


def raw(array: NDArray[Any]) -> memoryview:
    """Bytes of a C-contiguous array, without a copy; of an empty one too."""
    return array.reshape(-1).view(np.uint8).data


class FileSystem:
    """System calls with the errors of their names."""

    def call(
        self, kind: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make one system call of the given kind; the place where tests step in."""
        return function(*args, **kwargs)

    def sleep(self, seconds: float) -> None:
        """Wait before another try."""
        time.sleep(seconds)

    def open(self, path: Path, flags: int = os.O_RDONLY) -> File:
        """Open a file; closed when the process starts another program."""
        fd = self.call("open", os.open, path, flags | os.O_CLOEXEC, 0o666)
        return File(self, fd, path)

    def open_patiently(self, path: Path, flags: int = os.O_RDONLY) -> File:
        """Open a file that another node may have made just now: try again for three seconds."""
        return self.patiently(lambda: self.open(path, flags), PASSING)

    def patiently(self, function: Callable[[], T], errnos: frozenset[int]) -> T:
        """Call again, with growing delays, while the error is one of `errnos`.

        Raises
        ------
        OSError
            Any other error at once, one of `errnos` after the last try.
        """
        for delay in RETRY_DELAYS:
            try:
                return function()
            except OSError as error:
                if error.errno not in errnos:
                    raise
                self.sleep(delay)
        return function()

    def mkdir(self, path: Path) -> None:
        """Make one directory."""
        self.call("mkdir", os.mkdir, path)

    def rename(self, old: Path, new: Path) -> None:
        """Rename within one file system; atomic."""
        self.call("rename", os.rename, old, new)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        self.call("unlink", os.unlink, path)

    def rmdir(self, path: Path) -> None:
        """Remove an empty directory."""
        self.call("rmdir", os.rmdir, path)

    def listdir(self, path: Path) -> list[str]:
        """Names in a directory, sorted."""
        return sorted(self.call("listdir", os.listdir, path))

    def lstat(self, path: Path) -> os.stat_result:
        """Size, kind and times of a name; links are not followed."""
        return self.call("stat", os.lstat, path)

    def exists(self, path: Path) -> bool:
        """Whether the name exists.

        Raises
        ------
        OSError
            It cannot be told.
        """
        try:
            self.lstat(path)
        except FileNotFoundError:
            return False
        return True

    def is_directory(self, path: Path) -> bool:
        """Whether the name is a directory (not a link to one)."""
        import stat

        try:
            return stat.S_ISDIR(self.lstat(path).st_mode)
        except FileNotFoundError:
            return False

    def free_bytes(self, path: Path) -> int:
        """Bytes that this user may still write to the file system of `path`."""
        status = self.call("statvfs", os.statvfs, path)
        return status.f_bavail * status.f_frsize

    def sync_directory(self, path: Path) -> None:
        """Make the names in a directory survive a power cut."""
        with self.open(path, os.O_RDONLY | os.O_DIRECTORY) as directory:
            directory.fsync()

    def read_small(self, path: Path, limit: int = SMALL_FILE) -> bytes:
        """Read a whole file.

        Raises
        ------
        OSError
            EFBIG if it is larger than `limit`: then it is not what the caller thinks it is.
        """
        with self.open(path) as file:
            size = file.size()
            if size > limit:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
            buffer = np.empty(size, np.uint8)
            return buffer[: file.pread_into(raw(buffer), 0)].tobytes()

    def write_durably(self, path: Path, data: bytes) -> None:
        """Write a whole file so that after a crash either the old or the new content is there.

        The directory is not synced: the caller may have more names to make durable in it.
        """
        draft = path.with_name(path.name + ".tmp")
        with self.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            file.pwrite(data, 0)
            file.fsync()
        self.rename(draft, path)

    def append(self, path: Path, data: bytes) -> None:
        """Add to the end of a log file, which is made where it does not exist."""
        with self.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as file:
            file.append(data)

    def remove_tree(self, path: Path, first: str | None = None) -> None:
        """Remove a directory and all in it; the file named `first` before all others."""
        names = self.listdir(path)
        for name in sorted(names, key=lambda n: n != first):
            inner = path / name
            if self.is_directory(inner):
                self.remove_tree(inner)
            else:
                self.unlink(inner)
        self.rmdir(path)


class File:
    """An open file; knows its path, so that errors can tell it.

    Attributes
    ----------
    fd : int
        Its descriptor; -1 once closed.
    path : Path
    """

    def __init__(self, fs: FileSystem, fd: int, path: Path):
        self._fs, self.fd, self.path = fs, fd, path

    def __enter__(self) -> File:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abandon()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.filename is None:
                error.filename = str(self.path)
            raise

    def pwrite(self, data: bytes | memoryview, offset: int) -> None:
        """Write all of `data` at `offset`.

        Raises
        ------
        OSError
            As the system says; EIO where it writes nothing and says nothing.
        """
        view = memoryview(data)
        with self._named():
            while len(view):
                done = self._fs.call("pwrite", os.pwrite, self.fd, view[:PIECE], offset)
                if done <= 0:
                    raise OSError(errno.EIO, "the system wrote nothing", str(self.path))
                view, offset = view[done:], offset + done

    def append(self, data: bytes) -> None:
        """Write at the end of a file that was opened for appending."""
        view = memoryview(data)
        with self._named():
            while len(view):
                view = view[self._fs.call("write", os.write, self.fd, view[:PIECE]) :]

    def pread_into(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset` on; returns the bytes read, fewer only at the file's end."""
        total = 0
        with self._named():
            while total < len(buffer):
                piece = buffer[total : total + PIECE]
                done = self._fs.call("pread", os.preadv, self.fd, [piece], offset + total)
                if done == 0:
                    break
                total += done
        return total

    def truncate(self, size: int) -> None:
        """Make the file this long, with a hole where it grows."""
        with self._named():
            self._fs.call("ftruncate", os.ftruncate, self.fd, size)

    def size(self) -> int:
        """Bytes in the file."""
        with self._named():
            return self._fs.call("stat", os.fstat, self.fd).st_size

    def fsync(self) -> None:
        """Wait until content and size are on the device. Never call it again after it failed."""
        with self._named():
            self._fs.call("fsync", os.fsync, self.fd)

    def advise(self, offset: int, length: int, advice: int) -> None:
        """Tell the kernel what comes; it may ignore that, and so may we."""
        if hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self.fd, offset, length, advice)

    def start_writeback(self, offset: int, length: int) -> None:
        """Let the device begin on what was written, while the cpu checks the next piece."""
        if hasattr(os, "POSIX_FADV_DONTNEED"):
            self.advise(offset, length, os.POSIX_FADV_DONTNEED)

    def close(self) -> None:
        """Close, and report what a network file system tells only now."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            with self._named():
                self._fs.call("close", os.close, fd)

    def abandon(self) -> None:
        """Close after a failure, whose error is the one to tell."""
        with contextlib.suppress(OSError):
            self.close()


REAL = FileSystem()
