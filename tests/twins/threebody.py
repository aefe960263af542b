"""Potentials of atoms' energies by the definition, and derivatives without a formula for them.

E_i is written as a function of the vectors from atom i to its neighbours, once, in plain NumPy. Its
derivatives are taken by complex steps: Im E(d + i h) / h has no cancellation, so that h can be
1e-30 and the result is good to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from potentials.threebody import sw, tersoff, tersoff_mod, tersoff_zbl
from potentials.threebody.entries import Entries
from tests.twins.images import shifts
from tests.twins.lj import VOIGT

STEP = 1e-30
Energy = Callable[[NDArray[np.complex128], int, NDArray[np.int32], Entries], complex]


@dataclass(frozen=True)
class Energies:
    """energies (n,), forces (n, 3), virials (n, 6) of each atom."""

    energies: NDArray[np.float64]
    forces: NDArray[np.float64]
    virials: NDArray[np.float64]


def atom_energies(
    energy: Energy,
    x: NDArray[np.float64],
    types: NDArray[np.int32],
    box: Box,
    entries: Entries,
    cutoff: float,
) -> Energies:
    """Sum of the energies of all atoms; x (n, 3), types (n,) from 0."""
    n = len(x)
    result = Energies(np.zeros(n), np.zeros((n, 3)), np.zeros((n, 6)))
    for i in range(n):
        images = (x[None] + shifts(box, cutoff)[:, None]).reshape(-1, 3)
        d = images - x[i]
        r = np.sqrt((d**2).sum(axis=1))
        near = np.flatnonzero((r < cutoff) & (r > 0))
        owner, d = near % n, d[near].astype(np.complex128)
        result.energies[i] = energy(d, types[i], types[owner], entries).real
        for q, j in enumerate(owner):
            for c in range(3):
                d[q, c] += 1j * STEP
                slope = energy(d, types[i], types[owner], entries).imag / STEP
                d[q, c] = d[q, c].real
                result.forces[j, c] -= slope
                result.forces[i, c] += slope
                for k, (a, b) in enumerate(VOIGT):
                    if b == c:
                        result.virials[i, k] -= d[q, a].real * slope
    return result


def stillinger_weber(d, kind: int, kinds, entries: Entries) -> complex:
    """Half the pair energies of an atom and the energies of its angles."""
    r = np.sqrt((d**2).sum(axis=1))
    p = {name: entries.of_pairs(name)[kind, kinds] for name in sw.FIELDS}
    inside = r.real < sw.cutoffs(entries)[kind, kinds]
    gap = np.where(inside, r - p["a"] * p["sigma"], -1.0)
    ratio = p["sigma"] / r
    pairs = (
        p["A"] * p["epsilon"] * (p["B"] * ratio ** p["p"] - ratio ** p["q"])
        * np.exp(p["sigma"] / gap)
    )  # fmt: skip
    energy = pairs[inside].sum() / 2
    decay = np.where(inside, np.exp(p["gamma"] * p["sigma"] / gap), 0.0)
    cosine = (d @ d.T) / np.outer(r, r)
    of_angle = np.ix_([kind], kinds, kinds)
    strength = (entries["lambda"] * entries["epsilon"])[of_angle][0]
    bent = cosine - entries["costheta0"][of_angle][0]
    angles = strength * bent**2 * np.outer(decay, decay)
    return energy + np.triu(angles, 1).sum()


def bond_orders(d, kind: int, kinds, entries: Entries) -> complex:
    """The half of its bonds' energies that is one atom's, after Tersoff."""
    r, cosine, p, t = geometry(d, kind, kinds, entries)
    away = t["costheta0"] - cosine
    g = t["gamma"] * (1 + t["c"] ** 2 / t["d"] ** 2 - t["c"] ** 2 / (t["d"] ** 2 + away**2))
    zeta = terms(r, g * fade(r[None], t), t["lambda3"], t["m"])
    return bonds(r, p, weakened(p["beta"] * zeta, p["n"], p["n"]), fade(r, p)).sum() / 2


def modified_bond_orders(d, kind: int, kinds, entries: Entries) -> complex:
    """The same after Kumagai and others."""
    r, cosine, p, t = geometry(d, kind, kinds, entries)
    square = (t["h"] - cosine) ** 2
    g = t["c1"] + t["c2"] * square / (t["c3"] + square) * (
        1 + t["c4"] * np.exp(-t["c5"] * square))  # fmt: skip
    zeta = terms(r, g * steep_fade(r[None], t), t["alpha"], t["beta"])
    b = weakened(p["beta_ters"] * zeta, p["eta"], p["n"])
    return bonds(r, p, b, steep_fade(r, p)).sum() / 2


def screened_bond_orders(d, kind: int, kinds, entries: Entries) -> complex:
    """The same with the repulsion of nuclei, as LAMMPS documents it."""
    r, cosine, p, t = geometry(d, kind, kinds, entries)
    away = t["costheta0"] - cosine
    g = t["gamma"] * (1 + t["c"] ** 2 / t["d"] ** 2 - t["c"] ** 2 / (t["d"] ** 2 + away**2))
    zeta = terms(r, g * fade(r[None], t), t["lambda3"], t["m"])
    bonded = bonds(r, p, weakened(p["beta"] * zeta, p["n"], p["n"]), fade(r, p))
    x = r * (p["Z_i"] ** 0.23 + p["Z_j"] ** 0.23) / (0.8854 * 0.529)
    phi = (0.1818 * np.exp(-3.2 * x) + 0.5099 * np.exp(-0.9423 * x)
           + 0.2802 * np.exp(-0.4029 * x) + 0.02817 * np.exp(-0.2016 * x))  # fmt: skip
    nuclei = p["Z_i"] * p["Z_j"] / (4 * np.pi * 0.00552635) / r * phi
    share = 1 / (1 + np.exp(-p["ZBLexpscale"] * (r - p["ZBLcut"])))
    inside = r.real < p["R"] + p["D"]
    return np.where(inside, share * bonded + (1 - share) * nuclei, 0.0).sum() / 2


def geometry(d, kind: int, kinds, entries: Entries):
    """Distances, cosines, and the parameters of bonds (n,) and of triples (n, n) by name."""
    r = np.sqrt((d**2).sum(axis=1))
    p = {name: entries[name][kind, kinds, kinds] for name in entries.fields}
    t = {name: entries[name][kind][np.ix_(kinds, kinds)] for name in entries.fields}
    return r, (d @ d.T) / np.outer(r, r), p, t


def terms(r, factors, rate, power):
    """zeta of each bond."""
    lengths = rate * (r[:, None] - r)
    found = factors * np.exp(np.where(power == 3, lengths * lengths * lengths, lengths))
    np.fill_diagonal(found, 0.0)
    return found.sum(axis=1)


def weakened(t, n, o):
    """(1 + t^n)^(-1 / 2o)."""
    alone = t.real == 0
    t_n = np.exp(n * np.log(np.where(alone, 1.0, t)))
    return np.where(alone, 1.0, np.exp(-np.log(1 + t_n) / (2 * o)))


def bonds(r, p, b, within):
    """Energies of the bonds."""
    return within * (p["A"] * np.exp(-p["lambda1"] * r) - b * p["B"] * np.exp(-p["lambda2"] * r))


def fade(r, p):
    """1 inside R - D, 0 outside R + D."""
    slope = (1 - np.sin(np.pi / 2 * (r - p["R"]) / p["D"])) / 2
    return np.where(r.real < p["R"] - p["D"], 1.0, np.where(r.real < p["R"] + p["D"], slope, 0.0))


def steep_fade(r, p):
    """The same with more continuous derivatives."""
    x = np.pi / 2 * (r - p["R"]) / p["D"]
    slope = 1 / 2 - 9 / 16 * np.sin(x) - 1 / 16 * np.sin(3 * x)
    return np.where(r.real < p["R"] - p["D"], 1.0, np.where(r.real < p["R"] + p["D"], slope, 0.0))


def invented_tersoff(n: int, seed: int = 1, m: float = 3.0, lambda3: float = 1.0) -> Entries:
    """Parameters of no element in particular, of a range up to 2."""
    rng = np.random.default_rng(seed)
    of_centre = {
        "gamma": (0.5, 1.0), "c": (2.0, 5.0), "d": (0.6, 2.0), "costheta0": (-0.5, 0.2),
        "n": (0.7, 4.0), "beta": (0.1, 0.6), "lambda3": (0.8, 1.2), "R": (1.6, 1.8),
    }  # fmt: skip
    of_pairs = {"lambda2": (1.2, 1.4), "B": (40.0, 50.0), "lambda1": (2.8, 3.2), "A": (200.0, 250)}
    columns = {name: rng.uniform(*span, (n, n, n)) for name, span in of_centre.items()}
    columns |= {name: symmetric(rng, n, *span) for name, span in of_pairs.items()}
    columns |= {"m": np.full((n, n, n), m), "D": np.full((n, n, n), 0.2)}
    columns["lambda3"] *= lambda3
    return entries_of(tersoff.FIELDS, columns)


def invented_tersoff_mod(n: int, seed: int = 1, beta: float = 1.0, alpha: float = 1.0) -> Entries:
    """The same for the modified functions."""
    columns = of(invented_tersoff(n, seed))
    rng = np.random.default_rng(seed + 100)
    spans = {"eta": (0.8, 2.0), "beta_ters": (0.7, 1.0), "h": (-0.5, 0.2), "alpha": (0.8, 1.2),
             "c1": (0.1, 0.3), "c2": (2.0, 5.0), "c3": (1.0, 3.0), "c4": (0.5, 1.0),
             "c5": (1.0, 3.0)}  # fmt: skip
    columns |= {name: rng.uniform(*span, (n, n, n)) for name, span in spans.items()}
    columns |= {"beta": np.full((n, n, n), beta), "alpha": alpha * columns["alpha"]}
    return entries_of(tersoff_mod.FIELDS, columns)


def invented_tersoff_zbl(n: int, seed: int = 1) -> Entries:
    """The same with nuclei that take over at about 1.2."""
    columns = of(invented_tersoff(n, seed))
    rng = np.random.default_rng(seed + 100)
    z = rng.integers(1, 4, n).astype(float)
    columns |= {"Z_i": np.broadcast_to(z[:, None, None], (n, n, n)),
                "Z_j": np.broadcast_to(z[:, None], (n, n, n)),
                "ZBLcut": symmetric(rng, n, 1.1, 1.3),
                "ZBLexpscale": symmetric(rng, n, 9.0, 12.0)}  # fmt: skip
    return entries_of(tersoff_zbl.FIELDS, columns)


def of(entries: Entries) -> dict[str, NDArray[np.float64]]:
    """The fields of entries by name."""
    return {name: entries[name] for name in entries.fields}


def symmetric(rng: np.random.Generator, n: int, low: float, high: float) -> NDArray[np.float64]:
    """(n, n, n) random numbers, the same for j i i as for i j j, and for i k j as for i j k."""
    of_pairs = rng.uniform(low, high, (n, n))
    of_pairs = (of_pairs + of_pairs.T) / 2
    return (of_pairs[:, :, None] + of_pairs[:, None, :]) / 2


def invented_sw(n: int, seed: int = 1, p: float = 4.0, q: float = 0.0, tol: float = 0.0) -> Entries:
    """Parameters of no element in particular, of a range up to 1.9."""
    rng = np.random.default_rng(seed)
    columns = {
        "epsilon": symmetric(rng, n, 0.8, 1.2),
        "sigma": symmetric(rng, n, 0.9, 1.1),
        "a": symmetric(rng, n, 1.5, 1.7),
        "lambda": symmetric(rng, n, 1.0, 2.0),
        "gamma": symmetric(rng, n, 0.9, 1.2),
        "costheta0": symmetric(rng, n, -0.5, 0.1),
        "A": symmetric(rng, n, 5.0, 8.0),
        "B": symmetric(rng, n, 0.6, 0.7),
        "p": np.full((n, n, n), p),
        "q": np.full((n, n, n), q),
        "tol": np.full((n, n, n), tol),
    }
    return entries_of(sw.FIELDS, columns)


def entries_of(fields: tuple[str, ...], columns: dict[str, NDArray[np.float64]]) -> Entries:
    """Entries as if they had been read."""
    values = np.stack([columns[name] for name in fields], axis=-1)
    elements = tuple("ABCDEF"[: len(values)])
    return Entries(Path("invented"), fields, elements, values, np.ones(values.shape[:3], np.int64))
