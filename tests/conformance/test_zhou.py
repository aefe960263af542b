"""The formulas of Zhou, Johnson and Wadley: published energies, and the authors' own tables."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from potentials.eam.files import read_setfl
from potentials.eam.zhou import METALS, REACH, main, pair_energy, tabulated, write_setfl
from tests.conformance.lammps_files import ROOT, folder_of_files

# Cohesive energies to which the authors fitted, eV.
COHESIVE = {"Al": 3.58, "Ni": 4.45, "Cu": 3.54, "Ag": 2.85, "Ta": 8.09, "W": 8.76}
# The same formulas with parameters of 2001, doi 10.1016/S1359-6454(01)00287-7.
COPPER_2001 = replace(
    METALS["Cu"], mass=63.55, rho_e=22.150141, rho_s=22.150141, alpha=7.669911, beta=4.090619,
    a=0.327584, b=0.468735, kappa=0.431307, lambda_=0.86214,
    fn=(-2.176490, -0.140035, 0.285621, -1.750834), f=(-2.19, 0.0, 0.702991, 0.683705),
    eta=0.921150, fe=-2.191675,
)  # fmt: skip
BASIS = {
    "fcc": np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]),
    "bcc": np.array([[0, 0, 0], [0.5, 0.5, 0.5]]),
}


@pytest.mark.parametrize("name", METALS)
def test_energy_and_density_of_the_crystal(name: str) -> None:
    metal = METALS[name]
    cells = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    r = metal.constant * np.linalg.norm((cells + BASIS[metal.lattice]).reshape(-1, 3), axis=1)
    r = r[(r > 0) & (r < REACH * metal.r_e)]
    rho = metal.density(r).sum()
    assert rho == pytest.approx(metal.rho_e, rel=1e-5)
    energy = metal.embedding(np.array([rho]))[0] + 0.5 * metal.pair(r).sum()
    assert energy == pytest.approx(-COHESIVE[name], abs=5e-4)


@pytest.mark.parametrize("name", METALS)
def test_pieces_of_the_embedding_energy_meet(name: str) -> None:
    metal = METALS[name]
    for place in (0.85, 1.15):
        below, above = metal.embedding(metal.rho_e * place * np.array([1 - 1e-9, 1 + 1e-9]))
        assert above == pytest.approx(below, abs=6e-7)


def test_all_digits_of_the_copper_that_lammps_has() -> None:
    path = folder_of_files(["Cu_zhou.eam.alloy"]) / "Cu_zhou.eam.alloy"
    theirs = read_setfl(path, ["Cu"])
    rho = theirs.drho * np.arange(theirs.embedding.shape[1])
    r = theirs.dr * np.arange(theirs.z2.shape[2])
    np.testing.assert_allclose(COPPER_2001.embedding(rho), theirs.embedding[0], rtol=0, atol=1e-13)
    np.testing.assert_allclose(COPPER_2001.density(r), theirs.density[0, 0], rtol=3e-14, atol=1e-13)
    np.testing.assert_allclose(
        r * pair_energy(COPPER_2001, COPPER_2001, r), theirs.z2[0, 0], rtol=3e-14, atol=3e-13
    )


def test_copper_and_tantalum_of_the_authors() -> None:
    """Their table was computed in single precision, and is flat below 0.5 A."""
    path = folder_of_files(["CuTa.eam.alloy"]) / "CuTa.eam.alloy"
    theirs = read_setfl(path, ["Cu", "Ta"])
    metals = METALS["Cu"], METALS["Ta"]
    rho = theirs.drho * np.arange(theirs.embedding.shape[1])
    r = theirs.dr * np.arange(theirs.z2.shape[2])
    far = r >= 0.5
    assert theirs.cutoff == pytest.approx(REACH * metals[1].r_e, rel=2e-7)
    for k, one in enumerate(metals):
        assert abs(one.embedding(rho) - theirs.embedding[k]).max() < 3e-6
        assert abs(one.density(r) / theirs.density[k, k] - 1)[far].max() < 1e-5
        for m, other in enumerate(metals):
            z2 = theirs.z2[k, m]
            assert (abs(r * pair_energy(one, other, r) - z2) / (1 + abs(z2)))[far].max() < 3e-6


def test_the_file_holds_the_functions(tmp_path: Path) -> None:
    path = tmp_path / "NiCu.eam.alloy"
    assert main(["Cu", "Ni", "--out", str(path), "--knots", "333"]) == 0
    read = read_setfl(path, ["Ni", "Cu"])
    made = tabulated([METALS["Ni"], METALS["Cu"]], 333)
    for name in ("drho", "dr", "cutoff", "embedding", "density", "z2", "mass"):
        np.testing.assert_allclose(getattr(read, name), getattr(made, name), rtol=1e-11, atol=1e-99)


@pytest.mark.parametrize(
    ("path", "names", "knots"),
    [("copper/Cu.eam.alloy", ["Cu"], 1000), ("alloy/CuNi.eam.alloy", ["Cu", "Ni"], 800)],
)
def test_files_of_the_examples(path: str, names: list[str], knots: int, tmp_path: Path) -> None:
    """Numbers, not bytes: the last digit of an exponential may differ between machines."""
    kept, made = ROOT / "examples" / path, tmp_path / "made"
    write_setfl(made, names, knots)
    one, other = (file.read_text().split() for file in (kept, made))
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a == b or float(a) == pytest.approx(float(b), rel=2e-11)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["Cu", "Unobtainium"], "invalid choice: 'Unobtainium'"),
        (["Cu", "Ni", "Cu"], "an element is named twice: Cu Ni Cu"),
        (["Cu", "--knots", "4"], "--knots 4: must be from 10 to 100000"),
        (["Cu", "--out", "no/such/folder/Cu"], "--out no/such/folder/Cu: No such file"),
    ],
)
def test_what_cannot_be_written(arguments, message, capsys, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
