"""NEP files: read back as written, refused by name, and no number too many or too few."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.lammps_script import load_script
from potentials.files import FileError
from potentials.nep.format import read_nep
from potentials.nep.model import NEPModel, ZBLSection
from potentials.nep.writer import write_nep
from tests.twins.nep import ALL, NONE, flexible, invented

MODELS = {
    "nep3": invented(1, ("C", "O"), 3, 2, NONE),
    "nep4": invented(2, ("C", "O"), 4, 4, (True, *NONE[1:]), own_bias=False),
    "nep4 of MatPL": invented(3, ("C", "O", "H"), 4, 1, (False, True, *NONE[2:])),
    "nep5": invented(4, ("C", "O")),
    "nep3_zbl": invented(5, ("C", "O"), 3, 1, NONE, ZBLSection(0.75, 1.5)),
    "nep4_zbl, type-wise": invented(6, ("C",), 4, 2, NONE, ZBLSection(0.0, 2.5, 0.7),
                                    own_bias=False),
    "nep5_zbl, flexible": invented(7, ("C", "O"), 5, 8, ALL, flexible(2)),
    "no angles": replace(invented(8, ("H",), 5, 0, NONE), seen=None),
}  # fmt: skip
HEAD = """nep4_zbl   2 O  Hf 
zbl 0.75 1.5
cutoff 8 4 250 44
n_max 1 0
basis_size  2 1
l_max 2 0 0
ANN 2 0
"""  # noqa: W291
COUNT = 2 * (2 + 2 + 2) * 2 + 1 + 4 * (2 * 3 + 1 * 2) + 4


@pytest.fixture(params=MODELS)
def model(request) -> NEPModel:
    return MODELS[request.param]


def equal(one: NEPModel, other: NEPModel) -> bool:
    def pairs(a, b):
        for f in fields(a):
            yield getattr(a, f.name), getattr(b, f.name)

    for a, b in [*pairs(one, other), *(pairs(one.zbl, other.zbl) if one.zbl else [])]:
        if not (isinstance(a, ZBLSection) or np.array_equal(a, b)):
            return False
    return True


def test_what_is_written_is_read(model: NEPModel, tmp_path: Path) -> None:
    write_nep(tmp_path / "nep.txt", model)
    assert equal(model, read_nep(tmp_path / "nep.txt"))


def test_one_cutoff_for_all_and_a_file_as_it_is_found(tmp_path: Path) -> None:
    path = tmp_path / "nep.txt"
    numbers = [f" {k}.5e-0{k % 3}" for k in range(COUNT)]
    path.write_text(HEAD + "\n\n" + "\n".join(numbers[:7]) + "  " + " ".join(numbers[7:]) + "\n\n")
    model = read_nep(path)
    assert model.elements == ("O", "Hf") and model.seen == (250, 44)
    assert np.array_equal(model.radial_cutoff, [8, 8]) and model.zbl == ZBLSection(0.75, 1.5)
    assert model.w0[0, 0, 1] == 1.5e-1 and model.scaler[-1] == float(numbers[-1])
    path.write_text(path.read_text().replace("8 4 250 44", "8 4"))
    assert read_nep(path).seen is None
    assert equal(replace(model, seen=None), read_nep(path))
    path.write_text(path.read_text().replace("l_max 2 0 0", "l_max 2"))
    assert read_nep(path).flags == NONE


def test_flags_that_are_not_zero_are_on(tmp_path: Path) -> None:
    path = tmp_path / "nep.txt"
    for line, extra, on in (("l_max 4 2 0 1", 2, (0, 2)), ("l_max 4 1 1", 2, (0, 1)),
                            ("l_max 4 0 0 0 0 0 3", 1, (5,))):  # fmt: skip
        dim = 2 + 4 + extra
        count = 2 * (dim + 2) * 2 + 1 + 32 + dim
        path.write_text(HEAD.replace("l_max 2 0 0", line) + "0\n" * count)
        assert read_nep(path).flags == tuple(k in on for k in range(6))


@pytest.mark.parametrize("name", ["nep3_zbl", "nep4", "nep5_zbl, flexible", "no angles"])
def test_no_number_may_be_missing_or_left_over(name: str, tmp_path: Path) -> None:
    """MatPL's layout holds as many numbers more as there are elements after the first."""
    path = tmp_path / "nep.txt"
    write_nep(path, MODELS[name])
    lines = path.read_text().splitlines()
    head = 7 if MODELS[name].zbl else 6
    for at in range(head, len(lines) + 1, 7):
        if at > head:
            path.write_text("\n".join(lines[:at - 1] + lines[at:]))
            with pytest.raises(FileError, match=rf"expected {len(lines) - head} numbers.*found "
                                                rf"{len(lines) - head - 1};"):  # fmt: skip
                read_nep(path)
        path.write_text("\n".join([*lines[:at], "0.25", *lines[at:]]))
        if name == "nep4":
            assert read_nep(path).own_bias is not None
            path.write_text("\n".join([*lines[:at], "0.25 0.5", *lines[at:]]))
        with pytest.raises(FileError, match=rf"expected {len(lines) - head} numbers"):
            read_nep(path)
    for at in range(head):
        path.write_text("\n".join(lines[:at]))
        with pytest.raises(FileError, match="the file ends where"):
            read_nep(path)


