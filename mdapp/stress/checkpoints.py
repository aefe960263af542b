"""Real checkpoints, through the library that runs use: with no twin in IO500.

    ckpt-write        atoms at random places, dealt to the ranks by slabs, committed: descriptors,
                      checksums, fsync, manifest, one rename
    ckpt-commit       the same of one atom a rank: what the protocol costs without data
    ckpt-read         a restart on the same ranks, with all checks
    ckpt-read-half    a restart on half of the ranks: N to M

The library verifies what it reads, block by block and by the hash of the state, and moves the atoms
to the ranks that own them.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mpi4py import MPI

from mdapp.storage.errors import CheckpointError, DamagedError
from mdapp.storage.files import REAL
from mdapp.storage.names import step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.restore import Restart
from mdapp.storage.store import CheckpointStore
from mdapp.stress.decode import Finding
from mdapp.stress.phase import Work
from mdapp.stress.states import random_state, slabs

BYTES_PER_ATOM = 72
NUMBER = 3                      # checkpoints of a phase


class OnCheckpoints(Work):
    """A phase of a few collective operations on checkpoints of one layout."""

    unit = "B"
    collective = ends_together = True

    def __init__(self, comm: MPI.Intracomm, folder: Path, layout: str, natoms: int):
        super().__init__()
        self.comm, self.api, self.natoms = comm, layout, natoms
        self.directory = folder / "checkpoints"
        self.per_step = BYTES_PER_ATOM * natoms // comm.size

    def written(self) -> list[Path]:
        """All files, by one rank: a restart shall find them on the device."""
        return self.files() if self.comm.rank == 0 else []

    def files(self) -> list[Path]:
        """What lies in the folder."""
        return [p for p in self.directory.rglob("*") if p.is_file()]

    def acted(self, act: Callable[[], Any]) -> Any:
        """Do it; an error of the storage is one that a phase can note."""
        try:
            return act()
        except DamagedError as error:
            self.wrong([Finding("corrupted", str(self.directory.name), "", 0, 0, 0,
                                detail=str(error))])
        except CheckpointError as error:
            raise OSError(error.errno or errno.EIO, str(error)) from error
        return None


class WriteCheckpoints(OnCheckpoints):
    """Write and commit.

    Parameters
    ----------
    commits : count commits, not bytes
    """

    name, writes, durable = "ckpt-write", True, "fsync and commit"

    def __init__(self, comm: MPI.Intracomm, folder: Path, layout: str, natoms: int,
                 options: dict[str, Any], commits: bool = False):
        super().__init__(comm, folder, layout, natoms)
        if commits:
            self.name, self.unit, self.per_step = "ckpt-commit", "items", 1.0 / comm.size
        self.state = random_state(comm, natoms, 1)
        self.options = CheckpointOptions(keep_last=10**6, **options)
        self.store: CheckpointStore | None = None

    def begin(self) -> None:
        """Open the store."""
        def act() -> CheckpointStore:
            return CheckpointStore(self.comm, self.directory, self.options)

        self.store = self.acted(act)

    def step(self, i: int) -> None:
        """Write one; its checksums are the tool's own part."""
        store = self.store
        assert store is not None
        self.state.step = i + 1
        outcome = self.acted(lambda: store.write(self.state))
        self.own_s += outcome.metrics["crc_s"]["mean"]

    def end(self, count: int) -> None:
        """Give up the folder."""
        self.abandon()

    def abandon(self) -> None:
        """Give up the folder."""
        if self.store is not None:
            self.store.close()
            self.store = None


class ReadCheckpoints(OnCheckpoints):
    """Restart from each of them, on the first `ranks` ranks."""

    durable = "checked"

    def __init__(self, comm: MPI.Intracomm, folder: Path, layout: str, natoms: int, ranks: int):
        super().__init__(comm, folder, layout, natoms)
        self.name = "ckpt-read" if ranks == comm.size else "ckpt-read-half"
        self.ranks = ranks
        self.part = comm.Split(0 if comm.rank < ranks else MPI.UNDEFINED, comm.rank)

    def paths(self) -> list[Path]:
        """All files, looked at by one rank."""
        return self.written()

    def step(self, i: int) -> None:
        """One restart."""
        if self.part != MPI.COMM_NULL:
            restart = Restart(self.part, REAL, CheckpointOptions(), lambda path, uuid: "")
            path = self.directory / step_name(i + 1)
            self.acted(lambda: restart.run(path, slabs(0, self.ranks)))

    def end(self, count: int) -> None:
        """Free the part."""
        self.abandon()

    def abandon(self) -> None:
        """Free the part."""
        if self.part != MPI.COMM_NULL:
            self.part.Free()
