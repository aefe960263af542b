"""LAMMPS data files of atom_style atomic or charge (https://docs.lammps.org/read_data.html).

    title line
    32 atoms
    1 atom types
    0.0 3.6 xlo xhi             (also xy xz yz: a tilted box)

    Masses          1 63.55
    Atoms # atomic  id type x y z [ix iy iz]        (charge: id type q x y z [ix iy iz])
    Velocities      id vx vy vz

Where the heading does not say the style, the number of columns does.

Opening a file makes one fast pass that finds the sections (in any order) and counts their
lines, so that a truncated file is refused before anything runs; atoms are parsed when they are
walked.  Velocities stand in a section of their own: both sections are read side by side, which
holds one block of each when they list atoms in the same order, as `write_data` does.  If they do
not, the velocities are read into one table, 32 bytes an atom.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.model.elements import ATOMIC_MASSES, check_masses, nearest, resolve_species
from mdapp.model.source import Block
from mdapp.structures.checks import FARTHEST, IdCheck, wrap
from mdapp.structures.text import (
    INTEGER,
    REAL,
    Rows,
    count_data_lines,
    open_binary,
    read_line,
    read_rows,
)

SECTIONS = ("Masses", "Atoms", "Velocities")
COUNTS = ("atoms", "atom types")
BOUNDS = ("xlo xhi", "ylo yhi", "zlo zhi", "xy xz yz")
TOPOLOGY = ("bonds", "angles", "dihedrals", "impropers", "bond types", "angle types",
            "dihedral types", "improper types", "ellipsoids", "lines", "triangles", "bodies",
            "extra bond per atom", "extra angle per atom", "extra dihedral per atom",
            "extra improper per atom", "extra special per atom")    # fine if zero
OTHER_SECTIONS = ("Bonds", "Angles", "Dihedrals", "Impropers", "Ellipsoids", "Lines", "Triangles",
                  "Bodies", "Pair Coeffs", "PairIJ Coeffs", "Bond Coeffs", "Angle Coeffs",
                  "Dihedral Coeffs", "Improper Coeffs", "Atom Type Labels", "Bond Type Labels",
                  "Angle Type Labels", "Dihedral Type Labels", "Improper Type Labels")
ATOM_COLUMNS = {"atomic": [INTEGER, INTEGER, REAL, REAL, REAL],
                "charge": [INTEGER, INTEGER, REAL, REAL, REAL, REAL]}
IMAGE_COLUMNS = [INTEGER, INTEGER, INTEGER]
VELOCITY_COLUMNS = [INTEGER, REAL, REAL, REAL]


@dataclass
class Section:
    """Where a section lies: its comment, the byte and line after its heading, its data lines."""

    comment: str
    heading: int
    offset: int
    line: int
    nlines: int = 0


class LammpsDataSource:
    """An AtomSource that reads a data file.

    Parameters
    ----------
    path : the file
    species : names of the types 1, 2, ...; else symbols in the comments of Masses, if all have one
    masses : instead of those in the file
    units : "lj" or "metal", for masses that are given nowhere
    boundary : (3,) periodic or open

    Raises
    ------
    InputError : `file:line: ...`
    """

    def __init__(self, path: Path | str, *, species: Sequence[str] | None = None,
                 masses: Sequence[float] | None = None, units: str = "lj",
                 boundary: Sequence[bool] | None = None) -> None:
        self.path = Path(path)
        header, self._sections = _index(self.path)
        self.natoms, ntypes, self.box = _header(self.path, header, boundary)
        self._check_counts(ntypes)
        in_file, symbols = self._masses(ntypes)
        self.species, self.mass = resolve_species(
            ntypes, species or symbols, masses if masses is not None else in_file, units)
        style, images = self._atom_columns() if self.natoms else ("atomic", False)
        self.charged = style == "charge"
        self._columns = ATOM_COLUMNS[style] + IMAGE_COLUMNS * images

    def blocks(self, lo: NDArray[np.float64] | None = None,
               hi: NDArray[np.float64] | None = None) -> Iterator[Block]:
        """See `AtomSource.blocks`; the hint is not used, a file has to be read in any case."""
        if self.natoms == 0:
            return
        ids = IdCheck(self.path, self.natoms)
        velocities = _Velocities(self) if "Velocities" in self._sections else None
        for rows in self._rows("Atoms", self._columns):
            block = self._block(rows, ids)
            if velocities is not None:
                block = replace(block, v=velocities.of(block.id))
            yield block
        ids.finish()

    def _rows(self, name: str, columns: list[int]) -> Iterator[Rows]:
        s = self._sections[name]
        nrows = len(self.mass) if name == "Masses" else self.natoms
        return read_rows(self.path, s.offset, s.line, nrows, columns, comments=True,
                         what=name.lower().rstrip("s"))

    def _block(self, rows: Rows, ids: IdCheck) -> Block:
        table = rows.number
        id_, type_ = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
        ids.add(id_, rows.line)
        bad = (type_ < 1) | (type_ > len(self.mass))
        if bad.any():
            k = int(np.argmax(bad))
            raise InputError(f"{self.path}:{rows.line[k]}: atom type {type_[k]} must be 1 to "
                             f"{len(self.mass)}, the number of atom types in the header")
        x_at = 2 + self.charged
        flags = table[:, x_at + 3:]
        far = np.flatnonzero((abs(flags) >= FARTHEST).any(axis=1))
        if len(far):
            flag = flags[far[0]][np.argmax(abs(flags[far[0]]))]
            raise InputError(f"{self.path}:{rows.line[far[0]]}: image flag {flag:.0f} must be "
                             f"below {FARTHEST} in size")
        image = flags.astype(np.int32) if flags.shape[1] else None
        x, image = wrap(self.box, np.ascontiguousarray(table[:, x_at:x_at + 3]), image,
                        f"{self.path}:{rows.line[0]}-{rows.line[-1]}")
        q = table[:, 2].copy() if self.charged else None
        return Block(id_, (type_ - 1).astype(np.int32), x, None, image, q)

    def _check_counts(self, ntypes: int) -> None:
        if "Atoms" not in self._sections and self.natoms:
            raise InputError(f"{self.path}: no section 'Atoms', but the header says "
                             f"{self.natoms} atoms; the file is truncated")
        for name, section in self._sections.items():
            want = ntypes if name == "Masses" else self.natoms
            if section.nlines != want:
                cut = "the file is truncated, or " if section.nlines < want else ""
                raise InputError(f"{self.path}:{section.heading}: section '{name}' has "
                                 f"{section.nlines} lines, but the header asks for {want}; "
                                 f"{cut}the header is wrong")

    def _atom_columns(self) -> tuple[str, bool]:
        """Style of the Atoms section and whether it has image flags, by heading and first line."""
        section = self._sections["Atoms"]
        said = section.comment.split()[:1]
        if said and said[0] not in ATOM_COLUMNS:
            raise InputError(f"{self.path}:{section.heading}: atom_style {said[0]!r} is not "
                             "supported; write the file with atom_style atomic or charge")
        with open_binary(self.path) as handle:
            handle.seek(section.offset)
            line, number = "", section.line - 1
            while not line.split("#")[0].strip():
                number += 1
                line = read_line(handle, self.path, number)
        count = len(line.split("#")[0].split())
        for style in said or ATOM_COLUMNS:
            least = len(ATOM_COLUMNS[style])
            if count in (least, least + 3):
                return style, count > least
        has = {"atomic": "atom_style atomic has 5 (id type x y z) or 8 (with image flags ix iy iz)",
               "charge": "atom_style charge has 6 (id type q x y z) or 9 (with image flags)"}
        raise InputError(f"{self.path}:{number}: {count} columns; "
                         f"{', '.join(has[style] for style in said or has)}")

    def _masses(self, ntypes: int) -> tuple[list[float] | None, list[str] | None]:
        """Masses of the file by type, and element symbols if comments name one for every type."""
        if "Masses" not in self._sections:
            return None, None
        section = self._sections["Masses"]
        masses, symbols = [float("nan")] * ntypes, [""] * ntypes
        self.mass = np.array(masses)
        for rows in self._rows("Masses", [INTEGER, REAL]):
            for (t, mass), line in zip(rows.number.tolist(), rows.line.tolist(), strict=True):
                where = f"{self.path}:{line}"
                if not 1 <= t <= ntypes or masses[int(t) - 1] == masses[int(t) - 1]:
                    raise InputError(f"{where}: mass of type {t:g}: each of the types 1 to "
                                     f"{ntypes} needs one mass")
                if not mass > 0:
                    raise InputError(f"{where}: mass {mass:g} of type {t:g} must be positive")
                masses[int(t) - 1] = mass
        check_masses(masses, f"{self.path}:{section.heading}")
        self._symbols(section, symbols)
        known = all(s in ATOMIC_MASSES for s in symbols) and len(set(symbols)) == ntypes
        return masses, symbols if known else None

    def _symbols(self, section: Section, symbols: list[str]) -> None:
        """Collect the first word of the comment behind each mass."""
        with open_binary(self.path) as handle:
            handle.seek(section.offset)
            left, number = len(symbols), section.line
            while left:
                data, _, comment = read_line(handle, self.path, number).partition("#")
                number += 1
                if data.split():
                    symbols[int(data.split()[0]) - 1] = (comment.split() or [""])[0]
                    left -= 1


class _Velocities:
    """The Velocities section, handed out for the ids of one block of atoms after the other."""

    def __init__(self, source: LammpsDataSource) -> None:
        self._source = source
        self._pieces = source._rows("Velocities", VELOCITY_COLUMNS)
        self._pending = np.empty((0, 4))
        self._table: NDArray[np.float64] | None = None

    def of(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """(n, 3) velocities of these atoms, without looking back if the file's order allows it."""
        if self._table is None:
            while len(self._pending) < len(ids):
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._pending = np.concatenate([self._pending, piece.number])
            here, self._pending = self._pending[:len(ids)], self._pending[len(ids):]
            if len(here) == len(ids) and (here[:, 0] == ids).all():
                return np.ascontiguousarray(here[:, 1:])
            self._table = self._sorted()
        rows = np.searchsorted(self._table[:, 0], ids)
        found = self._table[np.minimum(rows, len(self._table) - 1)]
        if (found[:, 0] != ids).any():
            missing = ids[found[:, 0] != ids][0]
            raise InputError(f"{self._source.path}: atom id {missing} has no line in section "
                             "'Velocities'")
        return np.ascontiguousarray(found[:, 1:])

    def _sorted(self) -> NDArray[np.float64]:
        ids = IdCheck(self._source.path, self._source.natoms)
        pieces = []
        for rows in self._source._rows("Velocities", VELOCITY_COLUMNS):
            ids.add(rows.number[:, 0].astype(np.int64), rows.line)
            pieces.append(rows.number)
        ids.finish()
        table = np.concatenate(pieces)
        return table[np.argsort(table[:, 0], kind="stable")]


