"""`mdapp eval` as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest

from mdapp.cli.main import invoke
from mdapp.errors import InputError
from potentials.eam.files import write_setfl
from tests.twins.eam import invented

LJ = "lj/cut:epsilon=1,sigma=1,rc=2.5"
MIXTURE = "lj/cut:epsilon=1,0.5,sigma=1,1.1,rc=2.5:mix=arithmetic"
TRICLINIC = """triclinic mixture

6 atoms
2 atom types
0.5 3.7 xlo xhi
-1.0 2.1 ylo yhi
0.0 2.9 zlo zhi
0.9 -0.7 1.1 xy xz yz

Masses

1 1.0
2 2.5

Atoms # atomic

2 2 2.03 -0.71 0.27
9 2 2.67 0.42 1.71
1 1 0.61 -0.93 0.12
3 1 1.34 0.55 0.41
7 1 1.11 0.24 1.93
4 2 2.92 0.83 0.08
"""
# LAMMPS 22Jul2025 on this file: pair_style lj/cut 2.5, pair_modify mix arithmetic,
# pair_coeff 1 1 1.0 1.0, pair_coeff 2 2 0.5 1.1; pe, pe/atom, f, and pressure NULL virial.
LAMMPS = {
    "energy": -4.754898544392392,
    "energies": [-0.83977554984047, -0.990288083896278, -0.777293923875948, -0.590776804605477,
                 -0.892660931352946, -0.664103250821274],
    "forces": [[1.08639609071919, 0.456494625023481, -1.33234740291355],
               [-1.47455966968145, 0.327655460721667, -1.54742928301394],
               [0.484907339219592, -1.02024349067843, 0.345694162657367],
               [-0.295830912469082, 0.279850731088492, 0.451284770024556],
               [0.153084774608954, 0.246927082076948, 1.1462502440071],
               [0.046002377602796, -0.290684408232159, 0.936547509238469]],
    "pressure": [-0.325006275523445, -0.24088335153611, -0.284909082972, 0.00588700697891351,
                 -0.0078980512981437, 0.00123682903600394],
}
PAIR = """2
{lattice} Properties=species:S:1:pos:R:3
Ar 0 0 0
Kr 1.2 0 0
"""


def ask(tmp_path: Path, *arguments: object) -> dict:
    target = tmp_path / "answer.json"
    assert invoke(["eval", *map(str, arguments), "--json", str(target)]) == 0
    answer: dict = json.loads(target.read_text())
    return answer


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "tri.data"
    path.write_text(TRICLINIC)
    return path


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    path = tmp_path / "pair.extxyz"
    path.write_text(PAIR.format(lattice='Lattice="9 0 0 0 9 0 0 0 9"'))
    return path


def test_a_triclinic_mixture_has_the_numbers_of_lammps(tmp_path: Path, data: Path) -> None:
    answer = ask(tmp_path, data, "--potential", MIXTURE)
    assert (answer["schema"], answer["version"]) == ("mdapp.eval", 1)
    assert answer["ids"] == [1, 2, 3, 4, 7, 9]
    assert answer["elements"] == ["1", "2", "1", "2", "1", "2"]
    assert answer["energy"] == pytest.approx(LAMMPS["energy"], rel=1e-13)
    assert answer["energies"] == pytest.approx(LAMMPS["energies"], rel=1e-12)
    assert np.array(answer["forces"]) == pytest.approx(np.array(LAMMPS["forces"]), rel=1e-11)
    assert answer["volume"] == pytest.approx(28.768, rel=1e-14)
    assert answer["stress"] == pytest.approx([-p for p in LAMMPS["pressure"]], rel=1e-11)
    assert np.array(answer["virial"]) == pytest.approx(-28.768 * np.array(answer["stress"]))
    assert answer["precision"] == "double"
    assert answer["units"] == {"system": "lj", "energy": "epsilon", "length": "sigma",
                               "force": "epsilon/sigma", "virial": "epsilon",
                               "stress": "epsilon/sigma^3"}


def test_types_of_a_data_file_are_the_listed_species(tmp_path: Path, data: Path) -> None:
    answer = ask(tmp_path, data, "--potential", MIXTURE, "--species", "Ar,Kr", "--units", "metal")
    assert answer["elements"] == ["Ar", "Kr"] * 3
    assert answer["energy"] == pytest.approx(LAMMPS["energy"], rel=1e-13)
    assert answer["units"]["stress"] == "eV/A^3"


def test_symbols_are_mapped_to_the_listed_species(tmp_path: Path, pair: Path) -> None:
    depth = "lj/cut:epsilon=1,4,sigma=1,rc=2.5:mix=arithmetic"
    lone = tmp_path / "lone.extxyz"
    lone.write_text(pair.read_text().replace("Ar", "Kr"))
    first = ask(tmp_path, lone, "--potential", depth, "--species", "Ar,Kr")["energy"]
    second = ask(tmp_path, lone, "--potential", depth, "--species", "Kr,Ar")["energy"]
    in_file = ask(tmp_path, lone, "--potential", depth + ":species=Ar,Kr")["energy"]
    assert first == in_file == pytest.approx(4 * second, rel=1e-14)


def test_out_is_read_back_by_ase_with_energy_forces_and_stress(tmp_path: Path, data: Path) -> None:
    ase_io = pytest.importorskip("ase.io")
    out = tmp_path / "out.extxyz"
    answer = ask(tmp_path, data, "--potential", MIXTURE, "--species", "Ar,Kr", "--out", out)
    atoms = ase_io.read(out)
    assert atoms.get_chemical_symbols() == answer["elements"]
    assert atoms.get_potential_energy() == answer["energy"]
    assert atoms.get_forces().tolist() == answer["forces"]
    assert atoms.get_potential_energies().tolist() == answer["energies"]
    assert atoms.get_stress().tolist() == answer["stress"]
    assert atoms.arrays["id"].tolist() == answer["ids"]
    tensor = out.read_text().split('stress="')[1].split('"')[0].split()
    assert tensor == np.array(tensor).reshape(3, 3).T.ravel().tolist()
    again = ask(tmp_path, out, "--potential", MIXTURE, "--species", "Ar,Kr")
    assert again["ids"] == answer["ids"]
    assert again["energy"] == pytest.approx(answer["energy"], rel=1e-13)


def test_names_that_are_no_elements_survive_in_a_label(tmp_path: Path, data: Path) -> None:
    ase_io = pytest.importorskip("ase.io")
    ask(tmp_path, data, "--potential", MIXTURE, "--out", tmp_path / "out.extxyz")
    atoms = ase_io.read(tmp_path / "out.extxyz")
    assert set(atoms.get_chemical_symbols()) == {"X"}
    assert [str(label) for label in atoms.arrays["label"]] == ["1", "2"] * 3


@pytest.mark.parametrize(("lattice", "stress"), [
    ('Lattice="9 0 0 0 9 0 0 0 9" pbc="T T F"', False),
    ("", False),
    ('Lattice="9 0 0 0 9 0 0 0 9"', True),
])
def test_stress_only_where_there_is_a_volume(tmp_path: Path, pair: Path, capsys, lattice: str,
                                             stress: bool) -> None:
    pair.write_text(PAIR.format(lattice=lattice))
    answer = ask(tmp_path, pair, "--potential", LJ, "--out", tmp_path / "o.extxyz")
    assert (answer["stress"] is not None) == (answer["volume"] is not None) == stress
    assert ("stress   none: it needs a volume" in capsys.readouterr().out) != stress
    assert ("stress=" in (tmp_path / "o.extxyz").read_text()) == stress


def test_the_boundary_can_be_given(tmp_path: Path, data: Path) -> None:
    answer = ask(tmp_path, data, "--potential", MIXTURE, "--boundary", "p f p")
    assert answer["periodic"] == [True, False, True]
    assert answer["stress"] is None and answer["energy"] > LAMMPS["energy"]


def test_a_poscar_of_a_primitive_cell(tmp_path: Path) -> None:
    pytest.importorskip("ase")
    path = tmp_path / "POSCAR"
    path.write_text("fcc argon\n1.0\n0.0 0.78 0.78\n0.78 0.0 0.78\n0.78 0.78 0.0\nAr\n1\nDirect\n"
                    "0.0 0.0 0.0\n")
    shells = {2: 12, 4: 6, 6: 24, 8: 12, 10: 24}        # of fcc: (r / 0.78)^2 and how many atoms
    energy = sum(2 * n * ((0.78**2 * s) ** -6 - (0.78**2 * s) ** -3) for s, n in shells.items())
    assert ask(tmp_path, path, "--potential", LJ)["energy"] == pytest.approx(energy, rel=1e-12)


def test_elements_of_a_poscar_are_those_of_the_potentials_file(tmp_path: Path) -> None:
    pytest.importorskip("ase")
    write_setfl(tmp_path / "CuNi.eam.alloy", invented(2), ["Cu", "Ni"])
    path = tmp_path / "POSCAR"
    answers = []
    for symbols, positions in (("Ni Cu", "0 0 0\n.5 .4 .5"), ("Cu Ni", ".5 .4 .5\n0 0 0")):
        path.write_text(f"two\n1.0\n1.9 0 0\n0 1.9 0\n0 0.3 1.9\n{symbols}\n1 1\nDirect\n"
                        f"{positions}\n")
        answers += [ask(tmp_path, path, "--potential",
                        f"eam/alloy:file='{tmp_path}/CuNi.eam.alloy'{species}")
                    for species in ("", ",species=Cu,Ni", ",species=Ni,Cu")]
    assert {answer["units"]["energy"] for answer in answers} == {"eV"}
    assert [answer["energy"] for answer in answers] == pytest.approx([answers[0]["energy"]] * 6,
                                                                     rel=1e-13)


def test_without_ase_the_message_says_what_to_install(python, tmp_path: Path) -> None:
    (tmp_path / "POSCAR").write_text("two\n")
    (tmp_path / "ase.py").write_text("raise ImportError\n")
    end = python(["-m", "mdapp", "eval", "POSCAR", "--potential", LJ], timeout=120)
    assert end.code == 2 and "install mdapp[ase]" in end.stderr
    end = python(["-c", "import mdapp.ase"], timeout=120)
    assert end.code == 1 and "install mdapp[ase]" in end.stderr.splitlines()[-1]


def test_frames_are_chosen_by_index(tmp_path: Path, pair: Path) -> None:
    far = PAIR.format(lattice="").replace("1.2", "99")
    pair.write_text(pair.read_text() + far)
    assert ask(tmp_path, pair, "--potential", LJ)["energy"] == 0
    assert ask(tmp_path, pair, "--potential", LJ, "--index", 0)["energy"] != 0


def test_units_come_from_the_file_of_the_potential(tmp_path: Path, pair: Path) -> None:
    file = tmp_path / "lj.toml"
    file.write_text('units = "metal"\n[potential]\nstyle = "lj/cut"\nepsilon = 1\nsigma = 1\n'
                    "rc = 2.5\n")
    answer = ask(tmp_path, pair, "--potential", file)
    assert answer["units"]["energy"] == "eV"
    assert answer["energy"] == ask(tmp_path, pair, "--potential", LJ)["energy"]
    with pytest.raises(InputError, match="are in metal units"):
        ask(tmp_path, pair, "--potential", file, "--units", "lj")


@pytest.mark.parametrize("precision", ["mixed", "single"])
def test_precision(tmp_path: Path, data: Path, precision: str) -> None:
    answer = ask(tmp_path, data, "--potential", MIXTURE, "--precision", precision)
    assert answer["precision"] == precision
    assert answer["energy"] == pytest.approx(LAMMPS["energy"], rel=1e-6)
    assert answer["energy"] != LAMMPS["energy"]


def test_text_on_standard_output_and_json_instead_of_it(python, pair: Path) -> None:
    end = python(["-m", "mdapp", "eval", str(pair), "--potential", LJ], timeout=120)
    assert end.code == 0, end.stderr
    assert "2 atoms, lj/cut, cutoff 2.5 sigma, double precision, lj units" in end.stdout
    assert "periodic along abc, volume 729 sigma^3" in end.stdout
    end = python(["-m", "mdapp", "eval", str(pair), "--potential", LJ, "--json", "-"], timeout=120)
    assert json.loads(end.stdout)["natoms"] == 2
    assert "energy" in end.stderr


def test_one_answer_from_two_ranks(mpirun, pair: Path) -> None:
    end = mpirun(2, ["-m", "mdapp", "eval", str(pair), "--potential", LJ], timeout=120)
    assert end.code == 0, end.stderr
    assert end.stdout.count("mdapp: ") == 1


@pytest.mark.parametrize(("arguments", "message"), [
    (["--potential", "lj/cat:epsilon=1"], "--potential .*did you mean lj/cut"),
    (["--potential", "lj/cut:epsilon=1,sigma=1,rcut=2.5"], "unknown key 'rcut'; did you mean rc"),
    (["--potential", "lj/cut:epsilon=1,sigma=1"], "rc of types 1 1 is missing"),
    (["--potential", "lj/cut:epsilon=1,2,3,sigma=1,rc=2.5"], "3 values for 2 atom types"),
    (["--potential", LJ, "--precision", "mixd"], "--precision mixd.*did you mean mixed"),
    (["--potential", LJ, "--units", "metall"], "--units metall.*did you mean metal"),
    (["--potential", LJ, "--species", "Ar,Xe"], "species 'Kr' is none of Ar, Xe.*--species"),
    (["--potential", LJ, "--index", "7"], "no frame 7"),
    (["--potential", LJ, "--boundary", "p p"], "three letters"),
])
def test_wrong_use_is_named(tmp_path: Path, pair: Path, arguments: list, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(tmp_path, pair, *arguments)


def test_a_data_file_has_no_second_frame(tmp_path: Path, data: Path) -> None:
    with pytest.raises(InputError, match="LAMMPS data, which has one frame"):
        ask(tmp_path, data, "--potential", MIXTURE, "--index", "1")


def test_errors_are_one_line_and_exit_code_2(python, tmp_path: Path, pair: Path) -> None:
    pair.write_text(pair.read_text().replace("1.2 0 0", "9 0 0"))
    end = python(["-m", "mdapp", "eval", str(pair), "--potential", LJ], timeout=120)
    assert (end.code, end.stdout) == (2, "")
    assert end.stderr.count("\n") == 1 and "atoms 1 and 2 are 0 apart" in end.stderr
    assert str(pair) in end.stderr
    pair.write_text(PAIR.format(lattice=""))
    end = python(["-m", "mdapp", "eval", str(pair), "--potential", LJ, "--out", "no/where.extxyz"],
                 timeout=120)
    assert end.code == 2 and "no/where.extxyz" in end.stderr and "Traceback" not in end.stderr
    end = python(["-m", "mdapp", "eval", "none.extxyz", "--potential", LJ], timeout=120)
    assert end.code == 2 and "none.extxyz" in end.stderr and end.stderr.count("\n") == 1
