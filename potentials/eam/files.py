"""EAM files: funcfl (one element), setfl (alloys) and its Finnis-Sinclair form, in eV and Angstrom.

funcfl holds an effective charge Z(r) per element; the pair energy of two elements is
Z_i Z_j / r in hartree and bohr, which LAMMPS turns into eV with 27.2 * 0.529, and the functions of
several files are brought to common knots by third-order interpolation. setfl holds r phi for each
pair of elements. Both are as LAMMPS reads them, so that energies agree to the last digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentials.eam.tables import Tables
from potentials.files import FileError, Reader

HARTREE_BOHR = 27.2 * 0.529         # eV Angstrom; the constant belongs to the published numbers
KNOTS = 5, 10_000_000               # fewest and most of a table
MOST_ELEMENTS = 100


@dataclass(frozen=True)
class Funcfl:
    """The functions of one element: F(rho), Z(r) and the density, over knots from 0 on."""

    mass: float
    drho: float
    dr: float
    cutoff: float
    embedding: NDArray[np.float64]
    charge: NDArray[np.float64]
    density: NDArray[np.float64]


def read_funcfl(path: Path) -> Funcfl:
    """Read a file of one element.

    Raises
    ------
    FileError : names the file and line
    """
    reader = Reader(path, comment=None)
    reader.skip(1)
    mass = _mass(reader, "the element")
    nrho, drho, nr, dr, cutoff = _grid(reader)
    embedding = reader.numbers(nrho, "the embedding energy")
    charge = reader.numbers(nr, "the effective charge")
    density = reader.numbers(nr, "the density")
    reader.at_end()
    return Funcfl(mass, drho, dr, cutoff, embedding, charge, density)


def combine(elements: Sequence[Funcfl]) -> Tables:
    """Functions of one file a type on common knots: the coarsest spacing, the longest range."""
    drho, dr = max(e.drho for e in elements), max(e.dr for e in elements)
    rho_max = max((len(e.embedding) - 1) * e.drho for e in elements)
    r_max = max((len(e.density) - 1) * e.dr for e in elements)
    nrho, nr = int(rho_max / drho + 0.5), int(r_max / dr + 0.5)
    rho: NDArray[np.float64] = drho * np.arange(nrho, dtype=np.float64)
    r: NDArray[np.float64] = dr * np.arange(nr, dtype=np.float64)
    embedding = np.stack([interpolate(e.embedding, np.divide(rho, e.drho)) for e in elements])
    density = np.stack([interpolate(e.density, np.divide(r, e.dr)) for e in elements])
    charge = np.stack([interpolate(e.charge, np.divide(r, e.dr)) for e in elements])
    n = len(elements)
    z2 = HARTREE_BOHR * charge[:, None] * charge[None]
    return Tables(drho, dr, max(e.cutoff for e in elements), embedding,
                  np.repeat(density[:, None], n, axis=1), z2, np.array([e.mass for e in elements]))


def interpolate(values: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values at places in units of the spacing, by the cubic through the four nearest knots."""
    k = np.clip(place.astype(np.int64), 1, len(values) - 3)
    p = np.minimum(place - k, 2.0)
    weights = (-p * (p - 1) * (p - 2) / 6, (p * p - 1) * (p - 2) / 2,
               -p * (p + 1) * (p - 2) / 2, p * (p * p - 1) / 6)
    total: NDArray[np.float64] = sum(w * values[k + m] for m, w in enumerate(weights, -1))
    return total


def read_setfl(path: Path, elements: Sequence[str], finnis_sinclair: bool = False) -> Tables:
    """Read the functions of some elements, one a type, from a file of several.

    Parameters
    ----------
    elements : one a type; an element may stand for several types
    finnis_sinclair : the density depends on both elements, and the file has one for each pair

    Raises
    ------
    FileError : names the file and line, or the element that is not in it
    """
    reader = Reader(path, comment=None)
    reader.skip(3)
    words = reader.line("the elements")
    n = reader.count(words[0], "the number of elements", 1, MOST_ELEMENTS)
    names = words[1:]
    if len(names) != n or len(set(names)) != n:
        raise reader.error(f"{n} different elements are announced, {len(names)} are named: "
                           f"{' '.join(names)[:80]}")
    nrho, drho, nr, dr, cutoff = _grid(reader)
    mass, embedding, density = [], [], []
    for name in names:
        mass.append(_mass(reader, name))
        embedding.append(reader.numbers(nrho, f"the embedding energy of {name}"))
        count = n if finnis_sinclair else 1
        block = reader.numbers(count * nr, f"the density of {name}").reshape(count, nr)
        density.append(np.broadcast_to(block, (n, nr)))
    z2 = np.empty((n, n, nr))
    for i in range(n):
        for j in range(i + 1):
            z2[i, j] = z2[j, i] = reader.numbers(nr, f"r phi of {names[i]} and {names[j]}")
    reader.at_end()
    for element in elements:
        if element not in names:
            raise FileError(f"{path}: has no element {element!r}; it has {', '.join(names)}")
    chosen = [names.index(element) for element in elements]
    return Tables(drho, dr, cutoff, np.stack(embedding)[chosen],
                  np.stack(density)[np.ix_(chosen, chosen)], z2[np.ix_(chosen, chosen)],
                  np.array(mass)[chosen])


def write_setfl(path: Path, tables: Tables, elements: Sequence[str],
                finnis_sinclair: bool = False) -> None:
    """Write the functions of all types, one an element, as `read_setfl` reads them.

    Atomic numbers and lattices, which no reader of forces looks at, are written as 0 and "none".
    """
    def lines(values: NDArray[np.float64]) -> str:
        return "".join(f"{value:.17g}\n" for value in values)

    n, nrho, nr = tables.ntypes, tables.embedding.shape[1], tables.z2.shape[2]
    text = ["written by mdapp\n\n\n", f"{n} {' '.join(elements)}\n",
            f"{nrho} {tables.drho:.17g} {nr} {tables.dr:.17g} {tables.cutoff:.17g}\n"]
    for k in range(n):
        text += [f"0 {tables.mass[k]:.17g} 0 none\n", lines(tables.embedding[k])]
        text += [lines(density) for density in tables.density[k][:n if finnis_sinclair else 1]]
    text += [lines(tables.z2[i, j]) for i in range(n) for j in range(i + 1)]
    path.write_text("".join(text), encoding="utf-8")


def _mass(reader: Reader, element: str) -> float:
    """The second word of the line atomic number, mass, lattice constant, lattice."""
    words = reader.line(f"the header of {element}")
    if len(words) < 2:
        raise reader.error(f"the header of {element} needs atomic number and mass")
    return reader.positive(words[1], f"the mass of {element}")


def _grid(reader: Reader) -> tuple[int, float, int, float, float]:
    """The line nrho drho nr dr cutoff."""
    words = reader.line("nrho drho nr dr cutoff")
    if len(words) < 5:
        raise reader.error("needs nrho drho nr dr cutoff")
    nrho = reader.count(words[0], "nrho", *KNOTS)
    drho = reader.positive(words[1], "drho")
    nr = reader.count(words[2], "nr", *KNOTS)
    dr = reader.positive(words[3], "dr")
    cutoff = reader.positive(words[4], "the cutoff")
    if cutoff > (nr + 1) * dr:
        raise reader.error(f"the cutoff {cutoff:g} lies beyond the tables, which end at "
                           f"{(nr - 1) * dr:g}")
    return nrho, drho, nr, dr, cutoff
