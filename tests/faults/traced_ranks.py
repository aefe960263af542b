"""Programs that test_strace.py starts, on one rank or several; one rank is traced and has faults.

Each injection gets a folder of its own with one good checkpoint (step 1000), so that the calls of
the next commit (step 2000) are the same each time: first they are recorded, then each fails.
"""

import mdapp  # noqa: F401  isort: skip

import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from mpi4py import MPI

from mdapp.storage.errors import CheckpointError
from mdapp.storage.names import step_name
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from tests.faults.oracle import compare, litter, names, restart, verify
from tests.faults.strace import READING, WRITING, Call, Injection, hits, read_log, traced
from tests.restart.store_ranks import whole
from tests.restart.stored import make_state, owner_of

WORLD = MPI.COMM_WORLD
CHOICES = {
    "sharded": {},
    "aggregated": {"layout": "aggregated", "group": 2},
    "async": {"mode": "async"},
    "h5py": {"engine": "h5py"},
}
FULL = ("openat", "mkdir", "ftruncate", "pwrite64", "fsync", "rename", "close")


def open_store(folder: Path, choice: str, **options) -> CheckpointStore:
    chosen = {"block_atoms": 64, "keep_last": 2, **CHOICES[choice], **options}
    return CheckpointStore(WORLD, folder, CheckpointOptions(**chosen))


def write(store: CheckpointStore, step: int) -> str:
    """Write a checkpoint as a run of this mode does; what became of it, or the error's name."""
    state = make_state(WORLD, step=step)
    try:
        if store.background is None:
            return store.write(state).result
        outcome = store.background.begin(state)
        return (outcome or store.background.finish()).result
    except CheckpointError as error:
        assert error.errno or error.exit_code != 3, error  # expected: not a defect of mdapp
        return type(error).__name__


def tracing(on: bool, log: Path, *injections: Injection, threads: bool = False):
    return traced(log, *injections, threads=threads) if on else nullcontext()


class Case:
    """A fresh folder with a checkpoint of step 1000, and one traced act of one rank on it."""

    def __init__(self, folder: Path, choice: str, victim: int, act: Callable[..., str]):
        self.folder, self.choice, self.victim, self.act = folder, choice, victim, act
        self.log = folder.parent / "strace.log"

    def prepared(self) -> CheckpointStore:
        if WORLD.rank == 0:
            shutil.rmtree(self.folder, ignore_errors=True)
        WORLD.Barrier()
        store = open_store(self.folder, self.choice)
        assert write(store, 1000) == "committed"
        return store

    def run(self, *injections: Injection) -> tuple[CheckpointStore, str]:
        """Do it; all ranks must come to the same end, unless an injection missed."""
        store = self.prepared()
        mine = WORLD.rank == self.victim
        with tracing(mine, self.log, *injections, threads=store.background is not None):
            end = self.act(store)
        assert WORLD.allgather(end) == [end] * WORLD.size
        if injections:
            self.hits = WORLD.bcast(hits(self.log) if mine else None, self.victim)
            assert self.hits, f"missed: {injections[0]}"
        return store, end

    def record(self) -> list[Call]:
        """Calls of the victim, on all ranks."""
        store, end = self.run()
        assert end == "committed", end
        store.close()
        calls = read_log(self.log) if WORLD.rank == self.victim else None
        return [c for c in WORLD.bcast(calls, self.victim) if c.inside(self.folder)]


def commit(store: CheckpointStore) -> str:
    return write(store, 2000)


def reread(store: CheckpointStore) -> str:
    """Restart from the step 1000."""
    try:
        found = store.restart(None, owner_of(WORLD.size))
    except CheckpointError as error:
        return type(error).__name__
    compare_all(found, 1000)
    return "committed"


def compare_all(found, step: int) -> None:
    atoms = whole(WORLD, found.state)
    compare(atoms, found.manifest.state_hash, make_state(step=step))


# --- calls that fail ------------------------------------------------------------------------------


