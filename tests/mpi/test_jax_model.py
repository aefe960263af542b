"""A model in JAX on one, two and three ranks: forces come back from ghosts, bits stay.

A hot mixture, dense enough that atoms change owners and differ in their numbers of neighbours.
"""

from pathlib import Path

import pytest

from tests.mpi.test_deterministic import assert_layouts_agree

pytest.importorskip("jax")

MODEL = """import jax.numpy as jnp
from potentials.jax_model import jax_potential

PARAMS = {"pair": jnp.array([[30.0, 20.0], [20.0, 25.0]]), "density": jnp.array([0.7, 1.1]),
          "depth": jnp.array([2.0, 1.5])}

@jax_potential(cutoff=1.9, species=["A", "B"], params=PARAMS)
def embedded(params, r_ij, type_i, type_j, mask):
    r2 = jnp.sum(r_ij**2, axis=-1)
    gap = jnp.where(mask, 1 - r2 / 1.9**2, 0)
    pairs = params["pair"][type_i[:, None], type_j] * gap**3
    density = jnp.sum(params["density"][type_j] * jnp.exp(-r2) * gap**2, axis=-1)
    return jnp.sum(pairs, axis=-1) - params["depth"][type_i] * jnp.sqrt(1 + density)
"""
DECK = """
units = "lj"
[system]
lattice = "fcc"
constant = 1.7
cells = [5, 4, 4]
basis_types = [1, 2, 2, 1]
masses = [1.0, 2.0]
species = ["A", "B"]
temperature = 3.0
seed = 5
[potential]
style = "python:model.py:embedded"
[neighbors]
skin = 0.3
[run]
steps = 0
timestep = 0.002
[thermo]
every = 10
"""
LAYOUTS = [(1, None, 1), (2, None, 1), (3, [3, 1, 1], 2)]


def test_ranks_and_threads(mpirun, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(MODEL)
    assert_layouts_agree(mpirun, tmp_path, DECK, LAYOUTS)
