"""The models that come with mdapp, against their definitions: two species, forces and virials."""

import pytest

pytest.importorskip("jax")

from mdapp.evaluate import Structure, single_point
from potentials.jax_model import save_weights
from potentials.registry import make_potential
from tests.twins import models as twins
from tests.twins.evaluate import types_of
from tests.twins.systems import lattice
from tests.twins.threebody import atom_energies

CUTOFF = 1.65
MODELS = {
    "behler_parrinello": (twins.invented_behler_parrinello, twins.behler_parrinello),
    "ace_layer": (twins.invented_ace_layer, twins.ace_layer),
}
# Energies, forces and virials of about 10; single precision rounds what goes in to 6e-8.
BOUNDS = {"double": 1e-11, "mixed": 2e-4}


@pytest.mark.parametrize("name", MODELS)
def test_a_mixture(name: str, tmp_path) -> None:
    invented, energy = MODELS[name]
    system = lattice((1, 1, 2), 1.7, 0.06, 11)
    types = types_of(system, 2)
    save_weights(tmp_path / "w.npz", invented(CUTOFF, 2), model=name, cutoff=CUTOFF,
                 species=["A", "B"], units="lj")
    # The engine's types the other way round: the model's are found by name.
    potential = make_potential("jax", {"file": str(tmp_path / "w.npz")}, 2, ["B", "A"])
    structure = Structure.of_arrays(system.box, system.x, 1 - types, ("B", "A"))
    twin = atom_energies(energy, system.x, types, system.box, invented(CUTOFF, 2), CUTOFF)
    assert abs(twin.forces).max() > 1
    for precision, bound in BOUNDS.items():
        point = single_point(structure, potential, precision)
        assert abs(point.energies - twin.energies).max() < bound
        assert abs(point.forces - twin.forces).max() < bound
        assert abs(point.virials - twin.virials).max() < bound
