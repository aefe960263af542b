"""Dumps against LAMMPS's own text, and what happens to files when a run does not end well."""

from pathlib import Path

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.structures import FrameWriter

# Four atoms after 100 steps of LAMMPS 22Jul2025 (units metal, lattice custom 3.0 with basis
# 0.1 0.2 0.3 and 0.6 0.7 0.8, 1 x 1 x 2 cells, lj/cut 2.5), and what its dumps say of them.
X = [[0.32241642548278393, 0.3505594209701388, 1.081758693852832],
     [1.7914461280542222, 2.291284628570796, 1.8802858218936545],
     [0.3304302920644278, 0.3776371174557676, 3.7983445138656537],
     [1.685083522705578, 3.0110305364391188, 5.732562137425195]]
V = [[-2.337836438131597, -0.9668746088451485, 3.5191323895250672],
     [0.8586324437389072, 0.46158633253884107, -4.192178083883211],
     [0.40639614106346783, -2.276374758453795, -0.8751437139092221],
     [3.6539582919589977, 7.1158972017166375, -1.985200953400759]]
F = [[-0.15699650511222446, 0.16425756563049382, 0.05301007032277358],
     [0.03727724107740622, -0.12592679401163362, 0.09286425307463925],
     [0.006117814550273436, -0.0016556495971357427, 0.008735213155035467],
     [0.11360144948454479, -0.03667512202172445, -0.1546095365524483]]
ATOMS = {"id": np.arange(1, 5), "type": np.array([0, 1, 0, 1], np.int32), "x": np.array(X),
         "v": np.array(V), "f": np.array(F), "image": np.zeros((4, 3), np.int32)}
BOX = Box.orthogonal([0, 0, 0], [3, 3, 6])
HEAD = """\
ITEM: TIMESTEP
100
ITEM: NUMBER OF ATOMS
4
ITEM: BOX BOUNDS pp pp pp
0.0000000000000000e+00 3.0000000000000000e+00
0.0000000000000000e+00 3.0000000000000000e+00
0.0000000000000000e+00 6.0000000000000000e+00
"""
ATOM = HEAD + """\
ITEM: ATOMS id type xs ys zs
1 1 0.107472 0.116853 0.180293
2 2 0.597149 0.763762 0.313381
3 1 0.110143 0.125879 0.633057
4 2 0.561695 1.00368 0.955427
"""
COLUMNS = "id type element mass x y z xs ys zs xu yu zu ix iy iz vx vy vz fx fy fz"
CUSTOM = HEAD + f"ITEM: ATOMS {COLUMNS}\n" + """\
1 1 Si 28.06 0.322416 0.350559 1.08176 0.107472 0.116853 0.180293 0.322416 0.350559 1.08176 \
0 0 0 -2.33784 -0.966875 3.51913 -0.156997 0.164258 0.0530101
2 2 C 12.01 1.79145 2.29128 1.88029 0.597149 0.763762 0.313381 1.79145 2.29128 1.88029 \
0 0 0 0.858632 0.461586 -4.19218 0.0372772 -0.125927 0.0928643
3 1 Si 28.06 0.33043 0.377637 3.79834 0.110143 0.125879 0.633057 0.33043 0.377637 3.79834 \
0 0 0 0.406396 -2.27637 -0.875144 0.00611781 -0.00165565 0.00873521
4 2 C 12.01 1.68508 3.01103 5.73256 0.561695 1.00368 0.955427 1.68508 3.01103 5.73256 \
0 0 0 3.65396 7.1159 -1.9852 0.113601 -0.0366751 -0.15461
"""


def writer(path, kind="atom", columns=None, **options):
    return FrameWriter(path, kind, columns, species=["Si", "C"], mass=np.array([28.06, 12.01]),
                       **options)


def write(w, *steps, atoms=ATOMS):
    for step in steps:
        w.write(step, step * 0.001, BOX, 4, iter([atoms]))


@pytest.mark.parametrize("kind, columns, expected", [
    ("atom", None, ATOM), ("custom", COLUMNS.split(), CUSTOM)])
def test_the_text_is_that_of_lammps(tmp_path, kind, columns, expected):
    w = writer(tmp_path / "d", kind, columns)
    write(w, 100)
    w.close()
    assert (tmp_path / "d").read_text() == expected


def test_needs_names_the_arrays_of_the_columns(tmp_path):
    assert writer(tmp_path / "d").needs == {"id", "type", "x"}
    assert writer(tmp_path / "d", "custom", ["xu", "vx"]).needs == {"x", "image", "v"}


def test_unwrapped_coordinates_use_the_images(tmp_path):
    w = writer(tmp_path / "d", "custom", ["xu", "zu", "ix", "iz"])
    write(w, 0, atoms={**ATOMS, "image": np.array([[2, 0, -1]] * 4, np.int32)})
    first = (tmp_path / "d").read_text().splitlines()[9].split()
    assert [float(w) for w in first] == pytest.approx([6.322416, -4.91824, 2, -1], rel=1e-6)


def test_pieces_make_one_frame_and_many_rows_are_fast(tmp_path):
    n = 50_000
    arrays = {"id": np.arange(1, n + 1), "type": np.zeros(n, np.int32),
              "x": np.random.default_rng(6).uniform(0, 3, (n, 3))}
    w = writer(tmp_path / "d", "custom", ["id", "x", "y", "z"])
    pieces = ({k: a[i:i + 7001] for k, a in arrays.items()} for i in range(0, n, 7001))
    w.write(0, 0.0, BOX, n, pieces)
    rows = np.loadtxt(tmp_path / "d", skiprows=9)
    assert (rows[:, 0] == arrays["id"]).all()
    assert rows[:, 1:] == pytest.approx(arrays["x"], abs=5e-6)


def test_ase_reads_frames_and_tilted_boxes(tmp_path):
    ase_io = pytest.importorskip("ase.io")
    box = Box.from_vectors([[4, 0, 0], [-1, 5, 0], [0.5, 0.25, 6]])
    w = writer(tmp_path / "d.lammpstrj", "custom", ["id", "type", "xu", "yu", "zu"])
    w.write(0, 0.0, box, 4, [ATOMS])
    w.write(10, 0.0, BOX, 4, [ATOMS])
    frames = ase_io.read(tmp_path / "d.lammpstrj", index=":", format="lammps-dump-text")
    assert len(frames) == 2
    assert frames[0].cell[:] == pytest.approx(box.edges)
    assert frames[0].positions == pytest.approx(np.array(X), abs=1e-5)


def test_a_star_makes_a_file_for_each_step(tmp_path):
    w = writer(tmp_path / "d.*.txt")
    write(w, 0, 50)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["d.0.txt", "d.50.txt"]
    assert (tmp_path / "d.50.txt").read_text() == ATOM.replace("\n100\n", "\n50\n")


@pytest.mark.parametrize("kind", ["atom", "extxyz"])
def test_appending_goes_on_at_the_end(tmp_path, kind):
    straight = writer(tmp_path / "reference", kind)
    write(straight, 0, 100, 200)
    for steps in ((0,), (100, 200)):
        part = writer(tmp_path / "d", kind, append=steps != (0,))
        write(part, *steps)
        part.close()
    assert (tmp_path / "d").read_text() == (tmp_path / "reference").read_text()


def test_a_full_disk_names_the_file_and_the_fix():
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is how Linux stands in for a full disk; there is none here")
    with pytest.raises(InputError, match=r"/dev/full.*No space left.*free some space"):
        write(writer("/dev/full"), 100)


def test_a_frame_that_fails_half_way_is_taken_back(tmp_path):
    """The second write of the second frame meets a full disk."""
    w = writer(tmp_path / "d")
    write(w, 100)
    def pieces():
        yield ATOMS
        raise OSError(28, "No space left on device")
    with pytest.raises(InputError, match="frame of step 200 cannot be written"):
        w.write(200, 0.2, BOX, 8, pieces())
    assert (tmp_path / "d").read_text() == ATOM
    write(w, 100)
    assert (tmp_path / "d").read_text() == ATOM * 2


def test_a_wrong_count_is_a_defect_not_a_frame(tmp_path):
    w = writer(tmp_path / "d")
    with pytest.raises(ValueError, match="4 atoms in the pieces, 5"):
        w.write(0, 0.0, BOX, 5, [ATOMS])
    assert (tmp_path / "d").read_text() == ""


@pytest.mark.parametrize("arguments, words", [
    (("d", "atoms"), ["kind", "'atoms'", "nearest match 'atom'"]),
    (("d", "custom"), ["columns", "list"]),
    (("d", "custom", []), ["empty"]),
    (("d", "custom", ["id", "vxx"]), ["'vxx'", "nearest match 'vx'"]),
    (("d", "atom", ["id"]), ["custom"]),
    (("d", "extxyz", ["force"]), ["'force'", "nearest match 'forces'"]),
    (("d.gz", "atom"), ["compressed"]),
    (("missing/d", "atom"), ["No such file", "make the directory"]),
    ((".", "atom"), ["directory"]),
])
def test_bad_requests(tmp_path, arguments, words):
    name, *rest = arguments
    with pytest.raises(InputError) as error:
        writer(tmp_path / name, *rest)
    assert all(word in str(error.value) for word in words), str(error.value)
