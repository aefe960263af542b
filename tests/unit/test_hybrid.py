"""Sums of potentials against the sums of their parts."""

from pathlib import Path

import numpy as np
import pytest

from mdapp.evaluate import Structure, single_point
from potentials.base import Want
from potentials.eam.potential import EmbeddedAtom
from potentials.hybrid import Hybrid, acts_on
from potentials.own_file import files_named
from potentials.registry import PotentialError, make_potential
from potentials.subset import Subset
from potentials.threebody.tersoff import Tersoff
from tests.twins.eam import invented
from tests.twins.evaluate import evaluate as on_one_rank
from tests.twins.systems import System, lattice
from tests.twins.threebody import invented_tersoff
from tests.unit.test_lj import types_of

LJ = {"style": "lj/cut", "epsilon": 1.0, "sigma": 0.9, "rc": 2.5, "mix": "arithmetic"}
SHORT = {"style": "gauss", "a": -2.0, "b": 3.0, "rc": 1.2}
SYSTEM = lattice((4, 4, 4), 1.68, 0.07, 21)
TYPES = types_of(len(SYSTEM.x), 2)


def evaluate(potential, precision="double", deterministic=False, **asked):
    kernel = potential.compiled(precision, deterministic)
    return on_one_rank(kernel, potential.cutoff, potential.lists, SYSTEM, TYPES,
                       exact=deterministic, **asked)  # fmt: skip


@pytest.mark.parametrize("precision", ["double", "mixed"])
def test_an_overlay_of_formulas(precision: str) -> None:
    """Coordinates of a part with a short cutoff do not come round in lists of a long one."""
    parts = [LJ, SHORT]
    f, result = evaluate(make_potential("hybrid/overlay", {"part": parts}, 2), precision)
    single = [evaluate(make_potential(p["style"], {k: v for k, v in p.items() if k != "style"}, 2),
                       precision) for p in parts]  # fmt: skip
    tolerance = 1e-12 if precision == "double" else 1e-4
    assert abs(f - sum(g for g, _ in single)).max() < tolerance * abs(f).max()
    assert result.energy == pytest.approx(sum(r.energy for _, r in single), rel=tolerance)
    for name in ("virial", "energies", "virials"):
        expected = sum(getattr(r, name) for _, r in single)
        assert abs(getattr(result, name) - expected).max() < tolerance * abs(expected).max()


@pytest.mark.parametrize("deterministic", [False, True])
def test_rows_and_clusters_in_one_sum(deterministic: bool) -> None:
    tersoff = Tersoff(invented_tersoff(2, seed=2, m=1.0))
    gauss = make_potential("gauss", {k: v for k, v in SHORT.items() if k != "style"}, 2)
    both = Hybrid((tersoff, gauss), 2, "hybrid/overlay")
    assert both.lists == "clusters+full"
    f, result = evaluate(both, deterministic=deterministic)
    single = [evaluate(p, deterministic=deterministic) for p in (tersoff, gauss)]
    assert abs(f - sum(g for g, _ in single)).max() < 1e-9
    assert result.energy == pytest.approx(sum(r.energy for _, r in single), rel=1e-9)
    if deterministic:
        order = np.random.default_rng(1).permutation(len(TYPES))
        g, _ = evaluate(both, deterministic=True, order=order, threads=2)
        assert f.tobytes() == g.tobytes()


def test_hybrid_splits_the_pairs_of_types() -> None:
    """A split of one potential is that potential."""
    whole = {k: v for k, v in LJ.items() if k != "style"}
    parts = [LJ | {"only": [[1, 1]]}, LJ | {"only": [[1, 2], [2, 2]]}]
    f, result = evaluate(make_potential("hybrid", {"part": parts}, 2))
    g, expected = evaluate(make_potential("lj/cut", whole, 2))
    assert abs(f - g).max() < 1e-12 * abs(g).max()
    assert result.energy == pytest.approx(expected.energy, rel=1e-13)


@pytest.mark.parametrize("want", [Want.FORCES, Want.TOTALS])
def test_less_is_wanted(want: Want) -> None:
    potential = make_potential("hybrid/overlay", {"part": [LJ, SHORT]}, 2)
    f, full = evaluate(potential)
    g, result = evaluate(potential, want=want)
    assert abs(f - g).max() < 1e-12 * abs(f).max() and result.energies is None
    if want is Want.TOTALS:
        assert result.energy == pytest.approx(full.energy, rel=1e-12)


@pytest.mark.parametrize(
    ("style", "part", "words"),
    [
        ("hybrid", 3, "part = 3: must be a list of tables"),
        ("hybrid", [], "part = []: must be a list of tables"),
        ("hybrid", [{}], "part 1: style = None: must be a potential that is no sum"),
        ("hybrid", [{"style": "hybrid", "part": []}], "must be a potential that is no sum"),
        ("hybrid", [LJ, SHORT], "types 1 1 belong to 2 parts"),
        ("hybrid", [LJ | {"only": [[1, 1]]}], "types 1 2 belong to 0 parts"),
        ("hybrid/overlay", [LJ, {"style": "guass"}], "part 2: potential.style = 'guass': unknown"),
        ("hybrid/overlay", [LJ, SHORT | {"b": -1}], "part 2: potential (gauss): b = -1"),
    ],
)
def test_messages(style: str, part: object, words: str) -> None:
    with pytest.raises(PotentialError) as error:
        make_potential(style, {"part": part}, 2)
    assert words in str(error.value)


