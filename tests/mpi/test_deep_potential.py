"""Deep Potential on several ranks: forces and virials of ghosts return; errors come to all."""

import numpy as np
import pytest

from potentials.deep_potential.format import write_model
from tests.mpi import cases
from tests.twins.deep_potential import invented

LAYOUTS = [(1, 1), (2, 2), (3, 1)]  # ranks, threads
MODEL = invented()


def deck(file, sel: str = "") -> str:
    return f"""
units = "metal"
[system]
lattice = "fcc"
constant = 2.7
cells = [4, 4, 5]
basis_types = [1, 2, 2, 1]
masses = [40.0, 60.0]
temperature = 50.0
seed = 5
[potential]
style = "deep_potential"
file = "{file}"
species = ["Aa", "Bb"]
[neighbors]
skin = 0.4
[run]
steps = 0
timestep = 0.0005
[thermo]
every = 10
"""


def done(mpirun, folder, steps: int, overrides: list[str]) -> list[cases.Outcome]:
    write_model(folder / "model.dp", MODEL)
    text = deck(folder / "model.dp")
    listed = [cases.case(f"c{k}", text, ranks, steps, folder,
                         [f"run.threads={threads}", *overrides])
              for k, (ranks, threads) in enumerate(LAYOUTS)]  # fmt: skip
    return list(cases.run(mpirun, folder, listed).values())


def test_ranks_agree(mpirun, tmp_path) -> None:
    one, *others = done(mpirun, tmp_path, 10, [])
    assert abs(one.f).max() > 0.1
    for other in others:
        assert abs(other.f - one.f).max() < 1e-9 * abs(one.f).max()
        for key in ("pe", "press"):
            assert other.thermo[-1][key] == pytest.approx(one.thermo[-1][key], rel=1e-9)


@pytest.mark.parametrize("precision", ["double", pytest.param("mixed", marks=pytest.mark.slow)])
def test_deterministic_runs_have_the_same_bits(mpirun, tmp_path, precision: str) -> None:
    one, *others = done(mpirun, tmp_path, 30, ["run.deterministic=true",
                                               f"run.precision={precision}"])  # fmt: skip
    assert abs(one.x - one.x0).max() > 1e-3
    for other in others:
        assert other.state_hash == one.state_hash
        assert np.array_equal(other.x, one.x) and np.array_equal(other.f, one.f)
        assert other.thermo == one.thermo


def test_too_few_slots_end_the_run_on_all_ranks(mpirun, tmp_path) -> None:
    write_model(tmp_path / "model.dp", invented(sel=(40, 3)))
    (tmp_path / "deck.toml").write_text(deck(tmp_path / "model.dp"))
    end = mpirun(2, ["-m", "mdapp", "run", "deck.toml", "--set", "run.steps=5"])
    assert end.code == 2
    assert "atom " in end.stderr and "neighbors of type Bb, and the model has 3 slots" in end.stderr
    assert end.stderr.count("slots for them") == 1
