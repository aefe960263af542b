"""One rank against many: energy to 1e-12, forces to 1e-10, positions 100 steps later to 1e-8."""

import numpy as np
import pytest

from tests.mpi import cases

GRIDS: dict[str, list] = {
    # deck: (ranks, grid), None for the grid of least surface
    "MELT": [(2, None), (3, None), (4, None), (6, None), (8, None), (8, [8, 1, 1]), (6, [1, 1, 6])],
    "ROD": [(8, None), (4, [1, 2, 2]), (6, [6, 1, 1])],
    "SLAB": [(2, [1, 1, 2]), (6, [1, 1, 6]), (8, None)],
    "CORNER": [(3, None), (8, None)],
    "ALLOY": [(4, None)],
    "FACES": [(2, None), (4, [1, 4, 1]), (8, [2, 2, 2])],
    "TINY": [(2, None), (8, None), (4, [4, 1, 1])],
}


@pytest.mark.slow
def test_the_number_of_ranks_does_not_matter(mpirun, tmp_path) -> None:
    listed = []
    for name, grids in GRIDS.items():
        text = getattr(cases, name)
        listed.append(cases.case(name, text, 1, 100, tmp_path))
        for k, (ranks, grid) in enumerate(grids):
            listed.append(
                cases.case(f"{name}-{k}", text, ranks, 100, tmp_path, cases.grid_override(grid))
            )
    done = cases.run(mpirun, tmp_path, listed)
    for name, grids in GRIDS.items():
        one = done[name]
        natoms = len(one.id)
        assert np.array_equal(one.id, np.arange(1, natoms + 1))
        assert one.builds >= 2 or name == "TINY", (
            f"{name}: lists must be rebuilt for the test to mean much"
        )
        for k, (ranks, grid) in enumerate(grids):
            many, where = (
                done[f"{name}-{k}"],
                f"{name} on {ranks} ranks {grid or done[f'{name}-{k}'].grid}",
            )
            assert np.prod(many.grid) == ranks and (grid is None or many.grid == grid)
            assert sum(many.owned) == natoms
            for array in ("id", "id0", "type"):
                assert np.array_equal(getattr(many, array), getattr(one, array)), where
            assert np.array_equal(many.x0, one.x0) and np.array_equal(many.v0, one.v0), where
            assert many.thermo[0]["pe"] == pytest.approx(one.thermo[0]["pe"], rel=1e-12), where
            assert many.thermo[0]["press"] == pytest.approx(one.thermo[0]["press"], rel=1e-11), (
                where
            )
            assert abs(many.f0 - one.f0).max() <= 1e-10 * max(1.0, abs(one.f0).max()), where
            assert abs(many.x - one.x).max() < 1e-8, where
            assert abs(many.v - one.v).max() < 1e-7, where
            assert [row["step"] for row in many.thermo] == [row["step"] for row in one.thermo]
            for a, b in zip(many.thermo, one.thermo, strict=True):
                assert a["etotal"] == pytest.approx(b["etotal"], rel=1e-9), where
            assert many.builds == one.builds and many.dangerous == one.dangerous, where


@pytest.mark.slow
def test_precisions_and_threads(mpirun, tmp_path) -> None:
    """Low precision rounds pairs alike on every rank; threads change the order of sums only."""
    listed = []
    for precision in ("mixed", "single"):
        for ranks in (1, 4):
            listed.append(
                cases.case(
                    f"{precision}-{ranks}",
                    cases.MELT,
                    ranks,
                    20,
                    tmp_path,
                    [f"run.precision={precision}"],
                )
            )
    for threads in (2, 3):
        listed.append(
            cases.case(
                f"threads-{threads}", cases.ALLOY, 2, 50, tmp_path, [f"run.threads={threads}"]
            )
        )
    listed.append(cases.case("threads-1", cases.ALLOY, 1, 50, tmp_path))
    done = cases.run(mpirun, tmp_path, listed)
    for precision in ("mixed", "single"):
        one, many = done[f"{precision}-1"], done[f"{precision}-4"]
        assert many.thermo[0]["pe"] == pytest.approx(one.thermo[0]["pe"], rel=1e-6)
        assert abs(many.x - one.x).max() < 2e-5
    for threads in (2, 3):
        assert abs(done[f"threads-{threads}"].x - done["threads-1"].x).max() < 1e-9
        assert abs(done[f"threads-{threads}"].f0 - done["threads-1"].f0).max() < 1e-10
