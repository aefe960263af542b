"""Single points in any cell against the sum over a lattice as it is defined."""

from itertools import product

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from potentials.pair.lj import LennardJones

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
LJ = LennardJones.from_options(1, epsilon=1.0, sigma=1.0, rc=2.5)
MIXTURE = LennardJones.from_options(2, epsilon=[1.0, 0.4], sigma=[0.6, 0.8], rc=[2.5, 2.1],
                                    mix="arithmetic", shift=True)
CELLS = {                    # none has a lattice vector that is exactly as long as a cutoff
    "cube": np.eye(3) * 4.0,
    "triclinic": np.array([[4.0, 0, 0], [1.3, 3.5, 0], [-0.8, 1.1, 3.0]]),
    "left-handed": np.array([[0, 4.0, 0], [3.0, 0.5, 0], [0.2, 0.3, 3.5]]),
    "any orientation": np.array([[1.0, 2.0, 3.0], [-2.5, 1.0, 0.3], [0.2, -1.0, 2.9]]),
    "sheared": np.array([[2.03, 0, 0], [11.0, 2.47, 0], [-7.0, 9.0, 1.98]]),
    "needle": np.array([[0.9, 0, 0], [0.1, 0.8, 0], [0, 0, 20.0]]),
    "plate": np.array([[9.0, 0, 0], [0, 9.0, 0], [1.0, 0, 0.8]]),
}
BOUNDARIES = [tuple(map(bool, p)) for p in product((1, 0), repeat=3)]
ONE_ATOM = {
    "a third of the cutoff": np.eye(3) * 2.5 / 3,
    "primitive fcc": 0.75 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]),
    "left-handed bcc": 0.6 * np.array([[1, -1, 1.0], [-1, 1, 1], [1, 1, 1]]),
}


def lattice_sum(box, x, types, lj):
    """Energies (n,), forces (n, 3), virial (6,), and the sum (n,) of |repulsion| + |attraction|."""
    widest = np.abs((x[:, None] - x[None]) @ np.linalg.inv(box.edges)).max(axis=(0, 1))
    ranges = [int(np.ceil(w + lj.cutoff / h)) if periodic else 0
              for w, h, periodic in zip(widest, box.heights(), box.periodic, strict=True)]
    e, f, w, scale = np.zeros(len(x)), np.zeros((len(x), 3)), np.zeros(6), np.zeros(len(x))
    for shift in product(*(range(-r, r + 1) for r in ranges)):
        d = x[:, None] - (x[None] + np.array(shift) @ box.edges)
        r = np.linalg.norm(d, axis=2)
        other = any(shift) | ~np.eye(len(x), dtype=bool)
        i, j = np.nonzero((r < lj.rc[types[:, None], types]) & other)
        pair, r, d = (types[i], types[j]), r[i, j], d[i, j]
        epsilon, sr6 = lj.epsilon[pair], (lj.sigma[pair] / r) ** 6
        edge6 = (lj.sigma[pair] / lj.rc[pair]) ** 6
        energy = 4 * epsilon * (sr6**2 - sr6 - lj.shift * (edge6**2 - edge6))
        force = (24 * epsilon * (2 * sr6**2 - sr6) / r**2)[:, None] * d
        np.add.at(e, i, energy / 2)
        np.add.at(f, i, force)
        np.add.at(scale, i, 24 * epsilon * (2 * sr6**2 + sr6) / r)
        w += [(d[:, a] * force[:, b]).sum() / 2 for a, b in VOIGT]
    return e, f, w, scale


def spread(cell, boundary, n, seed, nearest=0.55):
    """Up to n atoms at random in a cell, none nearer to another than `nearest`, and their types."""
    rng = np.random.default_rng(seed)
    box = Box.from_vectors(cell, boundary, lo=rng.normal(size=3))
    shifts = np.array(list(product((-2, -1, 0, 1, 2), repeat=3))) * box.periodic @ box.edges
    x = np.empty((0, 3))
    for s in rng.random((200, 3)):
        new = box.lo + s @ box.edges
        if len(x) < n and (np.linalg.norm(x[:, None] + shifts - new, axis=2) > nearest).all():
            x = np.concatenate([x, new[None]])
    return box, x, rng.integers(0, 2, len(x)).astype(np.int32)


