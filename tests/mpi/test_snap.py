"""SNAP on several ranks: forces that neighbours get from another rank's atoms come back."""

import numpy as np
import pytest

from tests.mpi import cases
from tests.twins.snap import Invented

LAYOUTS = [(1, 1), (2, 2), (3, 1)]  # ranks, threads
# Atoms 1.2 apart repel or attract by a tenth of their temperature: they move, and stay.
MODEL = Invented(twojmax=3, radius=(0.5, 0.42), weight=(1.0, -0.6),
                 flags={"chemflag": 1, "bnormflag": 1})  # fmt: skip


def deck(files: list[str]) -> str:
    return f"""
units = "lj"
[system]
lattice = "bcc"
constant = 1.4
cells = [5, 4, 4]
basis_types = [1, 2]
masses = [1.0, 2.0]
temperature = 0.02
seed = 5
[potential]
style = "snap"
file = {files}
species = ["Aa", "Bb"]
[neighbors]
skin = 0.3
[run]
steps = 0
timestep = 0.002
[thermo]
every = 10
"""


def done(mpirun, folder, steps: int, overrides: list[str]) -> list[cases.Outcome]:
    text = deck(MODEL.write(folder))
    listed = [cases.case(f"c{k}", text, ranks, steps, folder,
                         [f"run.threads={threads}", *overrides])
              for k, (ranks, threads) in enumerate(LAYOUTS)]  # fmt: skip
    return list(cases.run(mpirun, folder, listed).values())


def test_ranks_agree(mpirun, tmp_path) -> None:
    one, *others = done(mpirun, tmp_path, 20, [])
    assert abs(one.f).max() > 0.01
    for other in others:
        assert abs(other.f - one.f).max() < 1e-11
        for key in ("pe", "press"):
            assert other.thermo[-1][key] == pytest.approx(one.thermo[-1][key], rel=1e-11)


def test_deterministic_runs_have_the_same_bits(mpirun, tmp_path) -> None:
    one, *others = done(mpirun, tmp_path, 60, ["run.deterministic=true"])
    assert abs(one.x - one.x0).max() > 0.01
    for other in others:
        assert other.state_hash == one.state_hash
        assert np.array_equal(other.x, one.x) and np.array_equal(other.f, one.f)
        assert other.thermo == one.thermo
