"""Thermo rows against formulas written out, and their text against LAMMPS's."""

import numpy as np
import pytest
from mpi4py import MPI

from mdapp.analysis.thermo import ALWAYS, HEADINGS, PIECE, Thermo
from mdapp.model.atoms import Atoms
from mdapp.model.box import Box
from mdapp.model.units import UNITS
from potentials.base import Result

BOX = Box.orthogonal((0.0, -1.0, 0.5), (10.0, 11.0, 9.5))
COUNTERS = {
    "step": 7,
    "elapsed": 7,
    "time": 0.035,
    "dt": 0.005,
    "cpu": 1.5,
    "nbuild": 2,
    "ndanger": 1,
}


def moving(n: int) -> Atoms:
    rng = np.random.default_rng(n)
    atoms = Atoms(np.array([1.5, 40.0]))
    atoms.reserve(n)
    atoms.nlocal = n
    atoms.v[:n], atoms.type[:n] = rng.normal(size=(n, 3)), rng.integers(0, 2, n)
    atoms.id[:n] = np.arange(n)
    return atoms


def measured(units: str, atoms: Atoms, result: Result, columns=tuple(HEADINGS)) -> dict:
    return Thermo(MPI.COMM_SELF, UNITS[units], atoms.nlocal, columns).measure(
        atoms, BOX, result, COUNTERS
    )


@pytest.mark.parametrize("units", ["lj", "metal"])
@pytest.mark.parametrize("n", [2, 1000, PIECE + 5])
def test_formulas(units: str, n: int) -> None:
    u, atoms = UNITS[units], moving(n)
    w = np.array([1.0, 2.0, -3.0, 0.5, -0.25, 4.0]) * n
    row = measured(units, atoms, Result(-3.0 * n, w))
    v, m = atoms.v[:n], atoms.mass[atoms.type[:n]]
    ke = 0.5 * u.mvv2e * (m[:, None] * v**2).sum()
    scale = 1 / n if units == "lj" else 1.0
    assert row["ke"] == pytest.approx(ke * scale, rel=1e-12)
    assert row["temp"] == pytest.approx(2 * ke / ((3 * n - 3) * u.boltz), rel=1e-12)
    assert row["pe"] == row["epair"] == row["evdwl"] == pytest.approx(-3.0 * n * scale)
    assert row["etotal"] == pytest.approx((ke - 3.0 * n) * scale, rel=1e-12)
    volume = 10.0 * 12.0 * 9.0
    tensor = (
        u.nktv2p
        * (
            u.mvv2e * np.einsum("n,na,nb->ab", m, v, v)
            + np.array([[w[0], w[5], w[4]], [w[5], w[1], w[3]], [w[4], w[3], w[2]]])
        )
        / volume
    )
    for name, value in zip(
        ("pxx", "pyy", "pzz", "pxy", "pxz", "pyz"),
        (*np.diag(tensor), tensor[0, 1], tensor[0, 2], tensor[1, 2]),
        strict=True,
    ):
        assert row[name] == pytest.approx(value, rel=1e-11, abs=1e-9 * abs(tensor).max()), name
    assert row["press"] == pytest.approx(np.trace(tensor) / 3, rel=1e-11)
    assert row["enthalpy"] == pytest.approx(
        row["etotal"] + row["press"] * volume / u.nktv2p * scale, rel=1e-11
    )
    grams = 1.0 if units == "lj" else 1.66053906660
    assert row["density"] == pytest.approx(m.sum() * grams / volume, rel=1e-6)
    assert (row["lx"], row["ylo"], row["zhi"], row["vol"]) == (
        10.0,
        -1.0,
        9.5,
        pytest.approx(volume),
    )
    assert (row["step"], row["nbuild"], row["ndanger"], row["atoms"]) == (7, 2, 1, n)


def test_per_atom_shares_and_totals_agree() -> None:
    rng = np.random.default_rng(0)
    e, w = rng.normal(size=PIECE + 3), rng.normal(size=(PIECE + 3, 6))
    atoms = moving(PIECE + 3)
    a = measured("lj", atoms, Result(0.0, np.zeros(6), e, w))
    b = measured("lj", atoms, Result(e.sum(), w.sum(axis=0)))
    for name in ALWAYS:
        assert a[name] == pytest.approx(b[name], rel=1e-10, abs=1e-12)


def test_one_atom_and_none() -> None:
    for n in (0, 1):
        row = measured("metal", moving(n), Result(0.0, np.zeros(6)))
        assert all(np.isfinite(value) for value in row.values())


def test_no_more_than_was_asked_for_and_what_always_is() -> None:
    row = measured("lj", moving(3), Result(0.0, np.zeros(6)), ("step", "enthalpy"))
    assert set(row) == {*ALWAYS, "enthalpy"}


def test_the_text_is_lammps_s() -> None:
    """Lines printed by LAMMPS 22Jul2025 for bench/in.lj (thermo_style one)."""
    thermo = Thermo(
        MPI.COMM_SELF, UNITS["lj"], 32000, ("step", "temp", "epair", "emol", "etotal", "press")
    )
    assert (
        thermo.header()
        == "   Step          Temp          E_pair         E_mol          TotEng         Press     "
    )
    row = {
        "step": 100,
        "temp": 0.757453103,
        "epair": -5.75850551,
        "emol": 0.0,
        "etotal": -4.62236133,
        "press": 0.207261053,
    }
    assert (
        thermo.line(row)
        == "       100   0.7574531     -5.7585055      0             -4.6223613      0.20726105   "
    )
