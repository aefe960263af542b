"""Tabulated pairs: energy and force from N points equally spaced in r^2.

The file is one of LAMMPS's `pair_style table`: sections of a keyword, a line of parameters and rows
index, r, energy, force. Cubic splines through energies (end slopes: minus the forces) and forces
(end slopes: FPRIME, or secants) are evaluated at the points r^2 = inner^2 + k (rc^2 - inner^2) /
(N - 1), from the first r of the file to the cutoff. Between the points `interpolation` says what is
done:

    linear    energy and force / r on straight lines in r^2
    spline    each on a cubic spline of its own, in r^2; force / r is no exact derivative
    hermite   energy on the cubic with the energies and forces of the points, in r^2, and force / r
              its exact derivative: what conserves energy

All three are cubics in the fraction between two points, so that one kernel does them: it looks up
four coefficients of the energy and four of force / r. Closer than the first r there is no number:
the energy is NaN, which the engine reports with the atoms.

https://docs.lammps.org/pair_table.html; R. W. Hockney, J. W. Eastwood, Computer Simulation Using
Particles (1981), for tables in r^2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from potentials import simd
from potentials.files import find_file
from potentials.pair.formula import PairPotential
from potentials.pair.loop import pair_formula
from potentials.pair.parameters import (
    ONLY,
    POSITIVE,
    Matrix,
    acting,
    in_range,
    number,
    tables_of,
    two_types,
)
from potentials.pair.table_file import Section, cubic_spline, read_section
from potentials.simd import fma, smaller, where
from potentials.vector_math import like, positive_part

INTERPOLATIONS = ("linear", "spline", "hermite")
ROW = 8                             # coefficients of an interval
LARGEST = 2**24                     # numbers of all tables: places are exact in single precision
SECANT = 0.1                        # of the spacing: step of the slopes at the ends


@pair_formula("table")
def tabulated(r2, c, table):
    """(energy, force / r) from r^2 and (rc^2, inner^2, 1 / spacing, last interval, place)."""
    _, inner2, per_spacing, last, place = c
    t = (r2 - inner2) * per_spacing
    k = simd.truncated(smaller(positive_part(t), last))
    s = t - simd.converted(k, t)
    e0, e1, e2, e3, f0, f1, f2, f3 = simd.lookup(table, simd.truncated(place) + k * ROW, 8)
    energy = fma(fma(fma(e3, s, e2), s, e1), s, e0)
    push = fma(fma(fma(f3, s, f2), s, f1), s, f0)
    nan = like(t, np.nan)
    return where(t < 0.0, nan, energy), where(t < 0.0, nan, push)


@dataclass(frozen=True)
class Sampled:
    """Rows (n - 1, 8) of the intervals between n points, and where these begin."""

    inner: float
    cutoff: float
    rows: NDArray[np.float64]

    def energy(self, r: float) -> float:
        """The cubic of the interval that r falls into, NaN below the first point."""
        place = (r * r - self.inner**2) / (self.cutoff**2 - self.inner**2) * len(self.rows)
        if place < 0:
            return float("nan")
        k = min(int(place), len(self.rows) - 1)
        return float(np.polyval(self.rows[k, 3::-1], place - k))


@dataclass(frozen=True)
class Tabulated(PairPotential):
    """The potential of `pair_style table`.

    Attributes
    ----------
    samples : the different functions
    which : (ntypes, ntypes) int, of samples, -1 where it does not act
    rc : (ntypes, ntypes)
    files : that they were read from
    """

    samples: tuple[Sampled, ...]
    which: NDArray[np.int64]
    rc: Matrix
    files: tuple[str, ...]

    style = "table"
    shifts = False
    known = {"continuous_force": "as the table has it",    # noqa: RUF012
             "continuous_energy": "as the table has it"}

    @classmethod
    def keys(cls) -> dict[str, Any]:
        """The keys that a deck may give, with their defaults."""
        return {"file": None, "section": None, "points": None, "rc": None,
                "interpolation": "hermite", "pair": (), ONLY: None}

    @classmethod
    def from_options(cls, ntypes: int, **given: Any) -> Self:
        """From a file and the name of a section, for all pairs or by pair tables.

        Raises
        ------
        ValueError : a value is missing or not in its range, or the file cannot be used
        """
        path = find_file(given.get("file"))
        interpolation, points = given.get("interpolation", "hermite"), given.get("points")
        if interpolation not in INTERPOLATIONS:
            raise ValueError(f"interpolation = {interpolation!r}: must be one of "
                             f"{', '.join(INTERPOLATIONS)}")
        if points is None:
            raise ValueError("points is missing: give points = how many to tabulate at, such as "
                             "1000")
        if type(points) is not int or not 2 <= points <= 1_000_000:
            raise ValueError(f"points = {points!r}: must be a whole number from 2 to 1000000")
        acts = acting(given.get(ONLY), ntypes)
        chosen: dict[tuple[int, int], tuple[str, float | None]] = {}
        if given.get("section") is not None:
            both = _named(given)
            chosen = {(int(i), int(j)): both for i, j in np.argwhere(np.triu(acts))}
        for table in tables_of(given.get("pair", ())):
            i, j = sorted(two_types("pair.types", table.get("types"), ntypes))
            for key in table:
                if key not in ("types", "section", "rc"):
                    raise ValueError(f"pair.{key}: unknown key; it takes types, section, rc")
            chosen[i, j] = _named({"section": given.get("section"), "rc": given.get("rc")}
                                  | dict(table))
        kinds = list(dict.fromkeys(chosen.values()))
        samples = tuple(sampled(read_section(path, name), points, rc, interpolation)
                        for name, rc in kinds)
        if ROW * points * len(samples) > LARGEST:
            raise ValueError(f"points = {points}: {len(samples)} tables of so many are more than "
                             f"{LARGEST} numbers; take fewer points")
        which, cutoffs = np.full((ntypes, ntypes), -1), np.zeros((ntypes, ntypes))
        for (i, j), kind in chosen.items():
            if acts[i, j]:
                which[i, j] = which[j, i] = kinds.index(kind)
                cutoffs[i, j] = cutoffs[j, i] = samples[which[i, j]].cutoff
        for i, j in np.argwhere(acts & (which < 0)):
            raise ValueError(f"section of types {i + 1} {j + 1} is missing: give section, or a "
                             "pair table for these types")
        return cls(samples, which, cutoffs, (str(path),))

    def energy(self, r: Matrix) -> Matrix:
        """The tabulated energies."""
        pairs = zip(self.which.ravel(), r.ravel(), strict=True)
        energies = [self.samples[k].energy(x) if k >= 0 else 0.0 for k, x in pairs]
        return np.array(energies).reshape(r.shape)

    def strength(self) -> Matrix:
        """The median of |force| over the points."""
        typical = [float(np.median(np.abs(
            s.rows[:, 4] * np.sqrt(np.linspace(s.inner**2, s.cutoff**2, len(s.rows))))))
            for s in self.samples]
        return np.array(typical)[self.which]

    def functions(self) -> NDArray[np.float64]:
        """The rows of all samples."""
        return np.concatenate([s.rows.reshape(-1) for s in self.samples])

    def table(self) -> NDArray[np.float64]:
        """Coefficients of `tabulated`."""
        sizes = [s.rows.size for s in self.samples]
        places = np.cumsum([5 * self.ntypes**2, *sizes[:-1]])
        rows = [[s.cutoff**2, s.inner**2, len(s.rows) / (s.cutoff**2 - s.inner**2),
                 len(s.rows) - 1, place] for s, place in zip(self.samples, places, strict=True)]
        return np.array(rows, np.float64)[self.which]


def _named(table: Mapping[str, Any]) -> tuple[str, float | None]:
    """Section and cutoff of a table."""
    section, rc = table.get("section"), table.get("rc")
    if not isinstance(section, str) or not section:
        raise ValueError(f"section = {section!r}: must be the keyword of a section of the file")
    return section, None if rc is None else in_range("rc", number("rc", rc), POSITIVE)


def sampled(section: Section, points: int, rc: float | None, interpolation: str) -> Sampled:
    """Rows of the intervals between `points` points."""
    inner, outer = float(section.r[0]), float(section.r[-1])
    cutoff = outer if rc is None else rc
    if not inner < cutoff <= outer:
        raise ValueError(f"rc = {cutoff:g}: the section {section.name} goes from {inner:g} to "
                         f"{outer:g}")
    square: NDArray[np.float64] = np.linspace(inner**2, cutoff**2, points)
    r = np.sqrt(square)
    spacing = (cutoff**2 - inner**2) / (points - 1)
    e, f = section.at(r)
    h = f / r
    if interpolation == "linear":
        zero = np.zeros(points - 1)
        columns = [e[:-1], np.diff(e), zero, zero, h[:-1], np.diff(h), zero, zero]
    elif interpolation == "hermite":
        a, b, c, d = hermite(e, -h * spacing / 2)
        # force / r = -2 dE/d(r^2)
        columns = [a, b, c, d, *(-2 / spacing * x for x in (b, 2 * c, 3 * d)), np.zeros(points - 1)]
    else:
        slopes = end_slopes(section, inner, cutoff, spacing, f)
        columns = [*pieces(square, e, (-h[0] / 2, -h[-1] / 2)), *pieces(square, h, slopes)]
    return Sampled(inner, cutoff, np.stack(columns, axis=-1))


def end_slopes(section: Section, inner: float, cutoff: float, spacing: float,
               f: NDArray[np.float64]) -> tuple[float, float]:
    """Slopes of force / r in r^2 at the ends: of FPRIME where the file has it, else secants."""
    step = SECANT * spacing
    near, far = np.sqrt(inner**2 + step), np.sqrt(cutoff**2 - step)
    low = (section.at(np.array([near]))[1][0] / near - f[0] / inner) / step
    high = (f[-1] / cutoff - section.at(np.array([far]))[1][0] / far) / step
    if section.slopes is not None:
        low = (section.slopes[0] / inner - f[0] / inner**2) / (2 * inner)
        if cutoff == section.r[-1]:
            high = (section.slopes[1] / cutoff - f[-1] / cutoff**2) / (2 * cutoff)
    return float(low), float(high)


def hermite(values: NDArray[np.float64], slopes: NDArray[np.float64]
            ) -> Sequence[NDArray[np.float64]]:
    """Cubics of the fraction between points, of values and slopes per interval."""
    rise, m, w = np.diff(values), slopes[:-1], slopes[1:]
    return values[:-1], m, 3 * rise - 2 * m - w, m + w - 2 * rise


def pieces(x: NDArray[np.float64], y: NDArray[np.float64], slopes: tuple[float, float]
           ) -> Sequence[NDArray[np.float64]]:
    """Cubics of the fraction between equally spaced points, of the spline with end slopes."""
    second, h = cubic_spline(x, y, slopes), (x[-1] - x[0]) / (len(x) - 1)
    a, b = second[:-1] * h * h, second[1:] * h * h
    return y[:-1], np.diff(y) - a / 3 - b / 6, a / 2, (b - a) / 6
