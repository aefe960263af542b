"""`mdapp.ase.Calculator` against ASE's own numerical derivatives, in every kind of cell."""

from pathlib import Path

import numpy as np
import pytest

from mdapp.errors import InputError
from potentials.eam.files import read_setfl, write_setfl
from potentials.eam.tables import Tables
from potentials.registry import make_potential
from potentials.shorthand import read_potential
from tests.twins.eam import invented

ase = pytest.importorskip("ase")
from ase.build import bulk, molecule  # noqa: E402
from ase.calculators.calculator import PropertyNotImplementedError  # noqa: E402
from ase.calculators.fd import (  # noqa: E402
    calculate_numerical_forces,
    calculate_numerical_stress,
)
from ase.filters import FrechetCellFilter  # noqa: E402
from ase.optimize import FIRE  # noqa: E402

from mdapp.ase import Calculator  # noqa: E402

LJ = "lj/cut:epsilon=0.4,sigma=2.3,rc=6.0:shift=true"


@pytest.fixture
def setfl(tmp_path: Path) -> Path:
    """Functions of no element in particular, named Cu and Ni, stretched to their lengths."""
    t = invented(2)
    path = tmp_path / "CuNi.eam.alloy"
    stretched = Tables(t.drho, 2 * t.dr, 2 * t.cutoff, t.embedding, t.density, 2 * t.z2, t.mass)
    write_setfl(path, stretched, ["Cu", "Ni"])
    return path


def cells() -> dict[str, "ase.Atoms"]:
    """Cells of a few copper and nickel atoms, displaced."""
    sheared = bulk("Cu", cubic=True, a=3.7)
    strain = np.array([[1, 0.1, -0.2], [0, 1, 0.3], [0.05, 0, 1]])
    sheared.set_cell(sheared.cell @ strain, scale_atoms=True)
    left = bulk("Cu", a=3.7) * (2, 1, 1)
    left.set_cell(left.cell[[1, 0, 2]])
    slab = bulk("Cu", cubic=True, a=3.7) * (1, 2, 1)
    slab.set_pbc((True, True, False))
    wire = slab.copy()
    wire.set_cell([[3.7, 0, 0], [0, 0, 0], [0, 0, 0]])
    wire.set_pbc((True, False, False))
    lone = slab.copy()
    lone.set_cell(None)
    lone.set_pbc(False)
    found = {"primitive": bulk("Cu", a=3.6), "sheared": sheared, "left-handed": left,
             "slab": slab, "wire": wire, "free": lone}
    for atoms in found.values():
        atoms.rattle(0.08, seed=4)
        atoms.symbols[len(atoms) // 2:] = "Ni"
    return found


@pytest.mark.parametrize("name", cells())
@pytest.mark.parametrize("potential", ["eam", "lj"])
def test_derivatives(setfl: Path, name: str, potential: str) -> None:
    atoms = cells()[name]
    text = f"eam/alloy:file='{setfl}',species=Ni,Cu" if potential == "eam" else (
        LJ + ":species=Ni,Cu")
    atoms.calc = Calculator(text)
    forces = calculate_numerical_forces(atoms, eps=1e-4)
    assert abs(forces - atoms.get_forces()).max() < 1e-6
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy())
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    if atoms.pbc.all():
        stress = calculate_numerical_stress(atoms, eps=1e-5)
        assert abs(stress - atoms.get_stress()).max() < 1e-7
        assert atoms.get_stresses().sum(axis=0) == pytest.approx(atoms.get_stress())
    else:
        with pytest.raises(PropertyNotImplementedError):
            atoms.get_stress()


def test_the_order_of_species_does_not_matter(setfl: Path) -> None:
    atoms = cells()["sheared"]
    energies = []
    for species in (",species=Cu,Ni", ",species=Ni,Cu", ""):
        atoms.calc = Calculator(f"eam/alloy:file='{setfl}'{species}")
        energies.append(atoms.get_potential_energy())
    assert energies[0] == pytest.approx(energies[1], rel=1e-13)
    assert energies[0] == pytest.approx(energies[2], rel=1e-13)


def test_other_ways_to_name_a_potential(tmp_path: Path, setfl: Path) -> None:
    atoms = cells()["sheared"]
    file = tmp_path / "p.toml"
    file.write_text(f'units = "metal"\n[potential]\nstyle = "eam/alloy"\nfile = "{setfl}"\n'
                    'species = ["Cu", "Ni"]\n')
    text = f"eam/alloy:file='{setfl}',species=Cu,Ni"
    made = make_potential("eam/alloy", {"file": str(setfl)}, 2, ("Cu", "Ni"))
    energies = []
    for calculator in (Calculator(text), Calculator(file), Calculator(read_potential(text)),
                       Calculator(made, species=("Cu", "Ni"))):
        atoms.calc = calculator
        energies.append(atoms.get_potential_energy())
    assert len(set(energies)) == 1


