"""What runs of machine-learned potentials on several ranks have in common."""

from pathlib import Path

import numpy as np
import pytest

from tests.mpi import cases

LAYOUTS = [(1, 1), (2, 2), (3, 1)]  # ranks, threads
DECK = """
units = "metal"
[system]
lattice = "fcc"
constant = {constant}
cells = {cells}
basis_types = {types}
masses = {masses}
temperature = {temperature}
seed = 5
[potential]
style = "{style}"
file = "{file}"
species = {species}
[neighbors]
skin = {skin}
[run]
steps = 0
timestep = 0.0005
[thermo]
every = 10
"""


def done(
    mpirun, folder: Path, text: str, steps: int, overrides: list[str]
) -> list[cases.Outcome]:
    """A deck run in each of the layouts."""
    listed = [cases.case(f"c{k}", text, ranks, steps, folder,
                         [f"run.threads={threads}", *overrides])
              for k, (ranks, threads) in enumerate(LAYOUTS)]  # fmt: skip
    return list(cases.run(mpirun, folder, listed).values())


def check_agreement(outcomes: list[cases.Outcome]) -> None:
    """Forces that are none of nothing are the same but for rounding, and so is the thermo."""
    one, *others = outcomes
    assert abs(one.f).max() > 0.1
    for other in others:
        assert abs(other.f - one.f).max() < 1e-9 * abs(one.f).max()
        for key in ("pe", "press"):
            assert other.thermo[-1][key] == pytest.approx(one.thermo[-1][key], rel=1e-9)


def check_bits(outcomes: list[cases.Outcome], moved: float) -> None:
    """Atoms have moved, and everything has the same bits."""
    one, *others = outcomes
    assert abs(one.x - one.x0).max() > moved
    for other in others:
        assert other.state_hash == one.state_hash
        assert np.array_equal(other.x, one.x) and np.array_equal(other.f, one.f)
        assert other.thermo == one.thermo
