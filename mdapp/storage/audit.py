"""Is a checkpoint what was written? Answered by any number of ranks, without changing anything.

Unlike a restart, which stops at the first damage, an audit finds all of it and names it by file,
block and field. Its verdict is that of a restart all the same, because both read with the same
functions: damaged content is proof, a failed access proves nothing, a newer version is no damage.

    quick   manifest, presence and sizes of files, their heads: a few reads a file
    full    also every block, and the state hash over all atoms: every byte once

Each rank takes an equal share of the atoms; nothing is gathered but what is wrong.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI

from mdapp.storage.blocks import Table, add_hash
from mdapp.storage.catalogue import read_manifest_bytes
from mdapp.storage.consensus import on_root
from mdapp.storage.engines import Clock
from mdapp.storage.errors import (
    DamagedError,
    FormatVersionError,
    StorageAccessError,
    access_error,
)
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.manifest import FileEntry, Manifest, Writer, decode
from mdapp.storage.names import MANIFEST, aside_name, step_of
from mdapp.storage.reading import (
    Buffers,
    Damage,
    Part,
    Share,
    check_head,
    check_sizes,
    read_blocks,
    read_table,
    share_of,
)
from mdapp.storage.retention import mark_verified

MOST_SHOWN = 1000


class Level(enum.StrEnum):
    """How thorough an audit is."""

    quick = "quick"
    full = "full"


@dataclass
class Verdict:
    """What an audit of one checkpoint found; the same on all ranks.

    Attributes
    ----------
    path : of the checkpoint
    level : how thorough the audit was
    code : 0 good, 1 damaged, 4 could not be read, 6 of a newer format
    damages : what is wrong, by file, block and field
    problems : what is wrong with the manifest or the access, as sentences
    remarks : what is odd and does no harm
    damaged_heads : files of which only the HDF5 metadata is damaged
    manifest : None where there is none that can be used
    bytes : read and checked
    seconds : of the slowest rank
    """

    path: Path
    level: Level
    code: int = 0
    damages: list[Damage] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    damaged_heads: list[str] = field(default_factory=list)
    manifest: Manifest | None = None
    bytes: int = 0
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether a restart would take it."""
        return self.code == 0

    @property
    def only_heads(self) -> bool:
        """Whether all that is wrong is HDF5 metadata, which can be made anew."""
        return (
            bool(self.damaged_heads)
            and not self.problems
            and sorted(d.file for d in self.damages) == sorted(self.damaged_heads)
        )

    def lines(self) -> list[str]:
        """Everything that is wrong, one sentence each."""
        return [*self.problems, *(str(d) for d in self.damages)]

    def facts(self) -> dict[str, Any]:
        """Return the verdict by name, for JSON."""
        m = self.manifest
        return {
            "name": self.path.name, "path": str(self.path), "level": str(self.level),
            "code": self.code, "good": self.good,
            "step": m.step if m else step_of(self.path.name), "uuid": m.uuid if m else None,
            "natoms": m.natoms if m else None, "state_hash": m.state_hash if m else None,
            "damages": [
                {"file": d.file, "block": d.block, "field": d.field or None, "reason": d.reason}
                for d in self.damages
            ],
            "problems": self.problems, "remarks": self.remarks, "bytes": self.bytes,
            "seconds": self.seconds,
        }  # fmt: skip


@dataclass
class _Findings:
    """What one rank found in its share."""

    damages: list[Damage] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    trouble: str = ""
    bytes: int = 0


def audit(comm: MPI.Comm, path: Path, level: Level, fs: FileSystem = REAL) -> Verdict:
    """Look at one checkpoint; collective. What is wrong with it is returned, never raised."""
    began = MPI.Wtime()
    verdict = Verdict(path, level)
    try:
        verdict.manifest = _manifest(comm, path, fs)
        _look_at_names(comm, path, verdict, fs)
        if not verdict.damages:
            _look_at_shares(comm, path, verdict, fs)
    except (DamagedError, StorageAccessError, FormatVersionError) as error:
        verdict.code = max(verdict.code, error.exit_code)
        verdict.problems.append(str(error))
    if verdict.damages:
        verdict.code = max(verdict.code, DamagedError.exit_code)
    verdict.seconds = float(comm.allreduce(MPI.Wtime() - began, MPI.MAX))
    return verdict


def _manifest(comm: MPI.Comm, path: Path, fs: FileSystem) -> Manifest:
    """Manifest of a checkpoint, on all ranks; it must be of the step that the name says."""
    name = str(path / MANIFEST)

    def read() -> bytes:
        data = read_manifest_bytes(path, fs)
        step, named = decode(data, name).step, step_of(path.name)
        if named not in (None, step):
            raise DamagedError(f"{name}: is of step {step}, in a folder of step {named}")
        return data

    return decode(on_root(comm, read, f"looking at {path}"), name)


def _look_at_names(comm: MPI.Comm, path: Path, verdict: Verdict, fs: FileSystem) -> None:
    """Presence and sizes of all files, by rank 0; files that do not belong are told of."""
    manifest = verdict.manifest
    assert manifest is not None

    def look() -> tuple[list[Damage], list[str]]:
        known = {MANIFEST} | {entry.path for entry in manifest.files}
        strange = sorted(_files_in(path, fs) - known)
        return check_sizes(fs, path, manifest), [
            f"{name}: does not belong to it, and is not looked at" for name in strange[:8]
        ]

    damages, remarks = on_root(comm, look, f"looking at {path}")
    verdict.damages += damages
    verdict.remarks += remarks