def test_nothing_is_computed_or_compiled_twice(monkeypatch) -> None:
    import mdapp.ase as module

    calls = []
    single_point = module.single_point
    monkeypatch.setattr(module, "single_point",
                        lambda *a, **k: calls.append(k["kernel"]) or single_point(*a, **k))
    atoms = bulk("Ar", a=3.7)
    atoms.calc = Calculator(LJ)
    atoms.get_potential_energy()
    atoms.get_forces()
    atoms.get_stress()
    atoms.set_initial_magnetic_moments([1.0])
    atoms.get_potential_energy()
    assert len(calls) == 1
    atoms.rattle(0.1, seed=1)
    atoms.get_forces()
    assert len(calls) == 2 and calls[0] is calls[1]


def test_an_element_met_later(setfl: Path) -> None:
    calc = Calculator(f"eam/alloy:file='{setfl}'")
    copper, both = bulk("Cu", a=3.7), cells()["sheared"]
    alone = calc.get_potential_energy(copper)
    expected = Calculator(f"eam/alloy:file='{setfl}',species=Cu,Ni").get_potential_energy(both)
    assert calc.get_potential_energy(both) == pytest.approx(expected, rel=1e-13)
    assert calc.get_potential_energy(copper) == pytest.approx(alone, rel=1e-13)


@pytest.mark.parametrize(("precision", "bound"), [("mixed", 1e-4), ("single", 1e-4)])
def test_precision(setfl: Path, precision: str, bound: float) -> None:
    atoms, text = cells()["sheared"], f"eam/alloy:file='{setfl}'"
    exact = Calculator(text).get_property("forces", atoms)
    forces = Calculator(text, precision=precision).get_property("forces", atoms)
    assert 0 < abs(forces - exact).max() < bound


def test_deterministic_forces_do_not_know_the_order(setfl: Path) -> None:
    atoms = cells()["sheared"]
    calc = Calculator(f"eam/alloy:file='{setfl}'", deterministic=True)
    order = [2, 0, 3, 1]
    forces, energy = calc.get_property("forces", atoms), calc.get_property("energy", atoms)
    assert calc.get_property("forces", atoms[order]).tobytes() == forces[order].tobytes()
    assert calc.get_property("energy", atoms[order]) == energy


def test_relaxation(setfl: Path) -> None:
    atoms = bulk("Cu", cubic=True, a=3.9)
    atoms.rattle(0.1, seed=2)
    atoms.calc = Calculator(f"eam/alloy:file='{setfl}'")
    before = atoms.get_potential_energy()
    assert FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-3, steps=300)
    assert atoms.get_potential_energy() < before
    assert abs(atoms.get_stress()).max() < 1e-3


def test_no_atoms() -> None:
    assert Calculator(LJ).get_potential_energy(ase.Atoms()) == 0


@pytest.mark.parametrize(("symbols", "potential", "options", "message"), [
    ("ArKr", LJ, {}, "the atoms are Ar, Kr, .* give species"),
    ("ArXe", LJ + ":species=Ar,Kr", {}, "species 'Xe' is none of Ar, Kr"),
    ("Ar", LJ, {"precision": "half"}, "precision = 'half': lj/cut can do double"),
    ("Ar", "lj/cat:1:2:3", {}, "did you mean lj/cut"),
    ("Ar", "lj/cut:1:2", {}, "rc of types 1 1 is missing"),
    ("Ar", make_potential("lj/cut", {"epsilon": 1.0, "sigma": 1.0, "rc": 2.0}, 2), {},
     "was made for 2 types; name each"),
])
def test_wrong_use(symbols: str, potential, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as error:
        Calculator(potential, **options).get_potential_energy(
            ase.Atoms(symbols, np.arange(3 * len(ase.Atoms(symbols))).reshape(-1, 3)))
    assert "\n" not in str(error.value)


def test_atoms_that_cannot_be() -> None:
    calc = Calculator(LJ)
    with pytest.raises(InputError, match="atoms 1 and 2 are 0 apart"):
        calc.get_potential_energy(ase.Atoms("Ar2", np.zeros((2, 3))))
    with pytest.raises(InputError, match="no cell vector"):
        calc.get_potential_energy(ase.Atoms("Ar", pbc=True))
    with pytest.raises(InputError, match="precision cannot be changed"):
        calc.set(precision="mixed")
    with pytest.raises(InputError, match="not finite"):
        calc.get_potential_energy(ase.Atoms("Ar", [[np.nan, 0, 0]]))


def test_a_molecule_of_unknown_elements(setfl: Path) -> None:
    with pytest.raises(InputError, match=r"has no element 'H'; it has Cu, Ni"):
        Calculator(f"eam/alloy:file='{setfl}'").get_potential_energy(molecule("H2O"))


def test_setfl_is_read_as_it_was_written(tmp_path: Path) -> None:
    for finnis_sinclair in (False, True):
        tables = invented(3, finnis_sinclair)
        write_setfl(tmp_path / "t", tables, ["A", "B", "C"], finnis_sinclair)
        read = read_setfl(tmp_path / "t", ["A", "B", "C"], finnis_sinclair)
        for name in ("drho", "dr", "cutoff", "embedding", "density", "z2", "mass"):
            assert np.array_equal(getattr(read, name), getattr(tables, name)), name
