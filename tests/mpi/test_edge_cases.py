"""Systems at the edge of what can be laid out: few atoms, empty ranks, small boxes, open faces."""

import numpy as np
import pytest

from mdapp.model.box import Box
from tests.mpi import cases
from tests.twins.lj import lennard_jones

ONE = np.ones((1, 1))


def lattice_deck(
    region: str, fill: str, boundary: str = "p p p", constant: float = 1.0, **options
) -> str:
    """Atoms on chosen sites of a simple cubic lattice."""
    return cases.deck(
        f'lattice = "sc"\nconstant = {constant}\nregion = {region}\nboundary = "{boundary}"\n'
        f"fill = [{fill}]",
        **options,
    )


ONE_ATOM = lattice_deck(
    "[0, 6, 0, 6, 0, 6]", "{ type = 1, region = [2.5, 3.5, 2.5, 3.5, 2.5, 3.5] }"
)
ITS_IMAGES = lattice_deck("[0, 1, 0, 1, 0, 1]", "{ type = 1 }", constant=1.3)
TWO_ATOMS = lattice_deck(
    "[0, 8, 0, 8, 0, 8]",
    "{ type = 1, region = [0, 0.5, 0, 0.5, 0, 0.5] }, "
    "{ type = 2, region = [6.5, 7.5, 0, 0.5, 0, 0.5] }",
    constant=1.2,
)
FREE_PAIR = lattice_deck(
    "[0, 4, 0, 4, 0, 4]", "{ type = 1, region = [1, 2, 1, 1.5, 1, 1.5] }", "f f f", 1.3
)


def test_few_atoms(mpirun, tmp_path) -> None:
    """One atom, one with its own images, two across the faces; on more ranks than atoms."""
    names = {"one": ONE_ATOM, "images": ITS_IMAGES, "two": TWO_ATOMS, "free": FREE_PAIR}
    listed = [
        cases.case(f"{name}-{ranks}", text, ranks, 100, tmp_path)
        for name, text in names.items()
        for ranks in (1, 2, 6)
    ]
    done = cases.run(mpirun, tmp_path, listed)
    for ranks in (1, 2, 6):
        one, images, two, free = (done[f"{name}-{ranks}"] for name in names)
        assert (
            one.thermo[-1]["pe"] == 0
            and one.thermo[-1]["temp"] == 0
            and one.x.tolist() == [[3, 3, 3]]
        )
        box = Box.orthogonal((0, 0, 0), (1.3, 1.3, 1.3))
        twin = lennard_jones(np.zeros((1, 3)), np.zeros(1, int), box, ONE, ONE, 2.5 * ONE)
        assert images.thermo[0]["pe"] == pytest.approx(twin.energies[0], rel=1e-12)
        assert abs(images.x).max() < 1e-12, "its images pull equally"
        assert len(two.id) == 2 and two.type.tolist() == [0, 1]
        box = Box.orthogonal((0, 0, 0), (9.6, 9.6, 9.6))
        twin = lennard_jones(two.x0, np.zeros(2, int), box, ONE, ONE, 2.5 * ONE)
        assert two.f0 == pytest.approx(twin.forces, rel=1e-12) and abs(two.f0[0, 0]) > 0.1
        assert two.thermo[-1]["etotal"] == pytest.approx(two.thermo[0]["etotal"], rel=1e-4)
        energies = [row["pe"] for row in free.thermo]
        assert max(energies) - min(energies) > 0.05, "it vibrates"
        for name in names:
            assert abs(done[f"{name}-{ranks}"].x - done[f"{name}-1"].x).max() < 1e-12
    assert done["one-6"].owned.count(0) == 5


def test_atoms_leave_through_open_faces(mpirun, tmp_path) -> None:
    """Far beyond the box, on ranks of the outermost layer, and none is lost."""
    text = cases.CORNER.replace("timestep = 0.004", "timestep = 0.006").replace(
        "rc = 2.5", "rc = 2.5\nshift = true"
    )
    listed = [
        cases.case(f"fly-{ranks}", text, ranks, 900, tmp_path, ["thermo.every=0"])
        for ranks in (1, 3)
    ]
    done = cases.run(mpirun, tmp_path, listed)
    for outcome in done.values():
        assert len(outcome.id) == 125 and sum(outcome.owned) == 125
        assert outcome.x.min() < -8.0 and outcome.x.max() > 9.0
        assert outcome.thermo[-1]["etotal"] == pytest.approx(outcome.thermo[0]["etotal"], abs=0.01)


