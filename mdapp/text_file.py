"""A text file that rank 0 writes for a run, and with which a restart goes on.

A restart cuts the file back to where the checkpoint left it (`mdapp.storage.outputs`), if it is
still the same text, and else begins a new part. It never reads a file through to find out; so a
checkpoint also notes the step of what was written last, which is not to come twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from mpi4py import MPI

from mdapp.deck.schema import Output
from mdapp.parallel.agree import agree
from mdapp.storage.consensus import on_root
from mdapp.storage.files import FileSystem
from mdapp.storage.outputs import free_name, lies_inside, note_output, resume_output


class Writer(Protocol):
    """What appends to an open file."""

    def close(self) -> None:
        """Close it."""
        ...


W = TypeVar("W", bound=Writer)


class TextFile(Generic[W]):
    """A file of a run; every method is collective.

    Parameters
    ----------
    comm, output, folder : the ranks, what the deck asks for, where the file is
    make : opens a writer of a path; with append=True at the end of a file that is there
    fs : the door to the operating system for what belongs to checkpoints
    tell : called on rank 0 with what the user should know

    Attributes
    ----------
    writer : on rank 0
    name : of the part that is written, relative to the folder of the run
    last_step : of what was written last; None if there is nothing
    """

    def __init__(self, comm: MPI.Comm, output: Output, folder: Path, make: Callable[..., W],
                 fs: FileSystem, tell: Callable[[str], None]):
        self.comm, self.output, self.folder, self._fs, self._tell = comm, output, folder, fs, tell
        self._make = make
        self.name = output.file
        self.last_step: int | None = None
        self.writer: W | None = None

    def open(self, restarted: bool, noted: Sequence[Mapping[str, Any]]) -> None:
        """Begin the file, or go on with it as a checkpoint left it; collective."""
        with agree(self.comm):
            if self.comm.rank == 0:
                if restarted and "*" not in self.name:
                    self._resume(noted)
                else:
                    self.writer = self._make(self.folder / self.name)
        self.last_step = self.comm.bcast(self.last_step)

    def _resume(self, noted: Sequence[Mapping[str, Any]]) -> None:
        """Go on where a checkpoint left the file, or else in a new part."""
        entry = next((e for e in noted if e.get("file") == self.name), None)
        if entry is None:
            why = f"{self.folder / self.name}: not known to the checkpoint"
        elif entry.get("kind") != self.output.kind:
            why = f"{self.folder / self.name}: was kind = {entry.get('kind')!r} at the checkpoint"
        else:
            why = resume_output(self._fs, self.folder, entry)
            if not why:
                self.name, self.last_step = str(entry["path"]), entry.get("last_step")
                self.writer = self._make(self.folder / self.name, append=True)
                return
        self._begin_part(why)

    def _begin_part(self, why: str) -> None:
        """Write to a file that is not there yet."""
        name = free_name(self._fs, self.folder, self.output.file)
        self.writer, self.name, self.last_step = self._make(self.folder / name), name, None
        if name != self.output.file:
            self._tell(f"{why}; the next are in {self.folder / name}")

    def is_new(self, step: int) -> bool:
        """Whether a step is yet to be written: the frame that a restart begins with is not."""
        return self.last_step is None or step > self.last_step

    def note(self) -> dict[str, Any] | None:
        """Sync the file, and what a checkpoint should know of it."""
        return on_root(self.comm, self._note, f"output {self.output.file}")

    def _note(self) -> dict[str, Any] | None:
        """Sync and describe the file; a part whose sync failed is not written to any more."""
        path = self.folder / self.name
        if "*" in self.name or not lies_inside(self.name) or not path.is_file():
            return None
        try:
            entry = note_output(self._fs, self.folder, self.name)
        except OSError as error:
            assert self.writer is not None
            self.writer.close()
            self._begin_part(f"{path}: cannot be synced ({error.strerror}), so that its last "
                             "lines may be lost")
            raise
        return {**entry, "file": self.output.file, "kind": self.output.kind,
                "last_step": self.last_step}

    def close(self) -> None:
        """Close the file."""
        if self.writer is not None:
            self.writer.close()
