"""Deep Potential on several ranks: forces and virials of ghosts return; errors come to all."""

import pytest

from potentials.deep_potential.format import write_model
from tests.mpi.models import DECK, check_agreement, check_bits, done
from tests.twins.deep_potential import invented


def deck(folder, model) -> str:
    write_model(folder / "model.dp", model)
    return DECK.format(
        constant=2.7, cells=[4, 4, 5], types=[1, 2, 2, 1], masses=[40.0, 60.0], temperature=50.0,
        style="deep_potential", file=folder / "model.dp", species=["Aa", "Bb"],
        skin=0.4)  # fmt: skip


def test_ranks_agree(mpirun, tmp_path) -> None:
    check_agreement(done(mpirun, tmp_path, deck(tmp_path, invented()), 10, []))


@pytest.mark.parametrize("precision", ["double", pytest.param("mixed", marks=pytest.mark.slow)])
def test_deterministic_runs_have_the_same_bits(mpirun, tmp_path, precision: str) -> None:
    how = ["run.deterministic=true", f"run.precision={precision}"]
    check_bits(done(mpirun, tmp_path, deck(tmp_path, invented()), 30, how), 1e-3)


def test_too_few_slots_end_the_run_on_all_ranks(mpirun, tmp_path) -> None:
    (tmp_path / "deck.toml").write_text(deck(tmp_path, invented(sel=(40, 3))))
    end = mpirun(2, ["-m", "mdapp", "run", "deck.toml", "--set", "run.steps=5"])
    assert end.code == 2
    assert "atom " in end.stderr and "neighbors of type Bb, and the model has 3 slots" in end.stderr
    assert end.stderr.count("slots for them") == 1
