"""What a state must pass before a byte of it is written: the name is free, and it will fit."""

from __future__ import annotations

import errno
import uuid as uuids
from collections.abc import Callable
from pathlib import Path

from mdapp.storage.attempt import Place
from mdapp.storage.canary import check_engine
from mdapp.storage.consensus import on_root
from mdapp.storage.errors import ConflictError, DamagedError, FormatVersionError
from mdapp.storage.manifest import decode
from mdapp.storage.names import MANIFEST, step_name
from mdapp.storage.retention import quarantine, retain

MARGIN_FACTOR, MARGIN_BYTES = 1.05, 64 << 20


class Admission:
    """The questions of step 0 that rank 0 answers for all; every method is collective.

    Parameters
    ----------
    place : where and how
    run_uuid : identity of the run
    read_only : whether the folder can only be read
    log : told on rank 0 what was set aside
    """

    def __init__(
        self, place: Place, run_uuid: str, read_only: bool, log: Callable[[str], None]
    ):
        self._place, self._run_uuid, self._read_only, self._log = place, run_uuid, read_only, log
        self._comm, self._fs, self._directory = place.comm, place.fs, place.directory
        self._trusted = False

    def is_taken(self, path: Path) -> bool:
        """Whether there is something of that name already."""
        return bool(on_root(self._comm, lambda: self._fs.exists(path), "checkpoint"))

    def present(self, step: int, state_hash: str) -> str:
        """Identity of a committed checkpoint of the same state; empty if there is none.

        Raises
        ------
        ConflictError
            The name belongs to another state.
        """
        name = step_name(step)
        path = self._directory / name

        def look() -> str:
            if self._read_only or not self._fs.exists(path):
                return ""
            try:
                known = decode(self._fs.read_small(path / MANIFEST))
            except FormatVersionError as error:
                raise ConflictError(f"{path}: exists already ({error})") from None
            except (DamagedError, FileNotFoundError) as error:
                aside = quarantine(self._directory, name, uuids.uuid4().hex, self._fs)
                self._log(f"{path}: set aside as {aside}: {error}")
                return ""
            if known.state_hash != state_hash:
                raise ConflictError(
                    f"{path}: exists already with another state ({known.uuid}, state hash "
                    f"{known.state_hash} instead of {state_hash}, of run {known.run_uuid}); give "
                    f"run {self._run_uuid} a folder of its own (--out, checkpoint.dir)"
                )
            return known.uuid

        return on_root(self._comm, look, f"checkpoint of step {step}")

    def check_space(self, nbytes: int) -> None:
        """Refuse what will not fit.

        Raises
        ------
        StorageAccessError
            There is not enough room, or the folder can only be read.
        """
        def compare() -> None:
            if self._read_only:
                raise OSError(errno.EROFS, "the folder can only be read", str(self._directory))
            make_room(self._place, nbytes)

        on_root(self._comm, compare, "checkpoint")

    def trust_engine(self) -> None:
        """Before the first file that all ranks share: see whether their bytes stay apart."""
        if self._trusted or self._place.group.layout != "shared":
            return
        limit = self._place.options.io_timeout_s
        check_engine(self._comm, self._fs, self._directory, self._place.engine, limit)
        self._trusted = True


def make_room(place: Place, nbytes: int) -> None:
    """See that so many bytes fit, on one rank; removes older checkpoints if that is the policy.

    Raises
    ------
    OSError
        They do not fit.
    """
    need = int(nbytes * MARGIN_FACTOR) + MARGIN_BYTES
    fs, directory, options = place.fs, place.directory, place.options
    free = fs.free_bytes(directory)
    if free < need and options.free_space_policy == "prune":
        retain(directory, options, fs)
        free = fs.free_bytes(directory)
    if free < need:
        raise OSError(errno.ENOSPC, f"{need} bytes are needed, {free} are free", str(directory))
