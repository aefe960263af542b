"""Programs that test_limits.py starts where the system itself sets a limit: rights, space, sizes.

They run in a mount namespace of their own, so that what they mount is gone when they end; and as a
user who is not root, because root ignores permissions. What is imported or compiled on the way is
so before the rights are given up.
"""

import mdapp  # noqa: F401  isort: skip

import errno
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpi4py import MPI

from mdapp.cli.command import run_command
from mdapp.cli.main import invoke
from mdapp.storage.audit import Level, audit
from mdapp.storage.errors import CheckpointError, StorageAccessError
from mdapp.storage.files import FileSystem
from mdapp.storage.names import MANIFEST, step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.decks import melt
from tests.faults.oracle import compare, litter, names, restart, verify
from tests.restart.store_ranks import whole
from tests.restart.stored import make_state, owner_of

WORLD = MPI.COMM_WORLD
NOBODY = 65534


class Endless(FileSystem):
    """Believes that there is space, so that the system has to say that there is none."""

    def free_bytes(self, path: Path) -> int:
        return 1 << 50


def open_store(folder: Path) -> CheckpointStore:
    return CheckpointStore(WORLD, folder, CheckpointOptions(block_atoms=64, keep_last=2), Endless())


def write(store: CheckpointStore, step: int, natoms: int = 300) -> str:
    """What became of it; of a failure, the same message on all ranks."""
    try:
        return store.write(make_state(WORLD, step=step, natoms=natoms)).result
    except CheckpointError as error:
        assert WORLD.allgather(str(error)) == [str(error)] * WORLD.size
        assert isinstance(error, StorageAccessError) and "step-000000001000" in str(error)
        return errno.errorcode[error.errno]


def is_restored(store: CheckpointStore, step: int, natoms: int = 300) -> None:
    found = store.restart(None, owner_of(WORLD.size))
    assert found.state.step == step
    reference = make_state(step=step, natoms=natoms)
    compare(whole(WORLD, found.state), found.manifest.state_hash, reference)


def mounted(folder: Path, options: str) -> None:
    """A small file system on a folder, made by rank 0 in its own namespace for all of them."""
    if WORLD.rank == 0:
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    WORLD.Barrier()


# --- rights ---------------------------------------------------------------------------------------


def permissions(folder: Path) -> None:
    """P1: as a user who may not; one message, exit code 4, and nothing set aside."""
    checkpoints = folder / "run" / "checkpoints"
    with open_store(checkpoints) as store:
        for step in (1000, 2000):
            assert write(store, step) == "committed"
    newest = checkpoints / step_name(2000)
    assert verified(newest) == 0 and restart(checkpoints) == 2000  # all it needs is loaded now
    before = [n for n in names(checkpoints) if n.startswith("step-")]
    if os.geteuid() == 0:
        give_away(folder)
    for path in (newest / MANIFEST, newest / "s000" / "shard-00000.h5", newest / "s000", newest):
        with forbidden(path):
            with open_store(checkpoints) as store:
                refused(lambda store=store: store.restart(None, owner_of(1)), path)
            assert verified(newest) == 4
    with forbidden(checkpoints), open_store(checkpoints) as store:
        refused(lambda: store.restart(None, owner_of(1)), checkpoints)
    with forbidden(folder / "run", 0o555):
        refused(lambda: open_store(folder / "run" / "other"), folder / "run")
    with forbidden(checkpoints, 0o555):
        assert verified(newest) == 0
        (checkpoints / "LOCK").chmod(0o444)
        with open_store(checkpoints) as store:
            is_restored(store, 2000)
            refused(lambda: store.write(make_state(step=3000)), checkpoints)
        (checkpoints / "LOCK").chmod(0o644)
        with open_store(checkpoints) as store:  # its lock can be taken, but nothing be made
            refused(lambda: store.write(make_state(step=3000)), checkpoints)
    assert [n for n in names(checkpoints) if not n.startswith((".verified", "L"))] == before
    assert restart(checkpoints) == 2000
    print("refused")


def give_away(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)


@contextmanager
def forbidden(path: Path, mode: int = 0) -> Iterator[None]:
    old = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(old)


def refused(act: Callable[[], object], path: Path) -> None:
    try:
        act()
    except StorageAccessError as error:
        assert error.exit_code == 4 and str(path) in str(error), error
        return
    raise AssertionError(f"{path}: not refused")


