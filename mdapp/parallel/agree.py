"""Errors that all ranks raise together.

An exception on one rank of a parallel program leaves the others waiting in a receive that nobody
will answer: the job hangs until its time limit, and the message is lost among the survivors. So
whatever may fail on some ranks and not on others runs inside

    with agree(comm):
        atoms = read_my_part(path)

which ends in one reduction of eight bytes: the lowest rank that failed, or none. If one did, its
error is sent to all, and every rank raises it: same class, same exit code, the rank named.

What if a rank never arrives, because it is stuck in a loop or waits in a receive for the rank that
failed? The reduction is non-blocking and polled, so that a rank can give up after a time limit and
abort the job with its reason. A watchdog thread would do the same with a lock, a wake-up and a race
against the main thread; polling needs none of them.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import pickle
import sys
import time
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from mdapp.errors import InputError, MdappError

if TYPE_CHECKING:
    from mpi4py import MPI

TIMEOUT_VARIABLE = "MDAPP_AGREE_TIMEOUT"
DEFAULT_TIMEOUT = 300.0

# A tag of its own keeps the meeting of failed ranks apart from every other message.
_MEET_TAG = 32041

# What the system refuses because of what the user asked for, not because of a defect.
_USERS_OS_ERRORS = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EEXIST,
        errno.EFBIG,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.ENOENT,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)


def exit_code_of(error: BaseException) -> int:
    """Exit code of the command that ends with `error`: 2 for the user's, 3 for mdapp's errors."""
    if isinstance(error, MdappError):
        return error.exit_code
    if isinstance(error, OSError) and error.errno in _USERS_OS_ERRORS:
        return InputError.exit_code
    return MdappError.exit_code


def agree_timeout() -> float:
    """Seconds a rank waits for the others, from the environment.

    Raises
    ------
    InputError
        The variable is no positive number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE)
    if text is None:
        return DEFAULT_TIMEOUT
    with contextlib.suppress(ValueError):
        if (seconds := float(text)) > 0 and not math.isnan(seconds):
            return seconds
    raise InputError(
        f"{TIMEOUT_VARIABLE}={text!r} is no positive number of seconds (default {DEFAULT_TIMEOUT})"
    )


@contextlib.contextmanager
def agree(comm: MPI.Comm) -> Iterator[None]:
    """Run a block that may fail on some ranks; on return, it succeeded on all.

    Collective over `comm`. Costs one reduction of eight bytes when nothing fails. An error that the
    ranks have agreed on inside the block, in a nested agreement, passes through.

    Raises
    ------
    Exception
        The error of the lowest rank that failed, on every rank.
    """
    failure: Exception | None = None
    try:
        yield
    except Exception as error:
        if is_agreed(error, comm.size):
            raise
        failure = error
    settle(comm, failure)


def settle(comm: MPI.Comm, error: Exception | None) -> None:
    """Tell the other ranks of `comm` whether this one failed, and raise what any of them met.

    Parameters
    ----------
    comm
        Every rank of it must call this.
    error
        What this rank has to report; None if it is well.

    Raises
    ------
    Exception
        As `agree`. Aborts the job if some rank does not arrive within the time limit.
    """
    if comm.size == 1:
        if error is not None:
            raise error
        return
    first = _lowest(comm, comm.rank if error is not None else comm.size, error)
    if first == comm.size:
        return
    failed = int(comm.allreduce(int(error is not None)))
    packed = comm.bcast(_pack(error) if error is not None and comm.rank == first else None, first)
    agreed = error if error is not None and comm.rank == first else _unpack(packed)
    _name_rank(agreed, first, failed, comm.size)
    vars(agreed)["agreed_by"] = comm.size
    raise agreed


def is_agreed(error: BaseException, size: int) -> bool:
    """Whether all `size` ranks of the world are known to raise this error."""
    return size == 1 or getattr(error, "agreed_by", 0) == size


def _lowest(comm: MPI.Comm, value: int, error: Exception | None) -> int:
    """Minimum of `value` over the ranks, within the time limit."""
    from mpi4py import MPI

    limit = agree_timeout()
    mine, lowest = np.array([value], np.int64), np.empty(1, np.int64)
    request = comm.Iallreduce(mine, lowest, op=MPI.MIN)
    if not _wait([request], limit):
        _give_up(comm, error, limit)
    return int(lowest[0])


