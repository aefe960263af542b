"""Parameter files under thousands of seeded mutations: a message, or a potential with an energy.

Each style of files has a small sample here. Whatever happens to its bytes, the reader must say
ValueError with the file's name, or make a potential whose energies on a cluster of atoms are
numbers; where they overflow, evaluation says so. `make test-faults` runs 100 000 of them.
"""

import json
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from mdapp.errors import InputError
from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from potentials.deep_potential.format import read_model, tree_of, write_model
from potentials.files import FileError
from potentials.jax_model.weights import load_weights, save_weights
from potentials.registry import STYLES, PotentialError, make_potential
from tests.twins.deep_potential import as_yaml, invented, same
from tests.unit.test_reader_fuzz import mutations

SECONDS = 10                # longer than any reader may think about a page of numbers
SAMPLE, ALL = 400, 100_000


@dataclass(frozen=True)
class Case:
    """A style, its files (the text of each), and its elements; None: the style takes none."""

    files: dict[str, str]
    species: list[str] | None = None
    more: dict[str, object] = field(default_factory=dict)


def rows(f, count: int, spacing: float) -> str:
    """Values of f at knots from 0 on, four a line."""
    words = [f"{f(k * spacing):.6g}" for k in range(count)]
    return "\n".join(" ".join(words[k : k + 4]) for k in range(0, count, 4)) + "\n"


def falling(r: float) -> float:
    return max(0.0, 1 - r / 3.3) ** 3


EMBEDDING, DENSITY = rows(lambda p: -(p**0.5), 12, 0.3), rows(falling, 12, 0.3)
CHARGE, Z2 = rows(lambda r: 5 * falling(r), 12, 0.3), rows(lambda r: 9 * r * falling(r), 12, 0.3)
GRID = "12 0.3 12 0.3 3.2\n"
COPPER, NICKEL = "29 63.546 3.615 fcc\n", "28 58.69 3.52 fcc\n"
# Many digits and empty lines: where a byte may change and leave a number.
PARAMETERS = "".join(f"{(7 * k % 11 - 5) / 8:.15f}\n\n" for k in range(53)) + "0.05\n" * 10
ALLOY = f"a\nb\nc\n2 Cu Ni\n{GRID}"
SMALL = invented(1, sel=(6,), neuron=(2, 4), axis=2, fitted=(4, 4))
CASES = {
    "eam": Case({"a.eam": f"copper\n{COPPER}{GRID}{EMBEDDING}{CHARGE}{DENSITY}"}),
    "eam/alloy": Case(
        {"a.alloy": f"{ALLOY}{COPPER}{EMBEDDING}{DENSITY}{NICKEL}{EMBEDDING}{DENSITY}{Z2 * 3}"},
        ["Cu", "Ni"],
    ),
    "eam/fs": Case(
        {"a.fs": f"{ALLOY}{COPPER}{EMBEDDING}{DENSITY * 2}"
                 f"{NICKEL}{EMBEDDING}{DENSITY * 2}{Z2 * 3}"},
        ["Ni", "Cu"],
    ),
    "sw": Case(
        {"a.sw": "# silicon\nSi Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333\n"
                 "  7.049556277 0.6022245584 4.0 0.0 0.0\n"},
        ["Si", "Si"],
    ),
    "tersoff": Case(
        {"a.tersoff": "# silicon\nSi Si Si 3.0 1.0 1.3258 4.8381 2.0417 0.0000 22.956\n"
                      "  0.33675 1.3258 95.373 3.0 0.2 3.2394 3264.7\n"},
        ["Si", "Si"],
    ),
    "tersoff/mod": Case(
        {"a.tersoff.mod": "# silicon\nSi Si Si 1.0 2.3890327 -0.365 1.0\n"
                          "  1.0 1.345797 121.00047 3.0 0.3 3.2300135 3281.5905 0.93810551\n"
                          "  0.20173476 730418.72 1000000.0 1.0 26.0\n"},
        ["Si", "Si"],
    ),
    "tersoff/zbl": Case(
        {"a.tersoff.zbl": "# silicon\nSi Si Si 3.0 1.0 1.3258 4.8381 2.0417 0.0000 22.956\n"
                          "  0.33675 1.3258 95.373 3.0 0.2 3.2394 3264.7 14 14 0.95 14\n"},
        ["Si", "Si"],
    ),
    "table": Case(
        {"a.table": "# two sections\n\nFIRST\nN 8 R 1.0 3.3\n\n"
                    + "".join(f"{k} {1 + 2.3 * k / 7 - 2.3 / 7:.6f} {falling(k / 3):.6f} "
                              f"{falling(k / 3) ** 0.5:.6f}\n" for k in range(1, 9))
                    + "\nOTHER\nN 4 FPRIME -3.0 0.0\n\n1 1.0 0.5 1.0\n2 1.7 0.2 0.5\n"
                      "3 2.4 0.1 0.2\n4 3.2 0.0 0.0\n"},
        more={"points": 40, "section": "FIRST", "interpolation": "spline",
              "pair": [{"types": [1, 2], "section": "OTHER"}]},
    ),
    "nep": Case(
        {"nep.txt": "nep4_zbl 1 Si\nzbl 0.7 1.4\ncutoff 5 4.5 60 40\nn_max 1 1\nbasis_size 3 3\n"
                    f"l_max 4 0 0\nANN 3 0\n{PARAMETERS}"},
        ["Si", "Si"],
    ),
    "deep_potential": Case(
        {"a.yaml": json.dumps(as_yaml(tree_of(SMALL)))},         # JSON is YAML too
        ["Aa", "Aa"],
    ),
    "snap": Case(
        {"a.snapcoeff": "# two J = 2\n\n1 6\nSi 0.5 1.0\n0.1\n0.02\n-0.01\n0.03\n0.005\n-0.004\n",
         "a.snapparam": "# ranges\nrcutfac 4.2\ntwojmax 2\nrfac0 0.99363\nrmin0 0\nbzeroflag 1\n"
                        "quadraticflag 0\n"},
        ["Si", "Si"],
    ),
}  # fmt: skip

