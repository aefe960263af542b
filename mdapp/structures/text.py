"""Tables of text, read in pieces of bounded size, strictly and fast.

A file of ten million atoms is a gigabyte of digits.  Python's own loop over lines would take a
minute, and `numpy.loadtxt` neither names the line of an error nor stops at a memory bound.  So
the work is split in two:

1. one compiled pass over the bytes of a piece splits it into columns, checks every token against
   the grammar of its column (an integer, a decimal number, a word), notes words, and blanks what
   is no number: comments and words;
2. NumPy converts the numbers that are left, correctly rounded, in one call.

What pass 1 lets through, pass 2 cannot misread, and pass 1 knows the line and column of what it
does not.  NaN and infinities are refused in columns that are used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.source import BLOCK_ATOMS

PIECE_BYTES = 1 << 22
LONGEST_LINE = 1 << 20
WORD_BYTES = 8                 # a species name; longer words are refused
LARGEST_INTEGER = 2**53        # integers pass through float64

INTEGER, REAL, WORD, SKIP = range(4)      # kinds of columns; SKIP: counted, not looked at

_MESSAGES = {
    1: "{got} columns, expected {want}",
    2: "'{token}' in column {column} is not an integer",
    3: "'{token}' in column {column} is not a finite number",
    4: "'{token}' in column {column} is longer than 8 characters",
}


@dataclass(frozen=True)
class Rows:
    """Some rows of a table.

    Attributes
    ----------
    number : (n, k) float64, the INTEGER and REAL columns in their order
    word : (n, m) uint64, the WORD columns, eight characters packed
    line : (n,) int64, the line of the file that each row stood on
    """

    number: NDArray[np.float64]
    word: NDArray[np.uint64]
    line: NDArray[np.int64]


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading; InputError says why it cannot be."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a directory, not a structure file")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file{_neighbour(path)}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None


def read_rows(path: Path, offset: int, line: int, nrows: int, kinds: Sequence[int], *,
              comments: bool, what: str) -> Iterator[Rows]:
    """Read a table of `nrows` rows in pieces of at most BLOCK_ATOMS.

    Parameters
    ----------
    path, offset, line : where the table starts, byte and line number
    nrows : rows to read
    kinds : INTEGER, REAL, WORD or SKIP for each column
    comments : `#` starts a comment and blank lines are skipped; else a blank line is an error
    what : names a row in messages ("atom")

    Raises
    ------
    InputError : `file:line: ...` for a token or a line that does not fit, or a file that ends early
    """
    kind = np.array(kinds, np.int64)
    nnumber, nword = int((kind <= REAL).sum()), int((kind == WORD).sum())
    left = nrows
    for piece, first_line in _pieces(path, offset, line):
        at = 0
        while left and at < len(piece):
            room = min(left, BLOCK_ATOMS)
            word = np.empty((room, nword), np.uint64)
            lines = np.empty(room, np.int64)
            n, end, next_line, error, start, stop, column = _scan(
                piece, at, first_line, kind, comments, word, lines)
            if error:
                token = bytes(piece[start:stop]).decode(errors="replace")
                raise InputError(f"{path}:{next_line}: " + _MESSAGES[error].format(
                    got=column, want=len(kind), token=token[:40], column=column + 1))
            number = np.fromstring(bytes(piece[at:end]), sep=" ").reshape(n, nnumber)
            at, first_line, left = end, next_line, left - n
            if n:
                _check_finite(path, number, lines)
                yield Rows(number, word[:n], lines[:n])
        if not left:
            return
        line = first_line
    if left:
        raise InputError(f"{path}: the file ends after {nrows - left} of {nrows} {what}s; "
                         "it is truncated, or the count in its header is wrong")


def skip_lines(handle: BinaryIO, count: int) -> int:
    """Move past `count` lines; returns how many there were."""
    passed = 0
    while passed < count:
        start = handle.tell()
        piece = handle.read(PIECE_BYTES)
        if not piece:
            break
        ends = np.flatnonzero(np.frombuffer(piece, np.uint8) == 10)
        if passed + len(ends) >= count:
            handle.seek(start + int(ends[count - passed - 1]) + 1)
            return count
        passed += len(ends)
        if len(piece) < PIECE_BYTES and not piece.endswith(b"\n"):
            passed += 1
    return passed


def count_data_lines(handle: BinaryIO) -> tuple[int, int]:
    """Pass over lines up to one that starts with a letter, or the end of the file.

    Returns
    -------
    lines : passed in all
    data : those of them that are not blank and not only a comment
    """
    lines = data = 0
    while True:
        start = handle.tell()
        piece = handle.read(PIECE_BYTES)
        whole = piece.rfind(b"\n") + 1
        if whole == 0:                            # the last line, or one longer than a piece
            whole = len(piece)
        if whole == 0:
            return lines, data
        more, more_data, stop = _count(np.frombuffer(piece[:whole], np.uint8))
        lines, data = lines + more, data + more_data
        handle.seek(start + stop)
        if stop < whole:
            return lines, data


def read_line(handle: BinaryIO, path: Path, line: int) -> str:
    """One line as text, "" at the end of the file; InputError if it is absurdly long or no text."""
    raw = handle.readline(LONGEST_LINE)
    if len(raw) == LONGEST_LINE:
        raise InputError(f"{path}:{line}: a line longer than {LONGEST_LINE} bytes; "
                         "this is not a structure file")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise InputError(f"{path}:{line}: not text; this is not a structure file") from None


def unpack_word(word: int) -> str:
    """Turn a packed word of `Rows.word` back into text."""
    return int(word).to_bytes(WORD_BYTES, "little").rstrip(b"\0").decode(errors="replace")


def _neighbour(path: Path) -> str:
    from mdapp.model.elements import nearest
    try:
        return nearest(path.name, [p.name for p in path.parent.iterdir()])
    except OSError:
        return f" (and no directory {path.parent})"


def _pieces(path: Path, offset: int, line: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Yield whole lines, PIECE_BYTES or so at a time, with the number of the first line."""
    with open_binary(path) as handle:
        handle.seek(offset)
        rest = b""
        while True:
            read = handle.read(PIECE_BYTES)
            text = rest + read
            end = text.rfind(b"\n") + 1
            if not read and text:
                text, end = text + b"\n", len(text) + 1
            if end:
                yield np.frombuffer(bytearray(text[:end]), np.uint8), line
                line += text.count(b"\n", 0, end)
            rest = text[end:]
            if len(rest) > LONGEST_LINE:
                raise InputError(f"{path}:{line}: a line longer than {LONGEST_LINE} bytes; "
                                 "this is not a structure file")
            if not read:
                return