def _wait(requests: list[MPI.Request], limit: float) -> bool:
    """Poll until all requests are complete or `limit` seconds have passed.

    The first milliseconds are spent polling only, as MPI itself would; later the core is left to
    ranks that share it.
    """
    from mpi4py import MPI

    start = time.monotonic()
    while not MPI.Request.Testall(requests):
        waited = time.monotonic() - start
        if waited > limit:
            return False
        if waited > 0.002:
            time.sleep(min(0.0001 + 0.01 * waited, 0.02))
    return True


def _give_up(comm: MPI.Comm, error: Exception | None, limit: float) -> NoReturn:
    """End the job: some rank is stuck, dead or waiting for a message from a failed one."""
    reason = (
        f"it failed with {type(error).__name__}: {error}" if error is not None else "it is well"
    )
    abort(
        comm,
        f"rank {comm.rank} of {comm.size} waited {limit:g} s for the others to agree on an error "
        f"({reason}); at least one rank is stuck or dead, so the job is aborted "
        f"(longer: {TIMEOUT_VARIABLE}=SECONDS)",
        exit_code_of(error) if error is not None else MdappError.exit_code,
    )


def abort(comm: MPI.Comm, message: str, code: int) -> NoReturn:
    """Print `message` and kill all ranks of the job.

    Written straight to the error stream: MPI_Abort ends the process before the command line, which
    does all other printing, gets control back.
    """
    sys.stdout.flush()
    sys.stderr.write(f"mdapp: error: {message}\n")
    sys.stderr.flush()
    comm.Abort(code)
    raise SystemExit(code)


def _pack(error: Exception) -> tuple[bytes, int, str, str]:
    """Make an error fit to travel: its pickle if it survives one, its text, its traceback."""
    pickled = b""
    with contextlib.suppress(Exception):
        candidate = pickle.dumps(error)
        if type(pickle.loads(candidate)) is type(error):
            pickled = candidate
    text = "".join(traceback.format_exception(error))
    return pickled, exit_code_of(error), f"{type(error).__name__}: {error}", text


def _unpack(packed: tuple[bytes, int, str, str]) -> Exception:
    """Rebuild another rank's error; one that cannot be rebuilt keeps its text and exit code."""
    pickled, code, text, trace = packed
    error: Exception | None = None
    if pickled:
        with contextlib.suppress(Exception):
            loaded = pickle.loads(pickled)
            error = loaded if isinstance(loaded, Exception) else None
    if error is None:
        error = InputError(text) if code == InputError.exit_code else MdappError(text)
    if not isinstance(error, InputError):
        error.add_note(f"traceback of the rank that failed:\n{trace}")
    return error


def _name_rank(error: Exception, first: int, failed: int, size: int) -> None:
    """Say where it happened, unless it happened everywhere."""
    if failed == size:
        return
    others = f" and {failed - 1} more" if failed > 1 else ""
    where = f"[rank {first}{others} of {size}]"
    if isinstance(error, MdappError) and len(error.args) == 1:
        error.args = (f"{error.args[0]} {where}",)
    else:
        error.add_note(where)


def meet_failed_ranks(comm: MPI.Comm, grace: float) -> bool:
    """Wait for the other ranks to come here too, each with an error outside any agreement.

    A mistake in the input often strikes every rank at the same line. Then one message is enough and
    the job can end in order. Point-to-point messages with a tag of their own are used, because the
    ranks that are well may be inside any collective operation of this communicator.

    Parameters
    ----------
    grace : float
        Seconds to wait for the others.

    Returns
    -------
    bool
        True if all ranks came.
    """
    token, reply = np.zeros(1, np.int64), np.zeros(1, np.int64)
    if comm.rank != 0:
        requests = [
            comm.Isend(token, dest=0, tag=_MEET_TAG),
            comm.Irecv(reply, source=0, tag=_MEET_TAG),
        ]
        return _wait(requests, grace)
    tokens = np.zeros((comm.size, 1), np.int64)
    others = range(1, comm.size)
    if not _wait([comm.Irecv(tokens[r], source=r, tag=_MEET_TAG) for r in others], grace):
        return False
    return _wait([comm.Isend(reply, dest=r, tag=_MEET_TAG) for r in others], grace)
