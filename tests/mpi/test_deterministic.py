"""`deterministic = true`: the same bits after 1000 steps for any ranks, grid and threads.

A rank that has fewer atoms than the halo is wide has ghosts of ghosts: the box of 5 and reach of
2.8 on up to eight ranks is meant to be cramped.
"""

from pathlib import Path

import numpy as np
import pytest

from tests.mpi import cases

DETERMINISTIC = "run.deterministic=true"
SMALL = cases.MELT.replace("[5, 5, 5]", "[3, 3, 3]").replace("every = 10", "every = 50")
Layout = tuple[int, list[int] | None, int]  # ranks, grid, threads
LAYOUTS: list[Layout] = [
    (1, None, 1),
    (1, None, 3),
    (2, [1, 1, 2], 2),
    (3, None, 1),
    (8, [2, 4, 1], 1),
]
RUNS: dict[str, tuple[int, list[Layout]]] = {
    "double": (1000, LAYOUTS),
    "mixed": (1000, [(1, None, 1), (4, [1, 2, 2], 2)]),
    "single": (100, [(1, None, 1), (3, None, 1), (6, None, 1)]),
}


def listed(name: str, text: str, steps: int, layouts, folder, overrides=()) -> list[dict]:
    return [
        cases.case(
            f"{name}-{k}",
            text,
            ranks,
            steps,
            folder,
            [DETERMINISTIC, f"run.threads={threads}", *cases.grid_override(grid), *overrides],
        )
        for k, (ranks, grid, threads) in enumerate(layouts)
    ]


def assert_same_bits(done: dict[str, cases.Outcome], name: str, layouts) -> None:
    one = done[f"{name}-0"]
    for k, layout in enumerate(layouts):
        other = done[f"{name}-{k}"]
        assert other.state_hash == one.state_hash, (name, layout)
        for array, values in one.arrays.items():
            assert np.array_equal(other.arrays[array], values), (name, layout, array)
        assert other.thermo == one.thermo, (name, layout)
        assert (other.builds, other.dangerous) == (one.builds, one.dangerous)


def assert_layouts_agree(mpirun, folder: Path, text: str, layouts) -> None:
    """Deterministic runs of a deck have the same bits; others the same forces to rounding."""
    precise = listed("bits", text, 60, layouts, folder)
    plain = [cases.case(f"plain-{n}", text, n, 20, folder) for n in (1, 2, 3)]
    done = cases.run(mpirun, folder, [*precise, *plain])
    assert_same_bits(done, "bits", layouts)
    assert done["bits-0"].builds > 2
    for n in (2, 3):
        for array in ("f0", "f", "x"):
            one, several = getattr(done["plain-1"], array), getattr(done[f"plain-{n}"], array)
            np.testing.assert_allclose(several, one, rtol=0, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["double", "mixed", "single"])
def test_a_long_run(mpirun, tmp_path, precision: str) -> None:
    steps, layouts = RUNS[precision]
    done = cases.run(
        mpirun,
        tmp_path,
        listed("melt", SMALL, steps, layouts, tmp_path, [f"run.precision={precision}"]),
    )
    assert_same_bits(done, "melt", layouts)
    assert done["melt-0"].builds > steps / 50
    assert done["melt-0"].thermo[-1]["step"] == steps


@pytest.mark.slow
def test_other_systems(mpirun, tmp_path) -> None:
    """Open faces, empty ranks, mixtures, atoms on planes, images of images, outlived lists."""
    layouts = [(1, None, 1), (3, None, 1), (8, None, 1)]
    names = ["SLAB", "CORNER", "ALLOY", "FACES", "TINY"]
    everything = [
        c for name in names for c in listed(name, getattr(cases, name), 100, layouts, tmp_path)
    ]
    outlived = ["neighbors.every=25", "neighbors.check=false"]
    everything += listed("outlived", SMALL, 100, layouts, tmp_path, outlived)
    rare = ["neighbors.every=30", "neighbors.skin=0.1"]
    everything += listed("rare", SMALL, 100, layouts, tmp_path, rare)
    done = cases.run(mpirun, tmp_path, everything)
    for name in (*names, "outlived", "rare"):
        assert_same_bits(done, name, layouts)
    assert done["rare-0"].dangerous > 0
    assert 0 in done["CORNER-2"].owned, "a rank without atoms"


def test_seeds_and_steps_change_the_hash(mpirun, tmp_path) -> None:
    """The comparison can fail."""
    some = [
        cases.case("a", SMALL, 1, 20, tmp_path, [DETERMINISTIC]),
        cases.case("b", SMALL, 1, 21, tmp_path, [DETERMINISTIC]),
        cases.case("c", SMALL, 2, 20, tmp_path, [DETERMINISTIC, "system.seed=4"]),
    ]
    done = cases.run(mpirun, tmp_path, some)
    assert len({outcome.state_hash for outcome in done.values()}) == 3
