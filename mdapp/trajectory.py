"""The trajectory files of a run: dumps and extended XYZ as text, H5MD in binary.

Atoms are in the order of ids in all of them. Text is written by rank 0, without holding a whole
frame: every rank sorts the ids of its atoms, and in each round all send the atoms up to a common
id, chosen so that nobody sends more than a fixed number; rank 0 merges them and writes. H5MD is
written by all ranks (`mdapp.storage.h5md.writer`); what is decided here is what a file says of the
physics: which arrays, in which units.

A restart goes on with text where the checkpoint left it (`mdapp.text_file`); H5MD goes on in a new
part in any case.

H5MD has names for SI units and their like, and readers know few of them: MDAnalysis no eV, so
forces are converted. Reduced units have no names; MDAnalysis, given a topology (a dump of the same
run will do) and `convert_units=False`, reads them as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp import __version__
from mdapp.analysis.deviation import deviation, heading, line
from mdapp.deck.schema import Output
from mdapp.errors import InputError
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.parallel.agree import agree
from mdapp.storage.errors import StorageAccessError
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.h5md.layout import Field
from mdapp.storage.h5md.slabs import Rows
from mdapp.storage.h5md.writer import Contents, TrajectoryWriter
from mdapp.structures import FrameWriter
from mdapp.structures.frames import LineWriter
from mdapp.text_file import TextFile

ROUND_ATOMS = 65536           # atoms that rank 0 receives in a round, over all ranks
ARRAYS = {"position": "x", "velocity": "v", "force": "f", "image": "image"}
KJ_MOL = 96.48533212331001    # of an eV: e N_A / 1000, exact in the SI of 2019
# By unit system: name in H5MD, and the number in that unit of one unit of the run.
H5MD_UNITS: dict[str, dict[str, tuple[str, float]]] = {
    "lj": {},
    "metal": {"position": ("Angstrom", 1.0), "velocity": ("Angstrom ps-1", 1.0),
              "force": ("kJ mol-1 Angstrom-1", KJ_MOL), "time": ("ps", 1.0), "mass": ("u", 1.0),
              "charge": ("e", 1.0)},
}


# Forces (models, n, 3) and virials (models, 6) of all models for the atoms of this rank.
Judge = Callable[[], tuple[NDArray[np.float64], NDArray[np.float64]]]


class _File(Protocol):
    """One trajectory; every method is collective."""

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None: ...
    def note(self) -> dict[str, Any] | None: ...
    def close(self) -> None: ...


class Outputs:
    """The trajectory files of a run; every method is collective.

    Parameters
    ----------
    comm, outputs, folder : the ranks, what the deck asks for, where the files are
    species, mass : of the types
    charged : whether the atoms have charges
    units : unit system of the run, lj or metal; needed for H5MD
    append_after : None begins new files.  A step goes on with those of a run that ended: their
        frames up to this step are kept.  The run begins with writing the frame of this step, which
        does not make it double.
    noted : what the checkpoint of that step says of its files (`note`)
    last_step : the step that the run means to reach, if that is known: H5MD files then get the size
        that they need at once
    tell : called on rank 0 with what the user should know
    judge : forces and virials of all models of a committee for the present atoms
    fs : the door to the operating system for what belongs to checkpoints

    Raises
    ------
    InputError : a file cannot be written, or deviations are asked for and there is no committee;
        the same error on all ranks
    """

    def __init__(self, comm: MPI.Intracomm, outputs: Sequence[Output], folder: Path,
                 species: Sequence[str], mass: NDArray[np.float64], *, charged: bool = False,
                 units: str | None = None, append_after: int | None = None,
                 noted: Sequence[Mapping[str, Any]] = (), last_step: int | None = None,
                 tell: Callable[[str], None] = lambda line: None,
                 judge: Judge | None = None, fs: FileSystem = REAL):
        self.outputs = outputs
        self.files: list[_File] = []
        for output in outputs:
            if output.kind == "h5md":
                if units is None:
                    raise ValueError("H5MD needs the unit system of the run")
                self.files.append(_H5md(comm, output, folder, mass, charged, units, append_after,
                                        last_step))
                continue
            text = self._text(comm, output, folder, species, mass, charged, fs, tell, judge)
            text.open(append_after is not None, noted)
            self.files.append(text)

    def _text(self, comm: MPI.Intracomm, output: Output, folder: Path, species: Sequence[str],
              mass: NDArray[np.float64], charged: bool, fs: FileSystem,
              tell: Callable[[str], None], judge: Judge | None) -> _Frames | _Deviations:
        if output.kind != "deviation":
            make = partial(FrameWriter, kind=output.kind, columns=output.columns, species=species,
                           mass=mass, charged=charged)
            return _Frames(comm, output, folder, make, fs, tell)
        if judge is None:
            raise InputError('output.kind = "deviation": there are no models to compare; it needs '
                             'potential.style = "committee"')
        return _Deviations(comm, output, folder, judge, fs, tell)

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None:
        """Append a frame to each file that is due at this step."""
        for output, file in zip(self.outputs, self.files, strict=True):
            if step % output.every == 0:
                file.write(step, time, box, atoms)

    def note(self) -> list[dict[str, Any]]:
        """Make the frames survive a power cut, and describe the files that will be appended to.

        Raises
        ------
        StorageAccessError : a file cannot be synced; the same error on all ranks
        """
        return [entry for file in self.files if (entry := file.note()) is not None]

    def close(self) -> None:
        """Complete the files."""
        for file in self.files:
            file.close()


class _Frames(TextFile[FrameWriter]):
    """Dumps and extended XYZ."""

    def open(self, restarted: bool, noted: Sequence[Mapping[str, Any]]) -> None:
        super().open(restarted, noted)
        self.needs = self.comm.bcast(self.writer and sorted(self.writer.needs | {"id"}))

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None:
        if not self.is_new(step):
            return
        natoms = self.comm.allreduce(atoms.nlocal)
        pieces = pieces_by_id(self.comm, atoms, self.needs)
        with agree(self.comm):
            try:
                if self.writer is not None:
                    self.writer.write(step, time, box, natoms, pieces)
            finally:
                for _ in pieces:       # ranks above 0, and 0 after a failure, follow the rounds
                    pass
        self.last_step = step


class _Deviations(TextFile[LineWriter]):
    """How much the models of a committee disagree, a line a frame."""

    def __init__(self, comm: MPI.Intracomm, output: Output, folder: Path, judge: Judge,
                 fs: FileSystem, tell: Callable[[str], None]):
        super().__init__(comm, output, folder, partial(LineWriter, heading=heading(output.limit)),
                         fs, tell)
        self.ranks, self.judge = comm, judge

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None:
        if not self.is_new(step):
            return
        found = deviation(self.ranks, *self.judge(), self.output.limit)
        with agree(self.comm):
            if self.writer is not None:
                self.writer.write(line(step, found, self.output.limit))
        if found.above and self.ranks.rank == 0:
            self._tell(f"step {step}: the models disagree on the forces on {found.above} atoms by "
                       f"more than {self.output.limit:g}, at most by {found.max_force:.3g}")
        self.last_step = step


class _H5md:
    """An H5MD trajectory."""

    def __init__(self, comm: MPI.Comm, output: Output, folder: Path, mass: NDArray[np.float64],
                 charged: bool, units: str, append_after: int | None, last_step: int | None):
        self.mass, self.every, self.last_step = mass, output.every, last_step
        self.units = H5MD_UNITS[units]
        length, time = (self.units.get(name, (None,))[0] for name in ("position", "time"))
        contents = Contents(h5md_fields(output, units, charged), length, time,
                            ("mdapp", __version__), output.frames_per_part)
        self.writer = TrajectoryWriter(comm, folder / output.file, contents, append_after,
                                       self._to_come)

    def write(self, step: int, time: float, box: Box, atoms: Atoms) -> None:
        self.writer.write(step, time, box, atoms.id[:atoms.nlocal], self._rows(atoms))

    def note(self) -> None:
        try:
            self.writer.sync()
        except InputError as error:
            raise StorageAccessError(str(error)) from None

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
        if atoms.q is not None:
            rows["charge"] = _scaled(atoms.q, 1.0)
        for name, array in ARRAYS.items():
            rows[name] = _scaled(getattr(atoms, array), self.units.get(name, ("", 1.0))[1])
        return rows


def _scaled(array: NDArray[Any], factor: float) -> Rows:
    return lambda which: array[which] if factor == 1.0 else array[which] * factor


def h5md_fields(output: Output, units: str, charged: bool = False) -> tuple[Field, ...]:
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
    if charged:
        fields.append(Field("charge", "<f8", 1, names.get("charge", (None,))[0], per_frame=False))
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