def agree(result, reference, tolerance):
    """Energies, forces and virial agree to a tolerance that is relative to the terms summed."""
    e, f, w, scale = reference
    assert np.abs(result.energies - e).max() <= tolerance * scale.max()
    assert np.abs(result.forces - f).max() <= tolerance * scale.max()
    assert np.abs(result.virial - w).max() <= tolerance * scale.sum() * 2.5
    assert result.energy == pytest.approx(e.sum(), rel=0, abs=tolerance * scale.sum())


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_any_cell_gives_the_lattice_sum(name: str, boundary: tuple[bool, ...]) -> None:
    box, x, types = spread(CELLS[name], boundary, 12, seed=len(name))
    reference = lattice_sum(box, x, types, MIXTURE)
    structure = Structure.of_arrays(box, x, types, ("A", "B"))
    agree(single_point(structure, MIXTURE), reference, 1e-12)
    agree(single_point(structure, MIXTURE, deterministic=True), reference, 1e-9)
    agree(single_point(structure, MIXTURE, "mixed"), reference, 2e-6)
    agree(single_point(structure, MIXTURE, "single"), reference, 2e-6)


@pytest.mark.parametrize("name", ONE_ATOM)
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_one_atom_and_its_images(name: str, boundary: tuple[bool, ...]) -> None:
    box, x = Box.from_vectors(ONE_ATOM[name], boundary), np.array([[0.1, 0.2, -0.3]])
    result = single_point(Structure.of_arrays(box, x), LJ)
    reference = lattice_sum(box, x, np.zeros(1, int), LJ)
    agree(result, reference, 1e-12)
    assert (result.energy != 0) == any(boundary)
    assert np.abs(result.forces).max() <= 1e-12 * reference[3].max()


@pytest.mark.parametrize(("primitive", "sites", "conventional"), [
    (np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 0.79, [[0, 0, 0]], np.eye(3) * 1.58),
    (np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]]) * 0.6, [[0, 0, 0]], np.eye(3) * 1.2),
    (np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) * 1.2, [[0, 0, 0], [0.25] * 3], np.eye(3) * 2.4),
    (np.array([[1.1, 0, 0], [0.55, 0.9526279441628825, 0], [0, 0, 1.8]]),
     [[0, 0, 0], [1 / 3, 1 / 3, 0.5]], np.diag([1.1, 1.905255888325765, 1.8])),
], ids=["fcc", "bcc", "diamond", "hcp"])
def test_primitive_cell_and_supercell_agree(primitive, sites, conventional) -> None:
    small = single_point(Structure.of_arrays(Box.from_vectors(primitive), sites @ primitive), LJ)
    corners = np.array(list(product(range(-6, 7), repeat=3))) @ primitive
    x = (corners[:, None] + (sites @ primitive)[None]).reshape(-1, 3)
    super_cell = conventional * 3
    s = x @ np.linalg.inv(super_cell)
    inside = ((s > -1e-9) & (s < 1 - 1e-9)).all(axis=1)
    large = single_point(Structure.of_arrays(Box.from_vectors(super_cell), x[inside]), LJ)
    assert inside.sum() * small.volume == pytest.approx(len(sites) * large.volume, rel=1e-12)
    assert large.energy / inside.sum() == pytest.approx(small.energy / len(sites), rel=1e-12)
    assert large.stress == pytest.approx(small.stress, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("name", CELLS)
def test_whole_edges_change_nothing(name: str) -> None:
    box, x, types = spread(CELLS[name], (True, True, True), 8, seed=5)
    moved = x + np.random.default_rng(6).integers(-3, 4, x.shape) @ box.edges
    a, b = (single_point(Structure.of_arrays(box, p, types, ("A", "B")), MIXTURE)
            for p in (x, moved))
    _, _, _, scale = lattice_sum(box, x, types, MIXTURE)
    assert np.abs(a.forces - b.forces).max() <= 1e-12 * scale.max()
    assert np.abs(a.energies - b.energies).max() <= 1e-12 * scale.max()


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_rotated_cell_has_rotated_forces(boundary: tuple[bool, ...]) -> None:
    box, x, types = spread(CELLS["triclinic"], boundary, 12, seed=7)
    turn = np.linalg.qr(np.random.default_rng(8).normal(size=(3, 3)))[0]     # a reflection as well
    turned_box = Box.from_vectors(box.edges @ turn, boundary, box.lo @ turn)
    a = single_point(Structure.of_arrays(box, x, types, ("A", "B")), MIXTURE)
    b = single_point(Structure.of_arrays(turned_box, x @ turn, types, ("A", "B")), MIXTURE)
    scale = lattice_sum(box, x, types, MIXTURE)[3]
    assert b.energy == pytest.approx(a.energy, rel=0, abs=1e-12 * scale.sum())
    assert np.abs(b.forces - a.forces @ turn).max() <= 1e-12 * scale.max()
    assert np.abs(full(b.virial) - turn.T @ full(a.virial) @ turn).max() <= 3e-12 * scale.sum()


def full(voigt):
    """(3, 3) of (6,) in the order xx yy zz yz xz xy."""
    return voigt[np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])]