BAD = {
    ("nep4_zbl", "nep"): "NEP2 files are not supported",
    ("nep4_zbl", "nep_dipole"): "NEP2 files",
    ("nep4_zbl", "nep4_dipole"): "nep4_dipole: is not a potential energy model",
    ("nep4_zbl", "nep3_polarizability"): "is not a potential energy model",
    ("nep4_zbl", "nep4_zbl_temperature"): "temperature-dependent",
    ("nep4_zbl", "nep5_zbl_charge2"): "needs the reciprocal space",
    ("nep4_zbl", "nep4_charge_vdw"): "needs the reciprocal space",
    ("nep4_zbl", "nep4_vdw"): "dispersion",
    ("nep4_zbl", "nep6"): ":1: 'nep6': unknown tag",
    ("nep4_zbl   2", "nep4_zbl 3"): "3 elements are announced, 2 are named",
    ("O  Hf", "O Hx"): "'Hx': no element's symbol",
    ("O  Hf", "O O"): "the element O has been named already",
    ("zbl 0.75 1.5", "zbl 1.5 0.75"): ":2: zbl 1.5 0.75: the inner radius",
    ("zbl 0.75 1.5", "zbl 0.75 1.5 -1"): "the factor of zbl is -1",
    ("zbl 0.75 1.5", "zbl 0.75"): "zbl needs 2 or 3 numbers, not 1",
    ("zbl 0.75 1.5\n", ""): "'cutoff': the line of zbl is expected here",
    ("cutoff 8 4", "cutoff 0 4"): "a cutoff is 0: must be greater than 0",
    ("cutoff 8 4", "cutoff 3 4"): "the angular cutoff 4 is greater than the radial one, 3",
    ("cutoff 8 4", "cutoff 8"): ":3: cutoff: needs the radial and the angular",
    ("8 4 250 44", "8 4 250 44 1 1 0.6"): "cutoffs by radii of elements are not supported",
    ("250 44", "250 44.5"): "must be a whole number",
    ("n_max 1 0", "n_max 1"): "n_max needs 2 numbers",
    ("n_max 1 0", "n_max 1 -1"): "n_max is -1: must be a whole number from 0",
    ("basis_size  2", "basis_size 2.5"): "basis_size is 2.5: must be a whole number",
    ("l_max 2 0 0", "l_max 9 0 0"): "l_max is 9: must be a whole number from 0 to 8",
    ("l_max 2 0 0", "l_max 1 1 0"): "the component 222 needs a degree of 2 at least, not 1",
    ("l_max 2 0 0", "l_max 3 0 0 0 0 0 1"): "the component 134 needs a degree of 4",
    ("ANN 2 0", "ANN 2 3"): "a second hidden layer is not supported",
    ("ANN 2 0", "ANN 0 0"): "the number of neurons is 0",
    ("ANN 2 0\n0", "ANN 2 0\nnan"): ":8: a parameter: 'nan' is no number",
    ("ANN 2 0\n0", "ANN 2 0\n1e999"): "is no finite number",
}  # fmt: skip


