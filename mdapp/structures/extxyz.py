"""Extended XYZ: a count, a line of key=value, one line per atom; any number of frames.

    2
    Lattice="5.43 0 0 0 5.43 0 0 0 5.43" Properties=species:S:1:pos:R:3 pbc="T T T"
    Si 0.0 0.0 0.0
    Si 1.3575 1.3575 1.3575

`Properties` names the columns; species (or Z), pos, and where there are any, id, velocities and
charges (`charge`, or ASE's `initial_charges`) are used, others (forces, energies, a calculator's
`charges`) are passed over.  Velocities are `velo` or
`velocities` in the units of the run, or ASE's `momenta`: v = p / (m sqrt(mvv2e)), which keeps
p^2 / 2m the same energy.  Without Properties the columns are species and pos; without Lattice
the box is open and drawn around the atoms; without pbc a lattice is periodic.

Symbols become types in the order of `species`, or of first appearance in the frame, for which
the file is read once more.  Format: https://github.com/libAtoms/extxyz
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.model.elements import SYMBOLS, nearest, resolve_species
from mdapp.model.source import Block
from mdapp.model.units import UNITS
from mdapp.structures.checks import IdCheck, bounding_box, wrap
from mdapp.structures.text import (
    INTEGER,
    REAL,
    SKIP,
    WORD,
    Rows,
    open_binary,
    read_line,
    read_rows,
    skip_lines,
    unpack_word,
)

DEFAULT_PROPERTIES = "species:S:1:pos:R:3"
VELOCITIES = ("velo", "velocities", "momenta")
CHARGES = ("charge", "initial_charges")
USED = {"species": ("S", 1), "Z": ("I", 1), "pos": ("R", 3), "id": ("I", 1),
        "velo": ("R", 3), "velocities": ("R", 3), "momenta": ("R", 3),
        "charge": ("R", 1), "initial_charges": ("R", 1)}
_PAIR = re.compile(r"""([^\s=]+)\s*=\s*("[^"]*"|'[^']*'|\{[^}]*\}|\[[^\]]*\]|[^\s"]\S*)|(\S+)""")


@dataclass(frozen=True)
class Frame:
    """One frame of a file: its count, where its atoms start, and the pairs of its comment line."""

    natoms: int
    offset: int
    line: int
    info: dict[str, str]


class ExtxyzSource:
    """An AtomSource that reads one frame of an extended XYZ file.

    Parameters
    ----------
    path : the file
    index : which frame, from 0, or from the end: -1 is the last
    species : symbols in the order of the types; else the order of first appearance
    masses : one per type; else from the periodic table (metal) or 1 (lj)
    units : "lj" or "metal"
    boundary : (3,) periodic or open, instead of what the file says

    Raises
    ------
    InputError : `file:line: ...`
    """

    def __init__(self, path: Path | str, *, index: int = -1, species: Sequence[str] | None = None,
                 masses: Sequence[float] | None = None, units: str = "lj",
                 boundary: Sequence[bool] | None = None) -> None:
        self.path = Path(path)
        self._frame = frame = _find(self.path, index)
        self.natoms = frame.natoms
        self._header = f"{self.path}:{frame.line - 1}"
        self._columns = _Columns(self._header, frame.info.get("Properties", DEFAULT_PROPERTIES))
        self.charged = any(self._columns.has(name) for name in CHARGES)
        box = frame_box(self._header, frame.info, boundary)
        if species is None or box is None:
            found, lo, hi = self._survey()
            species = found if species is None else species
            box = bounding_box(lo, hi) if box is None else box
        self.box = box
        names = list(species) or ["X"]
        self.species, self.mass = resolve_species(len(names), names, masses, units)
        self._momentum_to_velocity = UNITS[units].mvv2e ** -0.5

    def blocks(self, lo: NDArray[np.float64] | None = None,
               hi: NDArray[np.float64] | None = None) -> Iterator[Block]:
        """See `AtomSource.blocks`; the hint is not used, a file has to be read in any case."""
        ids = IdCheck(self.path, self.natoms)
        type_of = {name: t for t, name in enumerate(self.species)}
        count = 0
        for rows in self._rows():
            types = self._types(rows, type_of)
            given = self._columns.of(rows, "id")
            id_ = (np.arange(count + 1, count + len(types) + 1, dtype=np.int64) if given is None
                   else given[:, 0].astype(np.int64))
            ids.add(id_, rows.line)
            x, image = wrap(self.box, self._position(rows), None,
                            f"{self.path}:{rows.line[0]}-{rows.line[-1]}")
            count += len(types)
            yield Block(id_, types, x, self._velocity(rows, types), image, self._charge(rows))
        ids.finish()

    def _rows(self) -> Iterator[Rows]:
        return read_rows(self.path, self._frame.offset, self._frame.line, self.natoms,
                         self._columns.kinds, comments=False, what="atom")

    def _position(self, rows: Rows) -> NDArray[np.float64]:
        x = self._columns.of(rows, "pos")
        assert x is not None
        return np.ascontiguousarray(x)

    def _velocity(self, rows: Rows, types: NDArray[np.int32]) -> NDArray[np.float64] | None:
        for name in VELOCITIES:
            v = self._columns.of(rows, name)
            if v is not None:
                if name == "momenta":
                    v = v / self.mass[types][:, None] * self._momentum_to_velocity
                return np.ascontiguousarray(v)
        return None

    def _charge(self, rows: Rows) -> NDArray[np.float64] | None:
        for name in CHARGES:
            q = self._columns.of(rows, name)
            if q is not None:
                return np.ascontiguousarray(q[:, 0])
        return None

    def _symbols(self, rows: Rows) -> tuple[list[str], NDArray[np.int64]]:
        """Symbols of these rows in the order of first appearance, and the index of each row."""
        number = self._columns.of(rows, "Z")
        keys = rows.word[:, 0] if number is None else number[:, 0].astype(np.int64)
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        order = np.argsort(first)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        if number is None:
            return [unpack_word(unique[k]) for k in order], rank[inverse]
        for k in order:
            if not 0 <= unique[k] < len(SYMBOLS):
                raise InputError(f"{self.path}:{rows.line[first[k]]}: Z = {unique[k]} is no atomic "
                                 f"number; it may be 0 to {len(SYMBOLS) - 1}")
        return [SYMBOLS[int(unique[k])] for k in order], rank[inverse]

    def _types(self, rows: Rows, type_of: dict[str, int]) -> NDArray[np.int32]:
        symbols, index = self._symbols(rows)
        for k, symbol in enumerate(symbols):
            if symbol not in type_of:
                raise InputError(f"{self.path}:{rows.line[np.argmax(index == k)]}: species "
                                 f"{symbol!r} is none of {', '.join(type_of)}"
                                 f"{nearest(symbol, list(type_of))}; add it to system.species")
        return np.array([type_of[s] for s in symbols], np.int32)[index]

    def _survey(self) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
        """Symbols in the order of first appearance, and the extent of the positions."""
        found: dict[str, None] = {}
        lo, hi = np.full(3, np.inf), np.full(3, -np.inf)
        for rows in self._rows():
            found.update(dict.fromkeys(self._symbols(rows)[0]))
            x = self._position(rows)
            lo, hi = np.minimum(lo, x.min(axis=0)), np.maximum(hi, x.max(axis=0))
        if not found:
            lo, hi = np.zeros(3), np.zeros(3)
        return list(found), lo, hi


class _Columns:
    """What `Properties` says: the kind of every column, and where the used ones are."""

    def __init__(self, where: str, properties: str) -> None:
        self.kinds: list[int] = []
        self._slot: dict[str, slice] = {}
        fields = properties.split(":")
        if len(fields) % 3 or not all(fields):
            raise InputError(f"{where}: Properties={properties!r} must be name:type:count triples")
        numbers = 0
        for name, kind, count in zip(*[iter(fields)] * 3, strict=True):
            columns = _column_count(where, name, kind, count)
            if name not in USED or (name == "Z" and "species" in fields[::3]):
                self.kinds += [SKIP] * columns
                continue
            whole = kind == "I" and name in CHARGES       # formal charges, as integers
            if (kind, columns) != USED[name] and not (whole and columns == 1):
                raise InputError(f"{where}: Properties: {name}:{kind}:{count} must be "
                                 f"{name}:{USED[name][0]}:{USED[name][1]}")
            if name in self._slot:
                raise InputError(f"{where}: Properties names {name!r} twice")
            self._slot[name] = slice(numbers, numbers + columns * (kind != "S"))
            self.kinds += [{"S": WORD, "I": INTEGER, "R": REAL}[kind]] * columns
            numbers = self._slot[name].stop
        if "pos" not in self._slot or not {"species", "Z"} & set(self._slot):
            raise InputError(f"{where}: Properties={properties!r} needs species:S:1 (or Z:I:1) "
                             "and pos:R:3")
        for names in (VELOCITIES, CHARGES):
            if sum(name in self._slot for name in names) > 1:
                raise InputError(f"{where}: Properties has more than one of {', '.join(names)}; "
                                 "keep one")
        if "vel" in fields[::3]:
            raise InputError(f"{where}: a column 'vel' may be in A/fs (GPUMD) or in the units of "
                             "the run; convert it and call it 'velo', or remove it")

    def has(self, name: str) -> bool:
        """Whether the file has a named column that is used."""
        return name in self._slot

    def of(self, rows: Rows, name: str) -> NDArray[np.float64] | None:
        """(n, count) numbers of a named column, None if the file has none."""
        slot = self._slot.get(name)
        return None if slot is None else rows.number[:, slot]


def _column_count(where: str, name: str, kind: str, count: str) -> int:
    if kind not in ("S", "I", "R", "L"):
        raise InputError(f"{where}: Properties: type {kind!r} of {name!r} must be S, I, R or L")
    if not re.fullmatch(r"[0-9]{1,4}", count) or int(count) < 1:
        raise InputError(f"{where}: Properties: count {count!r} of {name!r} must be 1 or more")
    return int(count)


def _find(path: Path, index: int) -> Frame:
    """Walk to a frame: forwards for index >= 0, else through the whole file."""
    kept: deque[Frame] = deque(maxlen=1 if index >= 0 else -index)
    with open_binary(path) as handle:
        line, seen = 1, 0
        while raw := read_line(handle, path, line):
            if not raw.strip():                  # blank lines between frames and at the end
                line += 1
                continue
            natoms = _natoms(f"{path}:{line}", raw)
            info = frame_pairs(f"{path}:{line + 1}", read_line(handle, path, line + 1))
            kept.append(Frame(natoms, handle.tell(), line + 2, info))
            if seen == index:
                return kept[0]
            passed = skip_lines(handle, natoms)
            if passed < natoms:
                raise InputError(f"{path}:{line}: the frame says {natoms} atoms, but the file ends "
                                 f"after {passed}; it is truncated")
            line, seen = line + 2 + natoms, seen + 1
    if seen == 0:
        raise InputError(f"{path}: the file is empty")
    if index >= 0 or -index > seen:
        raise InputError(f"{path}: no frame {index}; the file has {seen}, 0 to {seen - 1}")
    return kept[0]


def _natoms(where: str, raw: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", raw.strip()):
        raise InputError(f"{where}: {raw.strip()[:40]!r} is not a number of atoms; an extended XYZ "
                         "frame starts with one")
    return int(raw)


def frame_pairs(where: str, raw: str) -> dict[str, str]:
    """Split key=value pairs; a bare word is a flag, or part of a plain XYZ comment."""
    if not raw:
        raise InputError(f"{where}: the file ends before the comment line of the frame")
    info: dict[str, str] = {}
    for match in _PAIR.finditer(raw):
        key, value = match[1] or match[3], match[2]
        if key in ("Lattice", "Properties", "pbc"):
            if value is None:
                raise InputError(f"{where}: {key} has no value, or a quote is not closed")
            if key in info:
                raise InputError(f"{where}: {key} appears twice")
        info[key] = (value or "T").strip("\"'{}[]")
    return info


def frame_box(where: str, info: dict[str, str], boundary: Sequence[bool] | None) -> Box | None:
    """Box of a frame, None if it has no lattice."""
    periodic = _pbc(where, info["pbc"]) if "pbc" in info else None
    if "Lattice" not in info:
        if any(periodic or ()) or any(boundary or ()):
            raise InputError(f"{where}: periodic boundaries need a Lattice, and the frame has none")
        return None
    try:
        edges = np.array([float(v) for v in info["Lattice"].replace(",", " ").split()])
        if len(edges) != 9:
            raise ValueError
        given = boundary if boundary is not None else periodic or (True, True, True)
        box = Box.from_vectors(edges.reshape(3, 3), given)
    except ValueError:
        raise InputError(f"{where}: Lattice={info['Lattice'][:80]!r} must be nine finite numbers, "
                         "three vectors that span a volume") from None
    if not 0 < box.volume < np.inf:
        raise InputError(f"{where}: Lattice={info['Lattice'][:80]!r} spans no finite volume")
    return box


def _pbc(where: str, value: str) -> list[bool]:
    flags = {"t": True, "true": True, "1": True, "f": False, "false": False, "0": False}
    words = value.replace(",", " ").lower().split()
    if len(words) != 3 or any(w not in flags for w in words):
        raise InputError(f'{where}: pbc={value!r} must be three of T and F, as in pbc="T T F"')
    return [flags[w] for w in words]
