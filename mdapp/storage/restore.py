"""A restart: the newest checkpoint that is whole, on any number of ranks.

Candidates are tried from the newest on. What fails decides what happens. Damaged content is proof:
the checkpoint is set aside under a name that no restart looks at, and the next older one is tried.
A failed access proves nothing, since the data may be good while the storage is not: nothing is set
aside and nothing skipped, the restart stops. A newer format version stops it as well.

All ranks see the same manifest, byte for byte, because rank 0 reads it for all; each then reads an
equal share of the blocks, checks them, and the atoms are handed to their owners. The state hash is
compared after the reading and again after the handing out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from mdapp.errors import InputError
from mdapp.storage.blocks import add_hash
from mdapp.storage.consensus import on_root, together
from mdapp.storage.engines import Clock
from mdapp.storage.errors import (
    CheckpointError,
    DamagedError,
    NothingToRestartError,
    StorageAccessError,
    access_error,
)
from mdapp.storage.files import FileSystem
from mdapp.storage.levels.sets import facts_of
from mdapp.storage.manifest import Manifest, decode
from mdapp.storage.names import MANIFEST, step_of
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.reading import Buffers, Damage, check_head, check_sizes, read_blocks, share_of
from mdapp.storage.redistribute import ROUND_BYTES, Arrays, Owner, owners, redistribute
from mdapp.storage.state import STANDARD, State

SHOWN = 4
Accept = Callable[[State], None]


@dataclass
class Restored:
    """How a restart went.

    Attributes
    ----------
    state : fields of the atoms that this rank owns now
    manifest : of the checkpoint that was taken
    path : where it lies
    fallbacks : reasons why newer ones were not taken, by name
    metrics : seconds and bytes
    """

    state: State
    manifest: Manifest
    path: Path
    fallbacks: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)


def candidates(fs: FileSystem, path: Path) -> list[Path]:
    """Checkpoints that `path` names, newest first: itself, or all in the folder.

    Raises
    ------
    NothingToRestartError
        There is none; the message lists what there is.
    """
    is_one = fs.exists(path / MANIFEST) or step_of(path.name) is not None
    if is_one and fs.is_directory(path):
        return [path]
    if not fs.exists(path):
        raise NothingToRestartError(f"{path}: no such folder, so nothing to restart from")
    names = fs.listdir(path)
    found = sorted((n for n in names if step_of(n) is not None), key=lambda n: step_of(n) or 0)
    if not found:
        listing = ", ".join(names[:SHOWN]) or "it is empty"
        raise NothingToRestartError(f"{path}: holds no checkpoint (step-...): {listing}")
    return [path / name for name in reversed(found)]


def header(manifest: Manifest) -> State:
    """State of a manifest, without atoms."""
    plain = manifest.plain
    standard = {f.name for f in STANDARD}
    return State(
        step=manifest.step, time=manifest.time, timestep=manifest.dt, units=manifest.units,
        box=manifest.box, natoms=manifest.natoms, species=manifest.species,
        mass=np.array(manifest.mass), fields={f.name: f.empty(0) for f in manifest.fields},
        declared={f.name: (f.unit, f.role) for f in manifest.fields if f.name not in standard},
        integrator=plain["integrator"], rng=plain["rng"], potential=plain["potential"],
        decomposition=manifest.decomposition, deck=plain["deck"], invariants=plain["invariants"],
        outputs=manifest.outputs,
    )  # fmt: skip


def restart_bytes(state: State, ranks: int, round_bytes: int = ROUND_BYTES) -> int:
    """Most that a restart takes on a rank: twice its share, and what is under way in rounds.

    Atoms are handed out in place; an array that must grow stands twice until it is copied.

    Parameters
    ----------
    state : without atoms, as `header` gives it
    """
    atom = sum(a.itemsize * math.prod(a.shape[1:]) for a in state.fields.values())
    return 2 * atom * -(-state.natoms // ranks) + 2 * round_bytes


class Restart:
    """One restart; collective.

    Parameters
    ----------
    comm : ranks that will own the atoms
    fs : the door to the operating system
    options : limits and policies
    set_aside : what to do on rank 0 with a damaged checkpoint, given its path and uuid
    round_bytes : most that a rank sends or receives in one round
    """

    def __init__(
        self,
        comm: MPI.Comm,
        fs: FileSystem,
        options: CheckpointOptions,
        set_aside: Callable[[Path, str], str],
        round_bytes: int = ROUND_BYTES,
    ):
        self.comm, self.fs, self.options = comm, fs, options
        self.set_aside, self.round_bytes = set_aside, round_bytes
        self.clock = Clock()

    def run(
        self, path: Path, owner: Owner, accept: Accept = lambda header: None, force: bool = False
    ) -> Restored:
        """Restart from the newest whole checkpoint that `path` names.

        Raises
        ------
        NothingToRestartError, DamagedError, StorageAccessError, FormatVersionError
            The same on all ranks.
        """
        with self.clock("find_s"):
            paths = on_root(self.comm, lambda: candidates(self.fs, path), "looking for checkpoints")
        most = len(paths) if force else self.options.max_fallback + 1
        failed: dict[str, str] = {}
        for candidate in paths[:most]:
            try:
                restored = self._read(candidate, owner, accept)
            except DamagedError as error:
                failed[candidate.name] = self._put_aside(candidate, str(error))
                continue
            except StorageAccessError as error:
                if self.options.on_access_error != "fallback":
                    raise
                failed[candidate.name] = str(error)
                continue
            restored.fallbacks = failed
            return restored
        raise _none_left(path, failed, len(paths) > most)

    def _put_aside(self, path: Path, reason: str) -> str:
        """Quarantine a damaged checkpoint if that can be done; returns what to tell."""
        try:
            where = on_root(
                self.comm,
                lambda: self.set_aside(path, _uuid_or_zeros(self.fs, path)),
                "setting aside",
            )
        except CheckpointError as error:
            return f"{reason} (not set aside: {error})"
        return f"{reason} (set aside as {where})" if where else reason

    def _together(self, doing: str, timer: str = "") -> AbstractContextManager[None]:
        timed = self.clock(timer) if timer else None
        return together(self.comm, doing, self.options.io_timeout_s, timed)

    def _read(self, path: Path, owner: Owner, accept: Accept) -> Restored:
        manifest = self.read_manifest(path)
        refuse_a_part(path, manifest)
        state = header(manifest)
        with self._together(f"restart from {path}"):
            accept(state)
            self.check_memory(manifest)
        arrays, sums = self.read_share(path, manifest)
        self.compare(path, manifest, sums, "read")
        natoms = share_of(manifest, self.comm.rank, self.comm.size).natoms
        self.deliver(path, manifest, state, arrays, natoms, owner)
        return Restored(state, manifest, path, metrics=self._metrics(manifest))

    def read_manifest(self, path: Path) -> Manifest:
        """Manifest of a candidate, on all ranks, after a look at the sizes of its files."""

        def read() -> bytes:
            data = _read_manifest(self.fs, path)
            damages = check_sizes(self.fs, path, decode(data, str(path / MANIFEST)))
            if damages:
                raise _damaged(path, damages)
            return data

        with self.clock("find_s"):
            data = on_root(self.comm, read, f"restart from {path}")
            return decode(data, str(path / MANIFEST))

    def check_memory(self, manifest: Manifest) -> None:
        """Refuse a restart that takes more memory than it may."""
        limit = self.options.max_restart_memory
        need = restart_bytes(header(manifest), self.comm.size, self.round_bytes)
        if limit and need > limit:
            raise InputError(
                f"checkpoint.max_restart_memory = {limit}: a restart on {self.comm.size} ranks "
                f"takes about {need} bytes a rank; raise the limit, or use more ranks"
            )

    def read_share(self, path: Path, manifest: Manifest) -> tuple[Arrays, NDArray[np.uint64]]:
        """Read and check this rank's share; returns its atoms and their part of the hash."""
        share = share_of(manifest, self.comm.rank, self.comm.size)
        sums, done = np.zeros(2, np.uint64), 0
        arrays: Arrays = []

        def place(n: int) -> Buffers:
            nonlocal done
            done += n
            return [a[done - n : done] for a in arrays]

        with self._together(f"reading {path}"):
            # Room for more atoms to come than will leave; untouched, it costs nothing.
            arrays = [f.empty(share.natoms + share.natoms // 8) for f in manifest.fields]
            try:
                for entry in share.heads:
                    _raise_if_damaged(path, check_head(self.fs, path, entry))
                blocks = read_blocks(self.fs, path, manifest, share, place, self.clock)
                with closing(blocks):  # and with it the file that it has open
                    for block, damages in blocks:
                        _raise_if_damaged(path, damages)
                        with self.clock("hash_s"):
                            add_hash(block, sums)
            except OSError as error:
                raise access_error(error, f"reading {path}") from error
        return arrays, sums

    def compare(
        self, path: Path, manifest: Manifest, sums: NDArray[np.uint64], when: str
    ) -> None:
        """Compare the state hash of all ranks with the manifest's."""
        total = sums.copy()
        self.comm.Allreduce(MPI.IN_PLACE, total, MPI.SUM)
        found = f"{int(total[0]):016x}{int(total[1]):016x}"
        if found != manifest.state_hash:
            raise _on_all(self.comm, DamagedError(
                f"{path}: the state hash of the atoms as {when} is {found} instead of "
                f"{manifest.state_hash}"
            ))  # fmt: skip

    def deliver(
        self, path: Path, manifest: Manifest, state: State, arrays: Arrays, natoms: int,
        owner: Owner,
    ) -> None:  # fmt: skip
        """Give the first `natoms` atoms of each rank to their owners, as fields of `state`.

        Raises
        ------
        DamagedError
            Not the atoms that were written.
        """
        with self.clock("redistribute_s"):
            arrays, moved = self._hand_out(path, manifest, arrays, natoms, owner)
        if moved:
            sums = np.zeros(2, np.uint64)
            with self.clock("hash_s"):
                _hash_in_pieces(arrays, sums)
            self.compare(path, manifest, sums, "handed out")
        state.fields = {f.name: a for f, a in zip(manifest.fields, arrays, strict=True)}

    def _hand_out(
        self, path: Path, manifest: Manifest, arrays: Arrays, natoms: int, owner: Owner
    ) -> tuple[Arrays, bool]:
        """Give each atom to its owner; the atoms of this rank, and whether any atom moved."""
        ranks, mine = self.comm.size, self.comm.rank
        with self._together(f"handing out the atoms of {path}"):
            destination = owners(arrays[1][:natoms], manifest.box, owner, ranks)
        arrays, came = redistribute(
            self.comm, manifest.fields, arrays, destination, self.round_bytes
        )
        if came is None:
            return arrays, False
        with self._together(f"handing out the atoms of {path}"):
            if (owners(arrays[1][came], manifest.box, owner, ranks) != mine).any():
                raise CheckpointError("an atom came to a rank that does not own where it is")
        return arrays, True

    def _metrics(self, manifest: Manifest) -> dict[str, Any]:
        seconds = self.comm.allreduce(self.clock.seconds, _largest_of())
        spent = sum(seconds.get(k, 0.0) for k in ("read_s", "crc_s", "hash_s", "redistribute_s"))
        return {**seconds, "bytes": manifest.bytes,
                "gbytes_per_s": manifest.bytes / spent / 1e9 if spent else 0.0}  # fmt: skip


def refuse_a_part(path: Path, manifest: Manifest) -> None:
    """Refuse to take one node's part of a set for the whole.

    Raises
    ------
    InputError
    """
    part = facts_of(manifest)
    if part is not None:
        raise InputError(
            f"{path}: is the part that node {part.node} of {part.nodes} kept, {manifest.natoms} of "
            f"{part.natoms} atoms; restart from all parts with --restart auto and "
            "checkpoint.levels as they were"
        )


def _largest_of() -> MPI.Op:
    def largest(a: dict[str, float], b: dict[str, float]) -> dict[str, float]:
        return {k: max(a.get(k, 0.0), b.get(k, 0.0)) for k in sorted({*a, *b})}

    return largest  # type: ignore[return-value]


def _hash_in_pieces(arrays: Arrays, sums: NDArray[np.uint64], piece: int = 1 << 16) -> None:
    for begin in range(0, len(arrays[0]), piece):
        add_hash([a[begin : begin + piece] for a in arrays], sums)


def _read_manifest(fs: FileSystem, path: Path) -> bytes:
    try:
        return fs.read_small(path / MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedError(f"{path / MANIFEST}: missing") from None


def _uuid_or_zeros(fs: FileSystem, path: Path) -> str:
    """Identity of a damaged checkpoint; zeros if its manifest is what is damaged."""
    try:
        return decode(_read_manifest(fs, path)).uuid
    except (OSError, CheckpointError):
        return "0" * 32


def _raise_if_damaged(path: Path, damages: list[Damage]) -> None:
    if damages:
        raise _damaged(path, damages)


def _damaged(path: Path, damages: list[Damage]) -> DamagedError:
    more = f"; and {len(damages) - SHOWN} more" if len(damages) > SHOWN else ""
    return DamagedError(f"{path}: " + "; ".join(str(d) for d in damages[:SHOWN]) + more)


def _on_all(comm: MPI.Comm, error: CheckpointError) -> CheckpointError:
    """Mark an error that all ranks raise alike."""
    vars(error).update(agreed_by=comm.size, failing=comm.size)
    return error


def _none_left(path: Path, failed: dict[str, str], more: bool) -> DamagedError:
    reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    advice = (
        "older ones exist beyond checkpoint.max_fallback, restart from one by its path"
        if more
        else "there is no older one"
    )
    return DamagedError(f"{path}: no valid checkpoint ({advice}): {reasons}")
