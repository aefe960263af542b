"""Appending frames to trajectory files that hold whole frames whatever happens to the run.

A frame is formatted piece by piece, in the order of ids, by one rank; nothing that grows with
the number of atoms is held, and the file is not buffered: pieces are large already.  If writing
fails half-way (a full disk), the file is cut back to its last whole frame before the error is
raised.  If the process is killed half-way, a torn frame is left; whoever goes on with the file
knows from a checkpoint where its last good frame ends, and cuts it there first
(`mdapp.storage.outputs`): to look for that place would be to read the whole file.

A `*` in the file's name stands for the step: one file per frame, as in LAMMPS.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.model.elements import nearest
from mdapp.structures.extxyz_format import CHARGED_COLUMNS, DEFAULT_COLUMNS, ExtxyzFormat
from mdapp.structures.lammps_dump import ATOM_COLUMNS, Arrays, DumpFormat

KINDS = ("atom", "custom", "extxyz")
ROWS_AT_A_TIME = 4096      # formatted at once: long enough to be fast, short enough for the cache


class FrameFormat(Protocol):
    """The text of frames: what a kind of file is to `FrameWriter`."""

    needs: frozenset[str]
    line: str

    def header(self, step: int, time: float, box: Box, natoms: int) -> str:
        """Lines above the atoms."""
        ...

    def columns(self, arrays: Arrays, box: Box) -> list[NDArray[np.generic]]:
        """One array (n,) for each % in `line`."""
        ...


class FrameWriter:
    """Writes frames of one kind to one file (or one file each).

    Parameters
    ----------
    path : the file; `*` in its name becomes the step
    kind : atom, custom (LAMMPS dumps) or extxyz
    columns : of a custom dump (needed) or of extxyz; `atom` has id type xs ys zs
    species, mass : of the types
    charged : whether the atoms have charges, which extxyz then writes
    append : go on at the end of a file that is there, instead of starting a new one

    Attributes
    ----------
    needs : names of the arrays that pieces must have, of id type x image v f q

    Raises
    ------
    InputError : a kind or column that does not exist, a file that cannot be written or appended to
    """

    def __init__(self, path: Path | str, kind: str, columns: Sequence[str] | None = None, *,
                 species: Sequence[str], mass: NDArray[np.float64], charged: bool = False,
                 append: bool = False) -> None:
        self.path = Path(path)
        if columns is None and kind == "extxyz":
            columns = CHARGED_COLUMNS if charged else DEFAULT_COLUMNS
        self._format = _format(kind, columns, species, mass)
        self.needs = self._format.needs
        if "q" in self.needs and not charged:
            raise InputError(f"output.columns: {' '.join(columns or ())!r}: the atoms have no "
                             "charges; leave the column out, or give system.charges")
        if self.path.suffix in (".gz", ".bz2", ".zst", ".xz"):
            raise InputError(f"output.file: {self.path}: compressed files are not written; "
                             f"use {self.path.with_suffix('')}")
        self._file: FileIO | None = None
        if "*" not in self.path.name:
            self._file = _open(self.path, append)

    def write(self, step: int, time: float, box: Box, natoms: int,
              pieces: Iterable[Arrays]) -> None:
        """Append one frame.

        Parameters
        ----------
        step, time, box : of the frame
        natoms : atoms in all pieces together
        pieces : arrays by name (`needs`): id (n,), type (n,) 0-based, x (n, 3) in the box,
            image (n, 3), v (n, 3), f (n, 3), q (n,); in the order of ids

        Raises
        ------
        InputError : the file cannot be written; it then ends with the frame before
        ValueError : the pieces hold another number of atoms than natoms
        """
        file = self._file or _open(
            self.path.with_name(self.path.name.replace("*", str(step))), False)
        start = file.tell()
        try:
            self._write_frame(file, step, time, box, natoms, pieces)
        except OSError as error:
            _cut(file, start)
            raise InputError(f"{file.name}: frame of step {step} cannot be written: "
                             f"{error.strerror}; {_remedy(self.path)}") from None
        except BaseException:
            _cut(file, start)
            raise
        finally:
            if self._file is None:
                file.close()

    def close(self) -> None:
        """Close the file; frames are in the hands of the system before this already."""
        if self._file is not None:
            self._file.close()

    def _write_frame(self, file: FileIO, step: int, time: float, box: Box, natoms: int,
                     pieces: Iterable[Arrays]) -> None:
        _write(file, self._format.header(step, time, box, natoms))
        written = 0
        for arrays in pieces:
            columns = self._format.columns(arrays, box)
            n = len(columns[0])
            for first in range(0, n, ROWS_AT_A_TIME):
                part = slice(first, first + ROWS_AT_A_TIME)
                rows = zip(*(column[part].tolist() for column in columns), strict=True)
                values = tuple(value for row in rows for value in row)
                _write(file, self._format.line * len(columns[0][part]) % values)
            written += n
        if written != natoms:
            raise ValueError(f"frame of step {step}: {written} atoms in the pieces, {natoms} said")


class LineWriter:
    """Writes lines to a text file, which ends with a whole line whatever happens.

    Parameters
    ----------
    path, append : as of FrameWriter
    heading : the first line of a new file

    Raises
    ------
    InputError : the file cannot be written
    """

    def __init__(self, path: Path, heading: str, append: bool = False) -> None:
        self.path, self._file = path, _open(path, append)
        if not append:
            self.write(heading)

    def write(self, line: str) -> None:
        """Append a line."""
        start = self._file.tell()
        try:
            _write(self._file, line)
        except OSError as error:
            _cut(self._file, start)
            raise InputError(f"{self.path}: cannot be written: {error.strerror}; "
                             f"{_remedy(self.path)}") from None

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _format(kind: str, columns: Sequence[str] | None, species: Sequence[str],
            mass: NDArray[np.float64]) -> FrameFormat:
    match kind:
        case "atom":
            if columns is not None and tuple(columns) != ATOM_COLUMNS:
                raise InputError(f"output.columns: {' '.join(columns)!r}: kind = \"atom\" has "
                                 f'{" ".join(ATOM_COLUMNS)}; use kind = "custom"')
            return DumpFormat(ATOM_COLUMNS, species, mass)
        case "custom":
            if columns is None:
                raise InputError('output.columns: kind = "custom" needs the list of its columns')
            return DumpFormat(columns, species, mass)
        case "extxyz":
            assert columns is not None
            return ExtxyzFormat(columns, species)
    raise InputError(f"output.kind: unknown kind {kind!r}{nearest(kind, KINDS)}; "
                     f"it may be {', '.join(KINDS)}")


def _open(path: Path, append: bool) -> FileIO:
    try:
        if not append:
            return path.open("wb", buffering=0)
        file = path.open("r+b", buffering=0)
        file.seek(0, os.SEEK_END)
        return file
    except OSError as error:
        raise InputError(f"{path}: cannot be opened for writing: {error.strerror}; "
                         f"{_remedy(path)}") from None


def _write(file: FileIO, text: str) -> None:
    """Write all of it: an unbuffered file may take a part only."""
    rest = memoryview(text.encode())
    while rest:
        rest = rest[file.write(rest):]


def _cut(file: FileIO, end: int) -> None:
    """Drop what is behind `end` and go on from there; a pipe keeps what it got."""
    with suppress(OSError):
        file.truncate(end)
        file.seek(end)


def _remedy(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"make the directory {parent} first"
    if path.is_dir():
        return "give a file, not a directory"
    if not os.access(parent, os.W_OK):
        return f"get write permission for {parent}, or choose another file in output.file"
    return f"free some space on the file system of {parent.resolve()}, or choose another file"
