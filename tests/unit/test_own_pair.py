"""Potentials from files of users: a pair formula by path, an ASE calculator as an oracle."""

from pathlib import Path

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.deck import build_deck, load_deck
from mdapp.errors import InputError, RunError
from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from mdapp.run_state import potential_identity
from mdapp.simulation import Simulation
from potentials.registry import PotentialError, make_potential
from potentials.shorthand import read_potential
from tests.twins.systems import lattice

ROOT = Path(__file__).resolve().parents[2]
BUFFERED = ROOT / "examples/own_potential/buffered.py"
OPTIONS = {"epsilon": 0.3, "r0": 1.2, "rc": 2.5}
PLAIN = '''from potentials.pair.loop import pair_formula

POWER = 2.0

def coefficients(depth, width=1.0):
    return depth, 1 / width**2

@pair_formula("bowl", coefficients)
def bowl(r2, c):
    _, depth, k = c
    return depth * k * r2, -POWER * depth * k
'''


def structure(ntypes: int = 1) -> Structure:
    system = lattice((3, 3, 3), 1.3, 0.1, 3)
    types = np.arange(len(system.x)) % ntypes
    return Structure.of_arrays(system.box, system.x, types.astype(np.int32))


def buffered(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy and its derivative, from the definition."""
    def energy(r):
        s = r / OPTIONS["r0"]
        return OPTIONS["epsilon"] * (1.07 / (s + 0.07))**7 * (1.12 / (s**7 + 0.12) - 2)
    return energy(r), energy(r + 1e-30j).imag / 1e-30


@pytest.mark.parametrize(("precision", "deterministic", "bound"), [
    ("double", False, 1e-12), ("mixed", True, 1e-4), ("single", False, 1e-4)])
def test_the_formula_of_a_file(precision: str, deterministic: bool, bound: float) -> None:
    open_ = Box.orthogonal(np.zeros(3), np.full(3, 9.0), [False] * 3)
    x = np.random.default_rng(2).permutation(structure().x)[:40]
    point = single_point(Structure.of_arrays(open_, x), make_potential(
        f"python:{BUFFERED}:buffered", OPTIONS, 1), precision, deterministic)
    d = x[:, None] - x
    r = np.sqrt((d**2).sum(axis=2))
    near = (r < OPTIONS["rc"]) & (r > 0)
    energies, slopes = buffered(np.where(near, r, 1.0))
    forces = -np.where(near, slopes / np.where(near, r, 1.0), 0.0)[:, :, None] * d
    assert point.energy == pytest.approx(0.5 * energies[near].sum(), rel=bound)
    assert abs(point.forces - forces.sum(axis=1)).max() < bound * abs(forces).max()


def test_many_types_and_unusual_pairs(tmp_path: Path) -> None:
    style = f"python:{BUFFERED}:buffered"
    pair = [{"types": [2, 1], "epsilon": 0.3, "r0": 1.2}]
    same = make_potential(style, {**OPTIONS, "epsilon": [0.3, 0.3], "r0": [1.2, 1.2]}, 2)
    told = make_potential(style, {**OPTIONS, "epsilon": [0.3, 0.7], "r0": [1.2, 1.1],
                                  "pair": [*pair, {"types": [2, 2], "epsilon": 0.3, "r0": 1.2}]}, 2)
    one = single_point(structure(), make_potential(style, OPTIONS, 1))
    for potential in (same, told):
        two = single_point(structure(2), potential)
        assert two.energy == pytest.approx(one.energy, rel=1e-13)
        assert abs(two.forces - one.forces).max() < 1e-12
    with pytest.raises(PotentialError, match=r"epsilon of types 1 2 is missing: add a \[\[pot"):
        make_potential(style, {**OPTIONS, "epsilon": [0.3, 0.7]}, 2)


def test_an_edit_counts_at_once(tmp_path: Path) -> None:
    """In the same process and under the same name; machine code of the old text is not used."""
    file = tmp_path / "bowl.py"
    results = []
    for power in ("2.0", "3.0"):
        file.write_text(PLAIN.replace("POWER = 2.0", f"POWER = {power}"))
        potential = read_potential(f"python:{file}:bowl:depth=1,rc=1.5").make(1)
        results.append(single_point(structure(), potential))
    assert abs(results[0].forces).max() > 0.1
    np.testing.assert_allclose(results[1].forces, 1.5 * results[0].forces, rtol=1e-12)
    assert results[0].energy == results[1].energy


@pytest.mark.parametrize(("text", "options", "message"), [
    ("x = (", "", r"bowl\.py:1: "),
    ("\n\nx = y\n", "", r"bowl\.py:3: NameError: name 'y' is not defined"),
    ("x = 1\n", "", r"no function is decorated with @pair_formula\('bowl'\); it has none"),
    (PLAIN.replace('"bowl"', '"bawl"'), "", r"@pair_formula\('bowl'\); it has bawl"),
    (PLAIN.replace(", coefficients)", ")"), "", "needs a function of its parameters"),
    (PLAIN.replace("1 / width", "1 / (width - 1)"), "depth=1,rc=2",
     r"bowl\.py:6: ZeroDivisionError"),
    (PLAIN.replace("_, depth, k = c", "_, depth, k, more = c"), "depth=1,rc=2",
     r"bowl\.py:10: the formula cannot be compiled for 3 coefficients"),
    (PLAIN.replace("-POWER * depth", "-POWERS * depth"), "depth=1,rc=2",
     r"bowl\.py:11: the formula cannot be compiled .*POWERS"),
    (PLAIN.replace("depth * k * r2, -", "0.0, -"), "depth=1,rc=2", "must return two values"),
    (PLAIN, "depth=1,rc=0", "rc = 0: must be greater than 0"),
    (PLAIN, "rc=2", "depth of types 1 1 is missing: give depth"),
    (PLAIN, "depth=1", "rc of types 1 1 is missing: give rc"),
    (PLAIN, "depth=deep,rc=2", "depth = 'deep': must be a finite number"),
    (PLAIN, "dept=1,rc=2", "unknown key 'dept'; did you mean depth"),
    (PLAIN.replace("width", "pair"), "", "has a parameter 'pair', which is a key of all"),
    (PLAIN + "UNITS = 'real'\n", "", "UNITS = 'real': must be"),
])
def test_mistakes_in_the_file_are_one_line(tmp_path: Path, text: str, options: str,
                                           message: str) -> None:
    file = tmp_path / "bowl.py"
    file.write_text(text)
    with pytest.raises(PotentialError, match=message) as error:
        read_potential(f"python:{file}:bowl{':' * bool(options)}{options}").make(1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("style", "message"), [
    ("python:none.py:x", "'none.py': no such file"),
    ("python:x.py", "must be of the form python:FILE.py:NAME"),
    ("ase:ase.calculators.lj", "must be of the form ase:MODULE:CALLABLE"),
    ("ase:no.such.module:X", "module no.such.module cannot be imported"),
    ("ase:ase.calculators.lj:Lenard", "has no calculator 'Lenard'"),
])
def test_names_that_lead_nowhere(style: str, message: str) -> None:
    pytest.importorskip("ase")
    with pytest.raises(PotentialError, match=message):
        make_potential(style, {}, 1, ("Ar",))


def deck_of(tmp_path: Path, style: str, **options):
    """A deck of a few argon atoms in the folder of the test."""
    keys = options or {"epsilon": 0.01, "sigma": 3.4, "rc": 7.0}
    return build_deck({
        "units": "metal",
        "system": {"lattice": "fcc", "constant": 5.3, "cells": [3, 3, 3], "species": ["Ar"],
                   "temperature": 60.0, "seed": 5},
        "potential": {"style": style, **keys},
        "run": {"steps": 5, "timestep": 0.002}, "thermo": {"every": 1},
    }, source=tmp_path / "deck.toml")


def test_files_are_found_beside_the_deck_and_their_contents_are_its_identity(tmp_path: Path
                                                                             ) -> None:
    (tmp_path / "bowl.py").write_text(PLAIN)
    deck = deck_of(tmp_path, "python:bowl.py:bowl", depth=0.01, rc=4.0)
    Simulation(deck, MPI.COMM_SELF, tmp_path).run()
    before = potential_identity(deck, 1)
    assert list(before["files"]) == ["bowl.py"] and before["style"] == "python:bowl.py:bowl"
    (tmp_path / "bowl.py").write_text(PLAIN + "# \n")
    assert potential_identity(deck, 1)["hash"] != before["hash"]
    toml = tmp_path / "own.toml"
    toml.write_text('[potential]\nstyle = "python:bowl.py:bowl"\ndepth = 1\nrc = 2\n')
    assert read_potential(str(toml)).make(1).cutoff == 2.0


def test_parts_of_a_sum_are_found_and_watched_too(tmp_path: Path) -> None:
    """Also where two of them have the same name; the formula acts on the pairs that `only` has."""
    for name, text in {"bowl.py": PLAIN, "more/bowl.py": PLAIN + "# \n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    keys = {"depth": 0.01, "rc": 4.0}
    parts = [{"style": "python:bowl.py:bowl", **keys},
             {"style": "python:more/bowl.py:bowl", **keys, "only": [[1, 1]]}]
    deck = deck_of(tmp_path, "hybrid/overlay", part=parts)
    sim = Simulation(deck, MPI.COMM_SELF, tmp_path)
    alone = Simulation(deck_of(tmp_path, "python:bowl.py:bowl", depth=0.02, rc=4.0),
                       MPI.COMM_SELF, tmp_path)
    for one in (sim, alone):
        one.run(0)
    assert sim.thermo.last["pe"] == pytest.approx(alone.thermo.last["pe"], rel=1e-12)
    seen = [potential_identity(deck, 1)]
    assert list(seen[0]["files"]) == ["bowl.py", "bowl.py (2)"]
    for name in ("bowl.py", "more/bowl.py"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + "#\n")
        seen.append(potential_identity(deck, 1))
    assert len({one["hash"] for one in seen}) == 3
    toml = tmp_path / "own.toml"
    toml.write_text(deck.to_toml())
    assert read_potential(str(toml)).make(1).cutoff == 4.0


def test_only_some_pairs_of_a_formula() -> None:
    """The others need no values, and the file's function is not asked about them."""
    potential = make_potential(f"python:{BUFFERED}:buffered", {
        "only": [[1, 2]], "pair": [{"types": [1, 2], **OPTIONS}]}, 2)
    assert potential.rc.tolist() == [[0, 2.5], [2.5, 0]]
    whole = make_potential(f"python:{BUFFERED}:buffered", OPTIONS, 2)
    same = make_potential("hybrid/overlay", {"part": [
        {"style": f"python:{BUFFERED}:buffered", **OPTIONS, "only": only}
        for only in ([[1, 1], [2, 2]], [[1, 2]])]}, 2)
    energies = [single_point(structure(2), p).energy for p in (whole, same)]
    assert energies[0] == pytest.approx(energies[1], rel=1e-12)


# An oracle: ASE's Lennard-Jones is cut off and shifted, as ours can be.
ORACLE = "ase:ase.calculators.lj:LennardJones"
OURS = {"epsilon": 0.01, "sigma": 3.4, "rc": 7.0, "shift": True}


def test_an_ase_calculator_beside_the_same_formula() -> None:
    pytest.importorskip("ase")
    system = lattice((3, 3, 3), 4.0, 0.2, 3)
    for periodic in ((True, True, True), (False, False, False)):
        box = Box(system.box.lo, system.box.edges, np.array(periodic))
        atoms = Structure.of_arrays(box, system.x)
        oracle = make_potential(ORACLE, {"epsilon": 0.01, "sigma": 3.4, "rc": 7.0}, 1, ("Ar",))
        theirs, ours = single_point(atoms, oracle), single_point(
            atoms, make_potential("lj/cut", OURS, 1))
        assert theirs.energy == pytest.approx(ours.energy, rel=1e-10)
        np.testing.assert_allclose(theirs.energies, ours.energies, rtol=1e-9)
        np.testing.assert_allclose(theirs.forces, ours.forces, atol=1e-11)
        np.testing.assert_allclose(theirs.virial, ours.virial, rtol=1e-9, atol=1e-10)


def test_a_run_of_an_ase_calculator(tmp_path: Path) -> None:
    pytest.importorskip("ase")
    rows = []
    for style, options in ((ORACLE, {"epsilon": 0.01, "sigma": 3.4, "rc": 7.0}), ("lj/cut", OURS)):
        sim = Simulation(deck_of(tmp_path, style, **options), MPI.COMM_SELF, tmp_path)
        sim.run()
        rows.append([[row[key] for key in ("pe", "ke", "press")] for row in sim.thermo.rows])
    np.testing.assert_allclose(rows[0], rows[1], rtol=1e-9)


def test_what_an_ase_calculator_cannot(tmp_path: Path) -> None:
    pytest.importorskip("ase")
    deck = deck_of(tmp_path, ORACLE)
    single = deck.model_copy(update={"run": deck.run.model_copy(update={"deterministic": True})})
    with pytest.raises(InputError, match=r"run\.deterministic = true: .*sums .* are its own"):
        Simulation(single, MPI.COMM_SELF, tmp_path)
    with pytest.raises(InputError, match=r"deterministic: .*are its own"):
        single_point(structure(), make_potential(ORACLE, {}, 1, ("Ar",)), deterministic=True)
    (tmp_path / "mine.py").write_text(
        "from ase.calculators.calculator import Calculator\n"
        "class Mine(Calculator):\n"
        "    implemented_properties = ['energy', 'forces']\n"
        "    def calculate(self, atoms, properties, changes):\n"
        "        self.results = {'energy': 0.0, 'forces': 0 * atoms.positions}\n"
        "class Bad(Mine):\n"
        "    def calculate(self, *a):\n"
        "        raise ValueError('no such luck')\n"
        "def three():\n    return 3\n")
    mine = f"ase:{tmp_path}/mine.py:"
    with pytest.raises(InputError, match="no stress, which periodic cells need"):
        single_point(structure(), make_potential(mine + "Mine", {}, 1, ("Ar",)))
    with pytest.raises(InputError, match="ValueError: no such luck"):
        single_point(structure(), make_potential(mine + "Bad", {}, 1, ("Ar",)))
    with pytest.raises(RunError, match=r"step 0: .*no such luck"):
        Simulation(deck_of(tmp_path, "ase:mine.py:Bad", species=["Ar"]), MPI.COMM_SELF,
                   tmp_path).run()
    with pytest.raises(PotentialError, match=r"three of .* makes no ASE calculator"):
        make_potential(mine + "three", {}, 1, ("Ar",))
    with pytest.raises(PotentialError, match="'Q' is no element"):
        make_potential(mine + "Mine", {}, 1, ("Q",))


def test_one_rank_only(mpirun, tmp_path: Path) -> None:
    pytest.importorskip("ase")
    (tmp_path / "deck.toml").write_text(deck_of(tmp_path, ORACLE).to_toml())
    load_deck(tmp_path / "deck.toml")
    end = mpirun(2, ["-m", "mdapp", "run", "deck.toml"], timeout=120)
    assert end.code == 2
    assert end.stderr.count("the whole system: use one rank") == 1
    assert "Traceback" not in end.stderr