def test_stress_is_the_strain_derivative_and_forces_the_gradient() -> None:
    """A distorted fcc cell whose shells are clear of the cutoff, so that no pair crosses it."""
    rng, h = np.random.default_rng(9), 1e-5
    edges = np.eye(3) * 1.6 + rng.uniform(-0.02, 0.02, (3, 3))
    x = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) @ edges
    x += rng.uniform(-0.03, 0.03, x.shape)
    lj = LennardJones.from_options(1, epsilon=1.0, sigma=1.0, rc=2.115)
    distances = np.sort(np.linalg.norm((x[:, None, None] - x[None, :, None])
                        + np.array(list(product(range(-3, 4), repeat=3))) @ edges, axis=3).ravel())
    assert np.abs(distances - lj.cutoff).min() > 1e-3

    def energy(edges, x):
        return single_point(Structure.of_arrays(Box.from_vectors(edges), x), lj).energy

    result = single_point(Structure.of_arrays(Box.from_vectors(edges), x), lj)
    for k, (a, b) in enumerate(VOIGT):
        strain = np.zeros((3, 3))
        strain[a, b] += h / 2
        strain[b, a] += h / 2
        up, down = (energy(edges @ d, x @ d) for d in (np.eye(3) + strain, np.eye(3) - strain))
        derivative = (up - down) / (2 * h)
        close = 1e-7 * np.abs(result.virial).max()
        assert result.virial[k] == pytest.approx(-derivative, abs=close)
        assert result.stress[k] * result.volume == pytest.approx(derivative, abs=close)
    for i, c in np.ndindex(4, 3):
        step = np.zeros((4, 3))
        step[i, c] = h
        gradient = (energy(edges, x + step) - energy(edges, x - step)) / (2 * h)
        close = 1e-7 * np.abs(result.forces).max()
        assert result.forces[i, c] == pytest.approx(-gradient, abs=close)


