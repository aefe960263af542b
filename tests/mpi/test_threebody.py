"""Stillinger-Weber and Tersoff on one, two and three ranks: forces come back from ghosts.

A hot, dense mixture, so that angles reach over every border and atoms change owners.
"""

from pathlib import Path

import pytest

from tests.conformance.threebody_by_lammps import MIXTURE_SW, MIXTURE_TERSOFF
from tests.mpi.test_deterministic import assert_layouts_agree

MIXTURES = {
    "sw": (MIXTURE_SW, ["Si", "X"], 5.2),
    "tersoff": (MIXTURE_TERSOFF, ["Si", "X"], 5.2),
}
LAYOUTS = [(1, None, 1), (2, None, 1), (3, None, 1), (3, [3, 1, 1], 2)]


def deck(style: str, folder: Path) -> str:
    """A deck of a mixture, beside the file of its parameters."""
    text, species, constant = MIXTURES[style]
    (folder / f"some.{style}").write_text(text)
    return f"""
units = "metal"
[system]
lattice = "diamond"
constant = {constant}
cells = [4, 3, 3]
basis_types = [1, 2, 2, 1, 1, 1, 2, 1]
masses = [28.0, 12.0]
species = {species}
temperature = 3000.0
seed = 5
[potential]
style = "{style}"
file = "some.{style}"
[neighbors]
skin = 0.5
[run]
steps = 0
timestep = 0.001
[thermo]
every = 10
""".replace("'", '"')


@pytest.mark.parametrize("style", MIXTURES)
def test_ranks_and_threads(mpirun, tmp_path, style: str) -> None:
    assert_layouts_agree(mpirun, tmp_path, deck(style, tmp_path), LAYOUTS)
