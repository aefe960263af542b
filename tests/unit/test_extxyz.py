"""Extended XYZ read and written, and what every broken file is told."""

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.model.box import Box
from mdapp.structures import ExtxyzSource, FrameWriter, open_source
from tests.twins.structure_files import XYZ as GOOD


def write(tmp_path, text, name="a.extxyz"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_frames(tmp_path):
    path = write(tmp_path, GOOD + "\n\n")
    first = ExtxyzSource(path, index=0, units="metal")
    block, = first.blocks()
    assert first.species == ("C", "Si") and first.mass.tolist() == [12.011, 28.085]
    assert first.box.periodic.tolist() == [True, True, False]
    assert block.x[:, 2].tolist() == [6.5, 1.3575] and block.v is None
    assert block.x[1, 0] == pytest.approx(1.0) and block.image[1].tolist() == [1, 0, 0]
    last = ExtxyzSource(path, units="metal")
    block, = last.blocks()
    assert last.species == ("Si", "O") and block.type.tolist() == [0, 1, 0]
    assert block.id.tolist() == [7, 5, 6] and block.v[1].tolist() == [4, 5, 6]
    assert last.box.edges[1].tolist() == [1, 4, 0] and last.box.periodic.all()
    assert ExtxyzSource(path, index=-2).natoms == 2


def test_the_order_of_species_can_be_given(tmp_path):
    source = ExtxyzSource(write(tmp_path, GOOD), species=["O", "C", "Si"], units="metal")
    assert next(source.blocks()).type.tolist() == [2, 0, 2]
    with pytest.raises(InputError, match=r":7: species 'Si' is none of O, S, nearest match 'S'"):
        list(ExtxyzSource(write(tmp_path, GOOD), species=["O", "S"], units="metal").blocks())


def test_plain_xyz_gets_an_open_box_around_its_atoms(tmp_path):
    source = open_source(write(tmp_path, "2\nwater = wet\nO 0 0 0\nH 1 2 3\n", "a.xyz"))
    assert not source.box.periodic.any()
    assert source.box.lo.tolist() == [-1, -1, -1] and source.box.hi.tolist() == [2, 3, 4]
    with pytest.raises(InputError, match="Lattice"):
        open_source(tmp_path / "a.xyz", boundary=(True, True, True))


@pytest.mark.parametrize("old, new, words", [
    ("3\nLattice", "4\nLattice", [":5:", "4 atoms", "after 3", "truncated"]),
    ("3\nLattice", "x\nLattice", [":5:", "'x'", "number of atoms"]),
    ("7 Si 0 0 0", "7 Si 0 0", [":7:", "columns, expected 11"]),
    ("7 Si 0 0 0", "7 Si 0 0 nan", [":7:", "'nan'", "finite"]),
    ("7 Si 0 0 0", "7 Si 0 0 1e999", [":7:", "overflows"]),
    ("7 Si 0 0 0", "a Si 0 0 0", [":7:", "'a'", "integer"]),
    ("7 Si 0 0 0", "5 Si 0 0 0", [":8:", "id 5", "twice"]),
    ("7 Si 0 0 0", "7 Silicon14 0 0 0", [":7:", "Silicon14", "8 characters"]),
    ("7 Si 0 0 0", "7 Sx 0 0 0", ["'Sx'"]),
    ("pos:R:3:velo", "pos:R:2:velo", [":6:", "pos:R:2", "pos:R:3"]),
    ("pos:R:3:velo", "pso:R:3:velo", [":6:", "pos:R:3"]),
    ("velo:R:3", "vel:R:3", [":6:", "'vel'", "velo"]),
    ("velo:R:3", "velo:R", [":6:", "triples"]),
    ("velo:R:3", "velo:Q:3", [":6:", "'Q'", "S, I, R or L"]),
    ('Lattice="4 0 0 1 4 0 0 0 4"', 'Lattice="4 0 0 1 4 0 0 0"', [":6:", "nine"]),
    ('Lattice="4 0 0 1 4 0 0 0 4"', 'Lattice="4 0 0 4 0 0 0 0 4"', [":6:", "volume"]),
    ('Lattice="4 0 0 1 4 0 0 0 4"', 'Lattice="4 0 0 1 4 0 0 0 inf"', [":6:", "nine finite"]),
    ('note="a', 'pbc="T T" note="a', [":6:", "pbc"]),
])
def test_broken_files(tmp_path, old, new, words):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(InputError) as error:
        list(ExtxyzSource(path, units="metal").blocks())
    message = str(error.value)
    assert "\n" not in message and all(word in message for word in words), message


@pytest.mark.parametrize("index", [2, -3])
def test_no_such_frame(tmp_path, index):
    with pytest.raises(InputError, match=f"no frame {index}; the file has 2"):
        ExtxyzSource(write(tmp_path, GOOD), index=index)


def test_a_count_that_cannot_be_true(tmp_path):
    path = write(tmp_path, GOOD.replace("2\nL", "999999999999999\nL", 1))
    with pytest.raises(InputError, match=r":5: 1 columns, expected 5"):
        list(ExtxyzSource(path, index=0).blocks())


def test_empty_file(tmp_path):
    with pytest.raises(InputError, match="empty"):
        ExtxyzSource(write(tmp_path, "\n"))


BOX = Box.orthogonal([-1, 0, 0], [4, 5, 6], [True, True, False])
PIECES = [{"id": np.array([1, 2]), "type": np.array([1, 0], np.int32),
           "x": np.array([[0.1, 0.2, 0.3], [1, 2, 3]]), "v": np.array([[1, 2, 3], [4, 5, 6.5]]),
           "f": np.array([[-1, 0, 1e-9], [0, 0, 0]])},
          {"id": np.array([9]), "type": np.array([1], np.int32),
           "x": np.array([[3.5, 4.5, 7.123456789]]), "v": np.array([[0, 0, 1 / 3]]),
           "f": np.array([[1, 1, 1.0]])}]


def written(path, **options):
    writer = FrameWriter(path, "extxyz", **{
        "columns": ["id", "velo", "forces"], "species": ["Si", "C"],
        "mass": np.array([28.0, 12.0]), **options})
    writer.write(100, 0.5, BOX, 3, iter(PIECES))
    writer.close()
    return path


def test_what_is_written_is_read_back(tmp_path):
    source = ExtxyzSource(written(tmp_path / "t.extxyz"), species=["Si", "C"], units="metal",
                          boundary=(True, True, False))
    block, = source.blocks()
    assert source.box.periodic.tolist() == [True, True, False]
    assert block.id.tolist() == [1, 2, 9] and block.type.tolist() == [1, 0, 1]
    assert (block.x == np.concatenate([p["x"] for p in PIECES])).all()
    assert block.v == pytest.approx(np.concatenate([p["v"] for p in PIECES]), rel=1e-9)


def test_ase_reads_what_is_written(tmp_path):
    ase_io = pytest.importorskip("ase.io")
    frames = ase_io.read(written(tmp_path / "t.extxyz"), index=":")
    assert len(frames) == 1 and frames[0].get_chemical_symbols() == ["C", "Si", "C"]
    assert frames[0].info["step"] == 100 and frames[0].info["time"] == 0.5
    assert frames[0].arrays["id"].tolist() == [1, 2, 9]
    assert (frames[0].get_forces() == np.concatenate([p["f"] for p in PIECES])).all()
    assert frames[0].cell.lengths().tolist() == [5, 5, 6]
    assert frames[0].pbc.tolist() == [True, True, False]


def test_types_without_symbols(tmp_path):
    path = written(tmp_path / "t.extxyz", species=["1", "2"])
    assert path.read_text().splitlines()[2].split()[0] == "X"
    ase_io = pytest.importorskip("ase.io")
    assert ase_io.read(path).arrays["type"].tolist() == [2, 1, 2]


@pytest.mark.parametrize("name, extension", [("POSCAR", None), ("a.cif", None)])
def test_formats_of_ase(tmp_path, name, extension):
    build, ase_io = pytest.importorskip("ase.build"), pytest.importorskip("ase.io")
    atoms = build.bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    ase_io.write(tmp_path / name, atoms)
    source = open_source(tmp_path / name, units="metal")
    block, = source.blocks()
    assert source.natoms == 8 and set(source.species) == {"Na", "Cl"}
    assert block.x == pytest.approx(atoms.positions) and source.box.periodic.all()


def test_momenta_of_ase_keep_their_kinetic_energy(tmp_path):
    """In eV on both sides; the constants differ in the 8th digit (LAMMPS's metal, CODATA 2014)."""
    build, ase_io = pytest.importorskip("ase.build"), pytest.importorskip("ase.io")
    from mdapp.model.units import UNITS
    atoms = build.bulk("Cu", cubic=True)
    atoms.set_momenta(np.random.default_rng(4).normal(size=(4, 3)))
    ase_io.write(tmp_path / "m.extxyz", atoms)
    source = open_source(tmp_path / "m.extxyz", units="metal")
    block, = source.blocks()
    kinetic = 0.5 * UNITS["metal"].mvv2e * (source.mass[0] * block.v**2).sum()
    assert kinetic == pytest.approx(atoms.get_kinetic_energy(), rel=1e-6)


def test_garbage_is_told_what_formats_there_are(tmp_path):
    with pytest.raises(InputError, match=r"neither LAMMPS data nor extended XYZ|mdapp\[ase\]"):
        open_source(write(tmp_path, "what is this\n", "a.thing"))
