"""The SNAP kernel against its twin: flags, elements, threads, orders, sums; and its files."""

from pathlib import Path

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.lammps_script import load_script
from mdapp.model.box import Box
from potentials.base import ForceRangeError, Want
from potentials.files import FileError
from potentials.registry import PotentialError, make_potential
from potentials.snap.files import read_coefficients, read_parameters
from potentials.snap.indices import clebsch_gordan
from tests.twins.evaluate import evaluate as on_one_rank
from tests.twins.evaluate import types_of
from tests.twins.snap import Invented, coupling, energies
from tests.twins.systems import System, lattice

TWO = {"radius": (0.5, 0.42), "weight": (1.0, -0.6)}
CHEM = {"chemflag": 1, "bnormflag": 1}
POTENTIALS = {
    "plain": Invented(),
    "odd twojmax": Invented(twojmax=3, flags={"bzeroflag": 0}),
    "no momenta": Invented(twojmax=0),
    "two elements": Invented(**TWO, flags={"rmin0": 0.2, "rfac0": 0.9}),
    "not switched": Invented(flags={"switchflag": 0}),
    "normalised": Invented(flags={"bnormflag": 1, "wselfallflag": 1}),
    "quadratic": Invented(twojmax=3, **TWO, flags={"quadraticflag": 1}),
    "explicit elements": Invented(twojmax=3, **TWO, flags=CHEM),
    "explicit, self in all": Invented(twojmax=2, **TWO, flags={**CHEM, "wselfallflag": 1}),
    "explicit, not normalised": Invented(twojmax=3, **TWO, flags={"chemflag": 1}),
    "explicit quadratic": Invented(twojmax=2, **TWO, flags={**CHEM, "quadraticflag": 1}),
}


@pytest.fixture(params=POTENTIALS)
def invented(request) -> Invented:
    return POTENTIALS[request.param]


def made(p: Invented, folder: Path):
    return make_potential("snap", {"file": p.write(folder), "species": p.names}, len(p.names))


def liquid(cells: int = 2) -> System:
    return lattice((cells,) * 3, 1.9, 0.07, 21)


def evaluate(potential, system: System, types, deterministic=False, kernel=None,
             precision="double", **asked):  # fmt: skip
    kernel = kernel or potential.compiled(precision, deterministic)
    return on_one_rank(kernel, potential.cutoff, "full", system, types, **asked)


@pytest.mark.parametrize("deterministic", [False, True])
def test_energies_of_a_liquid(invented: Invented, deterministic: bool, tmp_path: Path) -> None:
    potential, system = made(invented, tmp_path), liquid()
    types = types_of(system, potential.ntypes)
    twin = energies(invented, system.x, types, system.box)
    _, result = evaluate(potential, system, types, deterministic)
    assert np.ptp(twin) > 1e-4 or invented.twojmax == 0
    bound = 1e-10 if deterministic else 1e-12
    np.testing.assert_allclose(result.energies, twin, rtol=0, atol=bound)
    assert result.energy == pytest.approx(twin.sum(), rel=1e-9)


@pytest.mark.parametrize("name", ["plain", "explicit elements", "quadratic"])
def test_single_precision(name: str, tmp_path: Path) -> None:
    """Measured, in units of the largest number: 1e-7, 5e-7, 4e-7; double, 1e-15."""
    potential, system = made(POTENTIALS[name], tmp_path), liquid()
    types = types_of(system, potential.ntypes)
    f, expected = evaluate(potential, system, types)
    for precision in ("mixed", "single"):
        g, result = evaluate(potential, system, types, precision=precision)
        pairs = [(f, g), (expected.energies, result.energies), (expected.virials, result.virials)]
        errors = [abs(b - a).max() / abs(a).max() for a, b in pairs]
        assert max(errors) < 2e-6 and min(errors) > 1e-9, errors


def derivative(energy, step: float = 1e-4) -> float:
    """Of a function at 0, to sixth order."""
    weights = {1: 3 / 4, 2: -3 / 20, 3: 1 / 60}
    return sum(w * (energy(k * step) - energy(-k * step)) for k, w in weights.items()) / step


