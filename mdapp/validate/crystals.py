"""Structures that suit a potential: its own crystal, found by stretching, and pieces of it.

A suite with fixed lattice constants would test an unusual potential where it is never used. So
four crystals are stretched to where the energy of an atom has a minimum, and the deepest one is
taken. A potential that only repels, or only attracts, has none: it gets a close packing with
neighbours at about half its cutoff, but at no distance of which a multiple is the cutoff: where an
image lies exactly on it, rounding decides whether it acts.

Fitted models have minima where they have never seen data. Where the deck has a crystal, the minimum
next to that is taken; else distances of elements are looked for around their covalent radii, and
of a fitted model the minimum nearest to these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mdapp.errors import InputError
from mdapp.evaluate import Structure
from mdapp.model.box import Box
from mdapp.model.crystal import BASES
from mdapp.validate.measure import Fault
from mdapp.validate.subject import NEAREST
from potentials.nep.elements import ATOMIC_NUMBER, RADII

if TYPE_CHECKING:
    from mdapp.validate.bench import Bench

STEP = 0.95
UNBOUND = 0.4713                                     # of the cutoff
WALL = 10.0                                          # times the scan's spread: it ends here
SHORTEST = 0.12                                      # of the cutoff: where stretching ends
SHEAR = np.array([[1.0, 0.0, 0.0], [0.11, 1.0, 0.0], [-0.07, 0.13, 1.0]])


@dataclass(frozen=True)
class Crystal:
    """A crystal of the mixed species.

    Attributes
    ----------
    style : sc, bcc, fcc or diamond
    distance : between nearest neighbours
    depth : of the minimum below the lower of its two sides; 0 where there is none. The energy of
        an atom alone is no measure: fitted models have often never seen one
    energy : of an atom
    """

    style: str
    distance: float
    depth: float
    energy: float = 0.0

    @property
    def constant(self) -> float:
        """Edge of the cubic cell."""
        return float(self.distance / NEAREST[self.style])


def find_crystal(bench: Bench) -> Crystal:
    """Stretch four crystals and take the one whose atoms are bound best."""
    reach = bench.reach
    given = bench.subject.lattice
    if given is not None:
        return near_given(bench, *given)
    usual = usual_distance(bench.subject.species)
    found = [c for style in ("fcc", "bcc", "diamond", "sc")
             if (c := minimum(bench, style, reach, usual)) is not None]
    if not found:
        return Crystal("fcc", UNBOUND * reach, 0.0)
    if usual and bench.subject.learned:
        return min(found, key=lambda c: abs(np.log(c.distance / usual)))
    return min(found, key=lambda c: c.energy)


def near_given(bench: Bench, style: str, constant: float) -> Crystal:
    """The crystal of a deck, at the minimum next to it if there is one within 5 %."""
    d = constant * NEAREST[style]
    best, energy = golden(lambda r: energy_at(bench, style, r), 0.95 * d, 1.05 * d)
    if not 0.951 * d < best < 1.049 * d or not np.isfinite(energy):
        best, energy = d, energy_at(bench, style, d)
    far = energy_at(bench, style, min(1.6 * d, bench.reach))
    return Crystal(style, best, max(far - energy, 0.0), energy)


def usual_distance(species: Sequence[str]) -> float:
    """Of neighbours of some elements, by their covalent radii; 0 where one is no element."""
    if not set(species) <= set(ATOMIC_NUMBER):
        return 0.0
    last = len(RADII)
    return 2 * float(np.mean([RADII[min(ATOMIC_NUMBER[n], last) - 1] for n in species]))


def minimum(bench: Bench, style: str, reach: float, usual: float) -> Crystal | None:
    """The deepest energy of a crystal as its neighbours come nearer, refined; None without one."""
    nearest = max(SHORTEST * reach, 0.8 * usual)
    scanned: list[tuple[float, float]] = []
    d = min(reach, 2.1 * usual) if usual else reach
    while d > nearest:
        scanned.append((d, energy_at(bench, style, d)))
        energies = np.array([e for _, e in scanned])
        spread = float(np.ptp(energies[:-1])) if len(scanned) > 1 else np.inf
        if energies[-1] > energies[:-1].min(initial=np.inf) + WALL * max(spread, 1.0):
            break
        d *= STEP
    if len(scanned) < 3:
        return None
    energies = np.minimum(energies, np.finfo(float).max)
    depths = [min(energies[:k].max(), energies[k + 1:].max()) - energies[k]
              if energies[k] <= min(energies[k - 1], energies[k + 1]) else 0.0
              for k in range(1, len(energies) - 1)]
    if not depths or max(depths) < 1e-6:
        return None
    k = 1 + int(np.argmax(depths))
    d, e = golden(lambda r: energy_at(bench, style, r), scanned[k + 1][0], scanned[k - 1][0])
    return Crystal(style, d, float(max(depths)) + float(energies[k]) - e, e)


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
    chosen = bench.kinds().get(kind) or [*bench.kinds().values()][-1]
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
