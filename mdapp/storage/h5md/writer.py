"""Trajectories in H5MD, written by all ranks at once; the form of a file is told in `layout.py`.

A frame in three steps. Atoms travel to the ranks that have their rows (`slabs.py`), piece by piece,
and are written where they belong. When all ranks have said that theirs is written, rank 0 adds
step, time and box. Only then does it raise the number of frames: a frame is in the file or is not,
whenever the run ends. An error of any rank is raised on all, and the file ends with the frame
before.

A part that is full is synced and gets its final name. One that is closed before it is full, or that
a restart finds with frames after the step from which it goes on, is copied into a file of the size
that it needs, by all ranks, and replaced.

Measured once, on two ranks of a busy two-core machine with a local disk, 1 000 000 atoms, positions
and velocities in single precision, median seconds a frame: 0.71 as it is; 0.69 with parallel HDF5
into contiguous datasets through ROMIO in place of `pwrite`; 0.92 where rank 0 receives and writes
everything. Parallel HDF5 was no faster there, so nothing is lost by not asking for it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.errors import InputError, RunError
from mdapp.model.box import Box
from mdapp.parallel.agree import agree, settle
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.h5md.layout import Field, Layout, Place, create, read_layout, show_frames
from mdapp.storage.h5md.open_part import OpenPart, copy_rows
from mdapp.storage.h5md.parts import DRAFT, GROWING, Part, existing, part
from mdapp.storage.h5md.slabs import IdSlabs, Rows

DEFAULT_FRAMES = 1000          # in a part, or fewer that fit into DEFAULT_BYTES
DEFAULT_BYTES = 4 << 30
METADATA_BYTES = 1 << 16       # of a part, generously


@dataclass(frozen=True)
class Contents:
    """What the frames of a trajectory hold.

    Attributes
    ----------
    fields : tuple of Field
    length_unit, time_unit : str or None
    creator : (name, version) of the program
    frames_per_part : int or None
        None: a thousand, or fewer that fit into 4 GiB.
    """

    fields: tuple[Field, ...]
    length_unit: str | None
    time_unit: str | None
    creator: tuple[str, str]
    frames_per_part: int | None = None

    def layout(self, natoms: int, box: Box, expected: int | None) -> Layout:
        """Layout of the next part, if `expected` frames are still to come (None: unknown)."""
        frames = self.frames_per_part
        if frames is None:
            frame_bytes = natoms * sum(f.row.itemsize for f in self.fields if f.per_frame)
            frames = max(1, min(DEFAULT_FRAMES, DEFAULT_BYTES // max(frame_bytes, 1)))
        if expected is not None:
            frames = max(1, min(frames, expected))
        return Layout(self.fields, natoms, frames, tuple(box.periodic.tolist()), self.length_unit,
                      self.time_unit, self.creator)


class TrajectoryWriter:
    """Appends frames to an H5MD trajectory; constructing it and every method is collective.

    Parameters
    ----------
    comm
        The ranks that hold the atoms.
    path
        The first part; further ones have a number before the suffix.
    contents
        What is written.
    append_after
        None starts anew, and removes the parts of an earlier run. A step goes on with what is
        there: frames up to this step are kept, and `write` skips those that are there already.
    expected
        Frames that are still to come after a step, None if that is not known: a part that is as
        long as it will be needs no copying in the end.

    Raises
    ------
    InputError
        A file cannot be written, or an old one not be read; the same error on all ranks.
    """

    def __init__(
        self,
        comm: MPI.Comm,
        path: Path,
        contents: Contents,
        append_after: int | None = None,
        expected: Callable[[int], int | None] = lambda step: None,
        fs: FileSystem = REAL,
    ):
        self.comm, self.path, self.contents, self._fs = comm, path, contents, fs
        self._expected = expected
        self._slabs: IdSlabs | None = None
        self._open: OpenPart | None = None
        self._number = 0
        self._last_step: int | None = None
        self._on_root(self._try_folder, "trajectory cannot be written")
        if append_after is None:
            self._on_root(lambda: self._remove(0), "old trajectory cannot be removed")
        else:
            self._resume(append_after)

    def write(
        self,
        step: int,
        time: float,
        box: Box,
        ids: NDArray[np.int64],
        rows: Mapping[str, Rows],
    ) -> None:
        """Append one frame.

        Parameters
        ----------
        step, time
            Of the frame; steps grow.
        box
            Of the frame; which axes are periodic must not change within a part.
        ids : (n,) int64
            Of this rank's atoms.
        rows
            For each field what gives its values (k,) or (k, 3) for an index array (k,) of this
            rank's atoms.

        Raises
        ------
        InputError
            The file cannot be written; it then ends with the frame before.
        RunError
            The number of atoms is not that of the frames before.
        """
        if self._last_step is not None and step <= self._last_step:
            return
        natoms = int(self.comm.allreduce(len(ids)))
        if self._slabs is None:
            self._slabs = IdSlabs(self.comm, ids)
        if natoms != self._slabs.natoms:
            raise RunError(f"{self.path}: frame of step {step} has {natoms} atoms, those before "
                           f"have {self._slabs.natoms}; atoms were lost")
        if self._open is None:
            layout = self.contents.layout(natoms, box, self._expected(step))
            self._open = self._create(part(self.path, self._number), layout)
        try:
            self._append(self._open, self._slabs, step, time, box, ids, rows)
        except BaseException:
            if not self._open.frames:
                self._discard(self._open)
                self._open = None
            raise
        self._last_step = step
        if self._open.frames == self._open.layout.frames:
            self.close()

    def sync(self) -> None:
        """Make the frames written so far survive a power cut.

        Raises
        ------
        InputError
            The system cannot.
        """
        if self._open is not None:
            with _agreed(self.comm, self._open.names.growing, "cannot be synced"):
                self._open.file.fsync()

    def close(self) -> None:
        """Complete the part that is open; a later frame begins the next one.

        Raises
        ------
        InputError
            It cannot be synced or renamed; it then keeps its name with `.part`.
        """
        if self._open is None:
            return
        done, self._open = self._open, None
        if done.frames < done.layout.frames:
            done = self._copied(done)
        self._complete(done)
        self._number += 1

    def _append(
        self,
        target: OpenPart,
        slabs: IdSlabs,
        step: int,
        time: float,
        box: Box,
        ids: NDArray[np.int64],
        rows: Mapping[str, Rows],
    ) -> None:
        fields = {f.name: f for f in target.layout.fields if f.per_frame or not target.frames}
        failure: OSError | None = None
        for first, values in slabs.pieces(
                ids, {n: rows[n] for n in fields}, {n: f.row for n, f in fields.items()}):
            try:
                if failure is None:
                    for name, array in values.items():
                        target.put(name, target.frames * fields[name].per_frame, first, array)
            except OSError as error:               # the other ranks count on the rounds to come
                failure = error
        doing = f"frame of step {step} cannot be written"
        settle(self.comm, failure and explained(failure, self.path, doing))
        self._on_root(lambda: self._show(target, step, time, box), doing)
        target.frames += 1

    def _show(self, target: OpenPart, step: int, time: float, box: Box) -> None:
        """Put in place what a frame has once, then make it visible."""
        frame = target.frames
        target.put("step", frame, 0, np.array([step], "<i8"))
        target.put("time", frame, 0, np.array([time], "<f8"))
        target.put("edges", frame, 0, np.ascontiguousarray(box.edges, "<f8"))
        if frame:
            show_frames(target.names.growing, frame + 1)
        else:
            self._fs.rename(target.names.draft, target.names.growing)

    def _create(self, names: Part, layout: Layout, visible: int = 1) -> OpenPart:
        doing = "trajectory cannot be written"
        places = self._on_root(lambda: self._draft(names.draft, layout, visible), doing)
        with _agreed(self.comm, self.path, doing):
            file = self._fs.open_patiently(names.draft, os.O_RDWR)
        return OpenPart(names, layout, places, file)

    def _draft(self, draft: Path, layout: Layout, visible: int) -> dict[str, Place]:
        """Let HDF5 make the file, if the system can have one like it.

        A full disk or a limit on the size of files is met here, as an error of the system: within
        HDF5 1.10 it would end the process.
        """
        size = METADATA_BYTES + sum(
            layout.natoms * f.row.itemsize * (layout.frames if f.per_frame else 1)
            for f in layout.fields)
        with self._fs.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
            file.pwrite(bytes(METADATA_BYTES), 0)
            file.truncate(size)
            file.fsync()
        return create(draft, layout, visible)

    def _discard(self, target: OpenPart) -> None:
        target.file.abandon()
        if self.comm.rank == 0 and self._fs.exists(target.names.draft):
            self._fs.unlink(target.names.draft)

    def _complete(self, done: OpenPart) -> None:
        """Sync on all ranks, then give the part its final name."""
        doing = "trajectory cannot be completed"
        with _agreed(self.comm, self.path, doing):
            done.file.fsync()
            done.file.close()
        self._on_root(lambda: self._rename(done.names), doing)

    def _rename(self, names: Part) -> None:
        """The draft of a copy replaces the part that it was made from."""
        copied = self._fs.exists(names.draft)
        self._fs.rename(names.draft if copied else names.growing, names.final)
        if self._fs.exists(names.growing):
            self._fs.unlink(names.growing)
        self._fs.sync_directory(names.final.parent)

    def _copied(self, old: OpenPart) -> OpenPart:
        """Make a draft with the visible frames of a part, and room for no more."""
        new = self._create(old.names, replace(old.layout, frames=old.frames), old.frames)
        with _agreed(self.comm, self.path, "trajectory cannot be completed"), old.file:
            for field in old.layout.fields:
                for frame in range(old.frames if field.per_frame else 1):
                    copy_rows(old, new, field.name, frame, self.comm)
            if self.comm.rank == 0:
                for name, rows in (("step", 1), ("time", 1), ("edges", 3)):
                    for frame in range(old.frames):
                        new.put(name, frame, 0, old.get(name, frame, 0, rows))
        return new

    def _remove(self, number: int) -> None:
        """Remove the parts from `number` on."""
        for k, files in existing(self.path, self._fs).items():
            for file in files.values() if k >= number else ():
                self._fs.unlink(file)

    def _resume(self, step: int) -> None:
        """Keep the frames up to `step`, in parts that have nothing else."""
        kept = self._on_root(lambda: self._find(step), "old trajectory cannot be read")
        for number, path, layout, places, frames, last in kept:
            self._number, self._last_step = number + 1, last
            names = part(self.path, number)
            if path == names.final and frames == layout.frames:
                continue
            with _agreed(self.comm, self.path, "old trajectory cannot be read"):
                file = self._fs.open_patiently(path, os.O_RDWR)
            self._complete(self._copied(OpenPart(names, layout, places, file, frames)))
        self._on_root(lambda: self._remove(self._number), "old trajectory cannot be removed")

    def _find(self, step: int) -> list[tuple[int, Path, Layout, dict[str, Place], int, int]]:
        """Parts that have frames up to `step`, with the number of those and the last one's step."""
        kept = []
        for number, files in existing(self.path, self._fs).items():
            if DRAFT in files:
                self._fs.unlink(files.pop(DRAFT))
            if len(files) == 2:                    # a copy replaced it just before the run ended
                self._fs.unlink(files.pop(GROWING))
            if not files:
                continue
            [path] = files.values()
            layout, places, steps = read_layout(path)
            frames = int(np.searchsorted(steps, step, side="right"))
            if not frames:
                break
            kept.append((number, path, layout, places, frames, int(steps[frames - 1])))
        return kept

    def _try_folder(self) -> None:
        """Meet a missing folder now, not after hours at the first frame."""
        draft = part(self.path, 0).draft
        self._fs.open(draft, os.O_WRONLY | os.O_CREAT).close()
        self._fs.unlink(draft)

    def _on_root(self, function: Callable[[], Any], doing: str) -> Any:
        """Let rank 0 act for all; every rank gets what it returns, or raises what it met."""
        result = None
        with _agreed(self.comm, self.path, doing):
            if self.comm.rank == 0:
                result = function()
        return self.comm.bcast(result)


@contextmanager
def _agreed(comm: MPI.Comm, path: Path, doing: str) -> Iterator[None]:
    """`agree`, with errors of the system turned into what the user can do about them."""
    with agree(comm):
        try:
            yield
        except OSError as error:
            raise explained(error, path, doing) from None


def explained(error: OSError, path: Path, doing: str) -> InputError:
    """One message of a failed system call or HDF5 call."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            remedy = f"free some space on the file system of {path.parent.resolve()}"
        case errno.ENOENT | errno.ENOTDIR:
            remedy = f"make the directory {path.parent} first"
        case errno.EFBIG:
            remedy = "lower output.frames_per_part, or raise the limit (ulimit -f)"
        case errno.EINVAL:
            remedy = f"move {error.filename} away"
        case _:
            remedy = f"get write permission for {path.parent}"
    return InputError(f"{path}: {doing}: {reason}; {remedy}, or choose another file in output.file")
