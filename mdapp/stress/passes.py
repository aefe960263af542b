"""One pass through all phases, in the order of IO500: reads follow their writes after other work.

A phase that works on what another one made is left out, and said to be invalid, where that one
failed. Data stay until the pass is over; what a pass made is removed at its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from mpi4py import MPI

from mdapp.parallel.agree import agree
from mdapp.storage.files import REAL
from mdapp.stress.bulk import RANDOM, Easy, Hard, Layout, RandomRead, Read, Write
from mdapp.stress.checkpoints import NUMBER, OnCheckpoints, ReadCheckpoints, WriteCheckpoints
from mdapp.stress.decode import Known
from mdapp.stress.evidence import Evidence
from mdapp.stress.folder import IN_MEMORY, WorkFolder
from mdapp.stress.hdf5 import SERIAL, H5Read, H5Write, SharedEasy, why_not
from mdapp.stress.meeting import Meeting
from mdapp.stress.metadata import Create, Delete, OnFiles, ReadSmall, Stat, Tree
from mdapp.stress.phase import Phase, Work, measure
from mdapp.stress.plan import NEEDS, POSIX, Plan
from mdapp.stress.scan import expected_matches, scan
from mdapp.stress.states import layouts

SINGLE_NODE = "single-node"
MARK = "mark"
CHECKPOINTS = ("ckpt-write", "ckpt-read")
BULK = ("easy-write", "hard-write", "easy-read", "hard-read")
TICK_S = 0.02                   # times of files come from a clock that ticks every 1 to 10 ms
Hook = Callable[[str], None]


@dataclass
class Pass:
    """One time through the phases.

    Attributes
    ----------
    before : called on all ranks before each phase, with its name; tests damage data there
    counts : field -> K of what was written
    left_out : phases that this machine cannot do, and why
    """

    meeting: Meeting
    folder: WorkFolder
    plan: Plan
    before: Hook = lambda name: None
    counts: dict[str, int] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    mark_ns: int = 0

    def __post_init__(self) -> None:
        path, ranks = self.folder.path, self.meeting.size
        self.trees = {kind: Tree(path, kind, ranks) for kind in ("easy", "hard")}
        self.known = Known(self.folder.run, {}, self.folder.earlier)
        self.layouts = self._layouts(POSIX)

    def _layouts(self, api: str) -> dict[str, Layout]:
        """Large files of an API."""
        path, ranks, plan = self.folder.path / api, self.meeting.size, self.plan
        easy = Easy if api in (POSIX, SERIAL) else SharedEasy
        return {"easy": easy(path, ranks, plan.most("easy")),
                "hard": Hard(path, ranks, plan.most("hard"))}

    def run(self) -> Iterator[Phase]:
        """Do the phases; yields each when it is over. Collective."""
        self._make(POSIX, "meta-easy", "meta-hard")
        for name in self.plan.phases:
            self.before(name)
            if name == MARK:
                self._set_mark()
            elif name not in CHECKPOINTS:
                yield self._noted(name, POSIX)
        for api in self.plan.apis:
            if api != POSIX:
                yield from self._again(api)
        if "ckpt-write" in self.plan.phases:
            yield from self._checkpoints()

    def _checkpoints(self) -> Iterator[Phase]:
        """Real checkpoints in each layout, and the smallest ones there can be."""
        comm, ranks = self.meeting.comm, self.meeting.size
        self.remove()
        for layout, options in layouts().items():
            place = self.folder.path / layout
            self.meeting.on_root(lambda place=place: REAL.mkdir(place))  # type: ignore[misc]
            natoms = ranks * self.plan.atoms
            self.before(f"ckpt-write [{layout}]")
            work: OnCheckpoints = WriteCheckpoints(comm, place, layout, natoms, options)
            yield self._of_checkpoints(work)
            if "ckpt-read" in self.plan.phases and not self.phases[-1].errors:
                for number in sorted({ranks, -(-ranks // 2)}, reverse=True):
                    self.before(f"ckpt-read [{layout}]")
                    yield self._of_checkpoints(
                        ReadCheckpoints(comm, place, layout, natoms, number))
            small = WriteCheckpoints(comm, place / "small", layout, ranks, options, True)
            yield self._of_checkpoints(small)
            self.remove()

    def _of_checkpoints(self, work: OnCheckpoints) -> Phase:
        evidence = None
        if isinstance(work, ReadCheckpoints):
            evidence = Evidence(self.meeting, self.folder.kind, work.paths())
        phase = measure(self.meeting, work, NUMBER, None)
        if evidence is not None:
            evidence.judge(phase)
        self.phases.append(self._flagged(phase))
        return phase

    def _again(self, api: str) -> Iterator[Phase]:
        """The phases on large files, through another API, without the data of the last one."""
        self.remove()
        self._make(api)
        self.layouts = self._layouts(api)
        for name in self.plan.phases:
            if name not in BULK:
                continue
            self.before(f"{name} [{api}]")
            lack = why_not(api, name.partition("-")[0], self.meeting.size)
            if lack:
                self.left_out[f"{name} [{api}]"] = lack
            else:
                yield self._noted(name, api)

    def _noted(self, name: str, api: str) -> Phase:
        missing = [n for n in NEEDS.get(name, ()) if n != MARK and not self._is_there(n, api)]
        phase = self._impossible(name, api, missing[0]) if missing else self._one(name, api)
        self.phases.append(phase)
        return phase

    def _make(self, api: str, *others: str) -> None:
        """Folders; all ranks see them."""
        top = self.folder.path

        def make() -> None:
            for name in (api, f"{api}/easy", f"{api}/hard", *others):
                REAL.mkdir(top / name)

        self.meeting.on_root(make)
        with agree(self.meeting.comm):
            REAL.lstat(top / api / "hard")

    def _set_mark(self) -> None:
        path = self.folder.path / MARK

        def touch() -> int:
            REAL.write_durably(path, b"newer than this is looked for\n")
            return path.stat().st_mtime_ns

        self.mark_ns = self.meeting.on_root(touch)
        time.sleep(TICK_S)

    def _is_there(self, name: str, api: str) -> bool:
        return any(p.name == name and p.api in ("", api) and not p.errors
                   and p.stopped_at != "guard" for p in self.phases)

    def _impossible(self, name: str, api: str, needs: str) -> Phase:
        phase = Phase(name, "", api if name in BULK else "", "items", 1, "")
        phase.reasons.append(f"left out, because {needs} failed")
        return phase

    def _shifted(self, nodes: int = 1) -> int:
        """The rank whose data this one takes: of another node, of the next rank if there is one."""
        meeting = self.meeting
        step = nodes * (meeting.per_node if meeting.nodes > 1 else 1)
        return (meeting.rank + step) % meeting.size

    def _one(self, name: str, api: str) -> Phase:
        meeting = self.meeting
        if name == "scan":
            return self._flagged(self._scan())
        work, limit, deadline = self._work(name, api)
        guard = (self.folder.path, self.plan.min_free)
        evidence = Evidence(meeting, self.folder.kind, work.paths()) if work.paths() else None
        phase = measure(meeting, work, limit, deadline, guard)
        if evidence is not None:
            evidence.judge(phase)
        if work.writes:
            self._wrote(work, phase)
        return self._flagged(phase)

    def _flagged(self, phase: Phase) -> Phase:
        if self.meeting.nodes == 1:
            phase.flags.append(SINGLE_NODE)
        if self.folder.kind in IN_MEMORY:
            phase.flags.append(self.folder.kind)
        return phase

    def _wrote(self, work: Work, phase: Phase) -> None:
        """Remember how much there is."""
        if isinstance(work, Write):
            self.counts[work.layout.field] = phase.count
            self.known.extents[work.layout.field] = work.layout.extent(phase.count)
        elif isinstance(work, OnFiles):
            self.counts[work.tree.field] = phase.count
            self.known.extents[work.tree.field] = work.tree.extent(phase.count)

    def _work(self, name: str, api: str) -> tuple[Work, int, float | None]:
        """What a phase does, how many operations, and until when."""
        plan, meeting, run, rank = self.plan, self.meeting, self.folder.run, self.meeting.rank
        work: Work
        deadline = plan.deadline_s
        if name == "random-read":
            easy = self.layouts["easy"]
            assert isinstance(easy, Easy)
            size = easy.extent(self.counts[easy.field])[1]
            limit = max(size // RANDOM, 1)
            return RandomRead(easy, self.known, self._shifted(2), size), limit, deadline
        kind, verb = name.rsplit("-", 1)
        if kind in self.layouts:
            layout = self.layouts[kind]
            comm, other = meeting.comm, self._shifted()
            if verb == "write":
                work = (Write(layout, run, rank) if api == POSIX else
                        H5Write(comm, layout, run, api))
                return work, layout.limit, deadline
            work = (Read(layout, self.known, other) if api == POSIX else
                    H5Read(comm, layout, self.known, other, api))
            return work, self.counts[layout.field], None
        tree = self.trees[kind.removeprefix("meta-")]
        if verb == "create":
            limit = plan.easy_files if tree.kind == "easy" else plan.hard_files
            return Create(tree, run, rank), limit, deadline
        other = self._shifted()
        work = (Stat(tree, other) if verb == "stat" else Delete(tree, other)
                      if verb == "delete" else ReadSmall(tree, self.known, other))
        return work, self.counts[tree.field], None

    def _scan(self) -> Phase:
        meeting, counts = self.meeting, self.counts
        easy, hard = counts["meta-easy"], counts["meta-hard"]
        mine = expected_matches(self.trees["hard"], meeting.rank, hard)
        matches = int(meeting.reduce([mine], MPI.SUM)[0])
        entries = meeting.size * (1 + easy + hard) + 2      # the shared file and the mark
        return scan(meeting, self.folder.path, self.mark_ns, entries, matches)

    def remove(self) -> None:
        """Remove all that the pass made; collective."""
        def go() -> None:
            for name in REAL.listdir(self.folder.path):
                path = self.folder.path / name
                if REAL.is_directory(path):
                    REAL.remove_tree(path)
                else:
                    with suppress(FileNotFoundError):
                        REAL.unlink(path)

        self.meeting.on_root(go)
