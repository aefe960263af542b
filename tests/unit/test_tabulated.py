"""Tables of pairs: splines, what is conserved, files that cannot be used."""

from pathlib import Path

import numpy as np
import pytest

from potentials.pair.table_file import cubic_spline, read_section, spline_at
from potentials.registry import PotentialError, make_potential
from tests.twins.systems import lattice
from tests.unit.test_lj import evaluate, types_of

FILE = str(Path(__file__).parents[1] / "conformance/inputs/two.table")
GIVEN = {"file": FILE, "section": "MORSE", "points": 150}


def test_a_spline_is_exact_for_a_cubic() -> None:
    x = np.sort(np.random.default_rng(1).uniform(0, 3, 12))
    y, slope = x**3 - 2 * x, 3 * x**2 - 2
    place = np.linspace(x[0], x[-1], 50)
    second = cubic_spline(x, y, (slope[0], slope[-1]))
    np.testing.assert_allclose(second, 6 * x, atol=1e-11)
    np.testing.assert_allclose(spline_at(x, y, second, place), place**3 - 2 * place, atol=1e-12)


def test_hermite_forces_are_derivatives() -> None:
    potential = make_potential("table", GIVEN, 1)
    system = lattice((3, 3, 3), 1.68, 0.07, 21)
    types, energies = types_of(len(system.x), 1), []
    f, _ = evaluate(potential, system, types)
    for step in (-1e-5, 1e-5):
        system.x[3, 1] += step
        energies.append(evaluate(potential, system, types)[1].energy)
        system.x[3, 1] -= step
    assert -(energies[1] - energies[0]) / 2e-5 == pytest.approx(f[3, 1], abs=1e-5)


@pytest.mark.parametrize("precision", ["mixed", "single"])
def test_precisions(precision: str) -> None:
    """Against double; single precision rounds r^2 to 6e-8 and the place in the table with it."""
    potential = make_potential("table", GIVEN, 1)
    system = lattice((3, 3, 3), 1.68, 0.07, 21)
    types = types_of(len(system.x), 1)
    (f, result), (g, other) = (evaluate(potential, system, types, p) for p in ("double", precision))
    assert abs(g - f).max() < 1e-5 * abs(f).max()
    assert abs(other.energies - result.energies).max() < 1e-5 * abs(result.energies).max()
    assert abs(other.virials - result.virials).max() < 1e-5 * abs(result.virials).max()


def test_energy_is_the_curve_of_the_section() -> None:
    potential = make_potential("table", GIVEN | {"points": 3000}, 1)
    section = read_section(Path(FILE), "MORSE")
    for r in np.linspace(0.9, 2.09, 7):
        # The cubics take their slopes from the forces, which have a spline of their own: 1e-6.
        assert potential.energy(np.array([[r]]))[0, 0] == pytest.approx(
            section.at(np.array([r]))[0][0], abs=1e-5)
    assert np.isnan(potential.energy(np.array([[0.5]]))[0, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"section": "BUCK"}, "has no section 'BUCK'; it has LJ, MORSE"),
        ({"section": None}, "section of types 1 1 is missing"),
        ({"points": 1}, "points = 1: must be a whole number from 2"),
        ({"rc": 3.0}, "rc = 3: the section MORSE goes from 0.7 to 2.1"),
        ({"interpolation": "lookup"}, "interpolation = 'lookup': must be one of linear"),
        ({"file": "none"}, "file = 'none': no such file"),
    ],
)
def test_messages(change: dict, words: str) -> None:
    with pytest.raises(PotentialError) as error:
        make_potential("table", GIVEN | change, 1)
    assert words in str(error.value)