ATOMS = Structure.of_arrays(
    Box.orthogonal([-9] * 3, [9] * 3, (False, False, False)),
    np.array([[0, 0, 0], [2.4, 0.1, 0], [0.3, 2.2, 0.4], [1.1, 0.9, 2.1], [2.6, 2.3, 1.9]]),
    np.array([0, 1, 0, 1, 1]),
    ("A", "B"),
)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Fail if it takes longer."""

    def late(number: int, frame: object) -> None:
        raise AssertionError(f"no end after {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(style: str, case: Case, folder: Path) -> str:
    """Make the potential and evaluate it: `refused`, `overflowed` or `evaluated`."""
    paths = [str(folder / name) for name in case.files]
    table = {"file": paths[0] if len(paths) == 1 else paths, **case.more}
    if case.species is not None:
        table["species"] = case.species
    try:
        with np.errstate(all="ignore"):
            potential = make_potential(style, table, 2)
    except PotentialError as error:
        assert any(path in str(error) for path in paths), error
        return "refused"
    try:
        with np.errstate(all="ignore"):
            found = single_point(ATOMS, potential, units="metal")
    except InputError:
        return "overflowed"
    assert np.isfinite(found.energy) and np.isfinite(found.forces).all()
    return "evaluated"


def fuzz(style: str, count: int, folder: Path) -> None:
    """Mutate each file of a style, the others being good."""
    if style not in STYLES:
        pytest.skip(f"mdapp has no style {style}")
    case = CASES[style]
    if any(name.endswith(".yaml") for name in case.files):
        pytest.importorskip("yaml", reason="needs PyYAML")
    for name, text in case.files.items():
        (folder / name).write_text(text)
    assert attempt(style, case, folder) == "evaluated"
    results: list[str] = []
    for seed, (name, text) in enumerate(case.files.items(), 30):
        for number, data in enumerate(mutations(text, count // len(case.files), seed)):
            (folder / name).write_bytes(data)
            try:
                with at_most(SECONDS):
                    results.append(attempt(style, case, folder))
            except Exception as error:
                raise AssertionError(f"{name}, mutation {number}: {data!r}") from error
        (folder / name).write_text(text)
    assert min(results.count("refused"), results.count("evaluated")) > count / 50


@pytest.mark.parametrize("style", CASES)
def test_a_sample_of_mutations(style: str, tmp_path: Path) -> None:
    fuzz(style, SAMPLE, tmp_path)


def test_a_table_larger_than_its_file_takes_no_memory(tmp_path: Path) -> None:
    """100 elements of 10 000 000 knots each would be 80 GB of densities."""
    path = tmp_path / "big.eam.fs"
    names = [f"E{k}" for k in range(100)]
    head = f"a\nb\nc\n100 {' '.join(names)}\n5 1 10000000 0.3 3.2\n"
    path.write_text(f"{head}1 1 1 x\n1 2 3 4 5\n1\n")
    with pytest.raises(PotentialError, match=r"big\.eam\.fs:7: the density of E0.*1000000000"):
        make_potential("eam/fs", {"file": str(path), "species": ["E0"]}, 1)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """A copy, perhaps cut off, with up to three bits changed."""
    data = bytearray(content)
    if rng.random() < 0.2:
        del data[rng.randrange(len(data)):]
    for _ in range(rng.randint(0, 3) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def read_damaged(path: Path, count: int, whole: Callable[[], bool]) -> None:
    """Damage a file again and again; it must be refused by its name, or be `whole`."""
    content, rng, results = path.read_bytes(), random.Random(40), []
    for number in range(count):
        path.write_bytes(damaged(content, rng))
        try:
            with at_most(SECONDS):
                assert whole(), number
            results.append("same")
        except FileError as error:
            assert str(path) in str(error)
            results.append("refused")
    assert min(results.count("refused"), results.count("same")) > count / 10


FEW_OR_MANY = pytest.mark.parametrize(
    "share", [1, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)


@FEW_OR_MANY
def test_damaged_hdf5(share: int, tmp_path: Path) -> None:
    """Text and arrays have checksums, so that what is read is what was written."""
    path = tmp_path / "model.dp"
    write_model(path, SMALL)
    read_damaged(path, 12 * share, lambda: same(read_model(path), SMALL))


PARAMS = {"layers": [{"w": np.linspace(0, 1, 6).reshape(2, 3), "b": np.ones(3)}, {"w": np.eye(3)}]}


def same_weights(path: Path) -> bool:
    found = load_weights(path)
    return (found.cutoff, found.species, found.model) == (5.5, ("Cu",), "ace_layer") and all(
        np.array_equal(found.params["layers"][k][key], layer[key])
        for k, layer in enumerate(PARAMS["layers"]) for key in layer)  # fmt: skip


@FEW_OR_MANY
@pytest.mark.parametrize(("name", "count"), [("a.npz", 200), ("a.h5", 8)])
def test_damaged_weights(name: str, count: int, share: int, tmp_path: Path) -> None:
    """What JAX models are made of; HDF5 keeps no checksum of a name or a date."""
    path = tmp_path / name
    save_weights(path, PARAMS, cutoff=5.5, species=["Cu"], model="ace_layer")
    read_damaged(path, count * share, lambda: same_weights(path))


@FEW_OR_MANY
def test_headers_of_weights(share: int, tmp_path: Path) -> None:
    """Another header to the same arrays: a message, or a header that can be."""
    path = tmp_path / "a.npz"
    save_weights(path, PARAMS, cutoff=5.5, species=["Cu"], units="metal", about="of copper; " * 99)
    with np.load(path) as file:
        kept = {key: file[key] for key in file.files}
    refused = 0
    for data in mutations(str(kept["header"]), 100 * share, 41):
        np.savez(path, **kept | {"header": np.array(data.decode(errors="replace"))})
        try:
            found = load_weights(path)
        except FileError as error:
            assert str(path) in str(error)
            refused += 1
        else:
            assert found.cutoff > 0 and all(isinstance(s, str) for s in found.species)
            assert found.units in (None, "lj", "metal") and isinstance(found.about, str)
    assert 20 * share < refused < 100 * share


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("style", CASES)
def test_a_hundred_thousand_mutations(style: str, tmp_path: Path) -> None:
    fuzz(style, ALL // sum(name in STYLES for name in CASES), tmp_path)
