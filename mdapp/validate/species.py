"""Which types a potential has, where nobody said: from its file, or the lengths of its lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from potentials.files import NOBODY, FileError, find_file
from potentials.own_file import kind_of, load, parts_of
from potentials.shorthand import PotentialSpec

SETFL = ("eam/alloy", "eam/fs")


def species_of(spec: PotentialSpec) -> tuple[str, ...]:
    """Names of the types: as given, else those in the file; empty where types have no names.

    Raises
    ------
    FileError : the file cannot be read
    """
    if spec.species:
        return spec.species
    if kind_of(spec.style) == "python":
        file, name = parts_of(spec.style)
        known = getattr(getattr(load(file)[1], name, None), "species", None)
        if isinstance(known, (tuple, list)):
            return tuple(map(str, known))
    if "part" in spec.parameters:
        return _of_parts(spec.parameters["part"])
    given = spec.parameters.get("file", [])
    for path in [find_file(n) for n in ([given] if isinstance(given, str) else given)]:
        found = tuple(dict.fromkeys(_in_file(spec.style, path)))
        if found:
            return found
    return ()


def _of_parts(parts: Any) -> tuple[str, ...]:
    """Names in a sum: those that a part gives, with the types that it does not see."""
    for part in parts:
        names = part.get("species")
        if isinstance(names, (list, tuple)) and NOBODY not in names:
            return tuple(names)
    lists = [p["species"] for p in parts if isinstance(p.get("species"), (list, tuple))]
    if not lists:
        return ()
    return tuple(next((n for n in names if n != NOBODY), f"T{k}")
                 for k, names in enumerate(zip(*lists, strict=False), 1))


def _in_file(style: str, path: Path) -> Iterator[str]:
    """Names of the elements in the file of a style."""
    if style == "deep_potential":
        from potentials.deep_potential.format import read_model

        yield from read_model(path).elements
        return
    if style == "jax" or kind_of(style) == "python":
        from potentials.jax_model.weights import load_weights

        yield from load_weights(path).species
        return
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise FileError(f"{path}: cannot be read: {error.strerror}") from None
    if style == "nep" and lines:
        yield from lines[0].split()[2:]
    elif style in SETFL and len(lines) > 3:
        yield from lines[3].split()[1:]
    elif style == "snap":
        yield from (words[0] for words in _words(lines) if len(words) == 3)
    elif style == "sw" or style.startswith("tersoff"):
        yield from (words[0] for words in _words(lines) if words[0][0].isalpha())


def _words(lines: Sequence[str]) -> Iterator[list[str]]:
    """Words of the lines that are no comments."""
    return (words for line in lines if (words := line.partition("#")[0].split()))


def count_of(spec: PotentialSpec) -> int:
    """How many types a potential without names has: as many as its longest list."""
    count = 1
    for key, value in spec.parameters.items():
        if key == "pair" and isinstance(value, (list, tuple)):
            count = max(count, *(max(table.get("types", [1])) for table in value), 1)
        elif key == "part" and isinstance(value, (list, tuple)):
            count = max(count, *(count_of(PotentialSpec("", part)) for part in value), 1)
        elif key == "only" and isinstance(value, (list, tuple)):
            count = max(count, *(max(pair) for pair in value), 1)
        elif isinstance(value, (list, tuple)) and all(isinstance(v, (int, float)) for v in value):
            count = max(count, len(value))
    return count