def _files_in(path: Path, fs: FileSystem, depth: int = 2) -> set[str]:
    """Files of a checkpoint, relative to it."""
    found = set()
    for name in fs.listdir(path):
        if depth > 1 and fs.is_directory(path / name):
            found |= {f"{name}/{inner}" for inner in _files_in(path / name, fs, depth - 1)}
        else:
            found.add(name)
    return found


def _look_at_shares(comm: MPI.Comm, path: Path, verdict: Verdict, fs: FileSystem) -> None:
    """Heads and blocks, each rank its share; what is wrong goes to all ranks."""
    manifest = verdict.manifest
    assert manifest is not None
    share = share_of(manifest, comm.rank, comm.size)
    mine, sums = _Findings(), np.zeros(2, np.uint64)
    try:
        _check_heads(path, share, mine, fs)
        if verdict.level is Level.full:
            _check_blocks(path, manifest, share, mine, sums, fs)
    except OSError as error:
        mine.trouble = str(access_error(error, f"reading {path}"))
    everything = comm.allgather(mine)
    for findings in everything:
        verdict.damages += findings.damages[: max(0, MOST_SHOWN - len(verdict.damages))]
        verdict.damaged_heads += findings.heads
        verdict.bytes += findings.bytes
    troubles = sorted({f.trouble for f in everything if f.trouble})
    if troubles:
        verdict.code = StorageAccessError.exit_code
        verdict.problems += troubles
    elif verdict.level is Level.full and len(verdict.damages) == len(verdict.damaged_heads):
        _compare_hash(comm, verdict, sums)


def _check_heads(path: Path, share: Share, mine: _Findings, fs: FileSystem) -> None:
    for entry in share.heads:
        damages = check_head(fs, path, entry)
        mine.bytes += entry.head_len
        mine.damages += damages
        mine.heads += [entry.path] if damages else []


def _check_blocks(
    path: Path,
    manifest: Manifest,
    share: Share,
    mine: _Findings,
    sums: np.ndarray[Any, np.dtype[np.uint64]],
    fs: FileSystem,
) -> None:
    buffers = [f.empty(min(manifest.block_atoms, share.natoms)) for f in manifest.fields]

    def place(n: int) -> Buffers:
        return [b[:n] for b in buffers]

    for block, damages in read_blocks(fs, path, manifest, share, place, Clock()):
        mine.damages += damages[: max(0, MOST_SHOWN - len(mine.damages))]
        if block:
            add_hash(block, sums)
            mine.bytes += sum(array.nbytes for array in block)


def _compare_hash(
    comm: MPI.Comm, verdict: Verdict, sums: np.ndarray[Any, np.dtype[np.uint64]]
) -> None:
    """Compare the hash of all atoms: it sees what is in the wrong place with the right checksum."""
    assert verdict.manifest is not None
    comm.Allreduce(MPI.IN_PLACE, sums, MPI.SUM)
    found = f"{int(sums[0]):016x}{int(sums[1]):016x}"
    if found != verdict.manifest.state_hash:
        verdict.code = max(verdict.code, DamagedError.exit_code)
        verdict.problems.append(
            f"{verdict.path}: the state hash of its atoms is {found} instead of "
            f"{verdict.manifest.state_hash}"
        )


def note_verified(comm: MPI.Comm, verdict: Verdict, fs: FileSystem = REAL) -> None:
    """Note a full verification beside the checkpoint, never in it, and forget a refuted one.

    Retention keeps the newest checkpoint that is noted. Where the folder cannot be written, as by
    another user, the verdict stands all the same and a remark says so.
    """
    step, manifest = step_of(verdict.path.name), verdict.manifest
    if step is None or manifest is None:
        return
    folder = verdict.path.parent

    def note() -> str:
        mark = folder / aside_name(".verified", step, manifest.uuid)
        try:
            if verdict.good and verdict.level is Level.full:
                mark_verified(folder, step, manifest.uuid, fs)
            elif verdict.code == DamagedError.exit_code and fs.exists(mark):
                fs.unlink(mark)
        except OSError as error:
            return f"the verification is not noted beside it: {error.strerror}"
        return ""

    remark = on_root(comm, note, f"noting the verification of {verdict.path}")
    verdict.remarks += [remark] if remark else []


def restart_choice(verdicts: Sequence[Verdict]) -> tuple[Verdict | None, str]:
    """Which of some checkpoints, newest first, a restart would use, and in words.

    Damaged ones are skipped; one that cannot be read, or is of a newer format, stops a restart.
    """
    for verdict in verdicts:
        if verdict.good:
            return verdict, f"a restart would use {verdict.path.name}"
        if verdict.code != DamagedError.exit_code:
            return None, f"a restart would stop at {verdict.path.name}: {verdict.lines()[0]}"
    return None, "a restart would find no valid checkpoint"


def block_tables(
    path: Path, manifest: Manifest, fs: FileSystem = REAL
) -> Iterator[tuple[FileEntry, Writer, Table]]:
    """Read the block table of every writer of a checkpoint.

    Raises
    ------
    DamagedError
        A table is not what was written.
    OSError
        A file cannot be read.
    """
    for entry in manifest.files:
        for writer in entry.writers:
            with fs.open_patiently(path / entry.path) as file:
                table, damages = read_table(file, manifest, Part(entry, writer, 0, writer.rows))
            if table is None:
                raise DamagedError(f"{path}: {damages[0]}")
            yield entry, writer, table