def verified(path: Path) -> int:
    """The exit code that `mdapp ckpt verify` has for it."""
    return audit(WORLD, path, Level.full).code


def read_only(folder: Path) -> None:
    """P2: a run restarts from a file system that has become read-only, and goes on without it."""
    disk = folder / "disk"
    mounted(disk, "size=200m")
    deck = folder / "melt.toml"
    deck.write_text(DECK)

    def run(*more: str) -> int:
        place = ["--set", f"checkpoint.dir={disk / 'checkpoints'}"]
        return run_command(lambda: invoke(["run", str(deck), *place, *more]))

    assert run("--out", str(folder / "first"), "--set", "run.steps=20") == 0
    before = names(disk / "checkpoints")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    again = ["--restart", "auto", "--set", "run.steps=200"]
    patient = [*again, "--set", "checkpoint.max_failures=0", "--out", str(folder / "patient")]
    assert run(*again, "--out", str(folder / "second")) == 13
    assert run(*patient) == 0
    assert names(disk / "checkpoints") == before
    print("went on")


DECK = melt(seed=5, run="steps = 20\ntimestep = 0.005",
            more="[checkpoint]\nevery = 10\nkeep_last = 9")


# --- space ----------------------------------------------------------------------------------------


def space(folder: Path) -> None:
    """E1: a device that fills up, from no byte left to enough, and is cleared again."""
    disk = folder / "disk"
    mounted(disk, "size=4m")
    checkpoints, ends = disk / "run" / "checkpoints", []
    with open_store(checkpoints) as store:
        assert write(store, 1000, 3000) == "committed"
        for k, left in enumerate(range(0, 400_000, 50_000)):
            if WORLD.rank == 0:
                fill(disk / "ballast", left)
            WORLD.Barrier()
            ends.append(write(store, 2000 + k, 3000))
            if WORLD.rank == 0:
                assert not litter(checkpoints)
                (disk / "ballast").unlink()
            WORLD.Barrier()
            newest = 1000 if ends[-1] == "ENOSPC" else 2000 + k
            is_restored(store, newest, 3000)
            if newest > 1000:
                break
        assert write(store, 9000, 3000) == "committed"
        is_restored(store, 9000, 3000)
    if WORLD.rank == 0:
        verify(checkpoints)
        print(" ".join(ends))


def fill(ballast: Path, left: int) -> None:
    """Use up a device, but for some bytes."""
    status = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        file.write(b"x" * max(0, status.f_bavail * status.f_frsize - left))


def inodes(folder: Path) -> None:
    """E2: no inodes for the k-th directory or file of a commit."""
    disk = folder / "disk"
    mounted(disk, "size=64m,nr_inodes=100")
    checkpoints, ends = disk / "run" / "checkpoints", []
    with open_store(checkpoints) as store:
        assert write(store, 1000) == "committed"
        for k in range(12):
            if WORLD.rank == 0:
                for number in range(os.statvfs(disk).f_favail - k):
                    (disk / f"ballast-{number}").touch()
            WORLD.Barrier()
            ends.append(write(store, 2000 + k))
            if WORLD.rank == 0:
                assert not litter(checkpoints)
                for path in disk.glob("ballast-*"):
                    path.unlink()
            WORLD.Barrier()
            newest = 1000 if ends[-1] == "ENOSPC" else 2000 + k
            is_restored(store, newest)
            if newest > 1000:
                break
    if WORLD.rank == 0:
        verify(checkpoints)
        print(" ".join(ends))


def file_size(folder: Path) -> None:
    """E3: `ulimit -f`: Python ignores the signal; a write is short, the next one fails."""
    checkpoints, ends = folder / "run" / "checkpoints", []
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with open_store(checkpoints) as store:
        assert write(store, 1000) == "committed"
        shard = (checkpoints / step_name(1000) / "s000" / "shard-00000.h5").stat().st_size
        for k, limit in enumerate([1, *range(500, shard + 2000, 1500)]):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
            ends.append(write(store, 2000 + k))
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            assert not litter(checkpoints)
            is_restored(store, 1000 if ends[-1] == "EFBIG" else 2000 + k)
    shutil.rmtree(folder / "run")
    print(" ".join(ends))


if __name__ == "__main__":
    PROGRAMS = (permissions, read_only, space, inodes, file_size)
    {p.__name__: p for p in PROGRAMS}[sys.argv[1]](Path(sys.argv[2]))
