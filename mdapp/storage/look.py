"""All atoms of a checkpoint on one process, to look at: checked as a restart checks them.

Nothing is changed by it: what is damaged is told, and not set aside.
"""

from __future__ import annotations

from pathlib import Path

from mpi4py import MPI

from mdapp.storage.files import REAL
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.restore import Restart, header, refuse_a_part
from mdapp.storage.state import State


def read_state(path: Path) -> State:
    """The state in a checkpoint; not collective.

    Raises
    ------
    CheckpointError : it is damaged, of a newer format, or cannot be read
    InputError : it is one node's part of a checkpoint
    """
    reader = Restart(MPI.COMM_SELF, REAL, CheckpointOptions(), lambda path, uuid: "")
    manifest = reader.read_manifest(path)
    refuse_a_part(path, manifest)
    arrays, sums = reader.read_share(path, manifest)
    reader.compare(path, manifest, sums, "read")
    state = header(manifest)
    state.fields = {f.name: a[:manifest.natoms]
                    for f, a in zip(manifest.fields, arrays, strict=True)}  # fmt: skip
    return state
