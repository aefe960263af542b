"""Functions in JAX as potentials: forces by differentiation, padding, compiling, weights, mistakes.

The functions here are small, and most tests share the shapes that they compile.
"""

import importlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("jax")

from mpi4py import MPI

from mdapp.deck import build_deck
from mdapp.derivatives import check_derivatives
from mdapp.errors import InputError
from mdapp.evaluate import Structure, single_point
from mdapp.run_state import potential_identity
from mdapp.simulation import Simulation
from potentials.base import KernelError, Want
from potentials.files import FileError
from potentials.jax_model import load_weights, save_weights
from potentials.jax_model.program import batches, room_of, rows_of
from potentials.registry import PotentialError, make_potential
from potentials.shorthand import read_potential
from tests.twins.evaluate import evaluate, types_of
from tests.twins.systems import lattice
from tests.twins.threebody import atom_energies

ROOT = Path(__file__).resolve().parents[2]
CUTOFF = 1.9
# An embedded-atom energy of two species, which a sum over pairs could not tell from its forces.
EMBEDDED = """import jax.numpy as jnp
from potentials.jax_model import jax_potential

@jax_potential(cutoff=1.9, species=["A", "B"], units="lj")
def embedded(params, r_ij, type_i, type_j, mask):
    r2 = jnp.sum(r_ij**2, axis=-1)
    gap = jnp.where(mask, 1.9**2 - r2, 0)
    pairs = params["pair"][type_i[:, None], type_j] * gap**3
    density = jnp.sum(params["density"][type_j] * gap**4, axis=-1)
    return jnp.sum(pairs, axis=-1) - params["depth"][type_i] * jnp.sqrt(1 + density)
"""
PARAMS = {"pair": np.array([[0.8, 0.3], [0.3, 0.5]]), "density": np.array([0.7, 1.1]),
          "depth": np.array([2.0, 1.5])}


def embedded(d, kind: int, kinds, p) -> complex:
    """The twin of it."""
    gap = CUTOFF**2 - (d**2).sum(axis=-1)
    density = (p["density"][kinds] * gap**4).sum()
    return (p["pair"][kind, kinds] * gap**3).sum() - p["depth"][kind] * np.sqrt(1 + density)


@pytest.fixture
def potential(tmp_path: Path):
    (tmp_path / "em.py").write_text(EMBEDDED)
    save_weights(tmp_path / "em.npz", PARAMS, cutoff=5.0)
    return read_potential(f"python:{tmp_path}/em.py:embedded:file={tmp_path}/em.npz:species=A,B"
                          ).make(2)


def liquid():
    return lattice((3, 3, 3), 1.6, 0.07, 21)


@pytest.fixture(scope="module")
def twin():
    system = liquid()
    return atom_energies(embedded, system.x, types_of(system, 2), system.box, PARAMS, CUTOFF)


@pytest.mark.parametrize(("precision", "deterministic", "bound"), [
    ("double", False, 1e-11), ("double", True, 1e-9), ("mixed", False, 1e-3),
    ("single", True, 1e-3)])
def test_a_liquid(potential, twin, precision: str, deterministic: bool, bound: float) -> None:
    """Any order of the atoms and any threads; deterministically the same bits."""
    system, results = liquid(), []
    types, kernel = types_of(system, 2), potential.compiled(precision, deterministic)
    for threads, seed in ((1, None), (2, 1)):
        order = None if seed is None else np.random.default_rng(seed).permutation(len(types))
        results.append(evaluate(kernel, CUTOFF, "full", system, types, threads=threads,
                                order=order))
    assert abs(twin.forces).max() > 10
    for f, result in results:
        assert abs(f - twin.forces).max() < bound
        assert abs(result.energies - twin.energies).max() < bound
        assert abs(result.virials - twin.virials).max() < bound
    if deterministic:
        (f, one), (g, other) = results
        assert np.array_equal(f, g) and np.array_equal(one.energies, other.energies)
        assert np.array_equal(one.virials, other.virials)
    _, totals = evaluate(kernel, CUTOFF, "full", system, types, Want.TOTALS)
    assert totals.energy == pytest.approx(twin.energies.sum(), rel=max(bound, 1e-9))
    assert abs(totals.virial - twin.virials.sum(axis=0)).max() < 100 * bound


