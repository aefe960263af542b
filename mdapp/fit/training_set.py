"""A training set as one HDF5 file: frames one behind another, with their neighbours found.

Neighbours do not change while a model is fitted, so they are found once, when the file is made, for
one cutoff. Then a step of a fit reads the frames that it wants, wherever in the file they are, and
holds no others: the set may be larger than the memory, and its storage is at work all the time.

    frames/  atoms, pairs (f + 1,) where each begins    energy (f,)    virial (f, 6), NaN: none
             cell (f, 3, 3)    periodic (f, 3)    held_out (f,): not to be fitted
    atoms/   type (n,)    x, forces (n, 3)    neighbors (n,), how many
    pairs/   r (p, 3)    j (p,) in the frame    back (p,), the place of j -> i in the frame

Each chunk has a checksum, and the attribute `complete`, written last, says how much there must be.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.fit.frames import LabelledFrame
from mdapp.fit.neighbors import pairs_of
from mdapp.model.elements import nearest

FORMAT, VERSION = "mdapp training set", 1
CHUNK_ROWS = 4096
LARGEST_FRAME = 1 << 30         # pairs, whose places are 32 bits
COLUMNS: dict[str, tuple[type, tuple[int, ...]]] = {
    "frames/energy": (np.float64, ()), "frames/virial": (np.float64, (6,)),
    "frames/cell": (np.float64, (3, 3)), "frames/periodic": (np.bool_, (3,)),
    "frames/held_out": (np.bool_, ()), "frames/atoms": (np.int64, ()),
    "frames/pairs": (np.int64, ()), "atoms/type": (np.int16, ()), "atoms/x": (np.float64, (3,)),
    "atoms/forces": (np.float64, (3,)), "atoms/neighbors": (np.int32, ()),
    "pairs/r": (np.float64, (3,)), "pairs/j": (np.int32, ()), "pairs/back": (np.int32, ())}


@dataclass(frozen=True)
class Frame:
    """One frame of the file.

    Attributes
    ----------
    energy : of the frame
    virial : (6,), NaN where there is none
    type : (n,)
    forces : (n, 3)
    start : (n + 1,) int64, where the pairs of each atom begin
    r, j, back : see mdapp.fit.neighbors.Pairs
    """

    energy: float
    virial: NDArray[np.float64]
    type: NDArray[np.int16]
    forces: NDArray[np.float64]
    start: NDArray[np.int64]
    r: NDArray[np.float64]
    j: NDArray[np.int32]
    back: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """What was read from the file."""
        parts = self.virial, self.type, self.forces, self.r, self.j, self.back
        return 8 + 4 * len(self.type) + sum(part.nbytes for part in parts)


class Maker:
    """Writes a file; it has its name only when it is whole.

    Parameters
    ----------
    path : to be made
    species : of the types; empty: in the order of their appearance
    cutoff : of the neighbours, Angstrom
    made_of : a note on where it comes from
    """

    def __init__(self, path: Path, species: Sequence[str], cutoff: float, made_of: str = ""):
        self.path, self.species, self.cutoff, self.made_of = path, list(species), cutoff, made_of
        self._closed = len(species) > 0
        self._draft = path.with_name(path.name + ".draft")
        self._digest = hashlib.sha256(repr((self.species, cutoff)).encode())
        self._file = h5py.File(self._draft, "w")
        for name, (kind, shape) in COLUMNS.items():
            self._file.create_dataset(name, (0, *shape), kind, maxshape=(None, *shape),
                                      chunks=(CHUNK_ROWS, *shape), fletcher32=True)
        for name in ("frames/atoms", "frames/pairs"):
            self._append(name, np.zeros(1, np.int64))

    def add(self, frame: LabelledFrame, held_out: bool = False) -> None:
        """Find the neighbours of a frame and write it.

        Raises
        ------
        InputError : a species that the set does not have, atoms that lie on one another
        """
        for symbol in frame.symbols:
            if symbol not in self.species and not self._closed:
                self.species.append(symbol)
            elif symbol not in self.species:
                raise InputError(f"{frame.where}: {symbol} is none of the species "
                                 f"{', '.join(self.species)}{nearest(symbol, self.species)}; add "
                                 "it to --species, or take the frame out")
        types = np.array([self.species.index(s) for s in frame.symbols], np.int16)
        try:
            pairs = pairs_of(frame.box, frame.x, self.cutoff)
        except InputError as error:
            raise InputError(f"{frame.where}: {error}") from None
        if len(pairs.r) > LARGEST_FRAME:
            raise InputError(f"{frame.where}: {len(pairs.r)} pairs within {self.cutoff:g}; "
                             f"at most {LARGEST_FRAME} can be held")
        if len(pairs.r) and not (pairs.r**2).sum(axis=1).min() > 0:
            raise InputError(f"{frame.where}: two atoms are at one place")
        virial = np.full(6, np.nan) if frame.virial is None else frame.virial
        whole = self._file["atoms/type"].shape[0] + len(types), \
            self._file["pairs/r"].shape[0] + len(pairs.r)
        rows = {"frames/energy": frame.energy, "frames/virial": virial,
                "frames/cell": frame.box.edges, "frames/periodic": frame.box.periodic,
                "frames/held_out": held_out, "frames/atoms": whole[0], "frames/pairs": whole[1]}
        for name, row in rows.items():
            self._append(name, np.asarray(row)[None])
        for name, rows_ in (("atoms/type", types), ("atoms/x", frame.x),
                            ("atoms/forces", frame.forces),
                            ("atoms/neighbors", np.diff(pairs.start)), ("pairs/r", pairs.r),
                            ("pairs/j", pairs.j), ("pairs/back", pairs.back)):
            self._append(name, rows_)
        self._digest.update(repr((frame.energy, held_out, virial.tolist())).encode())
        for part in (types, frame.x, frame.forces, frame.box.edges):
            self._digest.update(np.ascontiguousarray(part).tobytes())

    def finish(self) -> None:
        """Give the file its name, its bytes on disk."""
        attributes: dict[str, Any] = {"format": FORMAT, "version": VERSION, "cutoff": self.cutoff,
                                      "species": self.species, "made_of": self.made_of,
                                      "digest": self._digest.hexdigest()}
        for name, value in attributes.items():
            self._file.attrs[name] = value
        self._file.attrs["complete"] = [self._file[name].shape[0] for name in COLUMNS]
        self._file.close()
        with self._draft.open("rb") as file:
            os.fsync(file.fileno())
        self._draft.replace(self.path)

    def give_up(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._draft.unlink(missing_ok=True)

    def _append(self, name: str, rows: NDArray[Any]) -> None:
        data = self._file[name]
        before = data.shape[0]
        data.resize(before + len(rows), axis=0)
        data[before:] = rows


class TrainingSet:
    """A file of frames, read as they are asked for.

    Attributes
    ----------
    species, cutoff, made_of : of the file, see Maker
    digest : of all that was put into it
    energy : (f,)
    virial : (f, 6), NaN: none
    held_out : (f,) bool
    natoms, npairs : (f,) int64
    counts : (f, T) int64, atoms of each type
    most : most neighbours of an atom
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"{path}: no whole HDF5 file: {reason}") from None
        try:
            self._read_heads()
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise self._damage(error) from None

    def _read_heads(self) -> None:
        file = self._file
        if file.attrs.get("format") != FORMAT or "complete" not in file.attrs:
            raise InputError(f"{self.path}: is no whole training set of mdapp; give the extended "
                             "XYZ file that it is to be made of")
        if int(file.attrs["version"]) != VERSION:
            raise InputError(f"{self.path}: is of version {file.attrs['version']}, this program "
                             f"reads {VERSION}; make it again")
        for name, length in zip(COLUMNS, file.attrs["complete"], strict=True):
            if file[name].shape != (length, *COLUMNS[name][1]):
                raise ValueError(f"{name} has the shape {file[name].shape}")
        self._columns = {name: file[name] for name in COLUMNS}
        self.species = [str(name) for name in file.attrs["species"]]
        self.cutoff, self.digest = float(file.attrs["cutoff"]), str(file.attrs["digest"])
        self.made_of = str(file.attrs["made_of"])
        self.energy, self.virial, self.held_out, self._atoms, self._pairs = (
            file[f"frames/{name}"][:] for name in
            ("energy", "virial", "held_out", "atoms", "pairs"))
        self.natoms, self.npairs = np.diff(self._atoms), np.diff(self._pairs)
        types, frames = file["atoms/type"][:], np.repeat(np.arange(len(self)), self.natoms)
        self.counts = np.zeros((len(self), len(self.species)), np.int64)
        np.add.at(self.counts, (frames, types), 1)
        self.most = int(file["atoms/neighbors"][:].max(initial=0))

    def __len__(self) -> int:
        return len(self.energy)

    def frame(self, k: int) -> Frame:
        """Read a frame.

        Raises
        ------
        InputError : the file is damaged
        """
        a, b = self._atoms[k], self._atoms[k + 1]
        p, q = self._pairs[k], self._pairs[k + 1]
        columns = self._columns
        try:
            type_, forces, neighbors = (columns[f"atoms/{name}"][a:b]
                                        for name in ("type", "forces", "neighbors"))
            r, j, back = (columns[f"pairs/{name}"][p:q] for name in ("r", "j", "back"))
        except (OSError, KeyError, ValueError) as error:
            raise self._damage(error) from None
        start = np.concatenate([[0], np.cumsum(neighbors, dtype=np.int64)])
        return Frame(float(self.energy[k]), self.virial[k], type_, forces, start, r, j, back)

    def rms_force(self, frames: Sequence[int] | NDArray[np.int64]) -> float:
        """Root mean square of the force components of some frames."""
        square, count = 0.0, 0
        for k in frames:
            forces = self._columns["atoms/forces"][self._atoms[k]:self._atoms[k + 1]]
            square, count = square + float((forces**2).sum()), count + forces.size
        return math.sqrt(square / count) if count else math.nan

    def fitted(self) -> NDArray[np.int64]:
        """Frames to be fitted."""
        return np.flatnonzero(~self.held_out)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _damage(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split())[:200]
        return InputError(f"{self.path}: is damaged: {reason}; make it again from its source")
