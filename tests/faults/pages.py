"""A network file system's client that holds whole pages, and so loses what neighbours wrote.

Each process is a client of its own. A page is fetched at its first use, changed in memory, and
written back whole at fsync or close: what another client wrote into it meanwhile is gone, without
an error. Opening a file anew sees what is there, as close-to-open consistency promises.
"""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from mdapp.storage.files import FileSystem

PAGE = 4096


class Cached:
    """What the client has of one file."""

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.dirty: set[int] = set()
        self.end = 0

    def forget_clean(self) -> None:
        self.pages = {n: page for n, page in self.pages.items() if n in self.dirty}


class PageCachingFileSystem(FileSystem):
    """Real files, written in whole pages."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self._paths: dict[int, str] = {}
        self._files: defaultdict[str, Cached] = defaultdict(Cached)

    def sleep(self, seconds: float) -> None:
        pass

    def call(self, kind: str, function: Callable, *args, **kwargs):
        if kind == "pwrite":
            return self._write(*args)
        if kind == "pread":
            return self._read(*args)
        if kind in ("fsync", "close", "ftruncate", "stat"):
            self._write_back(self._paths.get(args[0], str(args[0])))
        elif kind in ("rename", "unlink"):
            self._files.pop(str(args[0]), None)
        result = function(*args, **kwargs)
        if kind == "open":
            path = self._paths[result] = str(args[0])
            self.opened.append(path)
            self._files[path].forget_clean()
        return result

    def _page(self, path: str, number: int) -> bytearray:
        pages = self._files[path].pages
        if number not in pages:
            with Path(path).open("rb") as file:
                file.seek(number * PAGE)
                pages[number] = bytearray(file.read(PAGE).ljust(PAGE, b"\0"))
        return pages[number]

    def _write(self, fd: int, data: memoryview, offset: int) -> int:
        path = self._paths[fd]
        for number, inner, outer in _parts(offset, len(data)):
            self._page(path, number)[inner] = data[outer]
            self._files[path].dirty.add(number)
        self._files[path].end = max(self._files[path].end, offset + len(data))
        return len(data)

    def _read(self, fd: int, buffers: list[memoryview], offset: int) -> int:
        path = self._paths[fd]
        size = max(os.fstat(fd).st_size, self._files[path].end)
        nbytes = max(0, min(len(buffers[0]), size - offset))
        for number, inner, outer in _parts(offset, nbytes):
            buffers[0][outer] = self._page(path, number)[inner]
        return nbytes

    def _write_back(self, path: str) -> None:
        cached = self._files[path]
        if cached.dirty:
            fd = os.open(path, os.O_WRONLY)
            size = max(os.fstat(fd).st_size, cached.end)
            for number in sorted(cached.dirty):
                os.pwrite(fd, cached.pages[number][: size - number * PAGE], number * PAGE)
            os.close(fd)
        cached.dirty, cached.end = set(), 0


def _parts(offset: int, nbytes: int):
    """(page, slice of the page, slice of the data) of a range of bytes."""
    position = offset
    while position < offset + nbytes:
        number, begin = divmod(position, PAGE)
        count = min(PAGE - begin, offset + nbytes - position)
        outer = position - offset
        yield number, slice(begin, begin + count), slice(outer, outer + count)
        position += count
