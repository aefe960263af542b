"""Start a program that must not outlive its time limit, nor leave children behind.

`mpirun` starts daemons and ranks of its own: killing it alone would leave ranks that spin on a
core for ever. The program gets a process group, and the whole group is killed.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """What a program left: its exit code (None if it was killed at its limit) and its output."""

    code: int | None
    stdout: str
    stderr: str


def run_bounded(
    command: Sequence[str],
    seconds: float,
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Finished:
    """Run a program in a process group of its own, without standard input.

    Parameters
    ----------
    command, environ, folder
        As for `subprocess.Popen`.
    seconds
        Time limit, after which the group is killed.

    Raises
    ------
    OSError
        The program cannot be started.
    """
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=None if environ is None else dict(environ),
        cwd=folder,
        start_new_session=True,
        text=True,
        errors="replace",
    )
    try:
        stdout, stderr = process.communicate(timeout=seconds)
        return Finished(process.returncode, stdout, stderr)
    except subprocess.TimeoutExpired:
        kill_group(process.pid)
        stdout, stderr = process.communicate()
        return Finished(None, stdout, stderr)
    except BaseException:
        kill_group(process.pid)
        process.wait()
        raise


def kill_group(pid: int) -> None:
    """mpirun's ranks may have groups of their own; it passes a SIGTERM on to them."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, sign)
            if sign == signal.SIGTERM:
                _wait_for_end(pid, 3.0)


def _wait_for_end(pid: int, seconds: float) -> None:
    with contextlib.suppress(ChildProcessError):
        for _ in range(int(seconds / 0.05)):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0.05)
