"""Errors on one rank reach all ranks, once, with the right exit code, and nobody hangs."""

import errno
import time

import numpy as np
import pytest

from mdapp.errors import InputError, MdappError, RunError
from mdapp.parallel import agree as agreement

# Each program is the body of a command, run as the `mdapp` command runs its own.
COMMAND = """
import sys, time
from mdapp.cli import command
from mdapp.cli.command import run_command
from mdapp.errors import InputError, MdappError, RunError
from mdapp.parallel.agree import agree
from mdapp.parallel.world import world

def main():
    comm = world()
    rank, size = comm.rank, comm.size
{body}

sys.exit(run_command(main))
"""


def program(body: str) -> list[str]:
    indented = "\n".join(f"    {line}" for line in body.strip().splitlines())
    return ["-c", COMMAND.format(body=indented)]


def error_lines(stderr: str) -> list[str]:
    return [line for line in stderr.splitlines() if line.startswith("mdapp: error:")]


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_nothing_fails(mpirun, ranks: int) -> None:
    end = mpirun(ranks, program("with agree(comm):\n    pass\nprint('ok', rank)\nreturn 0"))
    assert end.code == 0, end.stderr
    assert end.stdout.count("ok") == ranks


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(("kind", "code"), [("InputError", 2), ("RunError", 2), ("MdappError", 3)])
def test_the_last_rank_fails(mpirun, ranks: int, kind: str, code: int) -> None:
    body = f"""
try:
    with agree(comm):
        if rank == size - 1:
            raise {kind}("atom 7: no such element 'Xx'")
except {kind} as error:
    assert type(error) is {kind}
    print("caught", rank)
    raise
"""
    end = mpirun(ranks, program(body))
    assert end.code == code, end.stderr
    assert end.stdout.count("caught") == ranks
    where = f" [rank {ranks - 1} of {ranks}]" if ranks > 1 else ""
    assert error_lines(end.stderr) == [f"mdapp: error: atom 7: no such element 'Xx'{where}"]
    assert "Traceback" not in end.stderr


def test_all_ranks_fail_alike(mpirun) -> None:
    end = mpirun(4, program("with agree(comm):\n    raise InputError('deck.toml: no such key')"))
    assert end.code == 2
    assert error_lines(end.stderr) == ["mdapp: error: deck.toml: no such key"]


def test_the_lowest_of_several_is_named(mpirun) -> None:
    body = "with agree(comm):\n    if rank in (1, 3):\n        raise InputError(f'bad {rank}')"
    end = mpirun(4, program(body))
    assert error_lines(end.stderr) == ["mdapp: error: bad 1 [rank 1 and 1 more of 4]"]


def test_agreement_goes_on_after_an_error(mpirun) -> None:
    """A caught error leaves nothing behind that a later agreement could trip over."""
    body = """
for k in range(50):
    try:
        with agree(comm):
            if rank == k % size:
                raise RunError(str(k))
    except RunError as error:
        assert str(error).startswith(str(k))
if comm.allreduce(1) == size:
    print("done")
"""
    end = mpirun(4, program(body))
    assert end.code == 0, end.stderr
    assert end.stdout.count("done") == 4


def test_a_defect_shows_the_traceback_of_its_rank(mpirun) -> None:
    body = "with agree(comm):\n    if rank == 1:\n        table = {}\n        table['missing_key']"
    end = mpirun(2, program(body))
    assert end.code == 3
    assert end.stderr.count("this is a defect of mdapp") == 1
    assert "missing_key" in end.stderr and "[rank 1 of 2]" in end.stderr


def test_an_error_that_cannot_travel_keeps_text_and_code(mpirun) -> None:
    body = """
class Local(InputError):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")
with agree(comm):
    if rank == 1:
        raise Local(1, 2)
"""
    end = mpirun(2, program(body))
    assert end.code == 2, end.stderr
    assert "Local: 1 and 2" in error_lines(end.stderr)[0]


def test_a_full_disk_is_one_line(mpirun) -> None:
    body = (
        "import errno, os\nwith agree(comm):\n    if rank == 1:\n"
        "        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/scratch/melt.dump')"
    )
    end = mpirun(2, program(body))
    assert end.code == 2
    assert error_lines(end.stderr) == [
        "mdapp: error: /scratch/melt.dump: No space left on device [rank 1 of 2]"
    ]


