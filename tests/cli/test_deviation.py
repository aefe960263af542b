"""A run of a committee: its file of deviations on other ranks and after a restart."""

import json
from pathlib import Path

import numpy as np
import pytest

DECK = """
units = "lj"
[system]
lattice = "fcc"
density = 0.8442
cells = [4, 4, 4]
temperature = 1.44
[potential]
style = "committee"
[[potential.part]]
style = "lj/cut"
epsilon = 1.0
sigma = 1.0
rc = 2.5
[[potential.part]]
style = "lj/cut"
epsilon = 1.02
sigma = 0.99
rc = 2.3
[run]
steps = 40
[[output]]
kind = "deviation"
every = 10
file = "model_devi.out"
limit = 2.0
[checkpoint]
every = 20
"""


def table(folder: Path) -> np.ndarray:
    return np.genfromtxt(folder / "model_devi.out", names=True)


@pytest.fixture
def deck(tmp_path: Path) -> Path:
    (tmp_path / "deck.toml").write_text(DECK)
    return tmp_path / "deck.toml"


def test_the_same_on_two_ranks_and_after_a_restart(deck: Path, python, mpirun) -> None:
    folder = deck.parent
    end = python(["-m", "mdapp", "run", str(deck), "--out", "one"], timeout=120)
    assert end.code == 0, end.stderr
    one = table(folder / "one")
    assert one["step"].tolist() == [0, 10, 20, 30, 40]
    # A perfect lattice pulls no atom, whatever the model: the spread begins with the motion.
    assert one["max_devi_f"][0] < 1e-10 and (one["max_devi_f"][1:] > 0.1).all()
    assert (one["max_devi_v"] >= one["avg_devi_v"]).all() and one["above_limit"][-1] > 0
    assert "step 40: the models disagree on the forces on" in end.stdout

    begun = mpirun(2, ["-m", "mdapp", "run", str(deck), "--out", "two", "--steps", "30"],
                   timeout=120)
    assert begun.code == 0, begun.stderr
    restart = str(folder / "two" / "checkpoints")
    again = mpirun(2, ["-m", "mdapp", "run", str(deck), "--out", "two", "--restart", restart],
                   timeout=120)
    assert again.code == 0, again.stderr
    two = table(folder / "two")
    assert two["step"].tolist() == [0, 10, 20, 30, 40]
    for name in ("max_devi_f", "avg_devi_f", "max_devi_v"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-5, atol=1e-9)


def test_deviations_need_a_committee(deck: Path, python) -> None:
    alone = ["--set", 'potential={style="lj/cut", epsilon=1.0, sigma=1.0, rc=2.5}']
    end = python(["-m", "mdapp", "run", str(deck), *alone], timeout=120)
    assert end.code == 2 and 'it needs potential.style = "committee"' in end.stderr


def test_eval_says_how_much_the_models_disagree(deck: Path, python, tmp_path: Path) -> None:
    (tmp_path / "two.extxyz").write_text(
        '2\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3\nAr 0 0 0\nAr 1.1 0 0\n')
    end = python(["-m", "mdapp", "eval", "two.extxyz", "--potential", str(deck),
                  "--json", "a.json"], timeout=120)
    assert end.code == 0, end.stderr
    found = json.loads((tmp_path / "a.json").read_text())["deviation"]
    a, b = (24 * e * (2 * (s / 1.1)**12 - (s / 1.1)**6) / 1.1 for e, s in ((1, 1), (1.02, 0.99)))
    assert found["max_devi_f"] == pytest.approx(abs(a - b) / 2)
    assert "deviation" in end.stdout
