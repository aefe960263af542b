"""Whose sets are these? An identity of a run that lasts through its restarts.

Node-local storage is used by one job after the other, and what one left behind must never
continue another. So the first start that writes to a folder of checkpoints puts an identity into
it; later starts find it there, and fragments carry it. A folder that has lost it gets a new one:
local sets of before are then strangers, which is the safe side to err on.
"""

from __future__ import annotations

import uuid as uuids
from pathlib import Path

from mdapp.storage.files import FileSystem
from mdapp.storage.names import LINEAGE

_HEX = frozenset("0123456789abcdef")


def lineage_of(fs: FileSystem, directory: Path, read_only: bool) -> str:
    """Identity of the run that has a folder of checkpoints; for the holder of its lock.

    Raises
    ------
    OSError
        It cannot be read, or not be made.
    """
    path = directory / LINEAGE
    if fs.exists(path):
        text = fs.read_small(path).decode("ascii", "replace").strip()
        if len(text) == 32 and not set(text) - _HEX:
            return text
    made = uuids.uuid4().hex
    if not read_only:
        fs.write_durably(path, made.encode() + b"\n")
        fs.sync_directory(directory)
    return made
