"""Which checkpoints stay, and how one goes.

Two rules stand above all options: at least two committed checkpoints stay, and the newest one that
passed a full verification stays. Removal starts with a rename, so that a half-removed checkpoint
has a name that no restart looks at; its manifest goes first, so that it is invalid whatever is
left. That a removal fails is a warning, never the failure of the checkpoint that triggered it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mdapp.storage.errors import CheckpointError
from mdapp.storage.files import FileSystem
from mdapp.storage.manifest import Manifest, decode
from mdapp.storage.names import CANARY, MANIFEST, aside_kind, aside_name, step_name, step_of
from mdapp.storage.options import CheckpointOptions

LEAST = 2


@dataclass(frozen=True)
class Committed:
    """A checkpoint that may be restarted from."""

    step: int
    uuid: str
    bytes: int

    @property
    def name(self) -> str:
        """Its folder."""
        return step_name(self.step)


def to_remove(
    committed: Sequence[Committed],
    options: CheckpointOptions,
    verified: frozenset[str] = frozenset(),
) -> list[Committed]:
    """Choose the checkpoints that need not stay, oldest first.

    Parameters
    ----------
    committed
        In any order.
    verified
        uuids of those that passed a full verification.
    """
    newest_first = sorted(committed, key=lambda c: c.step, reverse=True)
    keep_last = max(options.keep_last, LEAST)
    proven = next((c for c in newest_first if c.uuid in verified), None)
    sacred = {c.uuid for c in newest_first[:LEAST]} | ({proven.uuid} if proven else set())
    every = options.keep_every
    kept = [
        c
        for k, c in enumerate(newest_first)
        if k < keep_last or c.uuid in sacred or (every and c.step % every == 0)
    ]
    if options.max_bytes:
        kept = _within(kept, options.max_bytes, sacred)
    stay = {c.uuid for c in kept}
    return [c for c in reversed(newest_first) if c.uuid not in stay]


def _within(newest_first: list[Committed], limit: int, sacred: set[str]) -> list[Committed]:
    """Drop the oldest that may go until the rest fits."""
    total = sum(c.bytes for c in newest_first)
    kept = list(newest_first)
    for candidate in reversed(newest_first):
        if total > limit and candidate.uuid not in sacred:
            kept.remove(candidate)
            total -= candidate.bytes
    return kept


def list_committed(directory: Path, fs: FileSystem) -> list[Committed]:
    """Committed checkpoints of a folder, by their manifests, newest first.

    A folder whose manifest cannot be used is not listed: it is not removed for being old either.
    """
    found = []
    for name in fs.listdir(directory):
        step = step_of(name)
        if step is None:
            continue
        manifest = read_manifest_or_none(directory / name, fs)
        if manifest is not None and manifest.step == step:
            found.append(Committed(step, manifest.uuid, manifest.bytes))
    return sorted(found, key=lambda c: c.step, reverse=True)


def read_manifest_or_none(path: Path, fs: FileSystem) -> Manifest | None:
    """Manifest of a checkpoint, None if it has none that can be used."""
    try:
        return decode(fs.read_small(path / MANIFEST))
    except (OSError, CheckpointError):
        return None


def retain(
    directory: Path, options: CheckpointOptions, fs: FileSystem
) -> tuple[list[str], list[str]]:
    """Remove what need not stay; returns names of what is gone, and warnings."""
    gone: list[str] = []
    try:
        committed = list_committed(directory, fs)
        verified = verified_uuids(directory, committed, fs)
    except OSError as error:
        return gone, [f"{directory}: old checkpoints not looked at: {error}"]
    warnings = []
    for old in to_remove(committed, options, verified):
        try:
            remove(directory, old, fs)
            gone.append(old.name)
        except OSError as error:
            warnings.append(f"{directory / old.name}: not removed: {error}")
    return gone, warnings


def remove(directory: Path, old: Committed, fs: FileSystem) -> None:
    """Take a checkpoint out of the way and delete it.

    Raises
    ------
    OSError
        Something is left; it has a name that the next collection takes.
    """
    trash = directory / aside_name(".trash", old.step, old.uuid)
    fs.rename(directory / old.name, trash)
    fs.sync_directory(directory)
    fs.remove_tree(trash, first=MANIFEST)


def collect_orphans(directory: Path, fs: FileSystem) -> tuple[list[str], list[str]]:
    """Delete what crashed attempts and removals left; only for the holder of the lock.

    Returns
    -------
    (gone, warnings)
        Names deleted, and what could not be.
    """
    gone, warnings = [], []
    names = fs.listdir(directory)
    uuids = {c.step: c.uuid for c in list_committed(directory, fs)}
    for name in names:
        kind = aside_kind(name)
        try:
            if kind in (".tmp", ".trash"):
                fs.remove_tree(directory / name, first=MANIFEST)
            elif name.startswith(CANARY) or (
                kind == ".verified" and _marks_nothing(name, names, uuids)
            ):
                fs.unlink(directory / name)
            else:
                continue
            gone.append(name)
        except OSError as error:
            warnings.append(f"{directory / name}: not collected: {error}")
    return gone, warnings


def _marks_nothing(mark: str, names: Sequence[str], uuids: Mapping[int, str]) -> bool:
    """Whether a mark of verification is left over: its checkpoint is gone, or is another one.

    A checkpoint whose manifest cannot be read just now keeps its mark, which protects it.
    """
    step = int(mark.split("-")[1])
    if step_name(step) not in names:
        return True
    return step in uuids and mark != aside_name(".verified", step, uuids[step])


def quarantine(directory: Path, name: str, uuid: str, fs: FileSystem, kind: str = ".bad") -> str:
    """Set a checkpoint aside under a name that no restart looks at; returns the name.

    Raises
    ------
    OSError
        It cannot be renamed, on a read-only file system for instance.
    """
    aside = aside_name(kind, step_of(name) or 0, uuid)
    fs.rename(directory / name, directory / aside)
    fs.sync_directory(directory)
    return aside


def mark_verified(directory: Path, step: int, uuid: str, fs: FileSystem) -> None:
    """Note beside a checkpoint, not in it, that all its checksums were found right."""
    fs.append(directory / aside_name(".verified", step, uuid), b"")


def verified_uuids(
    directory: Path, committed: Sequence[Committed], fs: FileSystem
) -> frozenset[str]:
    """Identities of the checkpoints that passed a full verification."""
    names = set(fs.listdir(directory))
    marks = {aside_name(".verified", c.step, c.uuid): c.uuid for c in committed}
    return frozenset(uuid for mark, uuid in marks.items() if mark in names)