def test_forces_and_virial_are_derivatives(potential) -> None:
    system = lattice((1, 1, 2), 1.7, 0.06, 11)
    structure = Structure.of_arrays(system.box, system.x, types_of(system, 2), ("A", "B"))
    check = check_derivatives(single_point(structure, potential), potential)
    assert check.good and check.components == 24


def test_rooms_and_batches() -> None:
    counts = np.arange(200)
    rooms = room_of(counts, 1.2)
    assert (rooms >= counts).all() and (rooms % 8 == 0).all() and rooms[0] == 8
    steps = np.unique(rooms)
    assert steps[:7].tolist() == [8, 16, 24, 32, 40, 48, 64]
    assert (steps[1:] >= 1.2 * steps[:-1]).all()
    assert np.unique(room_of(counts, 2.0)).tolist() == [8, 16, 32, 64, 128, 256]
    assert room_of(np.zeros(0, int), 1.2).tolist() == []
    of = rooms[np.random.default_rng(1).permutation(200)]
    done = list(batches(of))
    assert sorted(np.concatenate([k for _, k in done])) == list(range(200))
    assert all((of[k] == room).all() and len(k) <= rows_of(room) for room, k in done)


def test_compiling_is_counted_and_done_once(potential) -> None:
    """Denser atoms need more room; a known room is never compiled again."""
    kernel, counted = potential.compiled("double", False), []
    for spacing in (2.4, 1.6, 1.62, 2.4):
        system = lattice((3, 3, 3), spacing, 0.02, 3)
        evaluate(kernel, CUTOFF, "full", system, types_of(system, 2))
        counted.append(kernel.compilations)
    assert counted[0] >= 1 and counted[1] > counted[0]
    assert counted[1:] == counted[1:2] * 3
    assert kernel.compile_s > 0


def deck_of(folder: Path, **run) -> dict:
    return {"units": "lj",
            "system": {"lattice": "fcc", "constant": 1.65, "cells": [3, 3, 3], "species": ["A"],
                       "masses": [1.0], "temperature": 0.5},
            "potential": {"style": f"python:{folder}/em.py:embedded", "file": f"{folder}/em.npz"},
            "run": {"steps": 20, "timestep": 0.002, **run}}


def test_a_run_compiles_before_its_loop(potential, tmp_path: Path) -> None:
    sim = Simulation(build_deck(deck_of(tmp_path)), MPI.COMM_SELF, tmp_path)
    sim.run(2)
    report = sim.report()
    assert report["compilations"] > 0 and report["compilations_in_loop"] == 0
    first, last = sim.thermo.rows[0], sim.thermo.last
    assert last["etotal"] == pytest.approx(first["etotal"], rel=1e-3)
    sim.kernel.programs._compiled.clear()            # as if neighbours had become more
    sim.run(1)
    report = sim.report()
    assert report["compilations_in_loop"] > 0 and report["compile_in_loop_s"] > 0


def test_a_restart_knows_the_function_and_its_weights(potential, tmp_path: Path) -> None:
    def identity() -> str:
        return potential_identity(build_deck(deck_of(tmp_path)), 1)["hash"]

    first = identity()
    assert identity() == first
    (tmp_path / "em.py").write_text(EMBEDDED + "\n")
    second = identity()
    save_weights(tmp_path / "em.npz", {**PARAMS, "depth": np.array([2.0, 1.6])}, cutoff=5.0)
    assert len({first, second, identity()}) == 3


# --- a model of somebody else ------------------------------------------------------------------


