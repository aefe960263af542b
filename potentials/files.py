"""Reading parameter files: words and numbers, each with the line that it stands on.

Files of parameters are read by people who did not write them, years later. Whatever is wrong with
one is told with its name and line: a number that is none, or not finite, or missing at the end.
Numbers may be written as Fortran writes them, with a D for the exponent.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

NOBODY = "NULL"                     # stands for a type that a potential does not see (subset.py)
SEARCHED = "LAMMPS_POTENTIALS"      # folders in which LAMMPS looks for files too
LARGEST = 1 << 28                   # bytes; a parameter file has a thousandth of that
_UNITS = re.compile(r"\bUNITS:\s*(\w+)")       # as files of LAMMPS say it, on their first line
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eEdD][+-]?\d+)?")


class FileError(ValueError):
    """A parameter file cannot be used; the message names it, the line, and what is wrong."""


def find_file(name: object, folder: Path | None = None) -> Path:
    """The path of a parameter file: relative to `folder`, or in a folder of LAMMPS_POTENTIALS.

    Raises
    ------
    FileError : there is no such file
    """
    if name is None:
        raise FileError("file is missing: give file = the name of a file")
    if not isinstance(name, str) or not name or "\0" in name:
        raise FileError(f"file = {name!r}: must be the name of a file")
    places = [folder or Path(), *map(Path, filter(None, os.environ.get(SEARCHED, "").split(":")))]
    for place in places:
        path = place / name
        if path.is_file():
            return path
    looked = "" if Path(name).is_absolute() else (
        f" (looked in {', '.join(str(p) for p in places)})")
    raise FileError(f"file = {name!r}: no such file{looked}")


def files_beside(names: Any, folder: Path) -> Any:
    """A name of a file, or a list of them, as paths from here: those of `folder` come first.

    One that is nowhere is taken for a file of the folder, which is where a user will look for it.
    """
    if isinstance(names, list):
        return [files_beside(name, folder) for name in names]
    if not isinstance(names, str) or names == NOBODY:
        return names
    try:
        here = (folder / names).is_file()
        return names if not here and find_file(names) else str(folder / names)
    except FileError:
        return str(folder / names) if names else names
    except (OSError, ValueError):               # no name of a file at all
        return names


class Reader:
    """The words of a text file, from the first to the last.

    Parameters
    ----------
    path : of the file
    comment : from this character on a line is not read; None: there are no comments
    units : that the file must be in if its first line says `UNITS: ...`; None: any

    Raises
    ------
    FileError : it cannot be read, or says that it is in other units
    """

    def __init__(self, path: Path, comment: str | None = "#", units: str | None = "metal"):
        self.path, self.comment = path, comment
        try:
            if path.stat().st_size > LARGEST:
                raise FileError(f"{path}: is larger than {LARGEST} bytes: no parameter file")
            content = path.read_bytes()
        except OSError as error:
            raise FileError(f"{path}: cannot be read: {error.strerror}") from None
        self.bytes = len(content)
        self.lines = content.decode("utf-8", "surrogateescape").splitlines()
        self.at = 0                         # lines read so far
        self._left: list[str] = []          # words of the last of them that are left
        said = _UNITS.search(self.lines[0]) if self.lines else None
        if units and said and said[1] != units:
            raise self.error(f"says UNITS: {said[1]}; take a file in {units} units, or convert its "
                             "numbers")

    def error(self, text: str) -> FileError:
        """An error at the line that was read last."""
        return FileError(f"{self.path}:{max(self.at, 1)}: {text}")

    def skip(self, count: int) -> None:
        """Skip whole lines."""
        self.at, self._left = self.at + count, []
        if self.at > len(self.lines):
            self.at = len(self.lines)
            raise self.error("the file ends too early")

    def more(self) -> bool:
        """Whether there are words left."""
        def words(text: str) -> list[str]:
            return (text if self.comment is None else text.partition(self.comment)[0]).split()

        return bool(self._left) or any(words(text) for text in islice(self.lines, self.at, None))

    def line(self, what: str) -> list[str]:
        """The words of the next line that has any."""
        self._left = []
        while not self._left:
            self._fetch(what)
        words, self._left = self._left, []
        return words

    def next_line(self) -> list[str]:
        """The words of the next line that has any, or none at the end of the file."""
        self._left = []
        while not self._left and self.at < len(self.lines):
            self._fetch("a line")
        words, self._left = self._left, []
        return words

    def _fetch(self, what: str) -> None:
        if self.at >= len(self.lines):
            raise self.error(f"the file ends where {what} is expected")
        text = self.lines[self.at]
        self.at += 1
        if self.comment is not None:
            text = text.partition(self.comment)[0]
        self._left = text.split()

    def word(self, what: str) -> str:
        """The next word."""
        while not self._left:
            self._fetch(what)
        return self._left.pop(0)

    def numbers(self, count: int, what: str) -> NDArray[np.float64]:
        """The next (count,) numbers.

        Raises
        ------
        FileError : one of them is no finite number, or the file ends
        """
        if count > self.bytes:
            raise self.error(f"{what}: {count} numbers are announced, more than the file has bytes")
        found = np.empty(count)
        k = 0
        while k < count:
            while not self._left:
                self._fetch(f"number {k + 1} of {count} of {what}")
            take = min(count - k, len(self._left))
            for word in self._left[:take]:
                found[k] = self.number(word, what)
                k += 1
            del self._left[:take]
        return found

    def number(self, word: str, what: str) -> float:
        """One finite number."""
        if not _NUMBER.fullmatch(word):
            raise self.error(f"{what}: {word[:40]!r} is no number")
        value = float(word.replace("d", "e").replace("D", "e"))
        if not np.isfinite(value):
            raise self.error(f"{what}: {word} is no finite number")
        return value

    def count(self, word: str, what: str, least: int, most: int) -> int:
        """One whole number within bounds."""
        value = self.number(word, what)
        if value != int(value) or not least <= value <= most:
            raise self.error(f"{what} is {word}: must be a whole number from {least} to {most}")
        return int(value)

    def positive(self, word: str, what: str) -> float:
        """One number greater than 0."""
        value = self.number(word, what)
        if value <= 0:
            raise self.error(f"{what} is {word}: must be greater than 0")
        return value

    def ended(self) -> bool:
        """Whether there are no words left."""
        mark = self.comment or "\n"
        return not self._left and not any(text.partition(mark)[0].strip()
                                          for text in self.lines[self.at:])

    def at_end(self) -> None:
        """Raise FileError if there are words left."""
        while not self._left and self.at < len(self.lines):
            self._fetch("nothing")
        if self._left:
            raise self.error(f"{self._left[0][:40]!r}: more than the file announced")


def digest_of(arrays: Mapping[str, NDArray[Any]], text: str = "") -> str:
    """Hash of a text and of arrays with their names, kinds and shapes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])       # a single number has shape (1,): files ...
        digest.update(f"{name} {array.dtype.str} {array.shape}\0".encode())
        digest.update(array.tobytes())                   # ... have been written so
    return digest.hexdigest()