def _index(path: Path) -> tuple[list[tuple[int, str]], dict[str, Section]]:
    """Find the sections: header lines with their numbers, and sections with their line counts."""
    header: list[tuple[int, str]] = []
    sections: dict[str, Section] = {}
    with open_binary(path) as handle:
        number = 1
        read_line(handle, path, number)          # the title
        while raw := read_line(handle, path, number + 1):
            number += 1
            text, _, comment = raw.partition("#")
            text = " ".join(text.split())
            if text and text[0].isalpha():
                section = _heading(path, number, text, sections)
                section.comment, section.offset = comment, handle.tell()
                lines, section.nlines = count_data_lines(handle)
                number += lines
            elif text:
                header.append((number, text))
    return header, sections


def _heading(path: Path, number: int, text: str, sections: dict[str, Section]) -> Section:
    if text in OTHER_SECTIONS:
        raise InputError(f"{path}:{number}: section '{text}' is not supported: mdapp reads atoms "
                         "only, interactions come from the deck; write the file with atom_style "
                         "atomic or charge and `write_data FILE nocoeff`")
    if text not in SECTIONS:
        raise InputError(f"{path}:{number}: unknown section or line {text[:40]!r}"
                         f"{nearest(text, SECTIONS)}; sections are {', '.join(SECTIONS)}")
    if text in sections:
        raise InputError(f"{path}:{number}: section '{text}' appears twice, first in line "
                         f"{sections[text].heading}")
    sections[text] = Section("", number, 0, number + 1)
    return sections[text]


def _header(path: Path, lines: list[tuple[int, str]], boundary: Sequence[bool] | None
            ) -> tuple[int, int, Box]:
    """Atoms, atom types and the box from the lines above the first section."""
    counts: dict[str, int] = {}
    bounds: dict[str, list[float]] = {}
    for number, text in lines:
        where = f"{path}:{number}"
        words = text.split()
        nvalues = next((k for k, w in enumerate(words) if w[0].isalpha()), len(words))
        values, key = words[:nvalues], " ".join(words[nvalues:])
        if key in counts or key in bounds:
            raise InputError(f"{where}: '{key}' appears twice in the header")
        if key in BOUNDS:
            bounds[key] = _numbers(where, key, values, len(key.split()))
        elif key in COUNTS or key in TOPOLOGY:
            counts[key] = _count_value(where, key, values)
            if key in TOPOLOGY and counts[key] != 0:
                raise InputError(f"{where}: {counts[key]} {key}: mdapp reads atom_style atomic "
                                 "and charge, without molecules; remove them from the file")
        else:
            known = (*COUNTS, *BOUNDS)
            raise InputError(f"{where}: not a header line: {text[:40]!r}{nearest(key, known)}; "
                             f"known are N {', N '.join(COUNTS)} and bounds {', '.join(BOUNDS)}")
    for key in (*COUNTS, *BOUNDS[:3]):
        if key not in counts and key not in bounds:
            raise InputError(f"{path}: the header has no line '{key}'; "
                             "this is not a LAMMPS data file, or it is truncated")
    if counts["atom types"] < 1:
        raise InputError(f"{path}: the header needs at least 1 atom types")
    return counts["atoms"], counts["atom types"], _box(path, bounds, boundary)


