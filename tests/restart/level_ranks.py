"""Programs that test_levels.py and test_levels_faults.py start on several ranks."""

import mdapp  # noqa: F401  isort: skip

import errno
import json
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mpi4py import MPI

from mdapp.errors import MdappError
from mdapp.storage.errors import StorageAccessError
from mdapp.storage.files import REAL, FileSystem
from mdapp.storage.levels.options import LevelOptions
from mdapp.storage.levels.partner import PartnerCopy
from mdapp.storage.levels.store import LevelStore
from mdapp.storage.manifest import decode
from mdapp.storage.metrics import Outcome
from mdapp.storage.names import LINEAGE, MANIFEST, METRICS, aside_kind, step_name, step_of
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.restore import Restored
from tests.faults.faulty import Fault, FaultyFileSystem
from tests.faults.in_thread import ForWriters
from tests.restart.store_ranks import part_of, whole
from tests.restart.stored import make_state, owner_of, same_atoms

WORLD = MPI.COMM_WORLD
NATOMS = 1000


@dataclass
class Job:
    """Ranks, their nodes, and a folder in which everything lies."""

    folder: Path
    ranks: int
    per_node: int
    levels: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    fs: FileSystem = REAL

    @property
    def parallel(self) -> Path:
        return self.folder / "run" / "checkpoints"

    @contextmanager
    def store(self, told: list[str] | None = None) -> Iterator[LevelStore | None]:
        """The store on the first ranks, None on the others; all meet at the end."""
        comm = part_of(self.ranks)
        if comm is not None:
            levels = LevelOptions(
                local=str(self.folder / "node-{node}"), ranks_per_node=self.per_node,
                **{"drain_every": 0, **self.levels},
            )  # fmt: skip
            options = CheckpointOptions(block_atoms=37, levels=levels, **self.options)
            log = (lambda line: None) if told is None else told.append
            with LevelStore(comm, self.parallel, options, self.fs, log=log) as store:
                yield store
        else:
            yield None
        WORLD.Barrier()

    def write(self, *steps: int, told: list[str] | None = None) -> list[Outcome]:
        """Write some steps, and drain what is due; for the first time, or after a restart."""
        outcomes = []
        with self.store(told) as store:
            if store is not None:
                if store.candidates():
                    store.restart(None, owner_of(store.nodes.world.size))
                for step in steps:
                    outcomes.append(store.write(self.state(store, step)))
                    store.finish()
        return outcomes

    @staticmethod
    def state(store: LevelStore, step: int):
        return make_state(store.nodes.world, step=step, natoms=NATOMS)

    def restart(self, told: list[str] | None = None, path: Path | None = None, **how) -> str:
        """What a restart finds: step and level, or the class of the error; atoms are compared."""
        found = ""
        with self.store(told) as store:
            if store is not None:
                try:
                    restored = store.restart(path, owner_of(store.nodes.world.size), **how)
                except MdappError as error:
                    found = type(error).__name__
                    if told is not None:
                        told.append(str(error))
                else:
                    found = self.same(store, restored)
                assert store.nodes.world.allgather(found) == [found] * store.nodes.world.size
        return str(WORLD.bcast(found, 0))

    def same(self, store: LevelStore, restored: Restored) -> str:
        state = restored.state
        reference = make_state(step=state.step, natoms=NATOMS)
        assert same_atoms(whole(store.nodes.world, state), reference)
        assert state.natoms == NATOMS and state.time == reference.time
        parallel = restored.path.parent == store.parallel.directory
        return f"{state.step} {'parallel' if parallel else 'nodes'}"

    def lose(self, *nodes: int) -> None:
        """The storage of some nodes is gone."""
        if WORLD.rank == 0:
            for node in nodes:
                shutil.rmtree(self.folder / f"node-{node}")
        WORLD.Barrier()

    def part(self, node: int, place: str, step: int) -> Path:
        """Where a part lies."""
        (run,) = (self.folder / f"node-{node}").iterdir()
        return run / place / step_name(step)

    def steps(self, node: int, place: str) -> list[int]:
        names = [p.name for p in self.part(node, place, 0).parent.iterdir()]
        return sorted(s for n in names if (s := step_of(n)) is not None)

    def lines(self) -> list[dict[str, Any]]:
        text = (self.parallel.parent / METRICS).read_text()
        return [json.loads(line) for line in text.splitlines()]