@pytest.mark.parametrize("name", [n for n in POTENTIALS if n != "not switched"])
def test_forces_are_derivatives(name: str, tmp_path: Path) -> None:
    invented = POTENTIALS[name]
    potential, system = made(invented, tmp_path), liquid()
    types = types_of(system, potential.ntypes)
    f, _ = evaluate(potential, system, types)
    for atom, axis in ((0, 0), (11, 1), (30, 2)):
        def energy(step: float, atom=atom, axis=axis) -> float:
            x = system.x.copy()
            x[atom, axis] += step
            return evaluate(potential, System(x, system.box), types)[1].energies.sum()
        assert -derivative(energy) == pytest.approx(f[atom, axis], abs=1e-8)


def test_the_virial_is_a_derivative(tmp_path: Path) -> None:
    invented = POTENTIALS["explicit elements"]
    potential, system = made(invented, tmp_path), liquid()
    types = types_of(system, 2)
    _, result = evaluate(potential, system, types)
    for k in range(3):
        def energy(strain: float, k=k) -> float:
            scale = np.ones(3)
            scale[k] += strain
            box = Box.orthogonal(system.box.lo * scale, system.box.hi * scale)
            return evaluate(potential, System(system.x * scale, box), types)[1].energy
        assert -derivative(energy) == pytest.approx(result.virial[k], abs=1e-6)
    np.testing.assert_allclose(result.virials.sum(axis=0), result.virial, rtol=1e-12)


def test_forces_of_the_twin(tmp_path: Path) -> None:
    invented = Invented(twojmax=2, **TWO, flags=CHEM)
    potential = made(invented, tmp_path)
    system = System(liquid().x[:9], Box.orthogonal([-9.0] * 3, [12.0] * 3, (False,) * 3))
    types = types_of(system, 2)
    f, _ = evaluate(potential, system, types)
    for atom, axis in ((0, 0), (4, 2)):
        def energy(step: float, atom=atom, axis=axis) -> float:
            x = system.x.copy()
            x[atom, axis] += step
            return float(energies(invented, x, types, system.box).sum())
        assert -derivative(energy) == pytest.approx(f[atom, axis], abs=1e-9)


@pytest.mark.parametrize("deterministic", [False, True])
def test_less_is_wanted(deterministic: bool, tmp_path: Path) -> None:
    potential, system = made(POTENTIALS["two elements"], tmp_path), liquid()
    types = types_of(system, 2)
    f, full = evaluate(potential, system, types, deterministic)
    for want in (Want.FORCES, Want.TOTALS):
        g, result = evaluate(potential, system, types, deterministic, want=want)
        assert np.array_equal(f, g)
    assert result.energy == full.energy
    np.testing.assert_allclose(result.virial, full.virial, rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "precision"),
    [("quadratic", "double"), ("explicit elements", "double"), ("explicit elements", "mixed")],
)
def test_deterministic_sums_know_neither_order_nor_threads(
    name: str, precision: str, tmp_path: Path
) -> None:
    potential, system = made(POTENTIALS[name], tmp_path), liquid(3)
    types = types_of(system, potential.ntypes)
    f, result = evaluate(potential, system, types, True, precision=precision)
    for seed, threads in ((1, 1), (2, 2), (3, 3)):
        order = np.random.default_rng(seed).permutation(len(system.x))
        g, other = evaluate(potential, system, types, True, threads=threads, order=order,
                            precision=precision)  # fmt: skip
        assert f.tobytes() == g.tobytes()
        assert result.energies.tobytes() == other.energies.tobytes()
        assert result.virials.tobytes() == other.virials.tobytes()


def test_types_may_have_another_order_than_the_elements_of_the_file(tmp_path: Path) -> None:
    """Coefficients of element triples are in the order of the file, whatever the types are."""
    invented, system = POTENTIALS["explicit elements"], liquid()
    potential, types = made(invented, tmp_path), types_of(system, 2)
    f, result = evaluate(potential, system, types)
    files = [str(tmp_path / f"invented.{kind}") for kind in ("snapcoeff", "snapparam")]
    either = 2 * (np.arange(len(types)) % 2)               # of the two types that are Bb
    for species, others in (
        (["Bb", "Aa"], 1 - types),
        (["Bb", "Aa", "Bb"], np.where(types == 0, 1, either)),
    ):
        turned = make_potential("snap", {"file": files, "species": species}, len(species))
        g, other = evaluate(turned, system, others.astype(np.int32))
        assert np.array_equal(f, g) and np.array_equal(result.energies, other.energies)


