"""Runs of `mdapp stress` on several ranks with damage planted between two phases; see below."""

import mdapp  # noqa: F401  isort: skip

import os
import sys
import time
from pathlib import Path

import h5py
import numpy as np
from mpi4py import MPI

from mdapp.cli.command import run_command
from mdapp.stress.bulk import RECORD, TRANSFER, Write
from mdapp.stress.meeting import Meeting
from mdapp.stress.pattern import Buffer, compile_pattern, key_of
from mdapp.stress.phase import measure
from mdapp.stress.plan import PHASES
from mdapp.stress.session import run_profile

WORLD = MPI.COMM_WORLD
SMALL = {"max_bytes": WORLD.size * (16 << 20), "files": 20, "deadline_s": 0.05, "min_free": 0.0}
IO500 = tuple(p for p in PHASES if not p.startswith("ckpt"))
POSIX = {**SMALL, "apis": ("posix",)}


def number(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def geometry(folder: Path) -> None:
    """ST1: sizes, places and content as specified, by a reader that shares only `key_of`."""
    seen: dict[str, int] = {}

    def look(name: str) -> None:
        if WORLD.rank == 0 and name == "easy-read":
            (path,) = folder.glob("run-*")
            run, ranks = int(path.name[4:], 16), WORLD.size
            sizes = {p.stat().st_size for p in (path / "posix" / "easy").iterdir()}
            assert len(sizes) == 1 and number(path / "posix" / "easy") == ranks
            seen["easy"] = sizes.pop() // TRANSFER
            shared = (path / "posix" / "hard" / "shared").read_bytes()
            assert len(shared) % (ranks * RECORD) == 0
            seen["hard"] = len(shared) // (ranks * RECORD)
            for record in range(len(shared) // RECORD):
                buffer = Buffer(RECORD)
                buffer.fill(key_of(run, "posix/hard"), 0, record * RECORD)
                assert bytes(buffer.data) == shared[record * RECORD : (record + 1) * RECORD]
            for rank in range(ranks):
                content = (path / "posix" / "easy" / f"{rank:08d}").read_bytes()
                buffer = Buffer(len(content))
                buffer.fill(key_of(run, "posix/easy"), rank, 0)
                assert bytes(buffer.data) == content
            small = {p.stat().st_size for p in (path / "meta-hard").iterdir()}
            assert small == {3901}
            seen["meta-hard"] = number(path / "meta-hard") // ranks
            seen["meta-easy"] = number(path / "meta-easy" / "00000000")
        if WORLD.rank == 0 and name.startswith("easy-read ["):
            through_hdf5(folder, name.partition("[")[2].rstrip("]"), seen)
        WORLD.Barrier()

    session = run_profile(WORLD, "smoke", folder, before=look, **SMALL)
    if h5py.get_config().mpi:
        assert {"easy-read mpio-collective", "hard-read mpio-independent"} <= {
            f"{p.name} {p.api}" for p in session.phases}
    assert list(session.left_out) == ["hard-write [h5py]", "hard-read [h5py]"]
    assert session.exit_code == 0, [(p.name, p.reasons) for p in session.phases]
    counts = WORLD.bcast(seen, 0)
    for phase in session.phases:
        field = phase.name.rsplit("-", 1)[0]
        if phase.api not in ("posix", ""):
            continue
        assert counts.get(field, phase.count) == phase.count, phase.name
    posix = [p for p in session.phases if p.api == "posix"]
    assert {p.count for p in posix if p.name.startswith("hard")} == {counts["hard"]}
    print("right")


def through_hdf5(folder: Path, api: str, seen: dict[str, int]) -> None:
    """The same words in datasets, as h5py's files and slices see them."""
    (path,) = folder.glob("run-*")
    run = int(path.name[4:], 16)
    for file in sorted((path / api / "easy").iterdir()):
        with h5py.File(file) as opened:
            data = opened["data"]
            number = 0 if file.name == "shared" else int(file.name)
            for offset in (0, len(data) // 2 if file.name == "shared" else TRANSFER):
                buffer = Buffer(RECORD)
                buffer.fill(key_of(run, f"{api}/easy"), number, offset)
                assert bytes(buffer.data) == data[offset : offset + RECORD].tobytes(), file
    for file in (path / api / "hard").iterdir():
        with h5py.File(file) as opened:
            buffer = Buffer(3 * RECORD)
            buffer.fill(key_of(run, f"{api}/hard"), 0, 0)
            assert bytes(buffer.data) == opened["data"][: 3 * RECORD].tobytes()
            assert opened["data"].dtype == np.uint8
    seen[api] = 1


def swapped(folder: Path) -> None:
    """Two easy files change names: rank-shifted readers see it, and say which they are."""
    def damage(name: str) -> None:
        if name == "easy-read" and WORLD.rank == 0:
            (path,) = folder.glob("run-*/posix/easy")
            (path / "00000000").rename(path / "x")
            (path / "00000001").rename(path / "00000000")
            (path / "x").rename(path / "00000001")
        WORLD.Barrier()

    session = run_profile(WORLD, "smoke", folder, before=damage, phases=("easy-read",), **POSIX)
    read = session.phases[-1]
    assert {f.kind for f in read.findings} == {"swapped"}, [str(f) for f in read.findings]
    assert session.exit_code == 1
    print("found")


class Slow(Write):
    """Rank 1 is slow until the deadline."""

    def step(self, i: int) -> None:
        if self.rank == 1:
            time.sleep(0.02)
        super().step(i)


def wear_out(folder: Path) -> None:
    """ST2: all end with the same K, and the rate is that of the whole time."""
    from mdapp.stress.bulk import Hard

    meeting = Meeting(WORLD)
    compile_pattern()
    if WORLD.rank == 0:
        (folder / "hard").mkdir(parents=True)
    WORLD.Barrier()
    layout = Hard(folder, WORLD.size, 60)
    phase = measure(meeting, Slow(layout, 1, WORLD.rank), 60, 0.1)
    fewest, _, most = phase.deadline_counts
    assert fewest < most == phase.count, phase.deadline_counts
    assert phase.total == WORLD.size * phase.count * RECORD
    assert layout.path(0).stat().st_size == phase.total
    assert phase.seconds > 0.1 + 0.02 * (most - fewest) * 0.9
    assert phase.rate < phase.deadline_rate or phase.stopped_at == "cap"
    print("equal")


def refused(folder: Path) -> None:
    """A write that fails on the last rank alone: all hear of it, and the run goes on."""
    real, armed = os.pwrite, [False]

    def fail(fd: int, data: memoryview, offset: int) -> int:
        if armed[0] and WORLD.rank == WORLD.size - 1:
            raise OSError(28, os.strerror(28))
        return real(fd, data, offset)

    def arm(name: str) -> None:
        armed[0] = name == "hard-write"

    os.pwrite = fail
    session = run_profile(WORLD, "smoke", folder, before=arm, **{"phases": IO500, **POSIX})
    assert session.exit_code == 4
    assert [p.name for p in session.phases if p.errors] == ["hard-write"]
    print("told")


if __name__ == "__main__":
    for name in sys.argv[2:]:
        code = run_command(lambda name=name: globals()[name](Path(sys.argv[1]) / name))
        if code:
            sys.exit(code)
