"""Calls of Linux that Python has no name for, and what it tells of reads and caches."""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache
from pathlib import Path

import numpy as np

WINDOW_PAGES = 64
MOST_WINDOWS = 256


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def sync_file_system(folder: Path) -> None:
    """Wait until all that was written to the file system of a folder is on the device.

    Raises
    ------
    OSError
        Something of it could not be written.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc().syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(fd)


def forget(path: Path) -> None:
    """Ask the kernel to drop a file from its cache; it keeps pages that are not on the device."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


def resident_pages(path: Path) -> tuple[int, int]:
    """How many pages of a file are in the cache, of how many that were looked at.

    Large files are sampled: windows of 64 pages, evenly spaced.
    """
    size = path.stat().st_size
    if size == 0:
        return 0, 0
    page = mmap.PAGESIZE
    pages = -(-size // page)
    starts = (range(0, pages, WINDOW_PAGES) if pages <= WINDOW_PAGES * MOST_WINDOWS else
              np.linspace(0, pages - WINDOW_PAGES, MOST_WINDOWS).astype(np.int64).tolist())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE,
                                            mmap.PROT_READ | mmap.PROT_WRITE) as view:
        anchor = ctypes.c_char.from_buffer(view)
        base = ctypes.addressof(anchor)
        inside = looked = 0
        vector = (ctypes.c_ubyte * WINDOW_PAGES)()
        for first in starts:
            n = min(WINDOW_PAGES, pages - first)
            if _libc().mincore(ctypes.c_void_p(base + first * page), ctypes.c_size_t(n * page),
                               vector) != 0:
                continue
            inside += sum(v & 1 for v in vector[:n])
            looked += n
        del anchor
    return inside, looked


def bytes_from_devices() -> int | None:
    """Bytes that this process made block devices read so far; None where the kernel hides it."""
    try:
        for line in Path("/proc/self/io").read_text().splitlines():
            if line.startswith("read_bytes:"):
                return int(line.split()[1])
    except OSError:
        return None
    return None


def drop_all_caches() -> None:
    """Drop the page cache of this machine; only root may."""
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("1\n")
