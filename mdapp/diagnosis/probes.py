"""Two small programs that `mdapp doctor` runs in processes of their own.

What is looked for may crash the process that looks: an h5py of another MPI dies in its first call,
a foreign `mpirun` starts programs that abort. So each probe is a program with a time limit, and its
last line of output is its answer.
"""

import json
import re
import sys
from typing import Any

from mdapp.parallel.bounded import Finished, run_bounded
from mdapp.parallel.launcher import mpirun_command, mpirun_environment

SECONDS = 60.0
MARK = "mdapp-probe "

_RANKS = r"""
import sys
from mpi4py import MPI
comm = MPI.COMM_WORLD
total = comm.allreduce(comm.rank + 1)
if comm.rank == 0:
    sys.stdout.write(f"mdapp-probe {comm.size} {total}\n")
"""

_STORAGE = """
import json, os, tempfile
import mdapp
from mpi4py import MPI
answer = {"mpi": MPI.Get_library_version()}
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "probe")
    try:
        MPI.File.Open(MPI.COMM_SELF, path, MPI.MODE_CREATE | MPI.MODE_WRONLY).Close()
        answer["mpi_io"] = ""
    except Exception as error:
        answer["mpi_io"] = str(error)
    from mdapp.parallel.libraries import loaded_libraries
    import h5py
    answer |= {"h5py": h5py.__version__, "hdf5": h5py.version.hdf5_version,
               "parallel": bool(h5py.get_config().mpi)}
    settings = {"driver": "mpio", "comm": MPI.COMM_SELF} if answer["parallel"] else {}
    with h5py.File(path + ".h5", "w", **settings) as file:
        file["x"] = [1.0, 2.0]
    answer["libraries"] = loaded_libraries()
print(f"mdapp-probe {json.dumps(answer)}", flush=True)
"""


def probe_ranks(launcher: str) -> tuple[bool, str]:
    """Start two ranks with `launcher` and let them add up their numbers.

    Returns
    -------
    (works, explanation)
    """
    command = [*mpirun_command(2, launcher), sys.executable, "-c", _RANKS]
    try:
        end = run_bounded(command, SECONDS, mpirun_environment())
    except OSError as error:
        return False, f"cannot be started: {error.strerror}"
    answers = _answers(end)
    if answers == ["2 3"] and end.code == 0:
        return True, "2 ranks, sum right"
    if len(answers) > 1:
        return False, f"{len(answers)} copies of a 1-rank run instead of 2 ranks"
    return False, _failure(end)


def probe_storage() -> tuple[dict[str, Any] | None, str]:
    """Open a file with MPI-IO and with HDF5 in one process.

    Returns
    -------
    (answer, explanation)
        The answer is None if the process failed.
    """
    end = run_bounded([sys.executable, "-c", _STORAGE], SECONDS, mpirun_environment())
    answers = _answers(end)
    if end.code == 0 and len(answers) == 1:
        answer: dict[str, Any] = json.loads(answers[0])
        return answer, ""
    return None, _failure(end)


def _answers(end: Finished) -> list[str]:
    lines = end.stdout.splitlines()
    return [line.removeprefix(MARK).strip() for line in lines if line.startswith(MARK)]


def _failure(end: Finished) -> str:
    if end.code is None:
        return f"no answer within {SECONDS:g} s"
    if end.code < 0:
        return f"killed by signal {-end.code}"
    return f"exit code {end.code}: {_telling_line(end.stderr)}"


def _telling_line(stderr: str) -> str:
    """Choose the line that says what went wrong: an exception of Python, else the first line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip(" -")]
    errors = (line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line))
    return next(errors, lines[0] if lines else "no message")
