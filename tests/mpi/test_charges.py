"""Charges on one, two and three ranks: with ghosts and migrants, and through a checkpoint.

Hot ions of which each has a charge of its own: one that came to the wrong atom would show.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.mpi import cases
from tests.mpi.test_deterministic import DETERMINISTIC, assert_same_bits, listed
from tests.twins.systems import lattice

LAYOUTS = [(1, None, 1), (2, None, 1), (3, None, 1), (3, [3, 1, 1], 2)]
DECK = """
units = "lj"
[system]
file = "ions.data"
temperature = 1.5
seed = 5
[potential]
style = "hybrid/overlay"
[[potential.part]]
style = "lj/cut"
epsilon = 1.0
sigma = 1.0
rc = 2.5
[[potential.part]]
style = "coul/dsf"
alpha = 0.9
rc = 2.5
[run]
steps = 40
timestep = 0.004
[thermo]
every = 10
"""


@pytest.fixture
def deck(tmp_path: Path) -> str:
    """The text of a deck beside its file of ions."""
    system = lattice((4, 4, 4), 1.68, 0.02, 7)
    charges = np.random.default_rng(6).uniform(-1.5, 1.5, len(system.x))
    bounds = "".join(f"0.0 {float(system.box.lengths[0])!r} {axis}lo {axis}hi\n" for axis in "xyz")
    rows = "".join(f"{k} 1 {q!r} {x!r} {y!r} {z!r}\n" for k, (q, (x, y, z)) in enumerate(
        zip(charges.tolist(), system.x.tolist(), strict=True), 1))  # fmt: skip
    (tmp_path / "ions.data").write_text(
        f"ions\n\n{len(charges)} atoms\n1 atom types\n{bounds}\nAtoms # charge\n\n{rows}")
    return DECK


def test_ranks_and_threads(mpirun, tmp_path: Path, deck: str) -> None:
    done = cases.run(mpirun, tmp_path, listed("bits", deck, 60, LAYOUTS, tmp_path))
    assert_same_bits(done, "bits", LAYOUTS)
    assert done["bits-0"].builds > 3
    moved = abs(done["bits-0"].x - done["bits-0"].x0).max()
    assert moved > 0.3


def test_a_restart_on_other_ranks(mpirun, tmp_path: Path, deck: str) -> None:
    """From a checkpoint of two ranks on three: the bits of a run on one."""
    (tmp_path / "deck.toml").write_text(deck)
    run = ["-m", "mdapp", "run", "deck.toml", "--set", DETERMINISTIC, "--set",
           "checkpoint.every=20"]  # fmt: skip
    steps = {"whole": (1, []), "part": (2, ["--set", "run.steps=20"]),
             "rest": (3, ["--restart", "auto"])}  # fmt: skip
    answers = {}
    for name, (ranks, options) in steps.items():
        out = "whole" if name == "whole" else "ions"
        command = [*run, "--out", out, "--json", f"{name}.json", *options]
        end = mpirun(ranks, command, timeout=200)
        assert end.code == 0, end.stderr
        answers[name] = json.loads((tmp_path / f"{name}.json").read_text())
    assert answers["rest"]["steps"] == 20
    assert answers["rest"]["state_hash"] == answers["whole"]["state_hash"]
    assert answers["rest"]["thermo"][-1]["pe"] == answers["whole"]["thermo"][-1]["pe"]
    stored = answers["part"]["checkpoints"][-1]
    assert stored["step"] == 20