def test_the_units_of_parts(tmp_path: Path) -> None:
    zbl = {"style": "zbl", "z": 14, "inner": 1.0, "outer": 2.0}
    assert make_potential("hybrid/overlay", {"part": [LJ, SHORT]}, 1).units is None
    assert make_potential("hybrid/overlay", {"part": [LJ, zbl]}, 1).units == "metal"
    (tmp_path / "reduced.py").write_text("""
from potentials.pair.loop import pair_formula
UNITS = "lj"
@pair_formula("flat", lambda depth: depth)
def flat(r2, c):
    return c[1] + 0.0 * r2, 0.0 * r2
""")
    own = {"style": f"python:{tmp_path}/reduced.py:flat", "depth": 1.0, "rc": 2.0}
    with pytest.raises(PotentialError, match="are in different units: lj, metal"):
        make_potential("hybrid/overlay", {"part": [own, zbl]}, 1)


SEEN = np.array([False, True, True])
PARTS = {"full": Tersoff(invented_tersoff(2, seed=2, m=1.0)),
         "clusters": EmbeddedAtom(invented(2, seed=3), "eam/alloy", ())}  # fmt: skip


@pytest.mark.parametrize("form", PARTS)
def test_a_part_that_does_not_see_a_type(form: str) -> None:
    """It is as if the atoms of this type were not there, in any order and on any thread."""
    part, types = PARTS[form], types_of(len(SYSTEM.x), 3)
    few = SEEN[types]
    some = System(SYSTEM.x[few], SYSTEM.box)
    f, result = on_one_rank(part.compiled("double", False), part.cutoff, form, some,
                            types[few] - 1)  # fmt: skip
    whole = Hybrid((Subset(part, SEEN),), 3, "hybrid/overlay")
    assert whole.lists == form and (acts_on(whole.parts[0], 3) == np.outer(SEEN, SEEN)).all()
    kernel = whole.compiled("double")
    for seed, threads in ((1, 1), (2, 3)):
        order = np.random.default_rng(seed).permutation(len(types))
        g, other = on_one_rank(kernel, part.cutoff, form, SYSTEM, types, order=order,
                               threads=threads)  # fmt: skip
        assert abs(g[few] - f).max() < 1e-11 * abs(f).max() and not g[~few].any()
        assert other.energy == pytest.approx(result.energy, rel=1e-12)
        assert abs(other.energies[few] - result.energies).max() < 1e-11
        assert abs(other.virials[few] - result.virials).max() < 1e-10
        assert not other.energies[~few].any()


def test_nobody_is_no_file() -> None:
    parts = [{"style": "eam", "file": ["a.eam", "NULL"]}, {"style": "python:b.py:c"}]
    assert files_named({"style": "hybrid", "part": parts}) == ["a.eam", "b.py"]


def test_nobody_is_seen() -> None:
    kernel = Subset(PARTS["full"], SEEN).compiled("double")
    f, result = on_one_rank(kernel, 2.0, "full", SYSTEM, np.zeros(len(SYSTEM.x), np.int32))
    assert not f.any() and result.energy == 0 and not result.virials.any()


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"file": "a.sw", "species": ["NULL"]}, "part 1: species = ['NULL']: 2 atom types need"),
        ({"file": "a.sw", "species": ["NULL", "NULL"]}, "acts on no type"),
        ({"file": "none", "species": ["NULL", "Si"]}, "'none': no such file"),
    ],
)
def test_messages_of_parts_that_do_not_see_a_type(part: dict, words: str) -> None:
    with pytest.raises(PotentialError) as error:
        make_potential("hybrid/overlay", {"part": [{"style": "sw", **part}]}, 2)
    assert words in str(error.value)
    with pytest.raises(PotentialError, match="is for the parts of hybrid"):
        make_potential("sw", part, 2)


def test_a_part_that_needs_the_cell_is_given_it() -> None:
    pytest.importorskip("ase", reason="needs ase")
    oracle = {"style": "ase:ase.calculators.lj:LennardJones"}
    structure = Structure.of_arrays(SYSTEM.box, SYSTEM.x, species=("Ar",))
    found = []
    for parts in ([LJ], [oracle], [LJ, oracle]):
        potential = make_potential("hybrid/overlay", {"part": parts}, 1, ["Ar"])
        found.append(single_point(structure, potential, units="metal"))
    assert found[2].energy == pytest.approx(found[0].energy + found[1].energy, rel=1e-12)
    assert abs(found[2].forces - found[0].forces - found[1].forces).max() < 1e-10
