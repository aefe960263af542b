"""Python files of users, loaded by path: `python:FILE.py:NAME` and `ase:FILE.py:NAME`.

A style of this kind names its file, so that a deck needs no installed package. The file is run
from its text, never from compiled leftovers beside it: an edit counts at once. It is entered among
the modules under a name that is a hash of the text and of nothing else, because machine code that
is taken from a cache on disk looks for the module that its functions came from.

What goes wrong in the file is told in one line with the file and its line.
"""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from potentials.files import NOBODY, FileError, files_beside, find_file

KINDS = {"python": "python:FILE.py:NAME", "ase": "ase:MODULE:CALLABLE"}


def kind_of(style: str) -> str | None:
    """Whether a style names a file or module: python, ase, or None for all others."""
    head, colon, _ = style.partition(":")
    return head if colon and head in KINDS else None


def split_style(text: str) -> tuple[str, str, str]:
    """The style that a shorthand begins with, the colon behind it, and the rest."""
    if kind_of(text) is None:
        return text.partition(":")
    fields = text.split(":", 3)
    return ":".join(fields[:3]), ":" if len(fields) > 3 else "", "".join(fields[3:])


def parts_of(style: str) -> tuple[str, str]:
    """The file or module, and the name in it.

    Raises
    ------
    FileError : one of them is missing
    """
    kind, *parts = style.split(":")
    if len(parts) != 2 or not all(parts):
        raise FileError(f"{style!r}: must be of the form {KINDS[kind]}")
    return parts[0], parts[1]


def file_of(style: str) -> str | None:
    """The file that a style names, if it does."""
    if kind_of(style) is None:
        return None
    name = style.split(":")[1]
    return name if name.endswith(".py") else None


def beside(style: str, folder: Path) -> str:
    """The style with its file as a path from here; see files_beside."""
    name = file_of(style)
    if name is None:
        return style
    kind, _, rest = style.split(":", 2)
    return f"{kind}:{files_beside(name, folder)}:{rest}"


def table_beside(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A table of a potential, or of a part, with its files as paths from here, those in `folder`.

    What is not of the form that it should have is left as it is, for others to refuse.
    """
    keys = dict(table)
    if isinstance(keys.get("style"), str):
        keys["style"] = beside(keys["style"], folder)
    if "file" in keys:
        keys["file"] = files_beside(keys["file"], folder)
    if isinstance(keys.get("part"), list):
        keys["part"] = [table_beside(part, folder) if isinstance(part, Mapping) else part
                        for part in keys["part"]]
    return keys


def files_named(table: Mapping[str, Any]) -> list[Any]:
    """All files that a table of a potential names: its style's, its own, those of its parts."""
    style, files, parts = table.get("style"), table.get("file", []), table.get("part")
    own = file_of(style) if isinstance(style, str) else None
    names = [name for name in (files if isinstance(files, list) else [files]) if name != NOBODY]
    names += [own] if own else []
    for part in parts if isinstance(parts, list) else []:
        names += files_named(part) if isinstance(part, Mapping) else []
    return names


def load(name: str) -> tuple[Path, ModuleType]:
    """Run a file, unless one with the same text has been run, and return its module.

    Raises
    ------
    FileError : there is no such file, or it cannot be run; with its line
    """
    path = find_file(name)
    try:
        source = path.read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from None
    title = f"own_{hashlib.sha256(source).hexdigest()[:16]}"
    if title in sys.modules:
        return path, sys.modules[title]
    module = ModuleType(title)
    module.__file__ = str(path)
    sys.modules[title] = module
    try:
        with told_with_lines(path):
            exec(compile(source, str(path), "exec"), vars(module))
    except FileError:
        del sys.modules[title]
        raise
    return path, module


@contextmanager
def told_with_lines(path: Path) -> Iterator[None]:
    """Whatever goes wrong in code of this file becomes a FileError of one line."""
    try:
        yield
    except FileError:
        raise
    except SyntaxError as error:
        raise FileError(f"{path}:{error.lineno or 1}: {error.msg}") from None
    except Exception as error:      # the user's code may raise whatever it likes
        raise FileError(f"{path}{_line(path, error)}: {_first_line(error)}") from None


def _line(path: Path, error: Exception) -> str:
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if Path(frame.filename).name == path.name]
    return f":{lines[-1]}" if lines else ""


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def attribute(name: str, module: ModuleType, what: str) -> Callable[..., Any]:
    """A function or class of a module.

    Raises
    ------
    FileError : there is none of this name
    """
    found: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(found):
        raise FileError(f"{getattr(module, '__file__', module.__name__)}: has no {what} {name!r}")
    return found
