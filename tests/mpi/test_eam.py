"""EAM on several ranks: densities need their ghosts' embedding slopes, and halos have many hops."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from potentials.eam.zhou import write_setfl
from tests.mpi import cases

PROGRAM = str(Path(__file__).parent / "halo_ranks.py")
DETERMINISTIC = "run.deterministic=true"


def deck(folder: Path, system: str, every: int = 10) -> str:
    """An alloy of copper and nickel under tables of the published formulas."""
    write_setfl(folder / "CuNi.eam.alloy", ["Cu", "Ni"], 200)
    return f"""
units = "metal"
[system]
{system}
species = ["Cu", "Ni"]
seed = 3
[potential]
style = "eam/alloy"
file = "CuNi.eam.alloy"
[neighbors]
skin = 0.5
[run]
steps = 0
timestep = 0.002
[thermo]
every = {every}
"""


# 4 x 4 x 4 cells of 3.6 A with a halo of 6.2: up to two hops each way on four ranks.
CRYSTAL = ('lattice = "fcc"\nconstant = 3.6\ncells = [4, 4, 4]\nbasis_types = [2, 1, 1, 1]\n'
           "temperature = 2500.0")
# Thinner than the halo along two axes: images of images.
ROD = ('lattice = "fcc"\nconstant = 3.6\ncells = [6, 1, 1]\nbasis_types = [1, 2, 1, 1]\n'
       "temperature = 2500.0")
SLAB = ('lattice = "fcc"\nconstant = 3.6\nregion = [0, 3, 0, 3, 0, 6]\nboundary = "p p f"\n'
        "temperature = 2500.0\n"
        "fill = [{ type = 1, region = [-1, 9, -1, 9, 2.1, 4.1], basis_types = [1, 2, 1, 2] }]")
SYSTEMS = {"crystal": CRYSTAL, "rod": ROD, "slab": SLAB}


def test_values_to_ghosts_and_back(mpirun) -> None:
    """On one to four ranks, all grids: 1 + 3 + 3 + 6 of them, five boxes each."""
    end = mpirun(4, [PROGRAM], timeout=120)
    assert end.code == 0, end.stderr[-3000:]
    assert "cases 65" in end.stdout


def test_the_number_of_ranks_does_not_matter(mpirun, tmp_path: Path) -> None:
    """Energies and forces to 1e-11 of their size at the start, 50 steps later to 1e-8 A."""
    listed = [
        cases.case(f"{name}-{ranks}", deck(tmp_path, text), ranks, 50, tmp_path)
        for name, text in SYSTEMS.items()
        for ranks in (1, 2, 3, 4)
    ]
    done = cases.run(mpirun, tmp_path, listed)
    for name in SYSTEMS:
        one = done[f"{name}-1"]
        assert one.builds > 0, "lists must be rebuilt for the test to mean much"
        for ranks in (2, 3, 4):
            many = done[f"{name}-{ranks}"]
            assert len(many.owned) == ranks
            assert many.thermo[0]["pe"] == pytest.approx(one.thermo[0]["pe"], rel=1e-11)
            assert many.thermo[0]["press"] == pytest.approx(one.thermo[0]["press"], rel=1e-11)
            scale = 1 + abs(one.f0).max()
            assert abs(many.f0 - one.f0).max() < 1e-11 * scale, (name, ranks)
            assert abs(many.x - one.x).max() < 1e-8, (name, ranks)


def test_deterministic_bits(mpirun, tmp_path: Path) -> None:
    layouts = {"1": (1, 1), "1 threads 2": (1, 2), "2": (2, 1), "3": (3, 1), "4": (4, 1)}
    listed = [
        cases.case(f"{name} {key}".replace(" ", "-"), deck(tmp_path, SYSTEMS[name]), ranks, 50,
                   tmp_path, [DETERMINISTIC, f"run.threads={threads}"])
        for name in ("crystal", "rod")
        for key, (ranks, threads) in layouts.items()
    ]
    done = cases.run(mpirun, tmp_path, listed)
    for name in ("crystal", "rod"):
        one = done[f"{name}-1"]
        for key in layouts:
            other = done[f"{name} {key}".replace(" ", "-")]
            assert other.state_hash == one.state_hash, (name, key)
            assert other.thermo == one.thermo
            for array, values in one.arrays.items():
                assert np.array_equal(other.arrays[array], values), (name, key, array)


def test_restart_on_other_ranks(mpirun, tmp_path: Path) -> None:
    """To the bit; a file with another number in it is named, and not taken."""
    text = deck(tmp_path, CRYSTAL, every=0).replace("steps = 0", "steps = 40\ndeterministic = true")
    (tmp_path / "deck.toml").write_text(text + "[checkpoint]\nevery = 20\n")
    run = ["-m", "mdapp", "run", "deck.toml", "--json"]
    end = mpirun(2, [*run, "whole.json", "--out", "whole"], timeout=120)
    assert end.code == 0, end.stderr
    end = mpirun(3, [*run, "half.json", "--out", "half", "--set", "run.steps=20"], timeout=120)
    assert end.code == 0, end.stderr
    shutil.copytree(tmp_path / "half", tmp_path / "other")
    again = [*run, "half.json", "--out", "half", "--restart", "auto"]
    end = mpirun(1, again, timeout=120)
    assert end.code == 0, end.stderr
    whole, half = (json.loads((tmp_path / f"{name}.json").read_text())
                   for name in ("whole", "half"))
    assert half["state_hash"] == whole["state_hash"] and half["steps"] == 20

    path = tmp_path / "CuNi.eam.alloy"
    before = path.read_text()
    changed = before.replace("tabulated", "Tabulated", 1)
    assert changed != before
    path.write_text(changed)
    end = mpirun(2, [*run, "other.json", "--out", "other", "--restart", "auto"], timeout=120)
    assert end.code == 2
    assert "the contents of CuNi.eam.alloy are not what they were" in end.stderr
    assert "--allow-potential-change" in end.stderr and "Traceback" not in end.stderr
