"""SNAP files: coefficients of the elements (`.snapcoeff`) and hyperparameters (`.snapparam`).

The first begins with the number of elements and of coefficients of each; an element is its name,
radius and weight, then its coefficients. The second has a keyword and a value on each line. What
a file leaves out has the value that LAMMPS gives it, which belongs to the published potentials.
`chunksize` and `parallelthresh` divide the work of an accelerator and say nothing of the
potential: they are read and have no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from potentials.files import FileError, Reader
from potentials.snap.indices import bispectrum_terms

MOST_ELEMENTS, MOST_COEFFICIENTS, LARGEST_TWOJMAX = 100, 4_000_000, 20
MOST_QUADRATIC = 5_000              # terms whose products have coefficients too
FLAGS = {"switchflag": True, "bzeroflag": True, "quadraticflag": False, "chemflag": False,
         "bnormflag": False, "wselfallflag": False}
INNER = ("switchinnerflag", "sinner", "dinner")
WITHOUT_EFFECT = ("chunksize", "parallelthresh")


@dataclass(frozen=True)
class Parameters:
    """Hyperparameters of a potential.

    Attributes
    ----------
    rcutfac : cutoff of two elements over the sum of their radii
    twojmax : twice the largest angular momentum
    rfac0, rmin0 : from a distance to an angle of the 3-sphere, see potentials.snap.neighborhood
    flags : see FLAGS
    """

    rcutfac: float
    twojmax: int
    rfac0: float = 0.99363
    rmin0: float = 0.0
    flags: dict[str, bool] = field(default_factory=lambda: dict(FLAGS))


@dataclass(frozen=True)
class Coefficients:
    """What the elements of a file differ in.

    Attributes
    ----------
    names : of the elements
    radius, weight : (n,) float64
    beta : (n, ncoefficients) float64, the constant first
    """

    names: tuple[str, ...]
    radius: NDArray[np.float64]
    weight: NDArray[np.float64]
    beta: NDArray[np.float64]


def read_parameters(path: Path) -> Parameters:
    """Read a `.snapparam` file.

    Raises
    ------
    FileError : names the file and line
    """
    reader = Reader(path)
    found: dict[str, float] = {}
    flags = dict(FLAGS)
    seen: set[str] = set()
    while reader.more():
        words = reader.line("a keyword and its value")
        key, values = words[0], words[1:]
        if key in seen:
            raise reader.error(f"{key} has been given already")
        seen.add(key)
        if key in INNER:
            if key == "switchinnerflag" and values == ["0"]:
                continue
            raise reader.error(f"{key}: switching at short distances is not supported; mdapp reads "
                               "files with switchinnerflag 0 or without it")
        if len(values) != 1:
            raise reader.error(f"{key} needs one value, not {len(values)}")
        if key in FLAGS:
            flags[key] = bool(reader.count(values[0], key, 0, 1))
        elif key == "twojmax":
            found[key] = reader.count(values[0], key, 0, LARGEST_TWOJMAX)
        elif key == "rcutfac":
            found[key] = reader.positive(values[0], key)
        elif key == "rfac0":
            found[key] = reader.positive(values[0], key)
            if found[key] > 1:
                raise reader.error(f"rfac0 is {values[0]}: must be greater than 0, at most 1")
        elif key == "rmin0":
            found[key] = reader.number(values[0], key)
            if found[key] < 0:
                raise reader.error(f"rmin0 is {values[0]}: must be at least 0")
        elif key not in WITHOUT_EFFECT:
            known = ("rcutfac", "twojmax", "rfac0", "rmin0", *FLAGS)
            raise reader.error(f"{key[:40]!r}: unknown keyword; there is {', '.join(known)}")
    for key in ("rcutfac", "twojmax"):
        if key not in found:
            raise FileError(f"{path}: {key} is missing")
    return Parameters(found["rcutfac"], int(found["twojmax"]), found.get("rfac0", 0.99363),
                      found.get("rmin0", 0.0), flags)


def read_coefficients(path: Path, parameters: Parameters) -> Coefficients:
    """Read a `.snapcoeff` file that goes with some parameters.

    Raises
    ------
    FileError : names the file and line
    """
    reader = Reader(path)
    words = reader.line("the numbers of elements and coefficients")
    if len(words) != 2:
        raise reader.error("needs the numbers of elements and of coefficients")
    n = reader.count(words[0], "the number of elements", 1, MOST_ELEMENTS)
    count = reader.count(words[1], "the number of coefficients", 1, MOST_COEFFICIENTS)
    expected = coefficient_count(parameters, n)
    if count != expected:
        kind = "quadratic" if parameters.flags["quadraticflag"] else "linear"
        chem = f", chemflag 1 and {n} elements" if parameters.flags["chemflag"] else ""
        raise reader.error(f"{count} coefficients; a {kind} potential with twojmax "
                           f"{parameters.twojmax}{chem} has {expected}: the two files do not "
                           "belong together")
    names, radius, weight, beta = [], [], [], []
    for _ in range(n):
        words = reader.line("an element, its radius and weight")
        if len(words) != 3:
            raise reader.error("needs an element, its radius and its weight")
        if words[0] in names:
            raise reader.error(f"the element {words[0][:40]} has been given already")
        names.append(words[0])
        radius.append(reader.positive(words[1], f"the radius of {words[0]}"))
        weight.append(reader.number(words[2], f"the weight of {words[0]}"))
        beta.append(reader.numbers(count, f"the coefficients of {words[0]}"))
    reader.at_end()
    if parameters.flags["quadraticflag"] and len(terms_of(parameters, n)) > MOST_QUADRATIC:
        raise FileError(f"{path}: more than {MOST_QUADRATIC} terms in a quadratic potential")
    smallest = 2 * min(radius) * parameters.rcutfac
    if parameters.rmin0 >= smallest:
        raise FileError(f"{path}: rmin0 = {parameters.rmin0:g} is not below the cutoff of two "
                        f"atoms, {smallest:g}")
    return Coefficients(tuple(names), np.array(radius), np.array(weight), np.array(beta))


def terms_of(parameters: Parameters, nelements: int) -> range:
    """The terms of a potential, without the constant: bispectrum components of element triples."""
    triples = nelements**3 if parameters.flags["chemflag"] else 1
    return range(triples * len(bispectrum_terms(parameters.twojmax)))


def coefficient_count(parameters: Parameters, nelements: int) -> int:
    """How many coefficients an element has."""
    n = len(terms_of(parameters, nelements)) + 1
    return n * (n + 1) // 2 if parameters.flags["quadraticflag"] else n


def chosen(path: Path, coefficients: Coefficients, species: Sequence[str]) -> list[int]:
    """Row of each species in the file.

    Raises
    ------
    FileError : the file does not have one
    """
    for name in species:
        if name not in coefficients.names:
            raise FileError(f"{path}: has no element {name!r}; it has "
                            f"{', '.join(coefficients.names)}")
    return [coefficients.names.index(name) for name in species]
