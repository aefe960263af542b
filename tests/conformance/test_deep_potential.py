"""Deep Potential against DeePMD-kit: its own test models, with energies, forces and virials.

Files and numbers are those of DeePMD-kit's source/tests/infer: deeppot_sea, deeppot-r and their
testcase.yaml, six atoms in a box, open, and in a longer box.
"""

import numpy as np
import pytest

from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from potentials.deep_potential.format import read_model
from potentials.registry import make_potential
from tests.conformance.deepmd_files import data_file
from tests.twins.deep_potential import same

MODELS = {
    "se_e2_a": ("deepmd-se-e2-a/deeppot_sea.dp", "deepmd-se-e2-a/deeppot-testcase.yaml"),
    "se_e2_r": ("deepmd-se-e2-r/deeppot-r.yaml", "deepmd-se-e2-r/deeppot-r-testcase.yaml"),
}
# Of energies (relative), forces (eV / A) and virials (eV). Measured: 3e-16, 5e-17, 1e-16 of the
# networks, and 3e-16, 1e-12, 1e-12 of tables.
BOUNDS = {False: (1e-12, 1e-13, 1e-13), True: (1e-12, 1e-10, 1e-10)}


def matrix(values, columns: int) -> np.ndarray:
    """Numbers of YAML, of which those without a sign in the exponent are text."""
    return np.array(values, float).reshape(-1, columns)


@pytest.mark.parametrize(
    ("name", "compress"),
    [("se_e2_a", False), ("se_e2_a", True),
     *(pytest.param("se_e2_r", c, marks=pytest.mark.slow) for c in (False, True))],
)  # fmt: skip
def test_models_of_deepmd_kit(name: str, compress: bool) -> None:
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    file, answers = map(data_file, MODELS[name])
    options = {"file": str(file), "species": ["O", "H"], "compress": compress}
    potential = make_potential("deep_potential", options, 2)
    relative, of_forces, of_virials = BOUNDS[compress]
    results = yaml.safe_load(answers.read_text())["results"]
    assert len(results) == 3
    for r in results:
        box = Box.orthogonal([-30.0] * 3, [30.0] * 3, (False,) * 3)
        if r["box"] is not None:
            box = Box.from_vectors(matrix(r["box"], 3))
        types = np.array(r["atype"])
        structure = Structure.of_arrays(box, matrix(r["coord"], 3), types, ("O", "H"))
        found = single_point(structure, potential, units="metal")
        energies = matrix(r["atomic_energy"], 1)[:, 0]
        np.testing.assert_allclose(found.energies, energies, rtol=relative)
        assert abs(found.forces - matrix(r["force"], 3)).max() < of_forces
        # DeePMD-kit has the force's index first: element 3 a + b is -sum f_a r_b.
        virials = matrix(r["atomic_virial"], 9)[:, [0, 4, 8, 7, 6, 3]]
        assert abs(found.virials - virials).max() < of_virials


def test_both_containers_hold_the_same() -> None:
    pytest.importorskip("yaml", reason="needs PyYAML")
    first = data_file(MODELS["se_e2_a"][0])
    assert same(read_model(first), read_model(first.with_suffix(".yaml")))
