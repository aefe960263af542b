"""Files of entries: what is read, and what is refused with file and line."""

from pathlib import Path

import numpy as np
import pytest

from potentials.files import FileError
from potentials.registry import PotentialError, make_potential
from potentials.threebody.sw import read_sw
from potentials.threebody.tersoff import read_tersoff
from potentials.threebody.tersoff_mod import read_tersoff_mod
from potentials.threebody.tersoff_zbl import read_tersoff_zbl
from tests.conformance.threebody_by_lammps import (
    MIXTURE_MOD,
    MIXTURE_SW,
    MIXTURE_TERSOFF,
    MIXTURE_ZBL,
    SILICON_MOD,
    SILICON_SW,
    SILICON_TERSOFF,
)

SW = (SILICON_SW, MIXTURE_SW)
READERS = {"sw": (read_sw, SW), "tersoff": (read_tersoff, (SILICON_TERSOFF, MIXTURE_TERSOFF)),
           "tersoff/mod": (read_tersoff_mod, (SILICON_MOD, MIXTURE_MOD)),
           "tersoff/zbl": (read_tersoff_zbl, (MIXTURE_ZBL.splitlines(keepends=True)[0],
                                              MIXTURE_ZBL))}


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.file"
    path.write_text(text)
    return path


def test_entries_of_several_lines_in_any_order(tmp_path: Path) -> None:
    entries = read_sw(written(tmp_path, MIXTURE_SW), ["X", "Si"])
    assert entries["epsilon"][1, 1, 1] == 2.1683 and entries["epsilon"][0, 0, 0] == 1.5
    assert entries["lambda"][0, 1, 1] == 18.0 and entries["lambda"][1, 0, 0] == 20.0
    assert entries["costheta0"][1, 0, 1] == -0.35
    assert entries.lines[1, 1, 1] == 2 and entries.lines[0, 0, 0] == 4


