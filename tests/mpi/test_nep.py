"""NEP on several ranks: forces and virials that neighbours get from another rank's atoms return."""

from pathlib import Path

import numpy as np
import pytest

from potentials.nep.writer import write_nep
from tests.mpi import cases
from tests.twins.nep import flexible, invented

LAYOUTS = [(1, 1), (2, 2), (3, 1)]  # ranks, threads
# One of the models that tests/unit/test_nep.py compiles. It holds atoms of 40 g/mol loosely.
MODEL = invented(1, zbl=flexible(3))


def deck(file: Path) -> str:
    write_nep(file, MODEL)
    return f"""
units = "metal"
[system]
lattice = "fcc"
constant = 2.3
cells = [5, 4, 4]
basis_types = [1, 2, 3, 1]
masses = [40.0, 40.0, 40.0]
temperature = 20.0
seed = 5
[potential]
style = "nep"
file = "{file}"
species = ["O", "C", "H"]
[neighbors]
skin = 0.3
[run]
steps = 0
timestep = 0.0005
[thermo]
every = 10
"""


def done(mpirun, folder, steps: int, overrides: list[str]) -> list[cases.Outcome]:
    text = deck(folder / "nep.txt")
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


@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_deterministic_runs_have_the_same_bits(mpirun, tmp_path, precision: str) -> None:
    one, *others = done(mpirun, tmp_path, 40, ["run.deterministic=true",
                                               f"run.precision={precision}"])  # fmt: skip
    assert abs(one.x - one.x0).max() > 0.01
    for other in others:
        assert other.state_hash == one.state_hash
        assert np.array_equal(other.x, one.x) and np.array_equal(other.f, one.f)
        assert other.thermo == one.thermo
