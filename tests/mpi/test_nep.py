"""NEP on several ranks: forces and virials that neighbours get from another rank's atoms return."""

from pathlib import Path

import pytest

from potentials.nep.writer import write_nep
from tests.mpi.models import DECK, check_agreement, check_bits, done
from tests.twins.nep import flexible, invented

# One of the models that tests/unit/test_nep.py compiles. It holds atoms of 40 g/mol loosely.
MODEL = invented(1, zbl=flexible(3))


def deck(folder: Path) -> str:
    write_nep(folder / "nep.txt", MODEL)
    return DECK.format(
        constant=2.3, cells=[5, 4, 4], types=[1, 2, 3, 1], masses=[40.0, 40.0, 40.0],
        temperature=20.0, style="nep", file=folder / "nep.txt", species=["O", "C", "H"],
        skin=0.3)  # fmt: skip


def test_ranks_agree(mpirun, tmp_path) -> None:
    check_agreement(done(mpirun, tmp_path, deck(tmp_path), 10, []))


@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_deterministic_runs_have_the_same_bits(mpirun, tmp_path, precision: str) -> None:
    how = ["run.deterministic=true", f"run.precision={precision}"]
    check_bits(done(mpirun, tmp_path, deck(tmp_path), 40, how), 0.01)
