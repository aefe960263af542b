"""H5MD files: their form, what is in them, and what is left when a run does not end well."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from mpi4py import MPI

from mdapp.deck import load_deck
from mdapp.deck.schema import Output
from mdapp.errors import InputError, RunError
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.storage.files import FileSystem
from mdapp.storage.h5md import layout, slabs
from mdapp.storage.h5md.layout import Place
from mdapp.storage.h5md.slabs import IdSlabs, slab_cuts
from mdapp.storage.h5md.writer import Contents, TrajectoryWriter
from mdapp.trajectory import KJ_MOL, Outputs, h5md_fields
from tests.twins.h5md_readers import complaints

ROOT = Path(__file__).resolve().parents[2]
COMM = MPI.COMM_SELF
N = 50
DECK = """units = "lj"
[system]
lattice = "fcc"
density = 0.8
cells = [2, 2, 2]
[potential]
style = "lj/cut"
[run]
steps = 10
"""
FORCES = ("position", "velocity", "force", "image")


def box_of(step: int) -> Box:
    return Box.orthogonal([0, 0, 0], [4 + step, 5, 6], [True, True, False])


def atoms_of(step: int, n: int = N) -> Atoms:
    """Atoms in no order, whose numbers tell their id and step."""
    ids = 3 * np.random.default_rng(7).permutation(n) + 11
    x = (ids[:, None] + step / 64 + np.array([0, 0.25, 0.5])).astype(float)
    return Atoms(np.array([28.0, 12.0]), x=x, v=-x, f=2 * x, id=ids, type=(ids % 2).astype("i4"),
                 image=np.full((n, 3), step, "i4"), nlocal=n)


def write(folder: Path, steps, *, close: bool = True, units: str = "metal", after=None,
          last=None, **keys) -> Outputs:
    output = Output(kind="h5md", every=1, file="t.h5md", **keys)
    made = Outputs(COMM, [output], folder, ("Si", "C"), np.array([28.0, 12.0]), units=units,
                   append_after=after, last_step=last)
    for step in steps:
        made.write(step, step * 0.5, box_of(step), atoms_of(step))
    if close:
        made.close()
    return made


def check(path: Path, steps) -> None:
    """The frames in the file are those of `steps`, in the order of ids."""
    with h5py.File(path) as file:
        group = file["particles/trajectory"]
        assert group["position/step"][:].tolist() == list(steps)
        assert group["velocity/time"][:].tolist() == [0.5 * s for s in steps]
        for k, step in enumerate(steps):
            atoms = atoms_of(step)
            order = np.argsort(atoms.id)
            for name, array in (("position", atoms.x), ("velocity", atoms.v)):
                assert (group[name]["value"][k] == array[order].astype("f4")).all(), (name, step)
            assert (group["box/edges/value"][k] == box_of(step).edges).all()


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


@pytest.mark.parametrize("keys", [
    {"units": "lj"}, {"units": "metal"}, {"units": "metal", "profile": "vmd"},
    {"units": "metal", "fields": FORCES, "dtype": "float64"}])
def test_every_reader_takes_it(tmp_path, keys) -> None:
    write(tmp_path, range(3), **keys)
    assert complaints(tmp_path / "t.h5md", units=keys["units"] == "metal",
                      vmd=keys.get("profile") == "vmd") == []


def test_what_is_in_it(tmp_path) -> None:
    write(tmp_path, (0, 2), fields=FORCES, dtype="float64")
    atoms = atoms_of(2)
    order = np.argsort(atoms.id)
    with h5py.File(tmp_path / "t.h5md") as file:
        group = file["particles/trajectory"]
        assert (group["position/value"][1] == atoms.x[order]).all()
        assert np.allclose(group["force/value"][1], KJ_MOL * atoms.f[order], rtol=1e-15)
        assert (group["image/value"][1] == 2).all()
        assert (group["id"][:] == atoms.id[order]).all()
        assert (group["species"][:] == atoms.type[order] + 1).all()
        assert (group["mass"][:] == atoms.mass[atoms.type[order]]).all()
        assert group["box"].attrs["boundary"].tolist() == ["periodic", "periodic", "none"]


BREAKING = {
    "UTF-8": lambda g: g["position/value"].attrs.create("unit", np.bytes_("Angstrom")),
    "has the unit 'eV": lambda g: g["position/value"].attrs.create("unit", "eV A-1"),
    "not linked": lambda g: (g["velocity"].pop("step"),
                             g["velocity"].create_dataset("step", data=[0, 1, 2])),
    "edges have": lambda g: (g["box/edges"].pop("value"),
                             g["box/edges"].create_dataset("value", data=np.ones((3, 3)))),
    "steps do not grow": lambda g: g["position/step"].write_direct(np.array([0, 0, 1])),
    "needs one group": lambda g: g.parent.create_group("all"),
    "id is handled wrongly": lambda g: g.create_dataset("id", data=[1]),
}


@pytest.mark.parametrize("expected", BREAKING)
def test_the_checker_sees_a_bad_file(tmp_path, expected: str) -> None:
    write(tmp_path, range(3), profile="vmd")
    with h5py.File(tmp_path / "t.h5md", "r+") as file:
        BREAKING[expected](file["particles/trajectory"])
    found = complaints(tmp_path / "t.h5md", units=True, vmd=True)
    assert any(expected in complaint for complaint in found), found


def test_parts(tmp_path) -> None:
    write(tmp_path, range(7), frames_per_part=3)
    assert names(tmp_path) == ["t.0001.h5md", "t.0002.h5md", "t.h5md"]
    check(tmp_path / "t.h5md", (0, 1, 2))
    check(tmp_path / "t.0001.h5md", (3, 4, 5))
    check(tmp_path / "t.0002.h5md", (6,))
    # A part that was closed early holds no room for frames that never came.
    sizes = {name: (tmp_path / name).stat().st_size for name in names(tmp_path)}
    assert sizes["t.0002.h5md"] < sizes["t.h5md"] - 2 * N * 24


def test_a_known_end_gives_the_size_at_once(tmp_path) -> None:
    made = write(tmp_path, range(4), last=3, close=False)
    assert names(tmp_path) == ["t.h5md"]
    check(tmp_path / "t.h5md", range(4))
    made.close()


def test_a_new_run_removes_the_parts_of_an_old_one(tmp_path) -> None:
    write(tmp_path, range(9), frames_per_part=2, close=False)
    (tmp_path / "t.other.h5md").touch()
    write(tmp_path, range(2))
    assert names(tmp_path) == ["t.h5md", "t.other.h5md"]


def test_an_open_part_can_be_read_after_each_frame(tmp_path) -> None:
    made = write(tmp_path, (), close=False)
    for step in range(4):
        made.write(step, step * 0.5, box_of(step), atoms_of(step))
        check(tmp_path / "t.part.h5md", range(step + 1))


def test_a_reader_does_not_disturb_the_run(tmp_path) -> None:
    made = write(tmp_path, range(2), close=False)
    program = "import h5py, sys; f = h5py.File(sys.argv[1]); print(1, flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program, tmp_path / "t.part.h5md"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None and reader.stdout.readline() == "1\n"
        made.write(2, 1.0, box_of(2), atoms_of(2))
        check(tmp_path / "t.part.h5md", range(3))
        reader.communicate("\n", timeout=30)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("after", [-1, 0, 1, 2, 4, 5, 6, 9])
def test_going_on_from_a_step(tmp_path, after: int, closed: bool) -> None:
    write(tmp_path, range(7), frames_per_part=3, close=closed)
    start = min(after, 6)
    write(tmp_path, range(max(start, 0), 10), frames_per_part=3, after=after)
    found = []
    for name in sorted(names(tmp_path), key=lambda n: (n != "t.h5md", n)):
        assert name.endswith(".h5md")
        with h5py.File(tmp_path / name) as file:
            steps = file["particles/trajectory/position/step"][:].tolist()
        check(tmp_path / name, steps)
        found += steps
    assert found == list(range(10))


def test_leftovers_of_a_run_that_died_while_replacing(tmp_path) -> None:
    write(tmp_path, range(2))
    (tmp_path / "t.part.h5md").write_bytes(b"old")
    (tmp_path / "t.0001.h5md.new").write_bytes(b"nothing")
    write(tmp_path, range(1, 3), after=1)
    assert names(tmp_path) == ["t.0001.h5md", "t.h5md"]
    check(tmp_path / "t.0001.h5md", [2])


def test_an_old_part_that_is_none(tmp_path) -> None:
    (tmp_path / "t.h5md").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"t\.h5md: old trajectory cannot be read"):
        write(tmp_path, [5], after=4)


def test_no_folder(tmp_path) -> None:
    with pytest.raises(InputError, match="make the directory"):
        write(tmp_path / "no", [0])


class Faulty(FileSystem):
    """Fails one system call, or all from one on as if the process were dead."""

    def __init__(self, at: int, number: int | None, kinds=("pwrite", "open", "rename", "fsync",
                                                           "ftruncate", "unlink", "close")):
        self.left, self.number, self.kinds = at, number, kinds
        self.hit = False

    def call(self, kind, function, *args, **kwargs):
        if kind in self.kinds:
            self.left -= 1
            if self.left == 0 or (self.left < 0 and self.number is None):
                self.hit = True
                if self.number is None:
                    raise Killed
                raise OSError(self.number, os.strerror(self.number))
        return function(*args, **kwargs)


class Killed(BaseException):
    pass


def writer(folder: Path, fs: FileSystem, after=None, frames: int = 3) -> TrajectoryWriter:
    fields = h5md_fields(Output(kind="h5md", every=1, file="t.h5md"), "metal")
    contents = Contents(fields, "Angstrom", "ps", ("mdapp", "0"), frames)
    return TrajectoryWriter(COMM, folder / "t.h5md", contents, after, fs=fs)


def put(target: TrajectoryWriter, step: int) -> None:
    atoms = atoms_of(step)
    target.write(step, step * 0.5, box_of(step), atoms.id, {
        "position": lambda w: atoms.x[w], "velocity": lambda w: atoms.v[w],
        "id": lambda w: atoms.id[w], "species": lambda w: atoms.type[w] + 1,
        "mass": lambda w: atoms.mass[atoms.type[w]]})


def test_a_full_disk_at_any_write_leaves_the_frames_before(tmp_path) -> None:
    """And when there is room again, the same writer goes on."""
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        fs = Faulty(at, errno.ENOSPC, kinds=("pwrite", "ftruncate"))
        target = writer(folder, fs)
        for step in range(4):
            try:
                put(target, step)
            except InputError as error:
                assert "No space left on device; free some space" in str(error)
                break
        if not fs.hit:
            break
        done = step
        if done % 3:
            check(folder / "t.part.h5md", range(done))
        elif done:
            check(folder / "t.h5md", range(3))
        else:
            assert names(folder) in ([], ["t.h5md.new"])
        for step in range(done, 4):
            put(target, step)
        target.close()
        check(folder / "t.h5md", range(3))
        check(folder / "t.0001.h5md", [3])
    assert at > 20


def test_killed_at_any_call_leaves_whole_frames(tmp_path) -> None:
    at, seen = 0, set()
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        fs = Faulty(at, None)
        done = -1
        try:
            target = writer(folder, fs)
            for step in range(5):
                put(target, step)
                done = step
            target.close()
        except Killed:
            pass
        if not fs.hit:
            break
        found = []
        for name in ("t.h5md", "t.part.h5md", "t.0001.h5md", "t.0001.part.h5md"):
            replaced = ".part" in name and (folder / name.replace(".part", "")).exists()
            if (folder / name).exists() and not replaced:
                with h5py.File(folder / name) as file:
                    steps = file["particles/trajectory/position/step"][:].tolist()
                check(folder / name, steps)
                found += steps
        assert found in (list(range(done + 1)), list(range(done + 2))), (at, found, done)
        seen.add(len(found))
        if at % 3:
            continue
        # The next run takes it from there.
        target = writer(folder, FileSystem(), after=1)
        for step in range(1, 6):
            put(target, step)
        target.close()
        assert not [n for n in names(folder) if n not in ("t.h5md", "t.0001.h5md", "t.0002.h5md")]
    assert seen == {0, 1, 2, 3, 4, 5}


def test_kill_9(tmp_path) -> None:
    """A process that writes as fast as it can, killed at no particular moment."""
    program = (
        "import sys, itertools; from pathlib import Path\n"
        "from tests.unit.test_h5md import write, atoms_of, box_of\n"
        "made = write(Path(sys.argv[1]), (), close=False, frames_per_part=100000)\n"
        "for step in itertools.count():\n"
        "    made.write(step, step * 0.5, box_of(step), atoms_of(step))\n"
        "    print(step, flush=True)\n")
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)],
                               stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    try:
        for _ in range(30):
            last = int(process.stdout.readline())
        time.sleep(0.0371)
    finally:
        process.send_signal(signal.SIGKILL)
        rest = process.communicate(timeout=30)[0].split()
    last = int(rest[-1]) if rest else last
    with h5py.File(tmp_path / "t.part.h5md") as file:
        frames = len(file["particles/trajectory/position/value"])
    assert frames in (last + 1, last + 2)
    check(tmp_path / "t.part.h5md", range(frames))


def test_a_disk_that_is_really_full(tmp_path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk],
                      capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        target = writer(disk, FileSystem(), frames=1000)
        with pytest.raises(InputError, match="No space left on device; free some space"):
            for step in range(1000):
                put(target, step)
        with h5py.File(disk / "t.part.h5md") as file:
            frames = len(file["particles/trajectory/position/value"])
        assert 100 < frames < 1000
        check(disk / "t.part.h5md", range(frames))
        with pytest.raises(InputError, match="No space left on device"):
            writer(disk, FileSystem(), frames=1000, after=frames - 3)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


@pytest.mark.parametrize(("keys", "expected"), [
    ("kind='h5md', file='t.h5'", "kind = h5md needs a name that ends in .h5md"),
    ("kind='h5md', file='t.*.h5md'", "output.0.file"),
    ("kind='h5md', file='t.h5md', fields=['velocity']", "must have position"),
    ("kind='h5md', file='t.h5md', fields=['position', 'position']", "the same field twice"),
    ("kind='h5md', file='t.h5md', fields=['positions']", "output.0.fields.0"),
    ("kind='h5md', file='t.h5md', profile='vmd', fields=['position', 'image']", "VMD takes image"),
    ("kind='h5md', file='t.h5md', dtype='float16'", "output.0.dtype"),
    ("kind='h5md', file='t.h5md', frames_per_part=0", "output.0.frames_per_part"),
    ("kind='h5md', file='t.h5md', columns=['id']", "only with kind = custom"),
    ("kind='atom', file='t', profile='vmd'", "only with kind = h5md, not atom"),
])
def test_a_deck_with_a_mistake(tmp_path, keys: str, expected: str) -> None:
    path = tmp_path / "deck.toml"
    path.write_text(DECK)
    with pytest.raises(InputError) as caught:
        load_deck(path, [f"output=[{{every=1, {keys}}}]"])
    assert expected in str(caught.value)


def test_a_deck_that_says_all(tmp_path) -> None:
    path = tmp_path / "deck.toml"
    path.write_text(DECK + """[[output]]