# --- when ranks cannot agree ---------------------------------------------------------------------


def test_a_stuck_rank_ends_the_job(mpirun) -> None:
    """Rank 1 never comes; the others give up after the limit, not after pytest's."""
    start = time.monotonic()
    body = "if rank == 1:\n    time.sleep(300)\nwith agree(comm):\n    pass"
    end = mpirun(4, program(body), env={"MDAPP_AGREE_TIMEOUT": "2"})
    assert time.monotonic() - start < 40
    assert end.code == 3
    assert "waited 2 s for the others to agree" in end.stderr
    assert "MDAPP_AGREE_TIMEOUT" in end.stderr


def test_a_failed_rank_tells_its_error_before_it_gives_up(mpirun) -> None:
    """The other rank waits for a message that will never be sent."""
    body = """
if rank == 0:
    with agree(comm):
        raise InputError("melt.data: line 9: truncated")
comm.recv(source=0, tag=1)
"""
    end = mpirun(2, program(body), env={"MDAPP_AGREE_TIMEOUT": "2"})
    assert end.code == 2
    assert "melt.data: line 9: truncated" in end.stderr


def test_an_error_outside_any_agreement_aborts(mpirun) -> None:
    body = "command.GRACE_SECONDS = 1.0\nif rank == 1:\n    raise RunError('lost')\ncomm.Barrier()"
    end = mpirun(2, program(body))
    assert end.code == 2
    assert error_lines(end.stderr) == ["mdapp: error: [rank 1 of 2] lost"]


@pytest.mark.parametrize("ranks", [2, 4])
def test_the_same_error_outside_any_agreement_is_told_once(mpirun, ranks: int) -> None:
    end = mpirun(ranks, program("raise InputError('deck.toml: no such file')"))
    assert end.code == 2
    assert error_lines(end.stderr) == ["mdapp: error: deck.toml: no such file"]
    assert "MPI_ABORT" not in end.stderr and "MPI_Abort" not in end.stderr


def test_an_interrupt_of_one_rank_ends_all(mpirun) -> None:
    body = (
        "import os, signal\nif rank == 1:\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(5)\ncomm.Barrier()"
    )
    end = mpirun(2, program(body))
    assert end.code == 130, end.stderr
    assert "Traceback" not in end.stderr


def test_a_usage_error_is_told_once(mpirun) -> None:
    end = mpirun(2, ["-m", "mdapp", "doctor", "--no-such-option"])
    assert end.code == 2
    assert len(error_lines(end.stderr)) == 1
    assert "--no-such-option" in end.stderr and "mdapp doctor --help" in end.stderr


# --- pieces, on one process ----------------------------------------------------------------------


def test_exit_codes() -> None:
    assert agreement.exit_code_of(InputError("x")) == 2
    assert agreement.exit_code_of(RunError("x")) == 2
    assert agreement.exit_code_of(MdappError("x")) == 3
    assert agreement.exit_code_of(OSError(errno.ENOSPC, "full")) == 2
    assert agreement.exit_code_of(OSError(errno.EIO, "broken disk")) == 3
    assert agreement.exit_code_of(ValueError("x")) == 3


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan", ""])
def test_a_bad_time_limit(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MDAPP_AGREE_TIMEOUT", text)
    with pytest.raises(InputError, match="MDAPP_AGREE_TIMEOUT"):
        agreement.agree_timeout()


def test_one_rank_keeps_its_own_traceback() -> None:
    from mpi4py import MPI

    with (
        pytest.raises(ZeroDivisionError) as caught,
        np.errstate(all="ignore"),
        agreement.agree(MPI.COMM_SELF),
    ):
        _ = 1 // 0
    assert caught.traceback[-1].name == "test_one_rank_keeps_its_own_traceback"


@pytest.mark.parametrize("ranks", [1, 3])
def test_a_rank_fails_between_inner_agreements(mpirun, ranks: int) -> None:
    body = """
with agree(comm):
    for block in range(3):
        with agree(comm):
            pass
        if rank == size - 1 and block == 1:
            raise InputError("no memory for block 1")
"""
    end = mpirun(ranks, program(body), timeout=30, env={"MDAPP_AGREE_TIMEOUT": "10"})
    assert end.code == 2, end.stderr
    assert len(error_lines(end.stderr)) == 1 and "no memory for block 1" in end.stderr
