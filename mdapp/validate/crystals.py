"""Structures that suit a potential: its own crystal, found by stretching, and pieces of it.

A suite with fixed lattice constants would test an unusual potential where it is never used. So
four crystals are stretched to where the energy of an atom is least, and the deepest one is taken. A
potential that only repels, or only attracts, has none: it gets a close packing with neighbours at
half its cutoff.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdapp.errors import InputError
from mdapp.evaluate import Structure
from mdapp.model.box import Box
from mdapp.model.crystal import BASES
from mdapp.validate.measure import Fault

if TYPE_CHECKING:
    from mdapp.validate.bench import Bench

NEAREST = {"sc": 1.0, "bcc": 3**0.5 / 2, "fcc": 0.5**0.5, "diamond": 3**0.5 / 4}   # of a constant
STEP = 0.95
SHORTEST = 0.12                                      # of the cutoff: where stretching ends
SHEAR = np.array([[1.0, 0.0, 0.0], [0.11, 1.0, 0.0], [-0.07, 0.13, 1.0]])


@dataclass(frozen=True)
class Crystal:
    """A crystal of the mixed species.

    Attributes
    ----------
    style : sc, bcc, fcc or diamond
    distance : between nearest neighbours
    depth : energy of an atom below that of one alone; 0 where there is no minimum
    """

    style: str
    distance: float
    depth: float

    @property
    def constant(self) -> float:
        """Edge of the cubic cell."""
        return self.distance / NEAREST[self.style]


def find_crystal(bench: Bench) -> Crystal:
    """Stretch four crystals and take the one whose atoms are bound best."""
    reach = bench.reach
    found = [c for style in ("fcc", "bcc", "diamond", "sc")
             if (c := minimum(bench, style, reach)) is not None]
    if not found:
        bench.notes.append("no crystal has an energy minimum: neighbours are put at half the "
                           "cutoff")
        return Crystal("fcc", 0.5 * reach, 0.0)
    return max(found, key=lambda c: c.depth)


def minimum(bench: Bench, style: str, reach: float) -> Crystal | None:
    """The deepest energy of a crystal as its neighbours come nearer, refined; None without one."""
    alone = energy_at(bench, style, 1.5 * reach / min(NEAREST.values()))
    scanned: list[tuple[float, float]] = []
    d, lowest = 1.0 * reach, 0.0
    while d > SHORTEST * reach:
        e = energy_at(bench, style, d) - alone
        scanned.append((d, e))
        lowest = min(lowest, e)
        if lowest < 0 and e > 0:
            break
        d *= STEP
    energies = np.array([e for _, e in scanned])
    k = int(energies.argmin())
    if not 0 < k < len(scanned) - 1 or not energies[k] < -1e-6:
        return None
    d, e = golden(lambda r: energy_at(bench, style, r) - alone,
                  scanned[k + 1][0], scanned[k - 1][0])
    return Crystal(style, d, -e)


def energy_at(bench: Bench, style: str, distance: float) -> float:
    """Energy of an atom, infinite where the potential refuses so dense a crystal."""
    s = cubic(bench, style, distance / NEAREST[style], "mixed", (2, 2, 2) if len(
        bench.subject.species) > 1 else (1, 1, 1))
    try:
        return bench.evaluate(s, first_precision(bench)).energy / len(s.x)
    except (Fault, InputError):
        return np.inf


def first_precision(bench: Bench) -> str:
    """Double, or the best there is."""
    precisions = bench.subject.potential.precisions
    return "double" if "double" in precisions else precisions[0]


def golden(function: Callable[[float], float], low: float, high: float) -> tuple[float, float]:
    """The minimum between two arguments to 1e-4 of them: (argument, value)."""
    ratio = (5**0.5 - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    fa, fb = function(a), function(b)
    while high - low > 1e-4 * high:
        if fa < fb:
            high, b, fb = b, a, fa
            a = high - ratio * (high - low)
            fa = function(a)
        else:
            low, a, fa = a, b, fb
            b = low + ratio * (high - low)
            fb = function(b)
    return min((fa, a), (fb, b))[::-1]


def cubic(bench: Bench, style: str, constant: float, kind: str, cells: tuple[int, int, int]
          ) -> Structure:
    """A perfect crystal of whole cubic cells, species at random where they are mixed.

    Charged species alternate over the sites, so that no crystal is charged.
    """
    basis = np.array(BASES[style])
    grid = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), -1).reshape(-1, 3)
    x = (grid[:, None] + basis).reshape(-1, 3) * constant
    types = types_for(bench, kind, len(x))
    box = Box.orthogonal((0, 0, 0), constant * np.array(cells, np.float64))
    return bench.structure(box, x, types)


def types_for(bench: Bench, kind: str, n: int) -> np.ndarray:
    """(n,) types of a kind of structure; mixed: as many of each as can be, shuffled."""
    chosen = bench.kinds().get(kind) or next(reversed(bench.kinds().values()))
    types = np.resize(np.array(chosen, np.int32), n)
    if bench.subject.charges is None:
        bench.random(f"types {kind} {n}").shuffle(types)
    return types


def bulk(bench: Bench, kind: str, edge: float, shear: bool, displacement: float, cells: int
         ) -> Structure:
    """A distorted periodic crystal.

    Parameters
    ----------
    kind : a species, or mixed
    edge : shortest edge; 0: twice the cutoff and the skin
    shear : whether the cell is triclinic
    displacement : largest, of the nearest distance
    cells : number of cells along each edge, instead
    """
    crystal = bench.crystal
    skin = 0.3 * crystal.distance
    edge = edge or 2 * (bench.reach + skin)
    count = cells or max(1, int(np.ceil(edge / crystal.constant)))
    s = cubic(bench, crystal.style, crystal.constant, kind, (count,) * 3)
    random = bench.random(f"bulk {kind} {count} {shear}")
    x = s.x + random.uniform(-1, 1, s.x.shape) * displacement * crystal.distance / 3**0.5 * 1.5
    edges = s.box.edges
    if shear:
        x, edges = x @ SHEAR, edges @ SHEAR
    return bench.structure(Box.from_vectors(edges), x, s.type)