def test_no_steps_and_one(mpirun, tmp_path) -> None:
    listed = [
        cases.case(f"{steps}-{ranks}", cases.MELT, ranks, steps, tmp_path)
        for steps in (0, 1)
        for ranks in (1, 2)
    ]
    done = cases.run(mpirun, tmp_path, listed)
    assert len(done["0-1"].thermo) == 1 and done["0-2"].builds == 0
    assert [row["step"] for row in done["1-2"].thermo] == [0, 1]
    assert np.array_equal(done["0-1"].x, done["0-1"].x0)


def test_a_zero_skin_and_a_huge_one(mpirun, tmp_path) -> None:
    """Lists of every step, and lists of half the system, give the same trajectory."""
    listed = [
        cases.case(f"skin-{k}-{ranks}", cases.MELT, ranks, 30, tmp_path, [f"neighbors.skin={skin}"])
        for k, skin in enumerate((0.0, 0.3, 4.0))
        for ranks in (1, 4)
    ]
    done = cases.run(mpirun, tmp_path, listed)
    for name, outcome in done.items():
        assert abs(outcome.x - done["skin-1-1"].x).max() < 1e-10, name
    assert done["skin-0-4"].builds == 30 and done["skin-2-4"].builds == 0


def test_many_types(mpirun, tmp_path) -> None:
    """Twelve types, each with its own parameters, against the twin."""
    basis = "[" + ", ".join(f"[0.0, 0.0, {k / 12:.15g}]" for k in range(12)) + "]"
    sigma, epsilon = [0.9 + 0.02 * k for k in range(12)], [1.0 - 0.05 * k for k in range(12)]
    text = cases.deck(
        f'lattice = "custom"\nconstant = 1.1\nvectors = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 12.0]]\n'
        f"basis = {basis}\nbasis_types = {list(range(1, 13))}\ncells = [4, 4, 1]\n"
        "temperature = 0.3",
        f'epsilon = {epsilon}\nsigma = {sigma}\nrc = 2.2\nmix = "arithmetic"',
    )
    done = cases.run(
        mpirun,
        tmp_path,
        [cases.case(f"types-{ranks}", text, ranks, 10, tmp_path) for ranks in (1, 3)],
    )
    s = np.add.outer(sigma, sigma) / 2
    e = np.sqrt(np.multiply.outer(epsilon, epsilon))
    for outcome in done.values():
        box = Box.orthogonal((0, 0, 0), (4.4, 4.4, 13.2))
        twin = lennard_jones(outcome.x0, outcome.type, box, e, s, np.full((12, 12), 2.2))
        assert outcome.thermo[0]["pe"] == pytest.approx(twin.energies.sum() / 192, rel=1e-12)
        assert abs(outcome.f0 - twin.forces).max() < 1e-11 * twin.strength.max()
    assert abs(done["types-3"].x - done["types-1"].x).max() < 1e-10


def test_a_data_file_with_velocities_and_images(mpirun, tmp_path) -> None:
    """Atoms outside the box are wrapped with their image flags; velocities stay to the last bit."""
    (tmp_path / "data.some").write_text("""some atoms

4 atoms
2 atom types
-1.0 5.0 xlo xhi
0.0 6.0 ylo yhi
0.0 7.0 zlo zhi

Masses

1 1.0
2 2.5

Atoms # atomic

7 2 5.0 6.0 7.0 0 0 0
3 1 -1.5 1.0 1.0 2 0 0
12 1 1.0 8.0 -8.0 0 -1 5
1 1 2.0 3.0 4.0 0 0 0

Velocities

3 0.1 0.2 0.3
1 -0.1 0.0 1e-3
12 0.0 0.0 0.0
7 1.5 2.5 -3.5
""")
    text = cases.deck('file = "data.some"')
    done = cases.run(
        mpirun,
        tmp_path,
        [cases.case(f"data-{ranks}", text, ranks, 0, tmp_path) for ranks in (1, 5)],
    )
    for outcome in done.values():
        assert outcome.id.tolist() == [1, 3, 7, 12] and outcome.type.tolist() == [0, 0, 1, 0]
        assert outcome.v[2].tolist() == [1.5, 2.5, -3.5] and outcome.v[0].tolist() == [
            -0.1,
            0.0,
            1e-3,
        ]
        unwrapped = [[2, 3, 4], [-1.5 + 12, 1, 1], [5, 6, 7], [1, 8 - 6, -8 + 35]]
        assert outcome.x == pytest.approx(np.array(unwrapped, float), abs=1e-12)
