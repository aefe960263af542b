"""What can go wrong with stored data, by what the user can do about it: the class is the exit code.

The distinction that matters most is between content and access. Damaged content (a checksum that
does not fit, a file that is missing) is proof that a checkpoint is lost: it is set aside and the
next older one is taken. A failed access (EIO, EACCES, ESTALE) proves nothing about the data: to
quarantine or skip checkpoints for it would let an outage of the storage destroy good ones.
"""

from __future__ import annotations

import errno

from mdapp.errors import MdappError


class CheckpointError(MdappError):
    """A defect of the checkpoint store.

    Attributes
    ----------
    errno
        Error number of the system call that failed; 0 where none did.
    """

    exit_code = 3
    errno: int = 0


class ConflictError(CheckpointError):
    """A different checkpoint of the same step exists, or a restart would start a second branch."""

    exit_code = 2


class NonFiniteStateError(CheckpointError):
    """The state holds NaN or infinity, and so is no state to restart from."""

    exit_code = 2


class DamagedError(CheckpointError):
    """The content of a checkpoint is wrong, or no valid one is left."""

    exit_code = 1


class StorageAccessError(CheckpointError):
    """The storage refused a read or a write; what it holds may be good."""

    exit_code = 4


class DurabilityError(StorageAccessError):
    """An fsync or a close failed: what was written may be lost, and asking again proves nothing."""


class LockedError(CheckpointError):
    """Another job owns the directory."""

    exit_code = 5


class FormatVersionError(CheckpointError):
    """Written by a newer major version, or with an unknown checksum algorithm."""

    exit_code = 6


class NothingToRestartError(CheckpointError):
    """There is no checkpoint."""

    exit_code = 7


# From mild to grave: of what different ranks met, the gravest is raised on all of them.
GRAVITY: tuple[type[CheckpointError], ...] = (
    ConflictError,
    NonFiniteStateError,
    NothingToRestartError,
    DamagedError,
    StorageAccessError,
    DurabilityError,
    LockedError,
    FormatVersionError,
    CheckpointError,
)

ADVICE = {
    errno.ENOSPC: "the file system is full: free space (see df), or lower checkpoint.keep_last",
    errno.EDQUOT: "the quota is used up (see quota): free space, or choose another checkpoint.dir",
    errno.EROFS: "the file system is read-only: choose another checkpoint.dir",
    errno.EACCES: "permission denied: choose a checkpoint.dir that this user may write",
    errno.EPERM: "not permitted: choose a checkpoint.dir that this user may write",
    errno.EFBIG: "the file is larger than allowed (see ulimit -f): use more files (layout sharded)",
    errno.EIO: "the storage reports a hardware or network error: see the kernel's log",
    errno.ESTALE: "the network file system lost the file: see whether its server is well",
}


def access_error(
    error: OSError, doing: str, kind: type[StorageAccessError] = StorageAccessError
) -> StorageAccessError:
    """Make one readable message of a failed system call: what was done, file, reason, advice."""
    number = error.errno or 0
    names = " -> ".join(str(n) for n in (error.filename, error.filename2) if n)
    advice = ADVICE.get(number)
    made = kind(
        f"{doing}: {names + ': ' if names else ''}{error.strerror or error} "
        f"({errno.errorcode.get(number, 'no errno')})" + (f"; {advice}" if advice else "")
    )
    made.errno = number
    return made
