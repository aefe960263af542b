"""Files of `pair_style table`, and the cubic splines through their rows.

A section is a line with a keyword, a line of parameters and N rows index, r, energy, force:

    PAIR_11
    N 100 R 0.8 2.5

    1 0.8 12.3 45.6
    ...

Parameters: N is how many rows there are; R LO HI and RSQ LO HI say that r, or r^2, is equally
spaced from LO to HI, and then count instead of the written r; FPRIME LO HI are the derivatives of
the force at the two ends. The layout is documented at https://docs.lammps.org/pair_table.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentials.files import FileError, Reader

ROWS = 2, 1_000_000


@dataclass(frozen=True)
class Section:
    """The rows of a section.

    Attributes
    ----------
    r, energy, force : (n,) float64
    slopes : derivatives of the force at the ends, if the file gives them
    """

    name: str
    r: NDArray[np.float64]
    energy: NDArray[np.float64]
    force: NDArray[np.float64]
    slopes: tuple[float, float] | None

    def at(self, r: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy and force at r, by cubic splines."""
        ends = self.slopes or (
            float((self.force[1] - self.force[0]) / (self.r[1] - self.r[0])),
            float((self.force[-1] - self.force[-2]) / (self.r[-1] - self.r[-2])))
        energies = cubic_spline(self.r, self.energy, (-self.force[0], -self.force[-1]))
        forces = cubic_spline(self.r, self.force, ends)
        return (spline_at(self.r, self.energy, energies, r),
                spline_at(self.r, self.force, forces, r))


def read_section(path: Path, name: str) -> Section:
    """Read one section.

    Raises
    ------
    FileError : names the file and line, or the section that is not in it
    """
    reader = Reader(path, units=None)
    found = []
    while not reader.ended():
        words = reader.line("the keyword of a section")
        section = read_rows(reader, words[0], words[0] == name)
        if section is not None:
            return section
        found.append(words[0])
    raise FileError(f"{path}: has no section {name!r}; it has {', '.join(found) or 'none'}")


def read_rows(reader: Reader, name: str, wanted: bool) -> Section | None:
    """Read parameters and rows; the rows of a section that is not wanted are skipped."""
    words = reader.line(f"the parameters of {name}")
    n, grid, slopes, k = 0, None, None, 0
    while k < len(words):
        key, values = words[k], words[k + 1:k + 3]
        if key == "N" and values:
            n = reader.count(values[0], "N", *ROWS)
            k += 2
        elif key in ("R", "RSQ", "FPRIME", "FP") and len(values) == 2:
            pair = reader.number(values[0], key), reader.number(values[1], key)
            if key in ("R", "RSQ"):
                grid = (key, *pair)
            else:
                slopes = pair
            k += 3
        else:
            raise reader.error(f"{key}: must be N COUNT, R LO HI, RSQ LO HI or FPRIME LO HI")
    if not n:
        raise reader.error(f"the parameters of {name} need N, the number of rows")
    rows = reader.numbers(4 * n, f"the section {name}").reshape(n, 4)
    if not wanted:
        return None
    r = rows[:, 1].copy()
    if grid is not None:
        kind, low, high = grid
        r = np.linspace(low, high, n) if kind == "R" else np.sqrt(np.linspace(low**2, high**2, n))
    if r[0] <= 0 or (np.diff(r) <= 0).any():
        raise reader.error(f"the distances of {name} must be greater than 0 and rise")
    return Section(name, r, rows[:, 2].copy(), rows[:, 3].copy(), slopes)


def cubic_spline(x: NDArray[np.float64], y: NDArray[np.float64], slopes: tuple[float, float]
                 ) -> NDArray[np.float64]:
    """Second derivatives (n,) at the knots of the cubic spline with given slopes at the ends."""
    h, n = np.diff(x), len(x)
    rise = np.diff(y) / h
    low, high = np.append(h, 0.0), np.insert(h, 0, 0.0)        # off the diagonal, by rows
    diagonal = 2 * (low + high)
    right = 6 * (np.append(rise, slopes[1]) - np.insert(rise, 0, slopes[0]))
    for k in range(1, n):                                      # the matrix has three diagonals
        factor = h[k - 1] / diagonal[k - 1]
        diagonal[k] -= factor * h[k - 1]
        right[k] -= factor * right[k - 1]
    second = np.empty(n)
    second[-1] = right[-1] / diagonal[-1]
    for k in range(n - 2, -1, -1):
        second[k] = (right[k] - h[k] * second[k + 1]) / diagonal[k]
    return second


def spline_at(x: NDArray[np.float64], y: NDArray[np.float64], second: NDArray[np.float64],
              place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of the spline at places within the knots."""
    k = np.clip(np.searchsorted(x, place, side="right") - 1, 0, len(x) - 2)
    h = x[k + 1] - x[k]
    a, b = (x[k + 1] - place) / h, (place - x[k]) / h
    value: NDArray[np.float64] = a * y[k] + b * y[k + 1] + (
        (a**3 - a) * second[k] + (b**3 - b) * second[k + 1]) * h * h / 6
    return value