def _check_finite(path: Path, number: NDArray[np.float64], lines: NDArray[np.int64]) -> None:
    bad = ~np.isfinite(number).all(axis=1)      # the grammar lets 1e999 through
    if bad.any():
        raise InputError(f"{path}:{lines[np.argmax(bad)]}: a number overflows")


@njit(cache=True)
def _count(text):  # type: ignore[no-untyped-def]
    """Lines and data lines before the first line that starts with a letter, and its offset."""
    lines, data, i = 0, 0, 0
    while i < len(text):
        start = i
        while i < len(text) and _is_blank(text[i]):
            i += 1
        if i < len(text) and (65 <= text[i] <= 90 or 97 <= text[i] <= 122):
            return lines, data, start
        if i < len(text) and text[i] != 10 and text[i] != 35:
            data += 1
        while i < len(text) and text[i] != 10:
            i += 1
        i += 1
        lines += 1
    return lines, data, len(text)


@njit(cache=True)
def _is_blank(c):  # type: ignore[no-untyped-def]
    return c == 32 or c == 9 or c == 13 or c == 11 or c == 12


@njit(cache=True)
def _is_integer(text, start, stop):  # type: ignore[no-untyped-def]
    if text[start] == 43 or text[start] == 45:
        start += 1
    if stop - start < 1 or stop - start > 15:          # 15 digits are below 2^53
        return False
    ok = True
    for i in range(start, stop):
        ok = ok and 48 <= text[i] <= 57
    return ok


@njit(cache=True)
def _is_real(text, start, stop):  # type: ignore[no-untyped-def]
    """Whether [sign] digits [. digits] [e [sign] digits], with a digit before or after the dot."""
    i = start
    if text[i] == 43 or text[i] == 45:
        i += 1
    digits = 0
    while i < stop and 48 <= text[i] <= 57:
        i += 1
        digits += 1
    if i < stop and text[i] == 46:
        i += 1
        while i < stop and 48 <= text[i] <= 57:
            i += 1
            digits += 1
    if digits == 0:
        return False
    if i < stop and (text[i] == 101 or text[i] == 69):
        i += 1
        if i < stop and (text[i] == 43 or text[i] == 45):
            i += 1
        digits = 0
        while i < stop and 48 <= text[i] <= 57:
            i += 1
            digits += 1
        if digits == 0:
            return False
    return i == stop


@njit(cache=True)
def _scan(text, at, line, kind, comments, word, lines):  # type: ignore[no-untyped-def]
    """Split and check lines from `at` on, until len(lines) rows are found.

    Returns rows, where to go on, the line number there, and of an error its code, span and column.
    """
    n = 0
    while at < len(text) and n < len(lines):
        column, nword = 0, 0
        error, error_start, error_stop, error_column = 0, 0, 0, 0
        i = at
        while text[i] != 10:
            if _is_blank(text[i]):
                i += 1
                continue
            if comments and text[i] == 35:
                while text[i] != 10:
                    text[i] = 32
                    i += 1
                break
            start = i
            while text[i] != 10 and not _is_blank(text[i]) and not (comments and text[i] == 35):
                i += 1
            if column < len(kind):
                code = 0
                if kind[column] == 0 and not _is_integer(text, start, i):
                    code = 2
                elif kind[column] == 1 and not _is_real(text, start, i):
                    code = 3
                elif kind[column] == 2 and i - start > 8:
                    code = 4
                if code and not error:         # first see whether the line has its columns
                    error, error_start, error_stop, error_column = code, start, i, column
                if kind[column] == 2:
                    packed = np.uint64(0)
                    for k in range(min(i - start, 8)):
                        packed |= np.uint64(text[start + k]) << np.uint64(8 * k)
                    word[n, nword] = packed
                    nword += 1
                if kind[column] >= 2 and not error:
                    for k in range(start, i):
                        text[k] = 32
            column += 1
        if column != len(kind) and not (column == 0 and comments):
            return n, at, line, 1, at, i, column
        if error:
            return n, at, line, error, error_start, error_stop, error_column
        if column:
            lines[n] = line
            n += 1
        at = i + 1
        line += 1
    return n, at, line, 0, 0, 0, 0
