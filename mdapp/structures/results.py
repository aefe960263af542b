"""One extended XYZ frame with the results of a single point, for ASE and the tools around it.

`energy`, `energies`, `forces` and `stress` are the names that ASE takes for a calculator's results.
Numbers have all their digits: the frame evaluates to the energy that it states.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mdapp.model.box import Box
from mdapp.model.elements import SYMBOLS

ROWS_AT_A_TIME = 4096
FULL_TENSOR = (0, 5, 4, 5, 1, 3, 4, 3, 2)          # of xx yy zz yz xz xy


def write_results(path: Path | str, box: Box, elements: Sequence[str], ids: NDArray[np.int64],
                  x: NDArray[np.float64], energy: float, energies: NDArray[np.float64],
                  forces: NDArray[np.float64], stress: NDArray[np.float64] | None,
                  q: NDArray[np.float64] | None = None) -> None:
    """Write a file with one frame.

    Parameters
    ----------
    elements : n names; those of no element become X, with their name in a column `label`
    ids : (n,)
    x, forces : (n, 3)
    energies : (n,)
    stress : (6,) in the order xx yy zz yz xz xy, or None
    q : (n,) charges, written as initial_charges, or None

    Raises
    ------
    OSError : the file cannot be written
    """
    symbols = [name if name in SYMBOLS else "X" for name in elements]
    labels = [] if symbols == list(elements) else [list(elements)]
    charges = [] if q is None else [_column(q)]
    properties = ("species:S:1:pos:R:3:id:I:1" + ":label:S:1" * len(labels)
                  + ":initial_charges:R:1" * len(charges) + ":energies:R:1:forces:R:3")
    edges, origin = _numbers(box.edges.ravel()), _numbers(box.lo)
    pbc = " ".join("T" if periodic else "F" for periodic in box.periodic)
    tensor = "" if stress is None else f' stress="{_numbers(stress[list(FULL_TENSOR)])}"'
    rows = zip(symbols, *map(_column, x.T), map(str, ids.tolist()), *labels, *charges,
               _column(energies), *map(_column, forces.T), strict=True)
    with Path(path).open("w", encoding="utf-8") as file:
        file.write(f'{len(x)}\nLattice="{edges}" Origin="{origin}" Properties={properties} '
                   f'energy={energy!r}{tensor} pbc="{pbc}"\n')
        while lines := list(islice(rows, ROWS_AT_A_TIME)):
            file.write("".join(" ".join(line) + "\n" for line in lines))


def _numbers(values: NDArray[np.float64]) -> str:
    return " ".join(_column(values))


def _column(values: NDArray[np.float64]) -> list[str]:
    return [repr(value) for value in values.tolist()]