def test_ase_says_the_same() -> None:
    """Energies, forces and stress, with ASE's sign and order, against its own Lennard-Jones."""
    pytest.importorskip("ase")
    from ase import Atoms
    from ase.calculators.lj import LennardJones as AseLennardJones

    box, x, _ = spread(CELLS["triclinic"], (True, True, True), 9, seed=10, nearest=0.8)
    atoms = Atoms("Ar" * len(x), positions=x, cell=box.edges, pbc=True)
    atoms.calc = AseLennardJones(sigma=1.0, epsilon=1.0, rc=2.5)
    shifted = LennardJones.from_options(1, epsilon=1.0, sigma=1.0, rc=2.5, shift=True)
    result = single_point(Structure.of_arrays(box, x), shifted)
    assert result.energy == pytest.approx(atoms.get_potential_energy(), rel=1e-11)
    assert result.forces == pytest.approx(atoms.get_forces(), rel=1e-11, abs=1e-9)
    assert result.stress == pytest.approx(atoms.get_stress(), rel=1e-11, abs=1e-9)
    assert result.energies == pytest.approx(atoms.get_potential_energies(), rel=1e-11)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_stress_and_volume_need_three_periodic_axes(boundary: tuple[bool, ...]) -> None:
    box, x, types = spread(CELLS["cube"], boundary, 4, seed=11)
    result = single_point(Structure.of_arrays(box, x, types, ("A", "B")), MIXTURE)
    assert (result.stress is not None) == all(boundary) == (result.volume is not None)
    assert np.isfinite(result.virial).all()


@pytest.mark.parametrize("precision", ["double", "mixed", "single"])
def test_distances_beyond_the_period_of_integer_coordinates(precision: str) -> None:
    """Atoms on a grid of 128 = 2^32 units of the coordinates of a single-precision kernel."""
    corners = np.array(list(product(range(4), repeat=3))) * 128.0
    x = corners + np.random.default_rng(12).uniform(-0.5, 0.5, corners.shape)
    box = Box.orthogonal((0, 0, 0), (1, 1, 1), (False, False, False))
    assert single_point(Structure.of_arrays(box, x), LJ, precision).energy == 0.0


@pytest.mark.parametrize("precision", ["double", "mixed", "single"])
def test_deterministic_sums_do_not_know_the_order_of_atoms(precision: str) -> None:
    box, x, types = spread(CELLS["sheared"], (True, True, False), 12, seed=13)
    order = np.random.default_rng(14).permutation(len(x))
    a, b = (single_point(Structure.of_arrays(box, x[o], types[o], ("A", "B")), MIXTURE, precision,
                         deterministic=True) for o in (np.arange(len(x)), order))
    assert (b.forces == a.forces[order]).all() and (b.energies == a.energies[order]).all()
    assert b.energy == a.energy and (b.virial == a.virial).all()


@pytest.mark.parametrize(("precision", "deterministic"),
                         [("double", False), ("double", True), ("mixed", False), ("single", False)])
@pytest.mark.parametrize("shift", [0.0, 4.0])
def test_two_atoms_at_one_place_are_named(precision, deterministic, shift) -> None:
    """At one place, or at one place modulo an edge."""
    x = np.array([[1.0, 1, 1], [2.5, 1, 1], [1.0, 1, 3], [2.5, 1 + shift, 1]])
    structure = Structure.of_arrays(Box.from_vectors(CELLS["cube"]), x)
    with pytest.raises(InputError, match="atoms 2 and 4 are 0 apart"):
        single_point(structure, LJ, precision, deterministic)


def test_no_atoms() -> None:
    box = Box.from_vectors(CELLS["triclinic"])
    result = single_point(Structure.of_arrays(box, np.empty((0, 3))), LJ)
    assert result.energy == 0 and result.forces.shape == (0, 3) and (result.stress == 0).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"x": np.array([[0, 0, np.nan], [1, 1, 1]])}, "atom 1 has a position that is not finite"),
    ({"type": np.array([0, 1], np.int32)}, "atom 2 is of type 2"),
])
def test_what_cannot_be_evaluated_is_named(change: dict, message: str) -> None:
    import dataclasses

    plain = Structure.of_arrays(Box.from_vectors(CELLS["cube"]), [[0, 0, 0], [1, 1, 1]])
    with pytest.raises(InputError, match=message):
        single_point(dataclasses.replace(plain, **change), LJ)
    with pytest.raises(InputError, match="can do double, mixed, single"):
        single_point(plain, LJ, "bf16")
