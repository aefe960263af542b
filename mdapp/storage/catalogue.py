"""What lies in a folder of checkpoints, for people: names and manifests are read, nothing changed.

A name says more than it seems: only `step-...` is ever a candidate for a restart, and whatever a
crash, a quarantine or a removal left has a name that tells which. Whether a candidate is good is
for `mdapp.storage.audit` to find out; here no block is looked at.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mdapp.storage.errors import DamagedError, FormatVersionError, NothingToRestartError
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.manifest import Manifest, decode
from mdapp.storage.names import MANIFEST, aside_kind, aside_name, step_of

# The folder of checkpoints inside the folder of a run, where the deck names no other.
DEFAULT_FOLDER = "checkpoints"
STATES = {
    ".tmp": "orphan", ".trash": "orphan", ".bad": "bad", ".old": "abandoned", "crash": "crash",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One checkpoint, or what is left of one.

    Attributes
    ----------
    name : its folder
    state : committed; bad (damaged, seen or set aside); unreadable; newer (of a newer format);
        orphan (left by a crash); abandoned (another branch); crash (dump of a broken state)
    step : from the name
    uuid, parent_uuid, time, natoms, bytes, files, layout, level : from the manifest; None where
        it has none
    age_s : seconds since the manifest was written
    verified : whether it passed a full verification
    problem : what is wrong with its manifest
    """

    name: str
    state: str
    step: int | None
    uuid: str | None = None
    parent_uuid: str | None = None
    time: float | None = None
    natoms: int | None = None
    bytes: int | None = None
    files: int | None = None
    age_s: float | None = None
    layout: str | None = None
    level: str | None = None
    verified: bool = False
    problem: str = ""

    def facts(self) -> dict[str, Any]:
        """Return all values by name, for JSON."""
        return asdict(self)


def is_checkpoint(path: Path, fs: FileSystem = REAL) -> bool:
    """Whether `path` is one checkpoint rather than a folder of them."""
    if not fs.is_directory(path):
        return False
    return step_of(path.name) is not None or fs.exists(path / MANIFEST)


def checkpoint_folder(path: Path, fs: FileSystem = REAL) -> Path:
    """Folder of checkpoints that `path` means: itself, or `checkpoints` in the folder of a run.

    Raises
    ------
    NothingToRestartError
        There is no such folder.
    OSError
        It cannot be looked at.
    """
    if not fs.is_directory(path):
        what = "is no folder" if fs.exists(path) else "no such folder"
        raise NothingToRestartError(f"{path}: {what}")
    inner = path / DEFAULT_FOLDER
    holds_some = any(step_of(n) is not None or aside_kind(n) for n in fs.listdir(path))
    return inner if not holds_some and fs.is_directory(inner) else path


def checkpoints_of(path: Path, fs: FileSystem = REAL) -> list[Path]:
    """Checkpoints that `path` means, newest first: itself, or all `step-...` of a folder.

    Raises
    ------
    NothingToRestartError
        There is none; the message says what there is.
    OSError
        A folder cannot be looked at.
    """
    if is_checkpoint(path, fs):
        return [path]
    folder = checkpoint_folder(path, fs)
    names = fs.listdir(folder)
    steps = sorted((s, n) for n in names if (s := step_of(n)) is not None)
    if not steps:
        listing = ", ".join(names[:4]) or "it is empty"
        raise NothingToRestartError(f"{folder}: holds no checkpoint (step-...): {listing}")
    return [folder / name for _, name in reversed(steps)]


def catalogue(folder: Path, fs: FileSystem = REAL) -> list[Entry]:
    """Describe all that lies in a folder of checkpoints, newest step first.

    Raises
    ------
    OSError
        The folder cannot be listed.
    """
    names = fs.listdir(folder)
    found = []
    for name in names:
        step, kind = step_of(name), aside_kind(name)
        if step is not None or kind in STATES:
            found.append(_entry(folder / name, step, kind, frozenset(names), fs))
    return sorted(found, key=lambda e: (-(e.step or 0), e.name))


def _entry(
    path: Path, step: int | None, kind: str | None, names: frozenset[str], fs: FileSystem
) -> Entry:
    state = STATES[kind] if kind else "committed"
    if step is None:
        step = int(path.name.rsplit("-", 2)[1])
    try:
        manifest = read_manifest(path, fs)
        age = time.time() - fs.lstat(path / MANIFEST).st_mtime
    except FormatVersionError as error:
        return Entry(path.name, state if kind else "newer", step, problem=str(error))
    except DamagedError as error:
        # What a crash left has no manifest yet: that is no news.
        problem = "" if state == "orphan" else str(error)
        return Entry(path.name, state if kind else "bad", step, problem=problem)
    except OSError as error:
        problem = f"{error.filename or path}: {error.strerror or error}"
        return Entry(path.name, state if kind else "unreadable", step, problem=problem)
    problem = "" if manifest.step == step else f"its manifest is of step {manifest.step}"
    return Entry(
        path.name, "bad" if problem and not kind else state, step,
        uuid=manifest.uuid, parent_uuid=manifest.parent_uuid, time=manifest.time,
        natoms=manifest.natoms, bytes=manifest.bytes, files=len(manifest.files), age_s=age,
        layout=manifest.layout, level=manifest.plain["storage"].get("level"),
        verified=aside_name(".verified", step, manifest.uuid) in names, problem=problem,
    )  # fmt: skip


def read_manifest(path: Path, fs: FileSystem = REAL) -> Manifest:
    """Manifest of a checkpoint.

    Raises
    ------
    DamagedError, FormatVersionError
        It is missing, damaged, or of a newer version.
    OSError
        It cannot be read.
    """
    return decode(read_manifest_bytes(path, fs), str(path / MANIFEST))


def read_manifest_bytes(path: Path, fs: FileSystem = REAL) -> bytes:
    """Bytes of the manifest of a checkpoint; raises as `read_manifest`."""
    try:
        return fs.read_small(path / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedError(f"{path / MANIFEST}: missing") from None
