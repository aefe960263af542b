"""How a command ends: one readable line and an exit code, on any number of ranks, and never a hang.

Exit codes: 0 done, 1 the answer is bad, 2 wrong use or bad input, 3 a defect of mdapp, 130
interrupted. A user's error is one line; only a defect shows a traceback. Which process prints?
The first one, if all ranks are known to have met the error (it was agreed upon, or MPI has not
started yet and all processes read the same command line). A rank that fails alone, outside any
agreement, waits a moment whether the others fail as well; if not, it says what happened and aborts
the job, because the others would wait for its messages for ever.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from mdapp.errors import MdappError
from mdapp.parallel.launcher import read_launch

if TYPE_CHECKING:
    from mpi4py import MPI

INTERRUPTED = 130
GRACE_SECONDS = 10.0


def run_command(main: Callable[[], int | None]) -> int:
    """Run `main` and turn whatever it raises into an exit code.

    Parameters
    ----------
    main
        The command; its return value is the exit code (None: 0).

    Returns
    -------
    int
        The exit code. Does not return if the job had to be aborted.
    """
    try:
        return main() or 0
    except KeyboardInterrupt:
        return _end_interrupted()
    except BrokenPipeError:
        return _end_broken_pipe()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception as error:
        return _end_with(error)


def started_world() -> MPI.Intracomm | None:
    """Return the MPI world if MPI has been started, without starting it."""
    module = sys.modules.get("mpi4py.MPI")
    if module is None or not module.Is_initialized() or module.Is_finalized():
        return None
    world: MPI.Intracomm = module.COMM_WORLD
    return world


def _end_with(error: Exception) -> int:
    """Tell the error once and return its exit code, or abort the job."""
    code, text = describe(error)
    comm = started_world()
    if comm is None:
        # A defect may strike one process alone (a broken node), so every process tells.
        if read_launch().rank == 0 or code == MdappError.exit_code:
            _say(text)
        return code

    from mdapp.parallel.agree import abort, is_agreed, meet_failed_ranks

    if is_agreed(error, comm.size) or meet_failed_ranks(comm, GRACE_SECONDS):
        if comm.rank == 0 and read_launch().rank == 0:
            _say(text)
        return code
    return abort(comm, f"[rank {comm.rank} of {comm.size}] {text}", code)


def describe(error: Exception) -> tuple[int, str]:
    """Return the exit code of an error, and what the user is told about it."""
    if hasattr(error, "format_message"):  # a usage error of the command line's parser
        return int(getattr(error, "exit_code", 2)), _usage_text(error)

    from mdapp.parallel.agree import exit_code_of

    code = exit_code_of(error)
    if isinstance(error, MdappError):
        return code, str(error)
    if isinstance(error, OSError) and code == 2:
        names = " -> ".join(str(n) for n in (error.filename, error.filename2) if n)
        place = "".join(f" {n}" for n in getattr(error, "__notes__", []) if n.startswith("["))
        return code, f"{names + ': ' if names else ''}{error.strerror}{place}"
    trace = "".join(traceback.format_exception(error)).rstrip()
    return code, f"this is a defect of mdapp, please report it:\n{trace}"


def _usage_text(error: Exception) -> str:
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    return f"{error.format_message().strip()}{hint}"  # type: ignore[attr-defined]


def _say(text: str) -> None:
    sys.stdout.flush()
    print(f"mdapp: error: {text}", file=sys.stderr, flush=True)


def _end_interrupted() -> int:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    comm = started_world()
    if read_launch().rank == 0:
        print("\nmdapp: interrupted", file=sys.stderr, flush=True)
    if comm is not None and comm.size > 1:
        comm.Abort(INTERRUPTED)
    return INTERRUPTED


def _end_broken_pipe() -> int:
    """The reader of our output has gone (`mdapp ... | head`): that is no error to talk about."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE
