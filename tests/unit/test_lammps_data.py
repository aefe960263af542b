"""LAMMPS data files: what is read, and what every broken one is told."""

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.model.source import BLOCK_ATOMS
from mdapp.structures import LammpsDataSource, open_source
from tests.twins.structure_files import DATA as GOOD


def write(tmp_path, text, name="system.data"):
    path = tmp_path / name
    path.write_text(text)
    return path


def read(path, **options):
    source = LammpsDataSource(path, **options)
    return source, list(source.blocks())


def test_everything_a_file_may_say(tmp_path):
    source, (block,) = read(write(tmp_path, GOOD))
    assert source.natoms == 3 and source.species == ("Si", "C")
    assert source.mass.tolist() == [28.06, 12.01]
    assert source.box.lo.tolist() == [-1, 0, 0] and source.box.hi.tolist() == [4, 5, 6]
    assert block.id.tolist() == [2, 1, 7] and block.type.tolist() == [0, 1, 0]
    assert block.x.tolist() == [[0.5, 0.25, 0.125], [1.5, 1.25, 1.125], [-0.5, 4.75, 5.5]]
    assert block.image.tolist() == [[0, 0, 0], [0, 1, -1], [1, -1, 0]]
    assert block.v.tolist() == [[0.1, 0.2, 0.3], [-1, -2, -3], [0.001, 25.0, 0.5]]


def test_sections_and_velocities_in_any_order(tmp_path):
    head, masses, atoms, velocities = (
        GOOD[:GOOD.index("Masses")], GOOD[GOOD.index("Masses"):GOOD.index("Atoms")],
        GOOD[GOOD.index("Atoms"):GOOD.index("Velocities")], GOOD[GOOD.index("Velocities"):])
    lines = velocities.splitlines()
    shuffled = "\n".join([*lines[:2], lines[4], lines[2], lines[3]]) + "\n\n"
    _, (expected,) = read(write(tmp_path, GOOD))
    _, (block,) = read(write(tmp_path, head + shuffled + atoms + masses))
    assert (block.v == expected.v).all() and (block.x == expected.x).all()


def test_open_axes_keep_their_atoms_where_they_are(tmp_path):
    _, (block,) = read(write(tmp_path, GOOD), boundary=(False, True, True))
    assert block.x[2].tolist() == [4.5, 4.75, 5.5]


def test_tilted_box(tmp_path):
    text = GOOD.replace("zlo zhi", "zlo zhi\n0.5 0.25 -0.75 xy xz yz")
    source, (block,) = read(write(tmp_path, text))
    assert source.box.edges.tolist() == [[5, 0, 0], [0.5, 5, 0], [0.25, -0.75, 6]]
    s = source.box.fractional(block.x)
    assert (s >= 0).all() and (s < 1).all()
    unwrapped = block.x + block.image @ source.box.edges
    assert unwrapped[2] == pytest.approx([4.5, -0.25, 5.5])


@pytest.mark.parametrize("x, inside", [(6.0, 0.0), (-1e-20, 0.0), (5.999999999999999, None)])
def test_faces(tmp_path, x, inside):
    """LAMMPS's rule: lo <= x < hi, and what rounds onto the upper face goes to the lower one."""
    _, (block,) = read(write(tmp_path, GOOD.replace("0.125 0 0 0", f"{x!r} 0 0 0")))
    assert block.x[0, 2] == (x if inside is None else inside)


def test_masses_of_the_deck_go_first_and_lj_needs_none(tmp_path):
    assert read(write(tmp_path, GOOD), masses=[1.0, 2.0])[0].mass.tolist() == [1.0, 2.0]
    start, end = GOOD.index("Masses"), GOOD.index("Atoms ")
    bare = write(tmp_path, GOOD[:start] + GOOD[end:])
    assert read(bare)[0].mass.tolist() == [1.0, 1.0]
    assert read(bare, species=["Si", "C"], units="metal")[0].mass.tolist() == [28.085, 12.011]
    with pytest.raises(InputError, match="no masses"):
        read(bare, units="metal")


@pytest.mark.parametrize("shuffled", [False, True])
def test_many_atoms_come_in_bounded_blocks(tmp_path, shuffled):
    n = 150_000
    rng = np.random.default_rng(2)
    x, ids = rng.uniform(0, 1, (n, 3)), rng.permutation(n) + 1
    other = rng.permutation(n) if shuffled else np.arange(n)
    path = tmp_path / "big.data"
    with path.open("w") as f:
        f.write(f"t\n\n{n} atoms\n1 atom types\n")
        f.write("0 1 xlo xhi\n0 1 ylo yhi\n0 1 zlo zhi\n")
        f.write("\nAtoms\n\n")
        f.writelines(f"{i} 1 {a!r} {b!r} {c!r}\n"
                     for i, (a, b, c) in zip(ids.tolist(), x.tolist(), strict=True))
        f.write("\nVelocities\n\n")
        f.writelines(f"{ids[k]} {ids[k]} 0 -1\n" for k in other)
    source, blocks = read(path)
    assert max(map(len, blocks)) <= BLOCK_ATOMS and source.natoms == n
    assert (np.concatenate([b.x for b in blocks]) == x).all()
    assert (np.concatenate([b.id for b in blocks]) == ids).all()
    assert (np.concatenate([b.v[:, 0] for b in blocks]) == ids).all()


def test_a_file_may_have_no_atoms(tmp_path):
    head = GOOD[:GOOD.index("Masses")].replace("3 atoms", "0 atoms")
    source, blocks = read(write(tmp_path, head))
    assert source.natoms == 0 and blocks == []


@pytest.mark.parametrize("old, new, words", [
    ("3 atoms", "4 atoms", [":16:", "'Atoms' has 3 lines", "4", "truncated"]),
    ("3 atoms", "2 atoms", [":16:", "3 lines", "asks for 2"]),
    ("3 atoms\n", "", ["no line 'atoms'"]),
    ("3 atoms", "3 atms", [":4:", "'3 atms'", "nearest match 'atoms'"]),
    ("3 atoms", "-3 atoms", [":4:", "whole number", "'-3'"]),
    ("3 atoms", "3.5 atoms", [":4:", "whole number"]),
    ("2 atom types", "0 atom types", ["at least 1"]),
    ("2 atom types", "1 atom types", ["'Masses' has 2 lines"]),
    ("0 bonds", "5 bonds", [":6:", "5 bonds", "atomic"]),
    ("-1.0 4.0 xlo xhi", "4.0 -1.0 xlo xhi", ["xlo xhi", "below"]),
    ("-1.0 4.0 xlo xhi", "-1.0 nan xlo xhi", [":7:", "'-1.0"]),
    ("-1.0 4.0 xlo xhi\n", "", ["no line 'xlo xhi'"]),
    ("-1.0 4.0 xlo xhi", "-1.0 4.0 xlo xhi\n0 4 xlo xhi", [":8:", "twice"]),
    ("# atomic", "# full", [":16:", "'full'", "atom_style atomic"]),
    ("2 1 0.5 0.25 0.125 0 0 0", "2 1 0.5 0.25 0.125", [":19:", "8 columns, expected 5"]),
    ("2 1 0.5 0.25 0.125 0 0 0", "2 1 0.5 0.25", [":18:", "4 columns", "5"]),
    ("1 2 1.5", "1 2 1.5.5", [":19:", "'1.5.5'", "column 3", "number"]),
    ("1 2 1.5", "1 2 nan", [":19:", "'nan'", "finite"]),
    ("1 2 1.5", "1 2 1e999", [":19:", "overflows"]),
    ("1 2 1.5", "1.0 2 1.5", [":19:", "'1.0'", "integer"]),
    ("1 2 1.5", "1 3 1.5", [":19:", "type 3", "1 to 2"]),
    ("1 2 1.5", "1 0 1.5", [":19:", "type 0"]),
    ("1 2 1.5", "0 2 1.5", [":19:", "id 0"]),
    ("1 2 1.5", "7 2 1.5", [":20:", "id 7", "twice"]),
    ("0 1 -1", "0 1 -1000000000", [":19:", "image flag -1000000000"]),
    ("1 2 1.5", "1 2 1e12", ["box edges", "units"]),
    ("1 28.06", "1 -28.06", [":13:", "-28.06", "positive"]),
    ("1 28.06", "2 28.06", [":14:", "type 2"]),
    ("7 1e-3", "8 1e-3", ["id 7", "Velocities"]),
    ("7 1e-3 2.5E+1 .5\n", "", ["'Velocities' has 2 lines", "truncated"]),
    ("Velocities", "Velocites", ["unknown section", "nearest match 'Velocities'"]),
    ("Velocities", "Bonds", ["'Bonds' is not supported", "nocoeff"]),
    ("Masses", "Pair Coeffs", ["'Pair Coeffs' is not supported"]),
    ("Velocities", "Atoms", ["'Atoms' appears twice"]),
])
def test_broken_files(tmp_path, old, new, words):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(InputError) as error:
        read(path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message
    assert all(word in message for word in words), message


def test_ids_far_above_the_count_are_checked_too(tmp_path):
    far = GOOD.replace("\n7 ", "\n9000000000 ")
    assert read(write(tmp_path, far))[1][0].id.tolist() == [2, 1, 9_000_000_000]
    with pytest.raises(InputError, match="9000000000 appears twice"):
        read(write(tmp_path, far.replace("\n1 2 1.5", "\n9000000000 2 1.5")))


def test_missing_and_unreadable_files(tmp_path):
    write(tmp_path, GOOD, "silicon.data")
    with pytest.raises(InputError, match=r"no such file, nearest match 'silicon\.data'"):
        open_source(tmp_path / "silicn.data")
    with pytest.raises(InputError, match="directory"):
        open_source(tmp_path)
    with pytest.raises(InputError, match="not text"):
        binary = tmp_path / "x.data"
        binary.write_bytes(b"title\n\xff\xfe\x00\n")
        open_source(binary)
