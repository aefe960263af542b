"""The steps of a commit that touch directories; done by rank 0 alone, without messages.

    draft    .tmp-000000012000-1a2b3c4d/ with its folders, parent synced
    seal     manifest.json last, and every directory of the draft synced
    publish  one rename to step-000000012000, parent synced: from here on it is committed
    LATEST   a hint for people; nothing trusts it

Whatever instant a crash chooses, what it leaves is a draft that nobody looks at, or a checkpoint
that is whole.
"""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from mdapp.storage.errors import ConflictError
from mdapp.storage.files import FileSystem
from mdapp.storage.names import LATEST, MANIFEST


def make_draft(fs: FileSystem, draft: Path, folders: list[str]) -> None:
    """Make the directory of an attempt.

    Raises
    ------
    OSError
        The system's.
    """
    fs.mkdir(draft)
    for folder in folders:
        fs.mkdir(draft / folder)
    fs.sync_directory(draft.parent)


def seal_draft(fs: FileSystem, draft: Path, folders: list[str], manifest: bytes) -> None:
    """Add the manifest and make all names durable.

    Raises
    ------
    OSError
        The system's.
    """
    fs.write_durably(draft / MANIFEST, manifest)
    for folder in folders:
        fs.sync_directory(draft / folder)
    fs.sync_directory(draft)


def publish_draft(fs: FileSystem, draft: Path, target: Path) -> str:
    """Give a sealed draft its final name.

    Returns
    -------
    str
        Empty if the name is durable, else why it may be lost in a power cut.

    Raises
    ------
    ConflictError
        The name is taken. (A rename onto an empty directory would succeed in silence.)
    OSError
        The system's.
    """
    if fs.exists(target):
        raise ConflictError(f"{target}: exists already")
    try:
        fs.rename(draft, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise ConflictError(f"{target}: exists already") from None
        raise
    try:
        fs.sync_directory(target.parent)
    except OSError as error:
        return str(error)
    return ""


def write_latest(fs: FileSystem, directory: Path, name: str) -> None:
    """Note the newest commit.

    Raises
    ------
    OSError
        The system's; the hint is then old, and nothing is lost.
    """
    fs.write_durably(directory / LATEST, name.encode() + b"\n")
    fs.sync_directory(directory)


def remove_draft(fs: FileSystem, draft: Path) -> str:
    """Delete what a failed attempt left; returns why it could not, empty if it could."""
    try:
        if fs.exists(draft):
            fs.remove_tree(draft, first=MANIFEST)
    except OSError as error:
        with contextlib.suppress(OSError):
            fs.sync_directory(draft.parent)
        return f"{draft}: not removed: {error}"
    return ""
