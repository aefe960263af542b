"""What a user may write for a potential, and what is said where it cannot be understood."""

from pathlib import Path

import numpy as np
import pytest

from mdapp.deck.schema import Deck
from potentials import registry
from potentials.registry import PotentialError
from potentials.shorthand import DECK_SECTIONS, PotentialSpec, read_potential

LJ = {"epsilon": 1, "sigma": 1, "rc": 2.5}


def from_file(ntypes, *, file, species=(), scale=1.0):
    """Like a family that reads its parameters from a file."""
    return file, species, scale


@pytest.fixture
def eam(monkeypatch) -> None:
    monkeypatch.setitem(registry.STYLES, "eam/test", from_file)


@pytest.mark.parametrize(("text", "parameters"), [
    ("lj/cut:epsilon=1,sigma=1,rc=2.5", LJ),
    ("lj/cut:epsilon=1:sigma=1:rc=2.5", LJ),
    ("lj/cut:1:1:2.5", LJ),
    ("lj/cut:1:sigma=1,rc=2.5", LJ),
    ("lj/cut:epsilon=1,sigma=1,rc=2.5:shift=true", LJ | {"shift": True}),
    ("lj/cut:epsilon=1,2,sigma=1.,.5,rc=2.5", LJ | {"epsilon": [1, 2], "sigma": [1.0, 0.5]}),
    ("lj/cut:1,2:1:2.5e0", LJ | {"epsilon": [1, 2]}),
    ("lj/cut:mix=arithmetic", {"mix": "arithmetic"}),
    ("lj/cut:epsilon=-1e-3", {"epsilon": -1e-3}),
    ("lj/cut", {}),
])
def test_options_values_and_lists(text: str, parameters: dict) -> None:
    assert read_potential(text) == PotentialSpec("lj/cut", parameters)


def test_numbers_keep_their_kind() -> None:
    found = read_potential("lj/cut:1:1.0:rc=true").parameters
    assert [type(v) for v in found.values()] == [int, float, bool]


def test_it_makes_the_potential_of_a_deck() -> None:
    text = "lj/cut:epsilon=1,0.5,sigma=1,1.2,rc=2.5:shift=true,mix=arithmetic"
    made = read_potential(text).make(2)
    same = registry.make_potential("lj/cut", {"epsilon": [1, 0.5], "sigma": [1, 1.2], "rc": 2.5,
                                              "shift": True, "mix": "arithmetic"}, 2)
    assert (made.table() == same.table()).all()
    assert made.sigma[0, 1] == 1.1 and np.isclose(made.epsilon[0, 1], 0.5**0.5)


@pytest.mark.parametrize(("text", "file", "species"), [
    ("eam/test:Cu.eam", "Cu.eam", ()),
    ("eam/test:CuNi.eam:Cu,Ni", "CuNi.eam", ("Cu", "Ni")),
    ("eam/test:CuNi.eam:species=Cu,Ni", "CuNi.eam", ("Cu", "Ni")),
    ("eam/test:file=/a/b-1.0/Cu.eam:Cu", None, None),
    ("eam/test:'odd: a=1,b.eam':Ni", "odd: a=1,b.eam", ("Ni",)),
    ("eam/test:123", 123, ()),
    ("eam/test:'123'", "123", ()),
])
def test_files_and_elements(eam, text: str, file: object, species: object) -> None:
    if species is None:
        with pytest.raises(PotentialError, match="'Cu' needs a key"):
            read_potential(text)
        return
    spec = read_potential(text)
    assert (spec.parameters["file"], spec.species) == (file, species)
    if file == 123:
        with pytest.raises(PotentialError, match="file = 123: must be the name of a file"):
            spec.make(1)
        return
    assert spec.make(1) == (file, list(species) or (), 1.0)


def test_species_go_with_a_style_that_does_not_take_them() -> None:
    spec = read_potential("lj/cut:1,2:1:2.5:species=Ar,Kr")
    assert spec.species == ("Ar", "Kr")
    assert spec.make(2).ntypes == 2


@pytest.mark.parametrize(("text", "message"), [
    ("lj/cu:epsilon=1", "did you mean lj/cut"),
    ("lj/cut:epsilom=1", "unknown key 'epsilom'; did you mean epsilon"),
    ("lj/cut:epsilon=1,epsilon=2", "epsilon is given twice"),
    ("lj/cut:1:epsilon=2", "epsilon is given twice"),
    ("lj/cut:epsilon=", "epsilon has no value"),
    ("lj/cut:", "epsilon has no value"),
    ("lj/cut:epsilon=1,,sigma=2", "epsilon has no value"),
    ("lj/cut:epsilon=1:2", "'2' needs a key"),
    ("lj/cut:1:2:3:4:5:6:7:8", "too many values; the style takes epsilon"),
    ("lj/cut:epsilon='1", "a quote is not closed"),
    ("lj/cut:epsilon=nan", "must be a finite number"),
    ("lj/cut:epsilon=1e999", "must be a finite number"),
    ("lj/cut:species=1", "names of types"),
    ("", "unknown"),
    (":epsilon=1", "unknown"),
    ("nowhere.toml", "nowhere.toml: cannot be read: No such file"),
])
def test_what_cannot_be_understood_is_named(text: str, message: str) -> None:
    with pytest.raises(PotentialError, match=message):
        read_potential(text)


def test_a_table_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "lj.toml"
    path.write_text('units = "metal"\n[potential]\nstyle = "lj/cut"\nepsilon = [0.01, 0.02]\n'
                    'sigma = 3.4\nrc = 8.5\nspecies = ["Ar", "Kr"]\n'
                    '[[potential.pair]]\ntypes = [1, 2]\nepsilon = 0.5\n')
    spec = read_potential(str(path))
    assert (spec.style, spec.units, spec.species) == ("lj/cut", "metal", ("Ar", "Kr"))
    assert spec.make(2).epsilon.tolist() == [[0.01, 0.5], [0.5, 0.02]]


def test_a_whole_deck_names_its_species(tmp_path: Path) -> None:
    path = tmp_path / "deck.toml"
    path.write_text('units = "lj"\n[system]\nfile = "a"\nspecies = ["A", "B"]\n[run]\nsteps = 1\n'
                    '[potential]\nstyle = "lj/cut"\nepsilon = 1\n')
    spec = read_potential(str(path))
    assert spec == PotentialSpec("lj/cut", {"epsilon": 1}, ("A", "B"), "lj")


@pytest.mark.parametrize(("text", "message"), [
    ("[potental]\nstyle = 'lj/cut'", "did you mean potential"),
    ("unit = 'metal'\n[potential]\nstyle = 'lj/cut'", "did you mean units"),
    ("units = 'real'\n[potential]\nstyle = 'lj/cut'", "units = 'real'"),
    ("[potential]\nepsilon = 1", "style"),
    ("[potential]\nstyle = 'lj/cutt'", "did you mean lj/cut"),
    ("[potential]\nstyle = 3", "style"),
    ("[potential", "not valid TOML"),
    ("", "needs a .potential. table"),
])
def test_a_file_that_cannot_be_used(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(PotentialError, match=message) as caught:
        read_potential(str(path))
    assert str(path) in str(caught.value)


def test_a_file_of_another_name_is_pointed_out(tmp_path: Path) -> None:
    path = tmp_path / "lj.txt"
    path.write_text("")
    with pytest.raises(PotentialError, match=r"must be named \*\.toml"):
        read_potential(str(path))


def test_the_sections_of_a_deck_are_those_of_the_deck() -> None:
    assert set(DECK_SECTIONS) == set(Deck.model_fields)
