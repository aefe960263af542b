"""The folder that is stressed: marked as such, and nothing in it touched that is not ours.

The marker `.mdapp-stress` lists the runs that were made here; their numbers let stale data be
recognised. Each run works in a folder of its own beside it. A run that is interrupted first renames
that folder, so that no rank that has not heard of it can make files in it while it is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from mdapp.errors import InputError
from mdapp.storage.disk import file_system_type
from mdapp.storage.files import REAL
from mdapp.stress.meeting import Meeting

MARKER = ".mdapp-stress"
PROGRAM = "mdapp stress"
OURS = re.compile(r"(run|removing)-[0-9a-f]{16}")
IN_MEMORY = ("tmpfs", "ramfs")
KEPT_RUNS = 64


@dataclass(frozen=True)
class WorkFolder:
    """Where one run writes.

    Attributes
    ----------
    directory : the user's
    run : number of this run, below 2^64
    earlier : those of earlier runs in it
    kind : type of the file system, as the kernel names it
    """

    directory: Path
    run: int
    earlier: tuple[int, ...]
    kind: str

    @property
    def path(self) -> Path:
        """The run's own folder."""
        return self.directory / f"run-{self.run:016x}"

    def remove(self) -> None:
        """Remove the run's folder; called by one rank, or by several at once."""
        doomed = self.directory / f"removing-{self.run:016x}"
        with contextlib.suppress(OSError):
            self.path.rename(doomed)
        shutil.rmtree(doomed, ignore_errors=True)


def open_folder(meeting: Meeting, directory: Path, *, allow_memory: bool = False) -> WorkFolder:
    """Claim a folder, made where it does not exist; collective.

    Raises
    ------
    InputError
        It is not ours, lies in memory, or is not seen by all ranks; on all of them.
    OSError
        It cannot be written.
    """
    from mdapp.parallel.agree import agree

    folder = meeting.on_root(lambda: _claim(directory, allow_memory))
    with agree(meeting.comm):
        if not folder.path.is_dir():
            raise InputError(f"--dir {directory}: this rank does not see what rank 0 made in it; "
                             "choose a folder on a file system that all nodes share")
    return folder


def _claim(directory: Path, allow_memory: bool) -> WorkFolder:
    kind = _check(directory, allow_memory)
    directory.mkdir(parents=True, exist_ok=True)
    earlier = runs_of(directory)
    folder = WorkFolder(directory, secrets.randbits(64), tuple(earlier), kind)
    runs = [*earlier, folder.run][-KEPT_RUNS:]
    body = {"program": PROGRAM, "version": 1, "runs": [f"{r:016x}" for r in runs],
            "written": time.strftime("%Y-%m-%dT%H:%M:%S%z")}
    REAL.write_durably(directory / MARKER, (json.dumps(body, indent=2) + "\n").encode())
    folder.path.mkdir()
    return folder


def _check(directory: Path, allow_memory: bool) -> str:
    """Type of the file system; refuses what must not be written to."""
    existing = directory
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"--dir {directory}: {existing} is a file; name a folder")
    kind = file_system_type(existing)
    if kind in IN_MEMORY and not allow_memory:
        raise InputError(f"--dir {directory}: is a {kind}, whose files are in memory, so no "
                         "storage would be measured; choose one on a disk, or say --allow-tmpfs")
    if directory.is_dir() and not _is_marked(directory) and any(directory.iterdir()):
        raise InputError(f"--dir {directory}: is not empty and was not made by mdapp stress "
                         f"(it has no {MARKER} of its); name an empty folder, or a new one")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"--dir {directory}: {existing} cannot be written by this user; choose "
                         "another folder")
    return kind


def _is_marked(directory: Path) -> bool:
    marker = directory / MARKER
    try:
        return marker.is_file() and not marker.is_symlink() and (
            json.loads(marker.read_text())["program"] == PROGRAM)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def runs_of(directory: Path) -> list[int]:
    """Numbers of the runs that a marked folder has seen."""
    if not _is_marked(directory):
        return []
    return [int(text, 16) for text in json.loads((directory / MARKER).read_text())["runs"]]


def clean(directory: Path) -> list[str]:
    """Remove what runs left in a folder, and the marker; return the names that were removed.

    Raises
    ------
    InputError
        The folder is not ours.
    OSError
        Something of ours cannot be removed.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: there is no such folder")
    if not _is_marked(directory):
        raise InputError(f"{directory}: was not made by mdapp stress (it has no {MARKER} of its), "
                         "so nothing in it is removed")
    names = [n for n in REAL.listdir(directory) if OURS.fullmatch(n)]
    for name in names:
        shutil.rmtree(directory / name)
    (directory / MARKER).unlink()
    return names
