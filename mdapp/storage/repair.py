"""Putting a folder of checkpoints in order without editing anything that was committed.

Three things can be made good. Leftovers of crashed attempts and removals are deleted. The hint
LATEST is written anew. And where the HDF5 metadata at the begin of files is damaged while every
block and the state hash are intact, no atom is lost: the blocks are copied into a *new* checkpoint
with fresh metadata and an identity of its own, which is verified in full before it takes the place
of the damaged one; that one is set aside, as a restart would do.

A restart may have set it aside already. Such a checkpoint is brought back only if nobody went on
without it: if it follows the newest committed one directly.
"""

from __future__ import annotations

import uuid as uuids
from dataclasses import dataclass, field, replace
from pathlib import Path

from mpi4py import MPI

from mdapp.storage.audit import Level, Verdict, audit
from mdapp.storage.catalogue import Entry, catalogue
from mdapp.storage.consensus import on_root
from mdapp.storage.container import ALIGNMENT, create_container
from mdapp.storage.copying import copy_blocks, plan_copy
from mdapp.storage.errors import DamagedError
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.manifest import FileEntry, Manifest, encode
from mdapp.storage.names import LATEST, aside_kind, aside_name, step_name, step_of
from mdapp.storage.publish import make_draft, publish_draft, seal_draft, write_latest
from mdapp.storage.retention import collect_orphans, quarantine


@dataclass
class Repair:
    """What was done to a folder, or would be.

    Attributes
    ----------
    verdicts : of all candidates before anything was done, newest first
    rebuilt : checkpoints that got fresh metadata, by the name they had
    removed : leftovers that were deleted
    latest : the newest good checkpoint, empty if there is none
    hint_was : what LATEST said before
    warnings : what could not be done
    """

    verdicts: list[Verdict]
    rebuilt: dict[str, str] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    latest: str = ""
    hint_was: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def still_damaged(self) -> list[Verdict]:
        """Checkpoints that no repair can help."""
        return [v for v in self.verdicts if not v.good and v.path.name not in self.rebuilt]


def repair_folder(
    comm: MPI.Comm, folder: Path, dry_run: bool = False, fs: FileSystem = REAL
) -> Repair:
    """Put a folder in order; collective. The caller holds its lock, unless this is a dry run.

    Raises
    ------
    StorageAccessError
        The folder cannot be read or written; the same on all ranks.
    """
    entries = on_root(comm, lambda: catalogue(folder, fs), f"looking at {folder}")
    verdicts = [audit(comm, folder / e.name, Level.full, fs) for e in _candidates(entries)]
    result = Repair(verdicts)
    for verdict in verdicts:
        if verdict.only_heads:
            result.rebuilt[verdict.path.name] = _target(verdict)
            if not dry_run:
                on_root(comm, lambda v=verdict: rebuild(v, fs), f"repairing {verdict.path}")  # type: ignore[misc]
    good = [v.path.name for v in verdicts if v.good] + list(result.rebuilt.values())
    result.latest = max(good, default="", key=lambda name: step_of(name) or 0)

    def tidy() -> Repair:
        if dry_run:
            result.removed = [e.name for e in entries if e.state == "orphan"]
        else:
            result.removed, result.warnings = collect_orphans(folder, fs)
        hint = folder / LATEST
        if fs.exists(hint):
            result.hint_was = fs.read_small(hint, 4096).decode("utf-8", "replace").strip()
        if result.latest and result.hint_was != result.latest and not dry_run:
            write_latest(fs, folder, result.latest)
        return result

    return on_root(comm, tidy, f"repairing {folder}")


def _candidates(entries: list[Entry]) -> list[Entry]:
    """All `step-...`, and what a restart has set aside and nobody went on without."""
    steps = [e for e in entries if step_of(e.name) is not None]
    newest = next((e for e in steps if e.state == "committed"), None)
    aside = [e for e in entries if aside_kind(e.name) == ".bad" and _follows(e, newest)]
    return sorted(steps + aside[:1], key=lambda e: -(e.step or 0))


def _follows(entry: Entry, newest: Entry | None) -> bool:
    """Whether a checkpoint comes right after the newest committed one."""
    if entry.uuid is None or entry.step is None or entry.problem:
        return False
    if newest is None:
        return True
    return entry.parent_uuid == newest.uuid and entry.step > (newest.step or 0)


def _target(verdict: Verdict) -> str:
    assert verdict.manifest is not None
    return step_name(verdict.manifest.step)


def rebuild(verdict: Verdict, fs: FileSystem = REAL) -> None:
    """Copy the blocks of a checkpoint into a new one, which then takes its place; on one rank.

    Raises
    ------
    DamagedError
        The copy does not verify; nothing is changed then.
    OSError
        The system's.
    """
    old, path = verdict.manifest, verdict.path
    assert old is not None
    folder, uuid = path.parent, uuids.uuid4().hex
    draft = folder / aside_name(".tmp", old.step, uuid)
    folders = sorted({entry.path.split("/")[0] for entry in old.files if "/" in entry.path})
    try:
        make_draft(fs, draft, folders)
        files = tuple(
            _copy_file(fs, path, draft, old, index, uuid) for index in range(len(old.files))
        )
        storage = {**old.plain["storage"], "alignment": ALIGNMENT, "repaired_from": old.uuid}
        new = replace(old, uuid=uuid, files=files, plain={**old.plain, "storage": storage})
        seal_draft(fs, draft, folders, encode(new))
        check = audit(MPI.COMM_SELF, draft, Level.full, fs)
        if not check.good:
            raise DamagedError(f"{draft}: the copy does not verify: {check.lines()[0]}")
    except BaseException:
        if fs.exists(draft):
            fs.remove_tree(draft)
        raise
    if step_of(path.name) is not None:
        quarantine(folder, path.name, old.uuid, fs)
    publish_draft(fs, draft, folder / step_name(old.step))


def _copy_file(
    fs: FileSystem, path: Path, draft: Path, manifest: Manifest, index: int, uuid: str
) -> FileEntry:
    """Make one file anew: fresh head, the blocks of the old one, their table."""
    entry = manifest.files[index]
    attributes = {"uuid": uuid, "shard_index": index, "step": manifest.step}
    container = plan_copy(manifest, entry, attributes)
    with create_container(fs, draft / entry.path, container) as file:
        made = copy_blocks(fs, path, manifest, entry, file, container)
        file.fsync()
    return made
