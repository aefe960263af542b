"""What must hold after every fault, however the fault was made.

Whatever carries a committed name passes a full verification; a restart finds one of them; its atoms
are bit by bit those of the state that was written at that step, and so is its state hash.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from mpi4py import MPI

from mdapp.model.atoms import Atoms
from mdapp.model.state_hash import state_hash as hash_of_run
from mdapp.storage.audit import Level, audit
from mdapp.storage.errors import LockedError
from mdapp.storage.lock import DirectoryLock
from mdapp.storage.names import step_of
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.state import State
from mdapp.storage.store import CheckpointStore
from tests.restart.stored import make_state, owner_of, same_atoms


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def litter(folder: Path) -> list[str]:
    return [name for name in names(folder) if name.startswith((".tmp-", ".trash-"))]


def verify(folder: Path) -> list[int]:
    """Verify all that is committed; the steps, in order."""
    paths = [folder / name for name in names(folder) if step_of(name) is not None]
    for path in paths:
        verdict = audit(MPI.COMM_SELF, path, Level.full)
        assert verdict.good, verdict.lines()
    return [step_of(path.name) or 0 for path in paths]


def restart(folder: Path, natoms: int = 300, clean: bool = True) -> int:
    """Restart on one rank with healthy storage; returns the step, after comparing the state."""
    if clean:
        verify(folder)
    with CheckpointStore(MPI.COMM_SELF, folder, CheckpointOptions(block_atoms=64)) as store:
        found = store.restart(None, owner_of(1))
    reference = make_state(step=found.state.step, natoms=natoms)
    compare(found.state, found.manifest.state_hash, reference)
    assert not litter(folder)
    return found.state.step


def compare(state: State, state_hash: str, reference: State) -> None:
    assert same_atoms(state, reference), f"step {state.step}: other atoms"
    assert state_hash == hash_of(reference)


def hash_of(state: State) -> str:
    """The hash that a run reports for a state: computed by other code than a checkpoint's."""
    atoms = Atoms(mass=state.mass, nlocal=state.natoms, **state.fields)
    return str(hash_of_run(atoms, MPI.COMM_SELF))


def wait_until_free(folder: Path, seconds: float = 10.0) -> None:
    """Wait until no process holds the folder: one that is being killed does so to its last moment.

    Its command line is gone by then, so that it cannot be looked for.
    """
    end = time.monotonic() + seconds
    while True:
        lock = DirectoryLock(folder, "f" * 32)
        try:
            lock.acquire()
        except LockedError:
            assert time.monotonic() < end, f"{folder}: still locked"
            time.sleep(0.02)
        else:
            lock.release()
            return


def none_left(words: Iterable[str], seconds: float = 10.0) -> None:
    """No process is left that has these words on its command line.

    A launcher may return a moment before those that it killed are gone: they have some seconds.
    """
    wanted = [word.encode() for word in words]
    end = time.monotonic() + seconds
    while found := _processes_with(wanted):
        assert time.monotonic() < end, found
        time.sleep(0.05)


def _processes_with(wanted: list[bytes]) -> list[tuple[str, bytes]]:
    """Number and command line of the processes that have all these words on it."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            line = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if all(word in line for word in wanted):
            found.append((place.name, line))
    return found