def test_few_atoms_and_many_at_one_place(tmp_path: Path) -> None:
    potential = made(POTENTIALS["plain"], tmp_path)
    alone = made(POTENTIALS["plain"], tmp_path).coefficients.beta[0, 0]
    box = Box.orthogonal([0.0] * 3, [9.0] * 3, (False,) * 3)
    for n in (0, 1, 3):
        system = System(np.full((n, 3), 2.5), box)
        f, result = evaluate(potential, system, np.zeros(n, np.int32))
        assert (f == 0).all()
        np.testing.assert_allclose(result.energies, alone, rtol=1e-12)


def test_memory_is_used_again_for_more_neighbors_and_for_fewer(tmp_path: Path) -> None:
    potential = made(POTENTIALS["plain"], tmp_path)
    kernel = potential.compiled("double", False)
    for spacing in (2.2, 1.9, 1.5, 2.2):
        system = lattice((3, 3, 3), spacing, 0.07, 21)
        types = types_of(system, 1)
        expected, _ = evaluate(potential, system, types)
        f, _ = evaluate(potential, system, types, kernel=kernel)
        assert np.array_equal(f, expected)


def test_a_force_beyond_the_range_of_integers(tmp_path: Path) -> None:
    potential, system = made(POTENTIALS["plain"], tmp_path), liquid()
    potential.coefficients.beta[:] *= 1e9
    with pytest.raises(ForceRangeError, match="a force exceeds"):
        evaluate(potential, system, types_of(system, 1), deterministic=True)


def test_coupling_coefficients() -> None:
    for j1, j2, j in ((1, 1, 2), (3, 2, 5), (4, 4, 4), (8, 6, 8), (7, 5, 6)):
        c = coupling(j1, j2, j)
        for m1 in range(j1 + 1):
            for m2 in range(j2 + 1):
                m = m1 + m2 - (j1 + j2 - j) // 2
                expected = c[m1, m2, m] if 0 <= m <= j else 0.0
                value = clebsch_gordan(j1, 2 * m1 - j1, j2, 2 * m2 - j2, j)
                assert value == pytest.approx(expected, abs=1e-12)


PARAMETERS = {
    "rcutfac 2\n": "twojmax is missing",
    "twojmax 4\n": "rcutfac is missing",
    "rcutfac 2\ntwojmax 4\ntwojmax 4\n": ":3: twojmax has been given already",
    "rcutfac 2 3\n": ":1: rcutfac needs one value, not 2",
    "rcutfac\n": ":1: rcutfac needs one value, not 0",
    "rcutfac x\n": "'x' is no number",
    "rcutfac inf\n": "no number",
    "rcutfac -1\n": "must be greater than 0",
    "twojmax 21\n": "from 0 to 20",
    "twojmax 2.5\n": "whole number",
    "chemflag 2\n": "from 0 to 1",
    "rfac0 1.5\n": "at most 1",
    "rmin0 -1\n": "at least 0",
    "\n# only\ndiagonalstyle 3\n": ":3: 'diagonalstyle': unknown keyword",
    "switchinnerflag 1\n": "switchinnerflag: switching at short distances is not supported",
    "sinner 1 2\n": "sinner: switching",
}