def test_one_element_of_many(tmp_path: Path) -> None:
    entries = read_sw(written(tmp_path, MIXTURE_SW), ["Si"])
    assert entries.values.shape == (1, 1, 1, 11)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("", "", ["has no element 'Ge'", "Si, X"]),
        ("# epsilon", "# DATE: 1985 UNITS: real", [":1:", "UNITS: real", "in metal units"]),
        ("X  X  Si", "X  X  Q", ["has no entry X X Si"]),
        ("X  X  Si", "X  Si X", [":10:", "X Si X", "twice", "line 9"]),
        ("0.6022245584", "nan", [":3:", "'nan' is no number"]),
        ("0.6022245584", "1e999", [":3:", "B", "no finite number"]),
        ("0.6022245584", "0.6o2", [":3:", "'0.6o2' is no number"]),
        ("0.001", "", [":5:", "X X X of line 4 must have 11 numbers", "it has 24"]),
        ("0.001", "0.001 7", [":4:", "X X X of line 4", "it has 12"]),
        ("X  X  X   1.5", "X  X  1.5", [":4:", "three elements"]),
        ("2.1683 2.0951", "-2.1683 2.0951", [":2:", "Si Si Si", "epsilon", "not be negative"]),
        ("2.1683 2.0951", "2.1683 0", [":2:", "sigma = 0", "greater than 0"]),
        ("X  Si Si  1.8 2.0 1.78", "X  Si Si  1.8 2.0 1.70", ["a = 1.78", "a", "must agree"]),
        ("Si Si X   1.7", "Si Si X   1.6", [":7:", "lambda epsilon", "Si X Si", "must agree"]),
        ("17.0 0.00 -0.35 0.0 0.00 0.0 0.0 0.0\nX  Si X", "17.0 0.00 -0.3 0.0 0.00 0.0 0.0 0.0\n"
         "X  Si X", [":7:", "costheta0", "must agree"]),
        ("X  X  Si  1.6 0.0 0.00 16.0 0.00 -0.25 0.0 0.00 0.0 0.0 0.0", "X X Si 1.6 0 0",
         ["the file ends", "lambda", "line 10"]),
        ("-0.25 0.0 0.00 0.0 0.0 0.0\nX  X  Si", "-1.25 0.0 0.00 0.0 0.0 0.0\nX  X  Si",
         [":9:", "X Si X", "costheta0 = -1.25"]),
    ],
)  # fmt: skip
def test_refused(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in MIXTURE_SW
    path = written(tmp_path, MIXTURE_SW.replace(old, new, 1))
    with pytest.raises(FileError) as caught:
        read_sw(path, ["Ge"] if not old else ["Si", "X"])
    message = str(caught.value)
    assert "\n" not in message and str(path) in message
    for word in words:
        assert word in message, message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("X  X  X  1.0", "X  X  X  2.0", [":3:", "X X X", "m = 2 must be 1 or 3"]),
        ("2.0417 0.0 22.956", "0 0.0 22.956", [":2:", "d = 0", "divides"]),
        ("22.956 0.33675 1.3258", "0 0.33675 1.3258", [":2:", "n = 0", "greater than 0"]),
        ("2.7 0.25 2.8", "2.7 2.8 2.8", [":3:", "D = 2.8", "from 0 to R"]),
        ("95.373", "-95.373", [":2:", "B = -95.373", "not be negative"]),
    ],
)
def test_refused_by_tersoff(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in MIXTURE_TERSOFF
    path = written(tmp_path, MIXTURE_TERSOFF.replace(old, new, 1))
    with pytest.raises(FileError) as caught:
        read_tersoff(path, ["Si", "X"])
    for word in [str(path), *words]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("1.0 2.3890327", "2.0 2.3890327", [":2:", "beta = 2 must be 1 or 3"]),
        ("-0.365 1.0", "-0.365 0", [":2:", "eta = 0 must be greater than 0"]),
        ("0.93810551", "-1", [":2:", "n = -1 must be greater than 0"]),
        ("1000000.0 1.0 26.0", "0 1.0 26.0", [":2:", "c3 = 0", "divides"]),
        ("1000000.0 1.0 26.0", "1e6 1.0 -26.0", [":2:", "c5 = -26 must not be negative"]),
        (" 26.0", "", [":4:", "c5 of the entry of line 2", "the file ends"]),
    ],
)
def test_refused_by_tersoff_mod(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in SILICON_MOD
    with pytest.raises(FileError) as caught:
        read_tersoff_mod(written(tmp_path, SILICON_MOD.replace(old, new, 1)), ["Si"])
    for word in words:
        assert word in str(caught.value), caught.value


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("14 14 1.9 14", "0 14 1.9 14", [":1:", "Z_i = 0 must be greater than 0"]),
        ("14 14 1.9 14", "14 14 0 14", [":1:", "ZBLcut = 0 must be greater than 0"]),
        ("14 14 1.9 14", "14 14 1.9 -14", [":1:", "ZBLexpscale = -14 must be greater"]),
        ("2.0417 0.0 22.956", "0 0.0 22.956", [":1:", "d = 0", "divides"]),
        ("14 14 1.9 14", "", [":2:", "must have 18 numbers"]),
    ],
)
def test_refused_by_tersoff_zbl(tmp_path: Path, old: str, new: str, words: list[str]) -> None:
    assert old in MIXTURE_ZBL
    with pytest.raises(FileError) as caught:
        read_tersoff_zbl(written(tmp_path, MIXTURE_ZBL.replace(old, new, 1)), ["Si", "X"])
    for word in words:
        assert word in str(caught.value), caught.value


def test_elements_are_one_a_type(tmp_path: Path) -> None:
    path = str(written(tmp_path, MIXTURE_SW))
    with pytest.raises(PotentialError, match="2 atom types need an element each"):
        make_potential("sw", {"file": path, "species": ["Si"]}, 2)
    assert make_potential("sw", {"file": path, "species": "Si"}, 1).cutoff == 1.8 * 2.0951


@pytest.mark.parametrize("style", READERS)
def test_mutated_files(tmp_path: Path, style: str) -> None:
    """A file is read, with finite and sensible numbers, or it is refused."""
    read, texts = READERS[style]
    rng = np.random.default_rng(8)
    refused = 0
    for turn in range(800):
        text = texts[turn % len(texts)]
        elements = ["Si"] if text is texts[0] else ["Si", "X"]
        for _ in range(rng.integers(1, 4)):
            text = mutated(text, rng)
        path = written(tmp_path, text)
        try:
            entries = read(path, elements)
        except FileError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
        else:
            assert np.isfinite(entries.values).all()
    assert 100 < refused < 800


def mutated(text: str, rng: np.random.Generator) -> str:
    """The text with one character, word or line changed, dropped or doubled."""
    parts = {0: list(text), 1: text.split(" "), 2: text.splitlines(keepends=True)}
    kind = int(rng.integers(3))
    pieces = parts[kind] or [""]
    k = int(rng.integers(len(pieces)))
    strange = ("", "nan", "-1", "0", "1e400", "#", "Si", "\x00", "é", "1d3", "-", "1e-300", "1e300")
    choice = int(rng.integers(4))
    if choice == 0:
        del pieces[k]
    elif choice == 1:
        pieces.insert(k, pieces[k])
    else:
        pieces[k] = strange[int(rng.integers(len(strange)))]
    return ("", " ", "")[kind].join(pieces)
