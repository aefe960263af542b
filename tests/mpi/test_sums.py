"""Pair formulas and sums on one, two and three ranks, two of them with deterministic sums.

The sum has lists of two forms, and a potential that does not see one of the types, so that what it
hands to ghosts belongs to some of the atoms only.
"""

from pathlib import Path

import numpy as np
import pytest

from potentials.eam.zhou import write_setfl
from tests.mpi import cases
from tests.mpi.test_deterministic import assert_same_bits, listed

SUM = """
style = "hybrid/overlay"
[[potential.part]]
style = "eam/alloy"
file = "Cu.eam.alloy"
species = ["Cu", "NULL"]
[[potential.part]]
style = "morse"
d0 = 0.3
alpha = 1.4
r0 = 2.9
rc = 5.0
only = [[1, 2], [2, 2]]
"""
BORN = """
style = "born"
a = 0.3
rho = 0.3
sigma = 2.4
c = 20.0
d = 30.0
rc = 5.0
"""
LAYOUTS = [(1, None, 1), (2, None, 1), (3, [1, 1, 3], 1)]


def deck(potential: str, folder: Path) -> str:
    write_setfl(folder / "Cu.eam.alloy", ["Cu"], 200)
    return f"""
units = "metal"
[system]
lattice = "fcc"
constant = 3.7
cells = [5, 4, 4]
basis_types = [1, 2, 1, 2]
species = ["Cu", "Ni"]
temperature = 3000.0
seed = 5
[potential]
{potential}
[neighbors]
skin = 0.5
[run]
steps = 0
timestep = 0.002
[thermo]
every = 10
"""


@pytest.mark.parametrize("potential", [SUM, BORN], ids=["sum", "born"])
def test_ranks_do_not_matter(mpirun, tmp_path: Path, potential: str) -> None:
    text = deck(potential, tmp_path)
    precise = listed("bits", text, 40, LAYOUTS, tmp_path)
    plain = [cases.case(f"plain-{n}", text, n, 20, tmp_path) for n in (1, 3)]
    done = cases.run(mpirun, tmp_path, [*precise, *plain])
    assert_same_bits(done, "bits", LAYOUTS)
    assert done["bits-0"].builds > 2
    assert abs(done["plain-1"].f).max() > 0.5
    for array in ("f0", "f", "x"):
        one, several = getattr(done["plain-1"], array), getattr(done["plain-3"], array)
        np.testing.assert_allclose(several, one, rtol=0, atol=1e-9)
