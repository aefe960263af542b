"""The trajectory files of a run: dumps and extended XYZ as text, H5MD in binary.

Atoms are in the order of ids in all of them. Text is written by rank 0, without holding a whole
frame: every rank sorts the ids of its atoms, and in each round all send the atoms up to a common
id, chosen so that nobody sends more than a fixed number; rank 0 merges them and writes. H5MD is
written by all ranks (`mdapp.storage.h5md.writer`); what is decided here is what a file says of the
physics: which arrays, in which units.

H5MD has names for SI units and their like, and readers know few of them: MDAnalysis no eV, so
forces are converted. Reduced units have no names; MDAnalysis, given a topology (a dump of the same
run will do) and `convert_units=False`, reads them as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp import __version__
from mdapp.deck.schema import Output
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.parallel.agree import agree
from mdapp.storage.h5md.layout import Field
from mdapp.storage.h5md.slabs import Rows
from mdapp.storage.h5md.writer import Contents, TrajectoryWriter
from mdapp.structures import FrameWriter

ROUND_ATOMS = 65536           # atoms that rank 0 receives in a round, over all ranks
ARRAYS = {"position": "x", "velocity": "v", "force": "f", "image": "image"}
KJ_MOL = 96.48533212331001    # of an eV: e N_A / 1000, exact in the SI of 2019
# By unit system: name in H5MD, and the number in that unit of one unit of the run.
H5MD_UNITS: dict[str, dict[str, tuple[str, float]]] = {
    "lj": {},
    "metal": {"position": ("Angstrom", 1.0), "velocity": ("Angstrom ps-1", 1.0),
              "force": ("kJ mol-1 Angstrom-1", KJ_MOL), "time": ("ps", 1.0), "mass": ("u", 1.0)},
}


class _File(Protocol):
    """One trajectory; every method is collective."""

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None: ...
    def sync(self) -> None: ...
    def close(self) -> None: ...


class Outputs:
    """The trajectory files of a run; every method is collective.

    Parameters
    ----------
    comm, outputs, folder : the ranks, what the deck asks for, where the files are
    species, mass : of the types
    units : unit system of the run, lj or metal; needed for H5MD
    append_after : None begins new files.  A step goes on with those of a run that ended: their
        frames up to this step are kept.  The run begins with writing the frame of this step, which
        does not make it double.
    last_step : the step that the run means to reach, if that is known: H5MD files then get the size
        that they need at once

    Raises
    ------
    InputError : a file cannot be written; the same error on all ranks
    """

    def __init__(self, comm: MPI.Comm, outputs: Sequence[Output], folder: Path,
                 species: Sequence[str], mass: NDArray[np.float64], *, units: str | None = None,
                 append_after: int | None = None, last_step: int | None = None):
        self.outputs = outputs
        self.files: list[_File] = []
        for output in outputs:
            if output.kind == "h5md":
                if units is None:
                    raise ValueError("H5MD needs the unit system of the run")
                self.files.append(_H5md(comm, output, folder, mass, units, append_after, last_step))
            else:
                self.files.append(_Text(comm, output, folder, species, mass, append_after))

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None:
        """Append a frame to each file that is due at this step."""
        for output, file in zip(self.outputs, self.files, strict=True):
            if step % output.every == 0:
                file.write(step, time, box, atoms)

    def sync(self) -> None:
        """Make the frames of H5MD files survive a power cut, as a checkpoint of this step does."""
        for file in self.files:
            file.sync()

    def close(self) -> None:
        """Complete the files."""
        for file in self.files:
            file.close()


class _Text:
    """A file that rank 0 writes."""

    def __init__(self, comm: MPI.Comm, output: Output, folder: Path, species: Sequence[str],
                 mass: NDArray[np.float64], append_after: int | None):
        self.comm = comm
        self.writer: FrameWriter | None = None
        with agree(comm):
            if comm.rank == 0:
                # The frame of the step itself is cut off with those after it: it comes again.
                self.writer = FrameWriter(
                    folder / output.file, output.kind, output.columns, species=species, mass=mass,
                    append_after=None if append_after is None else append_after - 1)
        self.needs = comm.bcast(self.writer and sorted(self.writer.needs | {"id"}))

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None:
        natoms = self.comm.allreduce(atoms.nlocal)
        pieces = pieces_by_id(self.comm, atoms, self.needs)
        with agree(self.comm):
            try:
                if self.writer is not None:
                    self.writer.write(step, time, box, natoms, pieces)
            finally:
                for _ in pieces:       # ranks above 0, and 0 after a failure, follow the rounds
                    pass

    def sync(self) -> None:
        """Text is in the hands of the system after each frame, and lost with it."""

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


class _H5md:
    """An H5MD trajectory."""

    def __init__(self, comm: MPI.Comm, output: Output, folder: Path, mass: NDArray[np.float64],
                 units: str, append_after: int | None, last_step: int | None):
        self.mass, self.every, self.last_step = mass, output.every, last_step
        self.units = H5MD_UNITS[units]
        length, time = (self.units.get(name, (None,))[0] for name in ("position", "time"))
        contents = Contents(h5md_fields(output, units), length, time, ("mdapp", __version__),
                            output.frames_per_part)
        self.writer = TrajectoryWriter(comm, folder / output.file, contents, append_after,
                                       self._to_come)

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None:
        self.writer.write(step, time, box, atoms.id[:atoms.nlocal], self._rows(atoms))

    def sync(self) -> None:
        self.writer.sync()

    def close(self) -> None:
        self.writer.close()

    def _to_come(self, step: int) -> int | None:
        """Frames from the one of this step to the last of the run."""
        if self.last_step is None or self.last_step < step:
            return None
        return (self.last_step - step) // self.every + 1

    def _rows(self, atoms: Atoms) -> dict[str, Rows]:
        rows: dict[str, Rows] = {
            "id": lambda which: atoms.id[which],
            "species": lambda which: atoms.type[which] + 1,
            "mass": lambda which: self.mass[atoms.type[which]],
        }
        for name, array in ARRAYS.items():
            rows[name] = _scaled(getattr(atoms, array), self.units.get(name, ("", 1.0))[1])
        return rows


def _scaled(array: NDArray[Any], factor: float) -> Rows:
    return lambda which: array[which] if factor == 1.0 else array[which] * factor


def h5md_fields(output: Output, units: str) -> tuple[Field, ...]:
    """What an H5MD file holds: what the deck asks for in each frame, and what never changes.

    species are the types from 1; readers that want elements take them from a topology.
    """
    names = H5MD_UNITS[units]
    real = np.dtype(output.dtype or "float32").newbyteorder("<").str
    fields = [Field(name, "<i4" if name == "image" else real, 3, names.get(name, (None,))[0])
              for name in output.fields or ("position", "velocity")]
    if output.profile != "vmd":
        fields.append(Field("id", "<i8", 1, per_frame=False))
    fields.append(Field("species", "<i4", 1, per_frame=False))
    fields.append(Field("mass", "<f8", 1, names.get("mass", (None,))[0], per_frame=False))
    return tuple(fields)


def pieces_by_id(comm: MPI.Comm, atoms: Atoms,
                 names: Sequence[str]) -> Iterator[dict[str, NDArray[Any]]]:
    """Arrays of all atoms in the order of ids, piece by piece; collective.

    Rank 0 gets the pieces, by name; the others get as many empty dictionaries.
    """
    order = np.argsort(atoms.id[:atoms.nlocal], kind="stable")
    ids = atoms.id[order]
    share = max(1, ROUND_ATOMS // comm.size)
    first = 0
    nothing_left = np.iinfo(np.int64).max
    while True:
        last_full = first + share - 1
        bound = nothing_left
        if first < len(ids):
            bound = ids[min(last_full, len(ids) - 1)]
        lowest = np.array([bound], np.int64)
        comm.Allreduce(MPI.IN_PLACE, lowest, MPI.MIN)
        if lowest[0] == nothing_left:
            return
        stop = int(np.searchsorted(ids, lowest[0], side="right"))
        mine = order[first:stop]
        first = stop
        parts = comm.gather({name: getattr(atoms, name)[mine] for name in names})
        if parts is None:
            yield {}
            continue
        piece = {name: np.concatenate([p[name] for p in parts]) for name in names}
        ranked = np.argsort(piece["id"], kind="stable")
        yield {name: values[ranked] for name, values in piece.items()}
