"""Charges of atoms: read, carried along, hashed, stored, written, given, and missed."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from mpi4py import MPI

from mdapp.cli.main import invoke
from mdapp.deck import build_deck
from mdapp.deck.schema import Output
from mdapp.errors import InputError
from mdapp.lammps_script import load_script
from mdapp.model.atoms import PER_ATOM, Atoms
from mdapp.model.state_hash import state_hash
from mdapp.parallel.grid import RankGrid
from mdapp.parallel.halo import Halo
from mdapp.parallel.migrate import append, remove, take
from mdapp.simulation import Simulation
from mdapp.storage.options import CheckpointOptions
from mdapp.storage.store import CheckpointStore
from mdapp.structures import ExtxyzSource, LammpsDataSource, open_source
from mdapp.trajectory import Outputs
from tests.restart.stored import changed, make_state, owner_of, quick_folder
from tests.twins.systems import SYSTEMS
from tests.unit.test_extxyz import GOOD as FRAMES
from tests.unit.test_halo import atoms_of
from tests.unit.test_lammps_data import GOOD as DATA

COMM = MPI.COMM_SELF
CHARGED = DATA.replace("# atomic", "# charge")
for line, charge in (("2 1", "0.5"), ("1 2", "-1.25"), ("7 1", "3e-1")):
    CHARGED = CHARGED.replace(f"\n{line} ", f"\n{line} {charge} ")


def charged(x: np.ndarray) -> Atoms:
    """Atoms whose charge is half of their id."""
    atoms = atoms_of(x)
    atoms.charge()
    assert atoms.q is not None
    atoms.q[: atoms.nlocal] = atoms.id[: atoms.nlocal] / 2
    return atoms


def test_atoms_without_charges_have_no_room_for_them() -> None:
    atoms = atoms_of(np.zeros((3, 3)))
    assert atoms.q is None and atoms.fields == tuple(PER_ATOM) and not atoms.charged
    assert take(atoms, np.arange(3)).dtype.itemsize == 72


def test_ghosts_and_sorted_atoms_keep_their_charges() -> None:
    system = SYSTEMS["liquid"]()
    atoms = charged(system.x)
    atoms.reorder(np.random.default_rng(1).permutation(len(system.x)).astype(np.int32))
    Halo(COMM, RankGrid.for_rank(0, 1, system.box), 1.0).borders(atoms)
    assert atoms.nghost and np.array_equal(atoms.all_charges, atoms.id[: atoms.ntotal] / 2)


def test_atoms_that_leave_take_their_charges_along() -> None:
    atoms = charged(np.random.default_rng(0).random((9, 3)))
    records = take(atoms, np.array([1, 5]))
    remove(atoms, np.array([1, 5]))
    append(atoms, records)
    assert np.array_equal(atoms.q[:9], atoms.id[:9] / 2)


def test_charges_are_hashed_and_stored() -> None:
    """The hash of a run is that of its checkpoint; a checkpoint without them is what it was."""
    state = make_state()
    state = changed(state, q=np.random.default_rng(1).normal(size=300))
    state.declared = {"q": ("charge", "charge")}
    atoms = Atoms(mass=state.mass, nlocal=300, **state.fields)
    reference = state_hash(atoms, COMM)
    with quick_folder() as folder:
        store = CheckpointStore(COMM, folder / "checkpoints", CheckpointOptions(block_atoms=64))
        with store:
            assert store.write(state).state_hash == reference
            restored = store.restore(None, owner_of(1))
    order = np.argsort(restored.fields["id"])
    assert np.array_equal(restored.fields["q"][order],
                          state.fields["q"][np.argsort(state.fields["id"])])  # fmt: skip
    atoms.q[7] = np.nextafter(atoms.q[7], 9)
    assert state_hash(atoms, COMM) != reference
    atoms.q = None
    assert state_hash(atoms, COMM) != reference


@pytest.mark.parametrize("images", [True, False])
@pytest.mark.parametrize("said", [True, False])
def test_data_files(tmp_path: Path, images: bool, said: bool) -> None:
    text = CHARGED if said else CHARGED.replace("# charge", "")
    if not images:
        text = text.replace(" 0 0 0\n", "\n").replace(" 0 1 -1 ", " ")
    path = tmp_path / "some.data"
    path.write_text(text)
    source = LammpsDataSource(path)
    block, = source.blocks()
    assert source.charged and block.q.tolist() == [0.5, -1.25, 0.3]
    assert block.x[0].tolist() == [0.5, 0.25, 0.125] and block.v[1].tolist() == [-1, -2, -3]
    assert block.image is not None
    assert block.image[1].tolist() == ([0, 1, -1] if images else [0, 0, 0])


@pytest.mark.parametrize(("old", "new", "words"), [
    ("# charge", "# atomic", "9 columns; atom_style atomic has 5"),
    ("# charge", "# full", "atom_style 'full' is not supported; write the file with atom_style"),
    ("0.5 0.5", "x 0.5", "'x'"),
])  # fmt: skip
def test_data_files_that_cannot_be(tmp_path: Path, old: str, new: str, words: str) -> None:
    path = tmp_path / "some.data"
    path.write_text(CHARGED.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        list(LammpsDataSource(path).blocks())
    assert words in str(error.value)


def test_columns_of_extended_xyz(tmp_path: Path) -> None:
    path = tmp_path / "some.extxyz"
    for name, kind in (("charge", "R"), ("initial_charges", "R"), ("charge", "I")):
        path.write_text(FRAMES.replace("magmom:R", f"{name}:{kind}").replace(" nan\n", " -1\n"))
        source = ExtxyzSource(path, index=0)
        block, = source.blocks()
        assert source.charged and block.q.tolist() == [-1, 2]
    assert not ExtxyzSource(path).charged and next(ExtxyzSource(path).blocks()).q is None
    path.write_text(FRAMES.replace("magmom:R:1", "charge:R:1:initial_charges:R:1"))
    with pytest.raises(InputError, match="more than one of charge, initial_charges"):
        ExtxyzSource(path, index=0)
    path.write_text(FRAMES.replace("magmom:R:1", "charge:S:1"))
    with pytest.raises(InputError, match="charge:S:1 must be charge:R:1"):
        ExtxyzSource(path, index=0)


def test_ase_has_them_too(tmp_path: Path) -> None:
    ase_io = pytest.importorskip("ase.io")
    from mdapp.ase import Calculator
    from mdapp.structures import from_ase

    bulk = pytest.importorskip("ase.build").bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    with pytest.raises(InputError, match=r"atoms\.set_initial_charges"):
        Calculator("coul/cut:rc=6", species=("Na", "Cl")).get_potential_energy(bulk)
    assert not from_ase(bulk).charged
    bulk.set_initial_charges([1, -1] * 4)
    block, = from_ase(bulk).blocks()
    assert block.q.tolist() == [1, -1] * 4
    ase_io.write(tmp_path / "salt.extxyz", bulk)
    block, = open_source(tmp_path / "salt.extxyz", units="metal").blocks()
    assert block.q.tolist() == [1, -1] * 4


def test_new_charges_are_a_change_to_ase() -> None:
    pytest.importorskip("ase")
    from ase import Atoms as AseAtoms

    from mdapp.ase import Calculator

    two = AseAtoms("Ar2", [[0, 0, 0], [3, 0, 0]], charges=[1, 1])
    two.calc = Calculator("coul/cut:rc=6")
    energy = two.get_potential_energy()
    assert energy == pytest.approx(14.399645 / 3, rel=1e-13)
    two.set_initial_charges([2, -1])
    assert two.get_potential_energy() == pytest.approx(-2 * energy, rel=1e-13)


def test_written_to_every_kind_of_file(tmp_path: Path) -> None:
    atoms = charged(np.random.default_rng(0).random((5, 3)))
    atoms.f[:5] = 0
    outputs = [Output(kind="custom", every=1, file="t.dump", columns=("id", "q")),
               Output(kind="extxyz", every=1, file="t.extxyz"),
               Output(kind="h5md", every=1, file="t.h5md")]  # fmt: skip
    from mdapp.model.box import Box

    box = Box.orthogonal([0.0] * 3, [1.0] * 3)
    given = (COMM, outputs, tmp_path, ("Si", "C", "O"), np.ones(3))
    made = Outputs(*given, charged=True, units="metal")
    made.write(0, 0.0, box, atoms)
    made.close()
    assert (tmp_path / "t.dump").read_text().splitlines()[9:] == [
        "1 0.5", "2 1", "3 1.5", "4 2", "5 2.5"]  # fmt: skip
    block, = ExtxyzSource(tmp_path / "t.extxyz").blocks()
    assert block.q.tolist() == [0.5, 1, 1.5, 2, 2.5]
    with h5py.File(tmp_path / "t.h5md") as file:
        charge = file["particles/trajectory/charge"]
        assert charge[:].tolist() == [0.5, 1, 1.5, 2, 2.5] and charge.attrs["unit"] == "e"
    with pytest.raises(InputError, match="'id q': the atoms have no charges"):
        Outputs(*given, units="metal")


SCRIPT = """units metal
atom_style charge
lattice sc 3.0
region b block 0 3 0 3 0 3
create_box 2 b
create_atoms 1 box
mass * 20.0
pair_style coul/dsf 0.2 8.0
pair_coeff * *
"""


@pytest.mark.parametrize(("lines", "charges"), [
    ("", [0.0, 0.0]), ("set type 2 charge -0.5\n", [0.0, -0.5]),
    ("set group all charge 1\nset type 2* charge 2e0\n", [1.0, 2.0]),
])  # fmt: skip
def test_scripts(tmp_path: Path, lines: str, charges: list[float]) -> None:
    path = tmp_path / "in.some"
    path.write_text(SCRIPT + lines + "run 0\n")
    deck = load_script(path)
    assert list(deck.system.charges) == charges
    assert deck.potential.parameters == {"alpha": 0.2, "rc": 8.0}
    path.write_text(SCRIPT.replace("coul/dsf 0.2 8.0", "coul/cut 8.0").replace("* *", "* * 7.0")
                    + lines + "run 0\n")
    assert load_script(path).potential.parameters["rc"] == 7.0


def test_charges_of_data_files_in_scripts(tmp_path: Path) -> None:
    (tmp_path / "a.data").write_text(CHARGED)
    head = "atom_style charge\nread_data a.data\npair_style coul/cut 1.0\npair_coeff * *\n"
    path = tmp_path / "in.some"
    path.write_text(head + "run 0\n")
    assert load_script(path).system.charges is None
    path.write_text(head + "set type 1 charge 1\nrun 0\n")
    with pytest.raises(InputError, match="does not give the charge of type 2"):
        load_script(path)


@pytest.mark.parametrize(("old", "new", "words"), [
    ("atom_style charge\n", "", "give 'atom_style charge'"),
    ("type 1", "atom 1", "command 'set atom' is not supported"),
    ("type 1", "type 3", "type '3' is outside the types 1 to 2"),
    ("charge 1.0", "type 2", "mdapp sets charges only"),
    ("charge 1.0", "charge e", "'e' must be a number"),
    ("pair_coeff * *", "pair_coeff * * 3.0", "the form is: pair_coeff TYPES TYPES"),
    ("pair_style coul/dsf 0.2 8.0", "pair_style coul/dsf 8.0", "coul/dsf ALPHA RC"),
    ("pair_style coul/dsf 0.2", "pair_style coul/long", "mdapp has lj/cut"),
    ("set type", "kspace_style pppm 1e-4\nset type", "coul/dsf does without"),
])  # fmt: skip
def test_scripts_that_cannot_be(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = SCRIPT + "set type 1 charge 1.0\nrun 0\n"
    assert old in text
    path = tmp_path / "in.some"
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError) as error:
        load_script(path)
    assert words in str(error.value)


TABLES = {
    "units": "metal",
    "system": {"lattice": "sc", "constant": 3.0, "cells": [3, 3, 3], "species": ["Na"]},
    "potential": {"style": "coul/dsf", "alpha": 0.2, "rc": 8.0},
    "run": {"steps": 0},
}  # fmt: skip


@pytest.mark.parametrize(("section", "change", "words"), [
    ("system", {}, "acts between charges, and the atoms have none; give system.charges"),
    ("system", {"charges": [1.0, 2.0]}, "2 given, but the system has 1 atom type; give one per"),
    ("thermo", {"columns": ["evdwl"]}, "epair is the sum"),
])  # fmt: skip
def test_decks_that_cannot_be_run(tmp_path: Path, section: str, change: dict, words: str) -> None:
    system = TABLES["system"] | ({"charges": [1.0]} if section == "thermo" else {})
    tables = TABLES | {"system": system}
    tables = tables | {section: tables.get(section, {}) | change}
    with pytest.raises(InputError) as error:
        Simulation(build_deck(tables), COMM, tmp_path)
    assert words in str(error.value)


def test_single_points_on_the_command_line(tmp_path: Path, capsys) -> None:
    path = tmp_path / "two.extxyz"
    path.write_text('2\nProperties=species:S:1:pos:R:3:charge:R:1\nNa 0 0 0 1\nCl 2 0 0 -1\n')
    ask = ["eval", str(path), "--potential", "coul/cut:rc=6", "--units", "metal"]
    assert invoke([*ask, "--out", str(tmp_path / "out.extxyz"), "--check"]) == 0
    assert "-7.1998225 eV" in capsys.readouterr().out
    block, = ExtxyzSource(tmp_path / "out.extxyz").blocks()
    assert block.q.tolist() == [1, -1]
    assert invoke([*ask, "--charges", "-2,1"]) == 0
    assert "-14.399645 eV" in capsys.readouterr().out
    with pytest.raises(InputError, match="--charges 1,x: must be numbers"):
        invoke([*ask, "--charges", "1,x"])
    with pytest.raises(InputError, match="--charges: 1 given, but the system has 2"):
        invoke([*ask, "--charges", "1"])