def failing(folder: Path, choice: str, victim: str, errors: str, thin: str) -> None:
    """E1, E2, E3, I1: each call of a commit on one rank fails, once or from then on."""
    case = Case(folder, choice, int(victim), commit)
    calls = [c for c in case.record() if c.kind in WRITING]
    ends: Counter[str] = Counter()
    chosen = [(c, e) for c in distinct(calls) for e in errors.split(",") if fits(c, e)]
    for call, error in chosen[int(thin) // 2 :: int(thin)]:
        onwards = error != "EIO" and call.kind in ("pwrite64", "mkdir")
        injection = Injection(call.kind, f"{call.n}{'+' * onwards}", f"error={error}")
        store, end = case.run(injection)
        ends[end] += 1
        survived(store, end, injection, case.hits > 1 and not onwards)
    report(ends=ends, calls=[c.kind for c in calls])


def distinct(calls: list[Call]) -> list[Call]:
    """One of those that several threads number alike."""
    return list({(c.kind, c.n): c for c in calls}.values())


def fits(call: Call, error: str) -> bool:
    return error == "EIO" or (call.kind in FULL and call.kind != "close")


def survived(store: CheckpointStore, end: str, injection: Injection, twice: bool) -> None:
    """The oracle: nothing or all published, the older one whole, and the next attempt works.

    Where two threads number their calls alike, the clearing up may be hit as well (`twice`); what
    it left then is for the next start.
    """
    committed = end in ("committed", "undurable")
    if WORLD.rank == 0:
        steps = verify(store.directory)
        assert steps == ([1000, 2000] if committed else [1000]), (injection, end, steps)
        drafts = [n for n in litter(store.directory) if n.startswith(".tmp-")]
        assert twice or not drafts, (injection, end, drafts)
    WORLD.Barrier()
    if end == "LockedError":
        raise AssertionError(f"{injection}: a failed access is not a lost lock")
    assert write(store, 3000) == "committed", injection
    compare_all(store.restart(None, owner_of(WORLD.size)), 3000)
    store.close()


def lost(folder: Path, choice: str, victim: str) -> None:
    """L1: a write is reported and not done; verification finds it, a restart falls back."""
    case = Case(folder, choice, int(victim), commit)
    calls = [c for c in case.record() if c.kind == "pwrite64"]
    fell_back = 0
    for call in calls:
        injection = Injection("pwrite64", str(call.n), f"retval={call.result}")
        store, end = case.run(injection)
        assert end == "committed"
        hint = call.paths[0].endswith("LATEST.tmp")
        found = store.restart(None, owner_of(WORLD.size))
        compare_all(found, 2000 if hint else 1000)
        assert list(found.fallbacks) == ([] if hint else [step_name(2000)])
        fell_back += len(found.fallbacks)
        if WORLD.rank == 0:
            assert any(n.startswith(".bad-") for n in names(folder)) != hint
        store.close()
    report(ends={"fell back": fell_back}, calls=["pwrite64"] * len(calls))


def unread(folder: Path, choice: str, victim: str, errors: str, thin: str) -> None:
    """Q1: each read or open of a restart fails for good; nothing is set aside or skipped."""
    case = Case(folder, choice, int(victim), reread)
    calls = [c for c in distinct(case.record()) if c.kind in READING]
    calls = [c for c in calls if "O_WRONLY" not in c.text and "O_DIRECTORY" not in c.text]
    ends: Counter[str] = Counter()
    chosen = [(c, e) for c in calls for e in errors.split(",")]
    for call, error in chosen[:: int(thin)]:
        store, end = case.run(Injection(call.kind, f"{call.n}+", f"error={error}"))
        ends[end] += 1
        if WORLD.rank == 0:
            kept = [n for n in names(folder) if n.startswith((".bad-", "step-"))]
            assert kept == [step_name(1000)], (call.text, kept)
        compare_all(store.restart(None, owner_of(WORLD.size)), 1000)
        store.close()
    report(ends=ends, calls=[c.kind for c in calls])


def stale(folder: Path, choice: str, victim: str) -> None:
    """N1: another client's file is not there yet, or not any more, for a moment; then for good."""
    ends: Counter[str] = Counter()
    for act in (commit, reread):
        case = Case(folder, choice, int(victim), act)
        calls = [c for c in case.record() if c.kind == "openat" and ".h5" in c.text]
        assert calls, "this rank opens no file"
        for error in ("ENOENT", "ESTALE"):
            passing = Injection("openat", f"{calls[0].n}..{calls[0].n + 1}", f"error={error}")
            store, end = case.run(passing)
            assert end == "committed", (passing, end)
            store.close()
        lasting = Injection("openat", f"{calls[0].n}+", "error=ESTALE")
        store, end = case.run(lasting)
        ends[end] += 1
        if WORLD.rank == 0:
            assert verify(folder) == [1000] and not litter(folder)
            assert not [n for n in names(folder) if n.startswith(".bad-")]
        store.close()
    report(ends=ends, calls=[])


def report(ends, calls) -> None:
    if WORLD.rank == 0:
        print(json.dumps({"ends": dict(ends), "calls": Counter(calls)}), flush=True)


# --- death ----------------------------------------------------------------------------------------


def recorded(folder: Path, choice: str) -> None:
    """Calls of one commit on each rank, as rank 0 prints them."""
    found = []
    for victim in range(WORLD.size):
        calls = Case(folder, choice, victim, commit).record()
        found.append([(c.kind, c.n) for c in distinct(calls)])
    if WORLD.rank == 0:
        print(json.dumps(found), flush=True)


def killed(folder: Path, choice: str, victim: str, kind: str, n: str) -> None:
    """K1: one rank dies at one call of a commit. Its launcher then ends the others."""
    case = Case(folder, choice, int(victim), commit)
    case.run(Injection(kind, n, "signal=KILL"))


def killed_each(folder: Path, choice: str, thin: str) -> None:
    """K1 on one rank, without a start for each: a child dies, its parent looks at what is left."""
    case = Case(folder, choice, 0, commit)
    calls = distinct(case.record())
    steps = []
    for call in calls[:: int(thin)]:
        assert in_child(lambda call=call: case.run(Injection(call.kind, str(call.n),
                                                             "signal=KILL"))) == 9, call
        steps.append(restart(folder))
        with open_store(folder, choice) as store:
            assert write(store, 3000) == "committed"
    report(ends=Counter(map(str, steps)), calls=[c.kind for c in calls])


def in_child(act: Callable[[], object]) -> int:
    """Run it in a child; the signal that ended it, or 0."""
    pid = os.fork()
    if pid == 0:
        try:
            act()
        finally:
            os._exit(1)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        time.sleep(0.002)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    raise AssertionError("the child hangs")


def killed_in_restart(folder: Path, thin: str) -> None:
    """K1 in a start: while orphans are removed, a damaged one is set aside and the next read."""
    log = folder.parent / "strace.log"

    def prepare() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        with open_store(folder, "sharded") as store:
            for step in (1000, 2000):
                write(store, step)
        shutil.copytree(folder / step_name(1000), folder / ".tmp-000000003000-0123abcd")
        shard = folder / step_name(2000) / "s000" / "shard-00000.h5"
        shard.write_bytes(shard.read_bytes()[:-1])

    def start(*injections: Injection) -> None:
        with traced(log, *injections), open_store(folder, "sharded") as store:
            found = store.restart(None, owner_of(1))
        assert found.state.step == 1000

    for _ in range(2):  # what is imported on the way is imported the first time
        prepare()
        start()
    calls = [c for c in read_log(log) if c.inside(folder)]
    for call in calls[:: int(thin)]:
        prepare()
        death = Injection(call.kind, str(call.n), "signal=KILL")
        assert in_child(lambda death=death: start(death)) == 9, call
        assert restart(folder, clean=False) == 1000
        assert verify(folder) == [1000]
    report(ends={"1000": len(calls[:: int(thin)])}, calls=[c.kind for c in calls])


# --- order, time, HDF5 ----------------------------------------------------------------------------


def ordered(folder: Path, choice: str) -> None:
    """F1: every rank records its own calls of one commit."""
    log = folder.parent / f"order-{WORLD.rank}.log"
    with open_store(folder, choice) as store:
        write(store, 1000)
        with traced(log, threads=store.background is not None):
            assert write(store, 2000) == "committed"


def slow(folder: Path, choice: str, kind: str, seconds: str, limit: str) -> None:
    """S1: each call of a kind takes long on the last rank."""
    last = WORLD.rank == WORLD.size - 1
    delay = Injection(kind, "1+", f"delay_enter={round(float(seconds) * 1e6)}")
    with open_store(folder, choice, io_timeout_s=float(limit)) as store:
        write(store, 1000)
        with tracing(last, folder.parent / "strace.log", delay, threads=choice == "async"):
            state = make_state(WORLD, step=2000)
            outcome = store.write(state) if store.background is None else beside(store, state)
        compare_all(store.restart(None, owner_of(WORLD.size)), 2000)
        if WORLD.rank == 0:
            print(json.dumps(outcome.metrics), flush=True)


def beside(store: CheckpointStore, state):
    """Write as a run does: at a step, all ranks hear how all writers did at the one before."""
    background, before = store.background, (False, False)
    background.begin(state)
    while True:
        mine = background.status()
        outcome = background.poll(*before)
        if outcome is not None:
            return outcome
        before = tuple(WORLD.allreduce(int(m), MPI.MAX) > 0 for m in mine)
        time.sleep(0.005)


def full_under_hdf5(folder: Path, n: str) -> None:
    """H1: the n-th write of a commit through HDF5 finds no space; the process lives to the end."""
    with open_store(folder, "h5py") as store:
        write(store, 1000)
        log = folder.parent / "strace.log"
        with traced(log, *([Injection("pwrite64", n, "error=ENOSPC")] if n != "0" else [])):
            end = write(store, 2000)
        again = write(store, 3000)
        compare_all(store.restart(None, owner_of(1)), 3000)
        writes = sum(c.kind == "pwrite64" and c.inside(folder) for c in read_log(log))
        print(json.dumps({"end": end, "again": again, "writes": writes}), flush=True)




if __name__ == "__main__":
    PROGRAMS = (failing, lost, unread, stale, recorded, killed, killed_each, killed_in_restart,
                ordered, slow, full_under_hdf5)  # fmt: skip
    {p.__name__: p for p in PROGRAMS}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
