"""Runs many commands in one process a rank, as `mdapp` would run each, and notes how each ended.

    mpirun -n 3 python try_all.py commands.json

Rank 0 writes ended.json: for each command, for each rank, exit code, standard output and error.
A command that aborts the job ends this program too; the list then stops at that command.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

from mdapp import startup

startup.prepare(command=True)

from mpi4py import MPI  # noqa: E402

from mdapp.cli.command import run_command  # noqa: E402
from mdapp.cli.main import invoke  # noqa: E402

ended = {}
for name, arguments in json.loads(Path(sys.argv[1]).read_text()).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_command(lambda arguments=arguments: invoke(arguments))
    ended[name] = MPI.COMM_WORLD.gather([code, out.getvalue(), err.getvalue()])
    if MPI.COMM_WORLD.rank == 0:
        Path("ended.json").write_text(json.dumps(ended))