@pytest.mark.parametrize("text", PARAMETERS)
def test_bad_parameters(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.snapparam"
    path.write_text(text)
    with pytest.raises(FileError, match=r"bad\.snapparam") as caught:
        read_parameters(path)
    assert PARAMETERS[text] in str(caught.value)


COEFFICIENTS = {
    "": "the file ends",
    "1\n": ":1: needs the numbers of elements and of coefficients",
    "1 7\n": ":1: 7 coefficients; a linear potential with twojmax 2 has 6",
    "0 6\n": "from 1 to 100",
    "1 6\nAa 0.5\n": ":2: needs an element",
    "1 6\nAa -0.5 1\n": "the radius of Aa is -0.5",
    "1 6\nAa 0.5 1\n1\n2\n3\n4\n5\n": "the file ends where number 6 of 6",
    "1 6\nAa 0.5 1\n1\n2\n3\n4\n5\nnan\n": ":8: the coefficients of Aa: 'nan' is no number",
    "1 6\nAa 0.5 1\n1\n2\n3\n4\n5\n6\n7\n": "more than the file announced",
    "2 6\nAa 0.5 1\n1\n2\n3\n4\n5\n6\nAa 0.5 1\n": ":9: the element Aa has been given already",
    "1 6\nAa 0.01 1\n1\n2\n3\n4\n5\n6\n": "rmin0 = 0.5 is not below the cutoff",
}


@pytest.mark.parametrize("text", COEFFICIENTS)
def test_bad_coefficients(text: str, tmp_path: Path) -> None:
    (tmp_path / "good.snapparam").write_text("rcutfac 2\ntwojmax 2\nrmin0 0.5\nchunksize 9\n")
    path = tmp_path / "bad.snapcoeff"
    path.write_text(text)
    with pytest.raises(FileError, match=r"bad\.snapcoeff") as caught:
        read_coefficients(path, read_parameters(tmp_path / "good.snapparam"))
    assert COEFFICIENTS[text] in str(caught.value)


def test_bad_options(tmp_path: Path) -> None:
    names = POTENTIALS["plain"].write(tmp_path)
    bad = [({"file": names[0], "species": ["Aa"]}, "must be two names"),
           ({"file": names, "species": ["Zz"]}, "has no element 'Zz'; it has Aa"),
           ({"file": names}, "1 atom types need an element each"),
           ({"file": [names[0], "none"], "species": ["Aa"]}, "no such file")]  # fmt: skip
    for options, text in bad:
        with pytest.raises(PotentialError, match=text):
            make_potential("snap", options, 1)
    potential = make_potential("snap", {"file": names, "species": ["Aa"]}, 1)
    assert potential.files == tuple(names)
    assert potential.cutoff == 2.0
    with pytest.raises(ValueError, match="precision 'bf16'"):
        potential.compiled("bf16")


SCRIPT = """units metal
lattice bcc 3.2
region b block 0 2 0 2 0 2
create_box 2 b
create_atoms 1 box
mass * 50.0
pair_style snap
{coeff}
fix 1 all nve
run 0
"""
REFUSED = {
    "": "in.snap:7: pair_style: no coefficients; give 'pair_coeff * * FILE.snapc",
    "pair_coeff * *": "in.snap:8: pair_coeff: must be 'pair_coeff * * FILE.snapcoeff ",
    "pair_coeff 1 1 a b Aa Bb": "in.snap:8: pair_coeff: must be 'pair_coeff * *",
    "pair_coeff * * invented.snapcoeff invented.snapparam Aa": "1 elements for 2 atom types",
    "pair_coeff * * invented.snapcoeff invented.snapparam Aa Cc": "has no element 'Cc'",
    "pair_coeff * * invented.snapcoeff none Aa Bb": "none': no such file",
    "pair_coeff * * invented.snapcoeff invented.snapparam Aa NULL": "NULL, a type that the style",
}


def test_a_script(tmp_path: Path) -> None:
    Invented(**TWO).write(tmp_path)
    path = tmp_path / "in.snap"
    path.write_text(SCRIPT.format(coeff="pair_coeff * * invented.snapcoeff invented.snapparam "
                                        "Bb Aa"))  # fmt: skip
    deck = load_script(path)
    assert deck.potential.style == "snap"
    assert deck.potential_table() == {
        "style": "snap",
        "file": [str(tmp_path / "invented.snapcoeff"), str(tmp_path / "invented.snapparam")],
        "species": ["Bb", "Aa"],
    }


@pytest.mark.parametrize("coeff", REFUSED)
def test_what_a_script_is_told(coeff: str, tmp_path: Path) -> None:
    Invented(**TWO).write(tmp_path)
    path = tmp_path / "in.snap"
    path.write_text(SCRIPT.format(coeff=coeff))
    with pytest.raises(InputError) as caught:
        load_script(path)
    assert REFUSED[coeff] in str(caught.value)
