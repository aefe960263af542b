"""Static lattice energies to 1e-11, through the whole engine at step 0.

Values: direct lattice sums in double precision.  The first agrees with LAMMPS's bench/in.lj
(E_pair -6.7733681, P -5.0197073 at T 1.44) and miniMD (-6.773368), the copper one with the CoMD
manual (-1.243619295058 eV/atom, its own summation 2e-11 off).
"""

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.deck import load_deck
from mdapp.simulation import Simulation

A_FCC = (4 / 0.8442) ** (1 / 3)
LJ = {"style": "lj/cut", "epsilon": 1.0, "sigma": 1.0, "rc": 2.5}
CRYSTAL = {"lattice": "fcc", "density": 0.8442, "cells": [6, 6, 6]}


def deck(tmp_path, units: str, system: dict, potential: dict, **run):
    def toml(value):
        return (
            str(value).lower()
            if isinstance(value, bool)
            else f'"{value}"'
            if isinstance(value, str)
            else str(value)
        )

    sections = {
        "system": system,
        "potential": potential,
        "run": {"steps": 0} | run,
        "thermo": {"every": 0, "columns": ["step", "pe", "press"]},
    }
    text = f'units = "{units}"\n' + "".join(
        f"[{name}]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in keys.items())
        for name, keys in sections.items()
    )
    path = tmp_path / "deck.toml"
    path.write_text(text)
    return load_deck(path)


def static(tmp_path, units, system, potential, **run) -> dict:
    sim = Simulation.from_deck(deck(tmp_path, units, system, potential, **run), comm=MPI.COMM_SELF)
    sim.run(0)
    n = sim.atoms.nlocal
    if run.get("precision", "double") == "double":
        assert abs(sim.atoms.f[:n]).max() < 1e-11, "no force in a crystal"
    return sim.thermo.last | {"natoms": sim.natoms}


@pytest.mark.parametrize("deterministic", [False, True])
def test_lennard_jones_crystal(tmp_path, deterministic: bool) -> None:
    row = static(tmp_path, "lj", CRYSTAL, LJ, deterministic=deterministic)
    tolerance = 1e-10 if deterministic else 1e-11  # 54 terms rounded to 2^-35 each
    assert row["pe"] == pytest.approx(-6.773368053253, rel=tolerance)
    assert row["press"] == pytest.approx(-6.235317270086, rel=tolerance)


def test_shifted_crystal(tmp_path) -> None:
    """54 neighbours in range, each shifted by -0.016316891136."""
    row = static(tmp_path, "lj", CRYSTAL, LJ | {"shift": True})
    assert row["pe"] == pytest.approx(-6.332811992581, rel=1e-11)
    assert row["press"] == pytest.approx(-6.235317270086, rel=1e-11)
    shift = 4 * (2.5**-12 - 2.5**-6)
    assert shift == pytest.approx(-0.016316891136, rel=1e-10)
    assert row["pe"] == pytest.approx(-6.773368053253 - 27 * shift, rel=1e-11)


def test_copper_of_comd(tmp_path) -> None:
    copper = {"lattice": "fcc", "constant": 3.615, "cells": [5, 5, 5], "species": ["Cu"]}
    potential = {
        "style": "lj/cut",
        "epsilon": 0.167,
        "sigma": 2.315,
        "rc": 2.5 * 2.315,
        "shift": True,
    }
    row = static(tmp_path, "metal", copper, potential)
    assert row["pe"] / row["natoms"] == pytest.approx(-1.243619295078, rel=1e-11)


@pytest.mark.parametrize(("precision", "tolerance"), [("mixed", 2e-7), ("single", 2e-7)])
def test_low_precision(tmp_path, precision: str, tolerance: float) -> None:
    """Measured, mixed and single alike: 9e-8 of the energy, 5e-8 of the pressure."""
    row = static(tmp_path, "lj", CRYSTAL, LJ, precision=precision)
    assert row["pe"] == pytest.approx(-6.773368053253, rel=tolerance)
    assert row["press"] == pytest.approx(-6.235317270086, rel=2 * tolerance)


@pytest.mark.parametrize("cells", [[1, 1, 1], [2, 1, 3], [1, 1, 8]])
def test_small_boxes_are_the_same_crystal(tmp_path, cells) -> None:
    """A box narrower than the cutoff: images of images."""
    row = static(tmp_path, "lj", CRYSTAL | {"cells": cells}, LJ)
    assert row["pe"] == pytest.approx(-6.773368053253, rel=1e-11)
    assert row["press"] == pytest.approx(-6.235317270086, rel=1e-11)


def test_the_density_of_the_table(tmp_path) -> None:
    made = Simulation.from_deck(deck(tmp_path, "lj", CRYSTAL, LJ), comm=MPI.COMM_SELF)
    assert made.box.lengths == pytest.approx(np.full(3, 6 * 1.6795961913825073), rel=1e-14)
    assert pytest.approx(1.6795961913825073, rel=1e-15) == A_FCC