def test_the_guide(tmp_path: Path, monkeypatch) -> None:
    """The files and commands of potentials/jax_model/README.md do what it says."""
    guide = (ROOT / "potentials/jax_model/README.md").read_text()
    for name, text in re.findall(r"^`(\w+\.\w+)`:\n\n```\w+\n(.*?)^```$", guide,
                                 re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("train")
    system = lattice((2, 2, 2), 5.4, 0.02, 3)
    structure = Structure.of_arrays(system.box, system.x, None, ("Ar",))
    for name in ("well", "theirs"):
        potential = read_potential(f"python:{name}.py:{name}" + ":file=theirs.npz" * (
            name == "theirs")).make(1, ["Ar"])
        point = single_point(structure, potential, units="metal")
        assert abs(point.forces).max() > 1e-3
        assert check_derivatives(point, potential).good
    # The well is a sum over pairs, known in closed form.
    d = system.x[:, None] - system.x + np.zeros((1, 1, 3))
    d -= np.round(d / system.box.lengths) * system.box.lengths
    r2 = (d**2).sum(-1)
    well = single_point(structure, read_potential("python:well.py:well").make(1, ["Ar"]),
                        units="metal")
    near = (r2 > 0) & (r2 < 25)
    expected = -0.05 * ((1 - r2 / 25)**3)[near].sum()
    assert well.energy == pytest.approx(expected, rel=1e-12)


# --- weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["w.npz", "w.h5"])
def test_weights_come_back(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(2)
    params = {"layers": [{"w": rng.normal(size=(2, 3)), "b": np.zeros(3, np.float32)},
                         (np.arange(4), 2.5)], "scale": rng.normal(size=())}
    save_weights(tmp_path / name, params, cutoff=4, species=["Cu", "Ni"], units="metal",
                 about="nothing")
    read = load_weights(tmp_path / name)
    assert (read.cutoff, read.species, read.units, read.model, read.about) == (
        4.0, ("Cu", "Ni"), "metal", None, "nothing")
    assert isinstance(read.params["layers"], list)
    np.testing.assert_array_equal(read.params["layers"][0]["w"], params["layers"][0]["w"])
    assert read.params["layers"][0]["b"].dtype == np.float32
    assert read.params["layers"][1][1] == 2.5 and read.params["scale"] == params["scale"]


def rewritten(path: Path, **changes) -> None:
    """The same file with another header or other arrays."""
    with np.load(path) as file:
        arrays = dict(file)
    header = json.loads(str(arrays.pop("header")))
    for key, value in changes.items():
        if key in arrays:
            arrays[key] = value
        else:
            header[key] = value
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


@pytest.mark.parametrize(("damage", "message"), [
    (lambda p: p.unlink(), "no such file"),
    (lambda p: p.write_bytes(p.read_bytes()[:-300]), "is no whole file of weights"),
    (lambda p: p.write_bytes(b""), "is no whole file of weights"),
    (lambda p: np.savez(p, a=np.zeros(3)), "has no header"),
    (lambda p: np.savez(p, header=np.array("{"), a=np.zeros(3)), "the header is no JSON"),
    (lambda p: rewritten(p, format="other"), "the header's format must be"),
    (lambda p: rewritten(p, version=9), "is of version 9"),
    (lambda p: rewritten(p, cutoff=-1), "cutoff = -1: must be a number greater than 0"),
    (lambda p: rewritten(p, species=["A", "A"]), "must be different names"),
    (lambda p: rewritten(p, units="si"), "units = 'si': must be"),
    (lambda p: rewritten(p, tree={"pair": "pair"}), "the header names the arrays pair; the file"),
    (lambda p: rewritten(p, pair=np.ones((2, 2))), "are not those that were written"),
    (lambda p: rewritten(p, pair=np.full((2, 2), np.nan)), "pair: must be finite numbers"),
    (lambda p: rewritten(p, model="bp"), r"model = 'bp': must be behler_parrinello or ace_layer"),
], ids=lambda part: part[:20] if isinstance(part, str) else "")
def test_weights_that_cannot_be(tmp_path: Path, damage, message: str) -> None:
    path = tmp_path / "em.npz"
    save_weights(path, PARAMS, cutoff=5.0, species=["A", "B"], model="ace_layer")
    damage(path)
    with pytest.raises(PotentialError, match=message) as error:
        make_potential("jax", {"file": str(path)}, 1, ["A"])
    assert "\n" not in str(error.value)


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    for path, params, message in (
            ("w.txt", PARAMS, "the ending must be"), ("w.npz", {"a/b": 1.0}, "cannot be the name"),
            ("w.npz", {"a": np.array("x")}, "must be finite numbers")):
        with pytest.raises(FileError, match=message):
            save_weights(tmp_path / path, params, cutoff=1.0)


# --- mistakes in a function --------------------------------------------------------------------


OWN = """import jax
import jax.numpy as jnp
from potentials.jax_model import jax_potential

@jax_potential(cutoff=1.9, species=["A"], params={})
def mine(params, r_ij, type_i, type_j, mask):
    r = jnp.sqrt(jnp.sum(r_ij**2, axis=-1))
    gap = jnp.where(mask, 1.9 - r, 0)
    return jnp.sum(gap**3, axis=-1)
"""


@pytest.mark.parametrize(("old", "new", "message"), [
    ("    return jnp.sum(gap**3, axis=-1)", "    return jnp.sum(gap**3)",
     r"own\.py: mine: must return the energies of 5 atoms, shape \(5,\), and returns \(\)"),
    ("(gap**3, axis=-1)", "(gap**3, axis=-1).astype(jnp.float32)",
     "must return float64 for vectors of float64, and returns float32"),
    ("    gap =", "    if r[0, 0] > 1: pass\n    gap =", r"own\.py:8: TracerBoolConversionError"),
    ("params, r_ij", "r_ij", r"own\.py: TypeError"),
    ("cutoff=1.9", "cutoff=-1", "@jax_potential: cutoff = -1"),
    ("cutoff=1.9, ", "", "needs a cutoff"),
    ("params={}", "params={}, units='si'", "units = 'si'"),
    ('["A"]', '["C"]', "the model does not know 'A'; it has C"),
])
def test_mistakes_that_show_at_once(tmp_path: Path, old: str, new: str, message: str) -> None:
    (tmp_path / "own.py").write_text(OWN.replace(old, new))
    with pytest.raises(PotentialError, match=message) as error:
        make_potential(f"python:{tmp_path}/own.py:mine", {}, 1, ["A"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("old", "new", "message"), [
    ("jnp.where(mask, 1.9 - r, 0)", "1.9 - r", "depends on what is padded: use the mask"),
    ("    return", "    gap = gap - jnp.mean(gap)\n    return", "on other atoms of the batch"),
    ("gap**3", "jnp.log(gap)", "an atom without neighbors, or its derivative, is not finite"),
    ("gap**3", "jnp.where(mask, jnp.log(gap - 9), 0)", "of some neighbors, or its derivative, is"),
])
def test_mistakes_that_show_when_it_runs(tmp_path: Path, old: str, new: str,
                                         message: str) -> None:
    (tmp_path / "own.py").write_text(OWN.replace(old, new))
    potential = make_potential(f"python:{tmp_path}/own.py:mine", {}, 1, ["A"])
    with pytest.raises(KernelError, match=message):
        potential.compiled("double").programs.prepare(np.array([3]))


def test_a_mistake_ends_a_run_on_all_ranks_alike(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN.replace("jnp.where(mask, 1.9 - r, 0)", "1.9 - r"))
    table = deck_of(tmp_path)
    table["potential"] = {"style": f"python:{tmp_path}/own.py:mine"}
    with pytest.raises(InputError, match="use the mask"):
        Simulation(build_deck(table), MPI.COMM_SELF, tmp_path)


def test_without_jax(tmp_path: Path, python) -> None:
    """A clear message; the table of styles and other potentials do not import it."""
    save_weights(tmp_path / "w.npz", PARAMS, cutoff=5.0, species=["A"], model="ace_layer")
    script = """
import sys
sys.modules["jax"] = None
from potentials.registry import make_potential, PotentialError
from potentials.catalogue import catalogue
make_potential("lj/cut", {"epsilon": 1, "sigma": 1, "rc": 2.5}, 1)
assert any(entry.style == "jax" for entry in catalogue())
try:
    make_potential("jax", {"file": "w.npz"}, 1, ["A"])
except PotentialError as error:
    print(error)
"""
    end = python(["-c", script])
    assert "needs JAX, which is not installed; install mdapp[jax]" in end.stdout, end.stderr