def _numbers(where: str, key: str, values: list[str], count: int) -> list[float]:
    try:
        numbers = [float(v) for v in values]
    except ValueError:
        numbers = []
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise InputError(f"{where}: '{key}' needs {count} finite numbers, got "
                         f"{' '.join(values)[:40]!r}")
    return numbers


def _count_value(where: str, key: str, values: list[str]) -> int:
    if len(values) != 1 or not re.fullmatch(r"[0-9]{1,15}", values[0]):
        raise InputError(f"{where}: '{key}' needs one whole number, got {' '.join(values)[:40]!r}")
    return int(values[0])


def _box(path: Path, bounds: dict[str, list[float]], boundary: Sequence[bool] | None) -> Box:
    lo = np.array([bounds[key][0] for key in BOUNDS[:3]])
    hi = np.array([bounds[key][1] for key in BOUNDS[:3]])
    for key in BOUNDS[:3]:
        if not 0 < bounds[key][1] - bounds[key][0] < np.inf:
            raise InputError(f"{path}: {key}: {bounds[key]} must have its lower bound below its "
                             "upper bound")
    xy, xz, yz = bounds.get("xy xz yz", (0.0, 0.0, 0.0))
    edges = np.diag(hi - lo) + np.array([[0, 0, 0], [xy, 0, 0], [xz, yz, 0]])
    periodic = (True, True, True) if boundary is None else boundary
    return Box.from_vectors(edges, periodic, lo)
