"""A program that outlives its limit leaves nothing behind, ranks of mpirun included."""

import sys
import time
import uuid
from pathlib import Path

from mdapp.parallel.bounded import run_bounded
from mdapp.parallel.launcher import mpirun_environment


def processes_with(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_text()
        except OSError:
            continue
        if mark in text:
            found.append(path.parent.name)
    return found


def test_ranks_end_with_their_launcher(mpirun_command_of) -> None:
    mark = f"mark-{uuid.uuid4().hex}"
    script = "import sys, time; print('up', flush=True); time.sleep(120)"
    command = [*mpirun_command_of(2), sys.executable, "-c", script, mark]
    start = time.monotonic()
    end = run_bounded(command, 3.0, mpirun_environment())
    assert end.code is None
    assert end.stdout.count("up") == 2
    assert time.monotonic() - start < 15
    for _ in range(50):
        if not processes_with(mark):
            break
        time.sleep(0.1)
    assert processes_with(mark) == []


def test_exit_code_and_both_streams() -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
    end = run_bounded([sys.executable, "-c", script], 30.0)
    assert (end.code, end.stdout, end.stderr) == (7, "out\n", "err\n")