@pytest.mark.parametrize("change", BAD, ids=lambda change: f"{change[0]} {change[1]}".strip())
def test_bad_files(change: tuple[str, str], tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    text = HEAD + "0\n" * COUNT
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(FileError, match=r"bad\.txt") as caught:
        read_nep(path)
    assert BAD[change] in str(caught.value)


def test_rows_of_zbl(tmp_path: Path) -> None:
    model = MODELS["nep5_zbl, flexible"]
    rows = model.zbl.rows.copy()
    rows[1, 0] = 3.0
    write_nep(tmp_path / "nep.txt", replace(model, zbl=replace(model.zbl, rows=rows)))
    with pytest.raises(FileError, match=r"pair 2 of ZBL has the radii 3 1\.65"):
        read_nep(tmp_path / "nep.txt")
    write_nep(tmp_path / "nep.txt", replace(MODELS["nep5"], elements=("C", "Am"),
                                            zbl=ZBLSection(0, 1, 0.7)))  # fmt: skip
    with pytest.raises(FileError, match="there is no radius of Am"):
        read_nep(tmp_path / "nep.txt")


SCRIPT = """units metal
lattice fcc 2.3
region b block 0 2 0 2 0 2
create_box 2 b
create_atoms 1 box
mass * 12.0
{style}
{coeff}
fix 1 all nve
run 0
"""
ACCEPTED = {
    ("pair_style nep", "pair_coeff * * nep.txt O C"): ["O", "C"],
    ("pair_style nep nep.txt", "pair_coeff * * nep.txt O C"): ["O", "C"],
    ("pair_style nep nep.txt", "pair_coeff * * C O"): ["C", "O"],
}
REFUSED = {
    ("pair_style nep", ""): "in.nep:7: pair_style: no coefficients; give 'pair_coeff * * FILE",
    ("pair_style nep", "pair_coeff * *"): "in.nep:8: pair_coeff: must be 'pair_coeff * * FILE",
    ("pair_style nep", "pair_coeff 1 1 nep.txt O C"): "must be 'pair_coeff * * FILE ELEMENT...'",
    ("pair_style nep", "pair_coeff * * nep.txt O"): "1 elements for 2 atom types",
    ("pair_style nep", "pair_coeff * * nep.txt O N"): "has no element 'N'",
    ("pair_style nep", "pair_coeff * * none O C"): "none': no such file",
    ("pair_style nep nep.txt", "pair_coeff * * other O C"): "with the file of pair_style",
    ("pair_style nep a b", ""): "in.nep:7: pair_style: wrong number of arguments",
}


@pytest.fixture
def script(tmp_path: Path):
    def write(lines: tuple[str, str]) -> Path:
        write_nep(tmp_path / "nep.txt", MODELS["nep5"])
        path = tmp_path / "in.nep"
        path.write_text(SCRIPT.format(style=lines[0], coeff=lines[1]))
        return path

    return write


@pytest.mark.parametrize("lines", ACCEPTED, ids=" ".join)
def test_scripts(script, lines: tuple[str, str], tmp_path: Path) -> None:
    deck = load_script(script(lines))
    assert deck.potential_table() == {"style": "nep", "file": str(tmp_path / "nep.txt"),
                                      "species": ACCEPTED[lines]}  # fmt: skip


@pytest.mark.parametrize("lines", REFUSED, ids=" ".join)
def test_what_a_script_is_told(script, lines: tuple[str, str]) -> None:
    with pytest.raises(InputError) as caught:
        load_script(script(lines))
    assert REFUSED[lines] in str(caught.value)