kind = "h5md"
every = 5
file = "t.h5md"
fields = ["position", "force"]
dtype = "float64"
profile = "vmd"
frames_per_part = 10
""")
    deck = load_deck(path)
    path.write_text(deck.to_toml())
    assert load_deck(path) == deck
    assert [f.name for f in h5md_fields(deck.output[0], "lj")] == [
        "position", "force", "species", "mass"]


def test_lost_atoms(tmp_path) -> None:
    made = write(tmp_path, [0], close=False)
    with pytest.raises(RunError, match="49 atoms, those before have 50"):
        made.write(1, 0.5, box_of(1), atoms_of(1, N - 1))


def test_chunks_of_large_systems(tmp_path, monkeypatch) -> None:
    """Several chunks of atoms, each frame of which begins a page."""
    monkeypatch.setattr(layout, "SPREAD", 16)
    monkeypatch.setattr(slabs, "GRAIN", 16)
    monkeypatch.setattr(layout, "GRAIN", 16)
    monkeypatch.setattr(layout, "CHUNK_BYTES", 16 * 12 * 8)
    write(tmp_path, range(4), frames_per_part=8)
    check(tmp_path / "t.h5md", range(4))
    with h5py.File(tmp_path / "t.h5md") as file:
        assert file["particles/trajectory/position/value"].chunks == (4, 32, 3)
        assert file["particles/trajectory/position/value"].id.get_num_chunks() == 2


def test_spans() -> None:
    place = Place(np.array([1000, 5000]), 4, 10)
    assert list(place.spans(2, 3, 3)) == [(1000 + 11 * 10, slice(0, 1)), (5000 + 80, slice(1, 3))]


@pytest.mark.parametrize(("natoms", "writers", "expected"), [
    (5000, 2, [0, 2048, 5000, 5000]), (5000, 1, [0, 5000, 5000, 5000]), (0, 3, [0, 0, 0, 0]),
    (1024, 3, [0, 0, 0, 1024])])
def test_slabs_start_at_grains(natoms: int, writers: int, expected: list[int]) -> None:
    assert slab_cuts(natoms, writers, 3).tolist() == expected


@pytest.mark.parametrize("piece", [7, 1000])
@pytest.mark.parametrize("ids", [[], [5], [3, 1, 2], [10**15, 4, 1], list(range(100, 0, -3))])
def test_rows_are_counted(ids: list[int], piece: int) -> None:
    mine = np.array(ids, np.int64)
    found, rows = [], []
    for first, values in IdSlabs(COMM, mine, piece=piece).pieces(
            mine, {"id": lambda w: mine[w]}, {"id": np.dtype("i8")}):
        found += values["id"].tolist()
        rows += range(first, first + len(values["id"]))
        assert len(values["id"]) <= piece
    assert found == sorted(ids)
    assert rows == list(range(len(ids)))
