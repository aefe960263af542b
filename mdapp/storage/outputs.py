"""Files that a run appends to, and a checkpoint of it depends on.

A dump or a log goes on growing after a checkpoint. A restart from it would append after frames that
the continued run writes again, or after half a line. So a checkpoint notes how long each such file
was, with a checksum of its end; the restart cuts the file back to there. If the file is shorter, or
its end is another, it is not the file that was left, and a new part is begun instead, under a name
with a number: garbage is never appended to, and somebody's data never cut.

To note a file is to sync it first: a checkpoint must not speak of bytes that a power cut can take.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mdapp.storage.crc import crc32
from mdapp.storage.errors import DamagedError
from mdapp.storage.files import File, FileSystem, raw
from mdapp.storage.reader import Reader

TAIL_BYTES = 64 << 10


def note_output(fs: FileSystem, folder: Path, name: str) -> dict[str, Any]:
    """Sync a file and describe it for `State.outputs`.

    Parameters
    ----------
    folder, name
        Folder of the run, and the file relative to it; so a run that is moved stays valid.

    Raises
    ------
    OSError
        The file cannot be read or synced.
    """
    with fs.open(folder / name, os.O_RDWR) as file:
        file.fsync()
        size = file.size()
        return {"path": name, "size": size, "tail_crc": f"{_tail_crc(file, size):08x}"}


def resume_output(fs: FileSystem, folder: Path, entry: Mapping[str, Any]) -> str:
    """Cut a file back to what a checkpoint knew of it.

    Returns
    -------
    str
        Empty if the file ends now where the checkpoint left it; else why a new part must be begun.

    Raises
    ------
    DamagedError
        The entry is none.
    OSError
        The file is there but cannot be used.
    """
    read = Reader(dict(entry), "outputs")
    name, size = read.text("path"), read.integer("size")
    crc = int(read.hexadecimal("tail_crc", 8), 16)
    if not lies_inside(name):
        raise DamagedError(f"outputs.path = {name!r}: lies outside of the run's folder")
    path = folder / name
    if not fs.exists(path):
        return f"{path}: no longer there"
    with fs.open(path, os.O_RDWR) as file:
        found = file.size()
        if found < size:
            return f"{path}: has {found} bytes, at the checkpoint it had {size}"
        if _tail_crc(file, size) != crc:
            return f"{path}: its content is not what it was at the checkpoint"
        if found > size:
            file.truncate(size)
            file.fsync()
    return ""


def lies_inside(name: str) -> bool:
    """Whether a name stays in the folder that it is relative to."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def free_name(fs: FileSystem, folder: Path, name: str) -> str:
    """Name for a part of an output that no file has: its own, or melt.0001.dump and so on."""
    path, number, free = Path(name), 0, name
    while fs.exists(folder / free):
        number += 1
        free = str(path.with_name(f"{path.stem}.{number:04d}{path.suffix}"))
    return free


def _tail_crc(file: File, size: int) -> int:
    """Checksum of the last bytes before `size`."""
    buffer = np.zeros(min(TAIL_BYTES, size), np.uint8)
    got = file.pread_into(raw(buffer), size - len(buffer))
    return crc32(raw(buffer[:got]))
