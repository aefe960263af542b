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
from potentials.threebody import sw, tersoff
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
    r = np.sqrt((d**2).sum(axis=1))
    p = {name: entries[name][kind, kinds, kinds] for name in tersoff.FIELDS}
    t = {name: entries[name][kind][np.ix_(kinds, kinds)] for name in tersoff.FIELDS}
    away = t["costheta0"] - (d @ d.T) / np.outer(r, r)
    g = t["gamma"] * (1 + t["c"] ** 2 / t["d"] ** 2 - t["c"] ** 2 / (t["d"] ** 2 + away**2))
    lengths = t["lambda3"] * (r[:, None] - r)
    power = np.where(t["m"] == 3, lengths * lengths * lengths, lengths)
    terms = fade(r[None], t) * g * np.exp(power)
    np.fill_diagonal(terms, 0.0)
    zeta = terms.sum(axis=1)
    alone = zeta.real == 0
    t_n = np.exp(p["n"] * np.log(np.where(alone, 1.0, p["beta"] * zeta)))
    b = np.where(alone, 1.0, np.exp(-np.log(1 + t_n) / (2 * p["n"])))
    repulsion = p["A"] * np.exp(-p["lambda1"] * r)
    attraction = p["B"] * np.exp(-p["lambda2"] * r)
    return (fade(r, p) * (repulsion - b * attraction)).sum() / 2


def fade(r, p):
    """1 inside R - D, 0 outside R + D."""
    slope = (1 - np.sin(np.pi / 2 * (r - p["R"]) / p["D"])) / 2
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
