"""Frames with energies and forces from extended XYZ files, one after the other.

    32
    Lattice="7.2 0 0 0 7.2 0 0 0 7.2" Properties=species:S:1:pos:R:3:forces:R:3 energy=-112.5
    Cu 0.01 0.02 -0.01 0.11 -0.35 0.20
    ...

What programs write differs in names, hardly in anything else: `forces` or `force` in a column, in
the comment line `energy`, and `virial` (nine numbers, W = -dE/dstrain, as GPUMD has it) or `stress`
(nine numbers or ASE's six, -W / V). Frames without virial or stress are fitted to energies and
forces alone. Units are eV and Angstrom. The file is read once, and never held as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.model.elements import SYMBOLS
from mdapp.structures.checks import bounding_box
from mdapp.structures.extxyz import frame_box, frame_pairs
from mdapp.structures.text import open_binary, read_line

FORCES = ("forces", "force")
VOIGT = (0, 4, 8, 5, 2, 1)              # of nine numbers in rows: xx yy zz yz xz xy


@dataclass(frozen=True)
class LabelledFrame:
    """Atoms in a cell, and what is known of them.

    Attributes
    ----------
    where : file and line, for messages
    box : any cell
    symbols : n names
    x, forces : (n, 3) float64
    energy : of the frame
    virial : (6,) float64, W = -dE/dstrain in the order xx yy zz yz xz xy, or None
    """

    where: str
    box: Box
    symbols: list[str]
    x: NDArray[np.float64]
    forces: NDArray[np.float64]
    energy: float
    virial: NDArray[np.float64] | None


def read_frames(path: Path) -> Iterator[LabelledFrame]:
    """All frames of a file.

    Raises
    ------
    InputError : `file:line: ...`, what is missing, or is no finite number
    """
    with open_binary(path) as handle:
        line, seen = 1, 0
        while raw := read_line(handle, path, line):
            if raw.strip():
                frame, lines = _frame(handle, path, line, raw)
                seen += 1
                yield frame
                line += lines
            line += 1
    if not seen:
        raise InputError(f"{path}: the file has no frame")


def _frame(handle: BinaryIO, path: Path, line: int, raw: str) -> tuple[LabelledFrame, int]:
    """One frame whose first line has been read, and how many lines follow that."""
    where = f"{path}:{line}"
    if not re.fullmatch(r"[1-9][0-9]{0,8}", raw.strip()):
        raise InputError(f"{where}: {raw.strip()[:40]!r} is not a number of atoms of 1 or more; a "
                         "frame starts with one")
    n, comment = int(raw), f"{path}:{line + 1}"
    info = frame_pairs(comment, read_line(handle, path, line + 1))
    rows = []
    for k in range(n):
        words = read_line(handle, path, line + 2 + k).split()
        if not words:
            raise InputError(f"{where}: the frame says {n} atoms, but line {line + 2 + k} has "
                             "none; the file is truncated, or the number is wrong")
        rows.append(words)
    places, width = _columns(comment, info)
    for k, words in enumerate(rows):
        if len(words) != width:
            raise InputError(f"{path}:{line + 2 + k}: {len(words)} columns; Properties has "
                             f"{width}")
    symbols = [words[places["species"]] for words in rows]
    for k, symbol in enumerate(symbols):
        if symbol not in SYMBOLS:
            raise InputError(f"{path}:{line + 2 + k}: {symbol[:20]!r} is no element")
    x, forces = (_vectors(path, line + 2, rows, places[name], name) for name in ("pos", "forces"))
    box = frame_box(comment, info, None)
    if box is None:
        box = bounding_box(x.min(axis=0), x.max(axis=0))
    energy = _numbers(comment, info, "energy", (1,))
    if energy is None:
        raise InputError(f"{comment}: has no energy=...; a fit needs the energy of each frame")
    frame = LabelledFrame(where, box, symbols, x, forces, float(energy[0]),
                          _virial(comment, info, box))
    return frame, 1 + n


def _columns(where: str, info: dict[str, str]) -> tuple[dict[str, int], int]:
    """First column of species, pos and forces, and the number of columns."""
    fields = info.get("Properties", "species:S:1:pos:R:3").split(":")
    triples = list(zip(*[iter(fields)] * 3, strict=False))
    counts = [count for _, _, count in triples]
    if len(fields) % 3 or not all(re.fullmatch(r"[1-9][0-9]{0,3}", n) for n in counts):
        raise InputError(f"{where}: Properties={':'.join(fields)!r} must be name:type:count "
                         "triples")
    places, width = {}, 0
    for name, kind, count in triples:
        known = "forces" if name.lower() in FORCES else name
        if known in ("species", "pos", "forces"):
            if (kind, int(count)) != (("S", 1) if known == "species" else ("R", 3)):
                raise InputError(f"{where}: Properties: {name}:{kind}:{count} cannot be read")
            if known in places:
                raise InputError(f"{where}: Properties has {known} twice")
            places[known] = width
        width += int(count)
    for name in ("species", "pos", "forces"):
        if name not in places:
            raise InputError(f"{where}: Properties has no column {name}; a fit needs species, "
                             "positions and forces of all atoms")
    return places, width


def _vectors(path: Path, line: int, rows: list[list[str]], first: int, name: str
             ) -> NDArray[np.float64]:
    """(n, 3) finite numbers."""
    try:
        values = np.array([words[first:first + 3] for words in rows], np.float64)
    except ValueError:
        values = np.full((len(rows), 3), np.nan)
        for k, words in enumerate(rows):
            try:
                values[k] = [float(word) for word in words[first:first + 3]]
            except ValueError:
                break
    bad = ~np.isfinite(values).all(axis=1)
    if bad.any():
        k = int(bad.argmax())
        got = " ".join(rows[k][first:first + 3])
        raise InputError(f"{path}:{line + k}: {name} {got[:80]!r}: must be three finite numbers")
    return values


def _numbers(where: str, info: dict[str, str], key: str, counts: tuple[int, ...]
             ) -> NDArray[np.float64] | None:
    """Numbers of a key of the comment line, in whatever case it is written; None without it."""
    text = next((value for name, value in info.items() if name.lower() == key), None)
    if text is None:
        return None
    try:
        values = np.array(text.replace(",", " ").split(), np.float64)
    except ValueError:
        values = np.full(counts[0], np.nan)
    if len(values) not in counts or not np.isfinite(values).all():
        many = " or ".join(map(str, counts))
        raise InputError(f"{where}: {key}={text[:80]!r}: must be {many} finite number"
                         f"{'s' * (counts != (1,))}")
    return values


def _virial(where: str, info: dict[str, str], box: Box) -> NDArray[np.float64] | None:
    virial = _numbers(where, info, "virial", (9,))
    if virial is not None:
        return virial[list(VOIGT)]
    stress = _numbers(where, info, "stress", (9, 6))
    if stress is None or not box.periodic.all():
        return None
    return -box.volume * (stress if len(stress) == 6 else stress[list(VOIGT)])
