"""All ranks take the same branch: after each step of a commit or a restart, one reduction.

`mdapp.parallel.agree` answers the question whether anything failed, with the error of the lowest
rank. A store needs more. Which of the failures was the gravest, because content that is damaged on
rank 3 must not lead to a quarantine if rank 5 could not read at all? How many ranks failed, and
with what? And ranks may be minutes apart, because one of them waits for a slow disk; a watchdog,
not the patience of a reduction, decides when that is too long.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import numpy as np
from mpi4py import MPI

from mdapp.errors import InputError
from mdapp.storage.errors import GRAVITY, CheckpointError, access_error
from mdapp.storage.watchdog import Watchdog

SHOWN = 8
T = TypeVar("T")


def settle_worst(comm: MPI.Comm, error: Exception | None, doing: str) -> None:
    """Raise the gravest error that any rank met, on all ranks; collective.

    Parameters
    ----------
    error
        What this rank met, None if it is well.
    doing
        What was being done, for the message.

    Raises
    ------
    CheckpointError, InputError
        The class that is gravest in `GRAVITY`, with up to eight different messages; `failing` is
        the number of ranks that failed.
    """
    mine = _named(error, doing)
    worst = np.array([_gravity(mine)])
    comm.Allreduce(MPI.IN_PLACE, worst, MPI.MAX)
    if worst[0] < 0:
        return
    told = None if mine is None else (_gravity(mine), comm.rank, str(mine), mine.errno, type(mine))
    agreed = comm.bcast(_sum_up(comm.gather(told)), 0)
    raise _agreed(comm, *agreed)


def on_root(comm: MPI.Comm, function: Callable[[], T], doing: str) -> T:
    """Let rank 0 act for all: every rank gets what it returns, or raises what it raised."""
    result: T | None = None
    error: Exception | None = None
    if comm.rank == 0:
        try:
            result = function()
        except Exception as caught:
            error = caught
    settle_worst(comm, error, doing)
    return comm.bcast(result, 0)  # type: ignore[no-any-return]


@contextmanager
def together(
    comm: MPI.Comm, doing: str, limit_s: float,
    timed: AbstractContextManager[object] | None = None,
    agreement: AbstractContextManager[object] | None = None,
) -> Iterator[None]:  # fmt: skip
    """Run a block on all ranks; on return it succeeded on all, or all raise the same error.

    Parameters
    ----------
    doing
        What the block does, for messages.
    limit_s
        Seconds after which the job is ended as hung.
    timed, agreement
        Entered around the block, and around the agreement about it.
    """
    failure: Exception | None = None
    with Watchdog(doing, limit_s):
        try:
            with timed or nullcontext():
                yield
        except Exception as error:
            failure = error
        with agreement or nullcontext():
            settle_worst(comm, failure, doing)


class _Refusal(CheckpointError):
    """An InputError on its way through the reduction."""


def _named(error: Exception | None, doing: str) -> CheckpointError | None:
    if error is None or isinstance(error, CheckpointError):
        return error
    if isinstance(error, InputError):
        return _Refusal(str(error))
    if isinstance(error, OSError):
        return access_error(error, doing)
    unexpected = CheckpointError(f"{doing}: {type(error).__name__}: {error}")
    unexpected.add_note("".join(traceback.format_exception(error)))
    return unexpected


def _gravity(error: CheckpointError | None) -> int:
    if error is None:
        return -1
    return GRAVITY.index(type(error)) if type(error) in GRAVITY else len(GRAVITY)


def _sum_up(told: list[Any] | None) -> tuple[Any, ...] | None:
    """On rank 0: class, errno, message and number of the failures of all ranks."""
    if told is None:
        return None
    failures = sorted((t for t in told if t is not None), key=lambda t: (-t[0], t[1]))
    _, _, _, number, kind = failures[0]
    ranks: dict[str, list[int]] = {}
    for _, rank, text, _, _ in failures:
        ranks.setdefault(text, []).append(rank)
    return kind, number, list(ranks.items())[:SHOWN], len(failures)


def _agreed(
    comm: MPI.Comm,
    kind: type[CheckpointError],
    number: int,
    messages: list[tuple[str, list[int]]],
    failing: int,
) -> Exception:
    parts = []
    for text, ranks in messages:
        where = f" [rank {ranks[0]}" + (f" and {len(ranks) - 1} more" if len(ranks) > 1 else "")
        parts.append(text + (f"{where} of {comm.size}]" if len(ranks) < comm.size > 1 else ""))
    error: Exception = (InputError if kind is _Refusal else kind)("; ".join(parts))
    vars(error).update(errno=number, failing=failing, agreed_by=comm.size)
    return error
