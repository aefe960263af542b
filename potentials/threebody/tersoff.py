"""Tersoff: E = 1/2 sum_i sum_j fc(r_ij) [A exp(-l1 r_ij) - b_ij B exp(-l2 r_ij)],

    b_ij    = (1 + (beta zeta_ij)^n)^(-1 / 2n)
    zeta_ij = sum_k fc(r_ik) g(theta_jik) exp((l3 (r_ij - r_ik))^m)
    g       = gamma (1 + c^2/d^2 - c^2 / (d^2 + (cos theta - cos theta0)^2))

with fc falling from 1 at R - D to 0 at R + D as half a sine wave. Parameters of the bond i j stand
in the entry i j j; those of a term of zeta, its range included, in i j k.

J. Tersoff, Phys. Rev. B 37, 6991 (1988), doi 10.1103/PhysRevB.37.6991; 38, 9902 (1988), doi
10.1103/PhysRevB.38.9902; several elements: 39, 5566 (1989), doi 10.1103/PhysRevB.39.5566.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentials.threebody import tersoff_kernel as kernel
from potentials.threebody.entries import Entries, read_entries
from potentials.threebody.kernel import AtomEnergyKernel, Formula
from potentials.threebody.potential import OfTriples

FIELDS = ("m", "gamma", "lambda3", "c", "d", "costheta0", "n", "beta", "lambda2", "B", "R", "D",
          "lambda1", "A")
Columns = Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True)
class Tersoff(OfTriples):
    """The potential of `pair_style tersoff`."""

    style: str = "tersoff"

    @property
    def cutoff(self) -> float:
        """The largest of all triples."""
        return float((self.entries["R"] + self.entries["D"]).max())

    @staticmethod
    def read(path: Path, elements: Sequence[str]) -> Entries:
        """See `read_tersoff`."""
        return read_tersoff(path, elements)

    def compiled(self, precision: str, deterministic: bool = False) -> AtomEnergyKernel:
        """The kernel for one of `precisions`."""
        return compiled(self.entries, columns_of(self.entries), self.cutoff, "lambda3", (),
                        precision, deterministic)


def compiled(entries: Entries, columns: Columns, cutoff: float, lengths: str,
             options: tuple[str, ...], precision: str, deterministic: bool) -> AtomEnergyKernel:
    """The kernel of a style of this family; `lengths`: field of the factor of lengths."""
    n = len(entries.elements)
    table = np.zeros((n, n, n, kernel.WIDTH))
    for column, values in columns.items():
        table[..., column] = values
    if not entries[lengths].any():
        options = (*options, kernel.NO_LENGTHS)
    formula = Formula("tersoff", table.reshape(n**3, -1), n, cutoff, kernel.ROWS, options)
    return AtomEnergyKernel(formula, precision, deterministic)


def read_tersoff(path: Path, elements: Sequence[str]) -> Entries:
    """Read a file of entries and check that they make sense.

    Raises
    ------
    FileError : see read_entries; a parameter is out of range
    """
    entries = read_entries(path, elements, FIELDS)
    require_tersoff(entries)
    return entries


def require_tersoff(entries: Entries) -> None:
    """Raise FileError for a parameter out of range, of those that tersoff and tersoff/zbl have."""
    entries.require_one_of("m", (1, 3))
    require_bonds(entries, powers=("n",))
    for name in ("c", "beta", "gamma"):
        entries.require(entries[name] >= 0, name, "must not be negative")
    entries.require(entries["d"] != 0, "d", "must not be 0: it divides")


def require_bonds(entries: Entries, powers: Sequence[str]) -> None:
    """Raise FileError for a parameter out of range, of those that all of this family have."""
    for name in (*powers, "R"):
        good = entries.of_pairs(name) > 0
        entries.require(good, name, "must be greater than 0", pairs=True)
    for name in ("lambda1", "lambda2", "A", "B", "R"):
        entries.require(entries[name] >= 0, name, "must not be negative")
    inside = (entries["D"] >= 0) & (entries["D"] <= entries["R"])
    entries.require(inside, "D", "must be from 0 to R")


def columns_of(entries: Entries) -> Columns:
    """Parameters as the kernel wants them, (ntypes, ntypes, ntypes) each."""
    return {**bonds(entries, "m", "lambda3", "n", "n"),
            kernel.C2: entries["c"]**2, kernel.D2: entries["d"]**2,
            kernel.RATIO: (entries["c"] / entries["d"])**2,
            kernel.COSINE: entries["costheta0"], kernel.SCALE: entries["gamma"],
            kernel.BETA: entries["beta"]}


def bonds(entries: Entries, power: str, lengths: str, inner: str, outer: str) -> Columns:
    """The columns that all of this family have.

    power, lengths : fields of m and l3 in exp((l3 (r_ij - r_ik))^m)
    inner, outer : fields of n and o in (1 + t^n)^(-1 / 2o)
    """
    middle, width, cube = entries["R"], entries["D"], entries[power] == 3
    n, o = entries[inner], entries[outer]
    return {kernel.INNER: middle - width, kernel.OUTER: middle + width,
            kernel.WAVE: np.divide(np.pi / 2, width, out=np.zeros_like(width), where=width > 0),
            kernel.CUBE: np.where(cube, entries[lengths]**3, 0.0),
            kernel.LINEAR: np.where(cube, 0.0, entries[lengths]),
            kernel.N: n, kernel.ROOT: np.divide(0.5, o, out=np.zeros_like(o), where=o > 0),
            kernel.LAMBDA1: entries["lambda1"], kernel.A: entries["A"],
            kernel.LAMBDA2: entries["lambda2"], kernel.B: entries["B"]}
