"""Native models of DeePMD-kit: round trips, both containers, and what is refused, by name."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.lammps_script import load_script
from potentials.apart import hdf5, read
from potentials.deep_potential.format import model_of, read_model, tree_of, write_model
from potentials.files import FileError
from tests.twins.deep_potential import as_yaml, invented, same

MODELS = {
    "two types": invented(),
    "two-sided": invented(one_sided=False, protection=0.01),
    "radial": invented(radial=True),
    "one type": invented(1),
}


PATH = Path("any.dp")
TREE = tree_of(MODELS["two types"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "model.dp"
    write_model(found, MODELS["two types"])
    return found


@pytest.mark.parametrize("name", MODELS)
def test_a_round_trip_changes_no_bit(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.dp"
    write_model(path, MODELS[name])
    assert same(read_model(path), MODELS[name])


def test_yaml_is_the_same_model(path: Path) -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    text = yaml.safe_dump(as_yaml(TREE))
    other = path.with_suffix(".yaml")
    other.write_text(text.replace("e+", "e"))           # which YAML 1.1 reads as text
    assert same(read_model(other), MODELS["two types"])


def changed(*way: Any) -> dict:
    """The tree of a model with another value at the end of a way through it."""
    *keys, last, value = way
    whole = copy.deepcopy(TREE)
    place: Any = whole
    for key in keys:
        place = place[key]
    place[last] = value
    return whole


UNEVEN = np.zeros((2, 58, 4))
UNEVEN[0, 3] = 1
M, D, F = ("model",), ("model", "descriptor"), ("model", "fitting")
NET = (*D, "embeddings", "networks", 0)
REFUSED = {
    "model.type: is \"linear\": mdapp knows \"standard\"; composite models": (*M, "type", "linear"),
    "model.@version: is 3: must be": (*M, "@version", 3),
    "model.@class: is \"Spin\"": (*M, "@class", "Spin"),
    "model.pair_exclude_types: excluded types: not supp": (*M, "pair_exclude_types", [[0, 1]]),
    "model.type_map: has 0 elements": (*M, "type_map", []),
    "model.type_map: is [\"Aa\", \"Aa\"]: must be a list": (*M, "type_map", ["Aa"] * 2),
    "model.new: mdapp does not know this key": (*M, "new", 1),
    "descriptor.type: is \"dpa1\": mdapp knows \"se_e2_a\", \"se_r\"; other": (*D, "type", "dpa1"),
    "descriptor.@version: is 4": (*D, "@version", 4),
    "descriptor.exclude_types: excluded pairs": (*D, "exclude_types", [[0, 0]]),
    "descriptor.spin: spin: not supported": (*D, "spin", {"use_spin": [True]}),
    "descriptor.rcut: is -1: must be a number from 0.001": (*D, "rcut", -1),
    "descriptor.rcut_smth: is rcut, 3: must be less": (*D, "rcut_smth", 3.0),
    "descriptor.sel: is [22]: must have a number for each of 2": (*D, "sel", [22]),
    "davg: has the shape (2, 58, 4); (2, 59, 4) is expected": (*D, "sel", [22, 37]),
    "descriptor.axis_neuron: is 13": (*D, "axis_neuron", 13),
    "descriptor.env_mat.use_exp_switch: mdapp does not": (*D, "env_mat", "use_exp_switch", True),
    "embeddings.ndim: is 1: must be a whole number from 2 to 2": (*D, "type_one_side", False),
    "embeddings.networks: are 0; 2 are expected": (*D, "embeddings", "networks", []),
    "networks[0].@class: is \"Net\"": (*NET, "@class", "Net"),
    "layers[1].activation_function: is \"relu\": mdapp knows \"tanh\"": (
        *NET, "layers", 1, "activation_function", "relu"),
    "layers[1].use_timestep: does not say": (*NET, "layers", 1, "use_timestep", True),
    "layers[1].precision: is \"bfloat16\"": (*NET, "layers", 1, "precision", "bfloat16"),
    "layers[1].@variables.w: has the shape (6, 3); (3, 6) is expected": (
        *NET, "layers", 1, "@variables", "w", np.ones((6, 3))),
    "layers[0].@variables.w: is null: must be an": (*NET, "layers", 0, "@variables", "w", None),
    "layers: are 3; 2 are expected": (*D, "neuron", [3, 12]),
    "fitting.type: is \"dipole\"": (*F, "type", "dipole"),
    "fitting.numb_fparam: frame parameters: not supported": (*F, "numb_fparam", 1),
    "fitting.numb_aparam: atomic parameters": (*F, "numb_aparam", 2),
    "fitting.atom_ener: atom_ener: not supported": (*F, "atom_ener", [None, 1.0]),
    "fitting.dim_descrpt: is 47; the descriptor has 48 numbers": (*F, "dim_descrpt", 47),
    "fitting.nets.ndim: is 1: must be": (*F, "mixed_types", True),
    "fitting.@version: is 5": (*F, "@version", 5),
    "model.fitting: is []: must be a dictionary": (*M, "fitting", []),
    "out_std: is not 1: scaled energies": (*M, "@variables", "out_std", np.full((1, 2, 1), 2.0)),
    "dstd: must be greater than 0": (*D, "@variables", "dstd", np.zeros((2, 58, 4))),
    "davg: differs from slot to slot": (*D, "@variables", "davg", UNEVEN),
}  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(FileError) as caught:
        model_of(changed(*REFUSED[text]), PATH)
    assert text in str(caught.value) and str(caught.value).startswith("any.dp: model")


def test_a_descriptor_as_wide_as_the_first_layer(tmp_path: Path) -> None:
    path = tmp_path / "model.dp"
    write_model(path, invented(axis=1, fitted=(12, 12)))
    with pytest.raises(FileError, match=r"layers\[0\]: adds its 12 inputs to its outputs"):
        read_model(path)


def test_files_that_are_none(path: Path) -> None:
    for name, content, text in (
        ("a.pb", b"", r"dp convert-backend a\.pb a\.dp"),
        ("a.txt", b"", "the name must end with .dp, .yaml, .yml"),
        ("a.dp", b"", "cannot be read"),
        ("b.dp", path.read_bytes()[:3000], "cannot be read"),
        ("a.yaml", b"a: [1", "no YAML"),
        ("b.yaml", b"- 1", "holds no tree"),
        ("c.yaml", b"[" * 100_000, "no YAML|nested"),
        ("d.yaml", b"a: 1", "model: is missing"),
    ):  # fmt: skip
        other = path.with_name(name)
        other.write_bytes(content)
        with pytest.raises(FileError, match=text):
            read_model(other)
    with h5py.File(path.with_name("c.dp"), "w"):
        pass
    with pytest.raises(FileError, match="has no text in the attribute json"):
        read_model(path.with_name("c.dp"))


def test_other_files_are_not_followed(path: Path, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["data"] = np.ones((3, 6))
    with h5py.File(path, "r+") as file:
        name = json.loads(file.attrs["json"])["model"]["descriptor"]["embeddings"]["networks"][0][
            "layers"][1]["@variables"]["w"]  # fmt: skip
        del file[name], file.attrs["sha256_of_all"]
        file[name] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "/data")
    with pytest.raises(FileError, match=r"layers\[1\].*names no array of the file"):
        read_model(path)


def test_a_crash_of_the_library_is_told(path: Path, monkeypatch) -> None:
    program = path.with_name("crash.py")
    program.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    monkeypatch.setattr(hdf5, "__file__", str(program))
    with pytest.raises(FileError, match=r"the HDF5 library crashed \(signal 11\)"):
        read_model(path)
    program.write_text("import time; time.sleep(60)")
    monkeypatch.setattr(read, "SECONDS", 0.2)
    with pytest.raises(FileError, match="does not return"):
        read_model(path)


def test_a_changed_text_is_told(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.attrs["json"] = file.attrs["json"].replace('"rcut":3.0', '"rcut":7.0')
    with pytest.raises(FileError, match="is damaged: its checksum sha256_of_all"):
        read_model(path)


def test_a_changed_number_without_a_checksum_of_its_own_is_told(path: Path) -> None:
    """HDF5 has none for single numbers, as the shortest distance is one."""
    with h5py.File(path, "r+") as file:
        (single,) = [data for data in file.values() if data.shape == ()]
        single[()] = 0.8
    with pytest.raises(FileError, match="is damaged: its checksum"):
        read_model(path)


def test_files_of_former_versions(path: Path) -> None:
    """They have a hash of the text alone."""
    with h5py.File(path, "r+") as file:
        del file.attrs["sha256_of_all"]
        file.attrs["sha256"] = hashlib.sha256(file.attrs["json"].encode()).hexdigest()
    assert same(read_model(path), MODELS["two types"])
    with h5py.File(path, "r+") as file:
        file.attrs["json"] += " "
    with pytest.raises(FileError, match="is damaged: its checksum sha256 is"):
        read_model(path)


def test_numbers_that_are_not_finite(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file.attrs["sha256_of_all"]
        file["variable_0003"][0] = np.nan
    with pytest.raises(FileError, match=r"model\.descriptor.*: has a number that is not finite"):
        read_model(path)


def test_a_flipped_bit_in_an_array_is_told(path: Path) -> None:
    data = bytearray(path.read_bytes())
    weight = MODELS["two types"].fittings[0].layers[0].weight.tobytes()
    data[bytes(data).index(weight) + 1000] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileError, match=r"cannot be read: .*checksum"):
        read_model(path)


SCRIPT = """units metal
lattice fcc 3.6
region b block 0 2 0 2 0 2
create_box 2 b
create_atoms 1 box
mass * 50.0
pair_style deepmd {file}
{coeff}
fix 1 all nve
run 0
"""
WRONG = {
    "": ("model.dp", "in.deep:7: pair_style: no coefficients; give 'pair_coeff * * ELEMENT...'"),
    "pair_coeff 1 1 Aa Bb": ("model.dp", "in.deep:8: pair_coeff: must be 'pair_coeff * * ELEM"),
    "pair_coeff * * Aa": ("model.dp", "1 elements for 2 atom types"),
    "pair_coeff * * Aa Cc": ("model.dp", "has no element 'Cc'; it has Aa, Bb"),
    "pair_coeff * * Aa Bb": ("none.dp", "none.dp': no such file"),
    "pair_coeff * * Bb Aa": ("model.dp atomic", "'pair_style deepmd ... atomic' is not supported"),
    "pair_coeff * * Bb Aa #": ("model.dp no.dp", "no.dp': no such file"),
    "pair_coeff * * Aa Bb #": ("out_freq 5", "no model before the options"),
}


def test_a_script(path: Path) -> None:
    script = path.with_name("in.deep")
    script.write_text(SCRIPT.format(file="model.dp", coeff="pair_coeff * * Bb Aa"))
    deck = load_script(script)
    assert deck.potential.style == "deep_potential"
    assert deck.potential_table() == {
        "style": "deep_potential", "file": str(path), "species": ["Bb", "Aa"]}  # fmt: skip


def test_a_script_with_several_models(path: Path) -> None:
    """The first drives; DeePMD-kit's words say where the deviations go."""
    write_model(path.with_name("other.dp"), invented(seed=2))
    script = path.with_name("in.deep")
    script.write_text(SCRIPT.format(file="model.dp other.dp out_freq 5",
                                    coeff="pair_coeff * * Bb Aa"))  # fmt: skip
    deck = load_script(script)
    parts = deck.potential_table()["part"]
    assert deck.potential.style == "committee"
    assert [Path(part["file"]).name for part in parts] == ["model.dp", "other.dp"]
    assert all(part["species"] == ["Bb", "Aa"] for part in parts)
    (output,) = deck.output
    assert (output.kind, output.every, output.file) == ("deviation", 5, "model_devi.out")


@pytest.mark.parametrize("coeff", WRONG)
def test_what_a_script_is_told(coeff: str, path: Path) -> None:
    file, text = WRONG[coeff]
    script = path.with_name("in.deep")
    script.write_text(SCRIPT.format(file=file, coeff=coeff))
    with pytest.raises(InputError) as caught:
        load_script(script)
    assert text in str(caught.value)
