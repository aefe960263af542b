"""Sums of potentials against the sums of their parts."""

from pathlib import Path

import numpy as np
import pytest

from mdapp.evaluate import Structure, single_point
from potentials.base import Want
from potentials.eam.potential import EmbeddedAtom
from potentials.hybrid import Hybrid
from potentials.registry import PotentialError, make_potential
from tests.twins.eam import invented
from tests.twins.evaluate import evaluate as on_one_rank
from tests.twins.systems import lattice
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
    eam = EmbeddedAtom(invented(2, seed=3), "eam/alloy", ())
    gauss = make_potential("gauss", {k: v for k, v in SHORT.items() if k != "style"}, 2)
    both = Hybrid((eam, gauss), 2, "hybrid/overlay")
    assert both.lists == "clusters+half" and both.cutoff == eam.cutoff
    f, result = evaluate(both, deterministic=deterministic)
    single = [evaluate(p, deterministic=deterministic) for p in (eam, gauss)]
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