def on_first(function, *args) -> None:
    """Rank 0 does something to the files; all others wait."""
    if WORLD.rank == 0:
        function(*args)
    WORLD.Barrier()


def flip(path: Path, at: float = 0.9) -> None:
    """Change one bit of a file's data."""
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 4
    path.write_bytes(data)


def cut(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 100])


def spoil_one(spoil, part: Path, number: int) -> None:
    spoil(sorted(part.rglob("*.h5"))[number])


def expect(found: Any, wanted: Any) -> None:
    assert found == wanted, f"{found!r} instead of {wanted!r}"


# --- test_levels.py ------------------------------------------------------------------------------


def counts(folder: Path) -> None:
    """Sets of any ranks and nodes are read by any others that see all parts, bitwise."""
    done = 0
    for number, (ranks, per_node) in enumerate(((4, 1), (4, 3), (3, 2), (1, 1))):
        place = folder / str(number)
        writer = Job(place, ranks, per_node)
        writer.write(1000, 2000)
        nodes = -(-ranks // per_node)
        for new_ranks, new_per_node in ((4, 1), (4, 3), (3, 1), (2, 1), (1, 1)):
            reader = Job(place, new_ranks, new_per_node)
            # Half of the nodes, with the copies that they keep, are enough.
            enough = -(-new_ranks // new_per_node) >= nodes - nodes // 2
            found = reader.restart()
            expect(found, "2000 nodes" if enough else "DamagedError")
            done += 1
    if WORLD.rank == 0:
        print("restarts", done)


def keeping(folder: Path) -> None:
    """Each node keeps its newest, and what has copies; drained are those that are due."""
    job = Job(folder, 4, 2, {"partner_every": 3, "drain_every": 2})
    outcomes = job.write(*range(1000, 7000, 1000))
    if WORLD.rank == 0:
        for node in (0, 1):
            expect(job.steps(node, "own"), [4000, 5000, 6000])
            expect(job.steps(node, "partner"), [1000, 4000])
        expect(sorted(p.name for p in job.parallel.glob("step-*")),
               [step_name(s) for s in (1000, 3000, 5000)])  # fmt: skip
        local = [line for line in job.lines() if line["level"] == "local"]
        drained = [line for line in job.lines() if line["level"] == "parallel"]
        expect([line["step"] for line in local], [o.step for o in outcomes])
        expect([line["partner"] for line in local], ["copied", "none", "none"] * 2)
        expect([line["step"] for line in drained], [1000, 3000, 5000])
        for line in local:
            assert line["atoms"] == NATOMS and line["files"] == 4 and line["nodes"] == 2
            assert line["stall_s"] > 0 and 0 <= line["time_at_risk_s"] < 100
        for line in drained:
            assert line["mode"] == "drain" and line["drain_s"] >= line["copy_s"] > 0
            assert line["gbytes_per_s"] > 0 and line["bytes"] > NATOMS * 72
        print("kept")
    expect(job.restart(), "6000 nodes")
    # Without a node, what has copies is the newest; without its partner too, what was drained.
    job.lose(1)
    expect(job.restart(), "5000 parallel")
    on_first(shutil.rmtree, job.parallel / step_name(5000))
    expect(job.restart(), "4000 nodes")


def drained_is_ordinary(folder: Path) -> None:
    """What a drain publishes has the numbering of one checkpoint, on which all tools rely."""
    from mdapp.storage.audit import Level, audit

    job = Job(folder, 4, 3, {"drain_every": 1})
    (outcome,) = job.write(1000)
    path = job.parallel / step_name(1000)
    verdict = audit(WORLD, path, Level.full)
    assert verdict.good, verdict.lines()
    manifest = decode((path / MANIFEST).read_bytes())
    assert manifest.uuid == outcome.uuid and manifest.natoms == NATOMS
    storage = manifest.plain["storage"]
    assert storage["level"] == "parallel" and "set" not in storage
    expect([w.rank for f in manifest.files for w in f.writers], [0, 1, 2, 3])
    assert manifest.decomposition["ranks"] == 4 and manifest.state_hash == outcome.state_hash
    ids = make_state(natoms=NATOMS).fields["id"]
    expect(manifest.plain["invariants"]["ranges"]["id"], [int(ids.min()), int(ids.max())])
    for node in (0, 1):
        for place in ("own", "partner"):
            part = audit(WORLD, job.part(node, place, 1000), Level.full)
            assert part.good, part.lines()
    if WORLD.rank == 0:
        print("ordinary")


def copies_in_pieces(folder: Path) -> None:
    """Many small pieces, between nodes of three ranks and of one: the same files, holes and all."""
    job = Job(folder, 4, 3, {"partner_every": 0})
    with job.store() as store:
        if store is not None:
            path = store.write(job.state(store, 1000)).path
            nbytes = PartnerCopy(store.nodes, REAL, store.local.folder, piece=1000).copy(path)
            assert nbytes > 0
    WORLD.Barrier()
    for node in (0, 1):
        original, copy = job.part(node, "own", 1000), job.part(1 - node, "partner", 1000)
        names = sorted(p.relative_to(original) for p in original.rglob("*") if p.is_file())
        expect(sorted(p.relative_to(copy) for p in copy.rglob("*") if p.is_file()), names)
        expect(len(names), 1 + (3, 1)[node])
        for name in names:
            assert (original / name).read_bytes() == (copy / name).read_bytes(), name
            assert (copy / name).stat().st_blocks <= (original / name).stat().st_blocks + 8
    if WORLD.rank == 0:
        print("pieces")


def branches(folder: Path) -> None:
    """An older checkpoint by its path: refused while the nodes have a newer one."""
    job = Job(folder, 2, 1, {"drain_every": 1})
    job.write(1000, 2000)
    job.levels["drain_every"] = 0
    job.write(3000)
    older, told = job.parallel / step_name(2000), []
    expect(job.restart(told, older), "ConflictError")
    expect(job.restart(told, older, discard_newer=True), "2000 parallel")
    expect(job.restart(), "2000 nodes")
    # A part alone is never taken for the whole.
    told.clear()
    expect(job.restart(told, job.part(0, "own", 2000)), "InputError")
    if WORLD.rank == 0:
        assert "is the part that node 0 of 2 kept" in told[-1], told
        print("branches")


# --- test_levels_faults.py -----------------------------------------------------------------------


def lost_nodes(folder: Path) -> None:
    """One node; both partners; all nodes."""
    job = Job(folder, 4, 1, {"drain_every": 2})
    job.write(1000, 2000)
    told: list[str] = []
    job.lose(2)
    expect(job.restart(told), "2000 nodes")
    # The replaced node takes part again: its next sets are whole.
    job.write(3000)
    job.lose(0)
    expect(job.restart(), "3000 nodes")
    job.lose(1, 3)
    told.clear()
    expect(job.restart(told), "3000 parallel")
    if WORLD.rank == 0:
        assert any("of the part of node 1 of 4, none is left" in t for t in told), told
    job.lose(0, 1, 2, 3)
    expect(job.restart(), "3000 parallel")
    job.write(4000)
    job.lose(0)
    expect(job.restart(), "4000 nodes")
    if WORLD.rank == 0:
        print("lost")


def older_set(folder: Path) -> None:
    """Two partners lost for the newest set only: the set before it is whole."""
    job = Job(folder, 4, 1)
    job.write(1000, 2000)
    for node, place in ((1, "own"), (3, "partner")):
        on_first(shutil.rmtree, job.part(node, place, 2000))
    expect(job.restart(), "1000 nodes")
    # The run goes on, and meets the step again; remains of the lost set are in nobody's way.
    (outcome,) = job.write(2000)
    if WORLD.rank == 0:
        expect(outcome.result, "committed")
    job.lose(0)
    expect(job.restart(), "2000 nodes")
    if WORLD.rank == 0:
        print("older")


def damaged_parts(folder: Path) -> None:
    """Bits that flip and ends that are missing, in each copy: the other is as good."""
    spoilers = ((flip, "own"), (cut, "partner"), (Path.unlink, "own"))
    for number, (spoil, first) in enumerate(spoilers):
        job, told = Job(folder / str(number), 4, 2), []
        job.write(1000)
        # Both copies of the part of node 0: its own, and that on node 1.
        holders = {"own": 0, "partner": 1}
        second = "partner" if first == "own" else "own"
        on_first(spoil_one, spoil, job.part(holders[first], first, 1000), 1)
        expect(job.restart(told), "1000 nodes")
        if WORLD.rank == 0 and first == "own":
            assert any("node 0, own" in line and "shard-00001" in line for line in told), told
            assert aside_kind(next(job.part(0, "own", 0).parent.glob(".bad-*")).name) == ".bad"
        on_first(spoil_one, spoil, job.part(holders[second], second, 1000), 0)
        expect(job.restart(), "DamagedError")
        WORLD.Barrier()
    if WORLD.rank == 0:
        print("damaged")


def strangers(folder: Path) -> None:
    """Sets of another run, put where this run looks, are not continued."""
    mine, other = Job(folder / "a", 2, 1), Job(folder / "b", 2, 1)
    mine.write(1000)
    other.write(5000)
    for node in (0, 1):
        for place in ("own", "partner"):
            source, target = other.part(node, place, 5000), mine.part(node, place, 5000)
            on_first(shutil.copytree, source, target)
    told: list[str] = []
    expect(mine.restart(told), "1000 nodes")
    if WORLD.rank == 0:
        assert any("belongs to another run" in line for line in told), told
    # A folder of checkpoints that is made anew begins another run.
    on_first((mine.parallel / LINEAGE).unlink)
    expect(mine.restart(), "NothingToRestartError")
    if WORLD.rank == 0:
        print("strangers")


def full_parallel(folder: Path) -> None:
    """The parallel level is full: the nodes go on, and say what is at risk."""
    fs, told = ForWriters(), []
    job = Job(folder, 2, 1, {"drain_every": 1}, fs=fs)
    job.write(1000)
    fs.fails = {"pwrite": errno.ENOSPC}
    outcomes = job.write(2000, 3000, told=told)
    fs.fails = {}
    if WORLD.rank == 0:
        expect([o.result for o in outcomes], ["committed", "committed"])
        assert sum("was not drained" in line and "No space left" in line for line in told) == 2
        assert not [p for p in job.parallel.iterdir() if aside_kind(p.name) == ".tmp"]
        failed = [line for line in job.lines() if line.get("result") == "undrained"]
        expect([line["step"] for line in failed], [2000, 3000])
    expect(job.restart(), "3000 nodes")
    job.write(4000)
    job.lose(0, 1)
    expect(job.restart(), "4000 parallel")
    if WORLD.rank == 0:
        print("full")


def full_nodes(folder: Path) -> None:
    """One node is full: nothing of the set is left, and the parallel level takes it."""
    fs, told = FaultyFileSystem(), []
    job = Job(folder, 3, 1, fs=fs)
    with job.store(told) as store:
        assert store is None or store.write(job.state(store, 1000)).result == "committed"
        if WORLD.rank == 1:
            # Node 1 has one rank; its own file comes first.
            fs.arm(Fault("pwrite", 3, errno.ENOSPC, onwards=False))
        if store is not None:
            outcome = store.write(job.state(store, 2000))
            expect((outcome.result, outcome.metrics["level"]), ("committed", "parallel"))
    if WORLD.rank == 0:
        for node in range(3):
            expect(job.steps(node, "own"), [1000])
        assert "goes to" in " ".join(told) and "No space left" in " ".join(told), told
    expect(job.restart(), "2000 parallel")
    if WORLD.rank == 0:
        print("full-nodes")


def failing_copies(folder: Path) -> None:
    """A partner that cannot write, or an original that cannot be read: the set stands alone."""
    for number, kind in enumerate(("pwrite", "fsync", "pread")):
        fs, told = FaultyFileSystem(), []
        job = Job(folder / str(number), 4, 2, fs=fs)
        with job.store(told) as store:
            if store is not None:
                copy = store._copy

                def armed(written, copy=copy, fs=fs, kind=kind):
                    if WORLD.rank == 2:
                        fs.arm(Fault(kind, 2, errno.EIO, onwards=True))
                    try:
                        return copy(written)
                    finally:
                        fs.disarm()

                store._copy = armed
                outcome = store.write(job.state(store, 1000))
                expect(outcome.result, "committed")
                expect(outcome.metrics["partner"], "failed")
        if WORLD.rank == 0:
            assert "no copies on partner nodes" in " ".join(told), told
            for node in (0, 1):
                names = [p.name for p in job.part(node, "partner", 0).parent.iterdir()]
                assert not [n for n in names if aside_kind(n) == ".tmp"], names
        expect(job.restart(), "1000 nodes")
    if WORLD.rank == 0:
        print("copies")


def behind(folder: Path) -> None:
    """A drain that falls behind: the newest is next, those in between are named."""
    fs, told = ForWriters(), []
    job = Job(folder, 2, 1, {"drain_every": 1}, fs=fs)
    fs.gate.clear()
    with job.store(told) as store:
        if store is not None:
            for step in (1000, 2000, 3000, 4000):
                store.write(job.state(store, step))
            expect(job.steps(store.nodes.index, "own"), [1000, 3000, 4000])
            fs.gate.set()
            assert store.finish().step == 4000
    if WORLD.rank == 0:
        expect(sorted(p.name for p in job.parallel.glob("step-*")),
               [step_name(s) for s in (1000, 4000)])  # fmt: skip
        expect([t.split(" is not")[0] for t in told if "not drained" in t],
               ["step 2000", "step 3000"])  # fmt: skip
        print("behind")


def cut_off_drain(folder: Path) -> None:
    """A job that dies while it drains: what it left is removed, the nodes have the set."""
    fs = ForWriters()
    job = Job(folder, 2, 1, {"drain_every": 1}, fs=fs)
    with job.store() as store:
        if store is not None:
            store.write(job.state(store, 1000))
            store.finish()
            fs.gate.clear()
            store.write(job.state(store, 2000))
            store.nodes.world.Barrier()
            store._drain._flight.pace.cancel()
            fs.raises = {"pwrite": SystemExit()}
            fs.gate.set()
    drafts = [p for p in job.parallel.iterdir() if aside_kind(p.name) == ".tmp"]
    assert len(drafts) == 1, drafts
    WORLD.Barrier()
    job.fs = REAL
    expect(job.restart(), "2000 nodes")
    assert not [p for p in job.parallel.iterdir() if aside_kind(p.name) == ".tmp"]
    WORLD.Barrier()
    job.lose(0, 1)
    expect(job.restart(), "1000 parallel")
    if WORLD.rank == 0:
        print("cut-off")


def last_one(folder: Path) -> None:
    """The last checkpoint goes to the parallel level; where that fails, to the nodes."""
    fs, told = FaultyFileSystem(), []
    job = Job(folder, 2, 1, {"drain_every": 1}, fs=fs)
    with job.store(told) as store:
        if store is not None:
            store.write(job.state(store, 1000))
            outcome = store.write_last(job.state(store, 2000))
            expect((outcome.result, outcome.metrics["level"]), ("committed", "parallel"))
    job.lose(0, 1)
    expect(job.restart(), "2000 parallel")
    with job.store(told) as store:
        if store is not None:
            store.restart(None, owner_of(2))
            if WORLD.rank == 1:
                fs.arm(Fault("pwrite", 1, errno.ENOSPC))
            try:
                store.write_last(job.state(store, 3000))
                raise AssertionError("did not fail")
            except StorageAccessError:
                pass
            fs.disarm()
    if WORLD.rank == 0:
        assert any("only the nodes have it" in line for line in told), told
    expect(job.restart(), "3000 nodes")
    if WORLD.rank == 0:
        print("last")


if __name__ == "__main__":
    programs = (
        counts, keeping, drained_is_ordinary, copies_in_pieces, branches, lost_nodes, older_set,
        damaged_parts, strangers, full_parallel, full_nodes, failing_copies, behind,
        cut_off_drain, last_one,
    )  # fmt: skip
    for program in programs:
        if program.__name__ in sys.argv[2:]:
            try:
                program(Path(sys.argv[1]) / program.__name__)
            except BaseException:
                # The other ranks wait for this one: end the test now, not at its time limit.
                traceback.print_exc()
                WORLD.Abort(1)
