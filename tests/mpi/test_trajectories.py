"""H5MD from several ranks: the same bytes from any number of them, and what happens to errors."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from mdapp.parallel.launcher import mpirun_environment
from tests.twins.h5md_readers import complaints

ROOT = Path(__file__).resolve().parents[2]

# Ids with gaps, spread over the ranks at random; values tell id and step.
PROGRAM = """
import sys
import numpy as np
from mdapp.cli.command import run_command
from mdapp.deck.schema import Output
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.parallel.world import world
from mdapp.trajectory import Outputs

comm = world()

def atoms_of(step, natoms):
    ids = np.random.default_rng(3).permutation(natoms) * 5 + 2
    owner = np.random.default_rng(4).random(natoms) * comm.size
    ids = ids[owner.astype(int) == comm.rank]
    x = ids[:, None] / 8 + np.array([0, 0.25, 0.5]) + step
    n = len(ids)
    return Atoms(np.array([1.0, 2.0]), x=x, v=-x, f=x, id=ids, type=(ids % 2).astype("i4"),
                 image=np.zeros((n, 3), "i4"), nlocal=n)

def outputs(folder=".", **options):
    keys = {{"frames_per_part": 4}} | options.pop("keys", {{}})
    output = Output(kind="h5md", every=1, file="t.h5md", **keys)
    return Outputs(comm, [output], Path(folder), ("A", "B"), np.array([1.0, 2.0]),
                   units="metal", **options)

def frames(made, steps, natoms):
    for step in steps:
        made.write(step, step / 2, Box.orthogonal([0, 0, 0], [9, 9, 9 + step]),
                   atoms_of(step, natoms))

def main():
{body}

from pathlib import Path
sys.exit(run_command(main))
"""


def program(body: str) -> list[str]:
    return ["-c", PROGRAM.format(body="\n".join(f"    {line}" for line in body.splitlines()))]


def check(path: Path, steps, natoms: int) -> None:
    ids = np.arange(natoms) * 5 + 2
    with h5py.File(path) as file:
        group = file["particles/trajectory"]
        assert group["position/step"][:].tolist() == list(steps)
        assert (group["id"][:] == ids).all()
        assert (group["mass"][:] == ids % 2 + 1).all()
        for k, step in enumerate(steps):
            x = (ids[:, None] / 8 + np.array([0, 0.25, 0.5]) + step).astype("f4")
            assert (group["position/value"][k] == x).all()
            assert (group["velocity/value"][k] == -x).all()


@pytest.mark.parametrize("natoms", [2, 5000, 70_000])
def test_any_number_of_ranks_writes_the_same_bytes(tmp_path, mpirun, natoms: int) -> None:
    """Above 65536 atoms all ranks write; a full part, and one that is cut to its frames."""
    hashes = []
    for ranks in (1, 2, 3):
        folder = tmp_path / str(ranks)
        folder.mkdir()
        end = mpirun(ranks, program(
            f"made = outputs('{folder}')\nframes(made, range(6), {natoms})\nmade.close()"))
        assert end.code == 0, end.stderr
        assert sorted(p.name for p in folder.iterdir()) == ["t.0001.h5md", "t.h5md"]
        hashes.append([hashlib.sha256((folder / name).read_bytes()).hexdigest()
                       for name in ("t.h5md", "t.0001.h5md")])
    assert hashes[0] == hashes[1] == hashes[2]
    check(tmp_path / "3" / "t.h5md", range(4), natoms)
    check(tmp_path / "3" / "t.0001.h5md", range(4, 6), natoms)
    assert complaints(tmp_path / "3" / "t.h5md", units=True) == []


def test_going_on_with_other_ranks(tmp_path, mpirun) -> None:
    natoms = 66_000
    end = mpirun(3, program(f"frames(outputs(), range(7), {natoms})"))
    assert end.code == 0, end.stderr
    end = mpirun(2, program(
        f"made = outputs(append_after=5)\nframes(made, range(5, 9), {natoms})\nmade.close()"))
    assert end.code == 0, end.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["t.0001.h5md", "t.0002.h5md", "t.h5md"]
    check(tmp_path / "t.h5md", range(4), natoms)
    check(tmp_path / "t.0001.h5md", (4, 5), natoms)
    check(tmp_path / "t.0002.h5md", (6, 7, 8), natoms)


def test_a_full_disk_of_one_rank_is_one_message(tmp_path, mpirun) -> None:
    """Rank 1 cannot write its slab of the third frame; the two before stay."""
    natoms = 66_000
    end = mpirun(2, program(f"""
import errno, os
from mdapp.storage.files import FileSystem
class Full(FileSystem):
    on = False
    def call(self, kind, function, *args, **kwargs):
        if self.on and kind == "pwrite":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return function(*args, **kwargs)
made = outputs()
writer = made.files[0].writer
writer._fs = Full()
frames(made, range(2), {natoms})
writer._fs.on = comm.rank == 1
frames(made, range(2, 4), {natoms})
"""))
    assert end.code == 2, end.stderr
    lines = [line for line in end.stderr.splitlines() if line.startswith("mdapp: error:")]
    assert len(lines) == 1
    assert "t.h5md: frame of step 2 cannot be written: No space left on device" in lines[0]
    assert "[rank 1 of 2]" in lines[0]
    assert "Traceback" not in end.stderr
    check(tmp_path / "t.part.h5md", range(2), natoms)


def test_a_folder_that_is_not_there_is_one_message(mpirun) -> None:
    end = mpirun(2, program("outputs('nowhere')"))
    assert end.code == 2
    lines = [line for line in end.stderr.splitlines() if line.startswith("mdapp: error:")]
    assert len(lines) == 1 and "make the directory nowhere first" in lines[0]


def test_kill_9_leaves_whole_frames(tmp_path, mpirun_command_of) -> None:
    natoms = 66_000
    body = (f"made = outputs(keys=dict(frames_per_part=1000))\n"
            f"for step in range(1000):\n"
            f"    frames(made, [step], {natoms})\n"
            f"    if comm.rank == 1: print(os.getpid(), step, flush=True)")
    args = program(body)
    args[1] = "import os\n" + args[1]
    env = mpirun_environment() | {"PYTHONPATH": str(ROOT)}
    job = subprocess.Popen([*mpirun_command_of(2), sys.executable, *args], cwd=tmp_path, env=env,
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                           start_new_session=True)
    assert job.stdout is not None
    try:
        step = -1
        while step < 4:
            pid, step = map(int, job.stdout.readline().split())
        time.sleep(0.05)
        os.kill(pid, signal.SIGKILL)
        job.communicate(timeout=60)
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    with h5py.File(tmp_path / "t.part.h5md") as file:
        frames = len(file["particles/trajectory/position/value"])
    assert frames >= 5
    check(tmp_path / "t.part.h5md", range(frames), natoms)
