"""Which points a study has.

strong      one system on more and more ranks (and threads, at equal cores)
weak        every rank the same block of atoms; the box grows with the grid of ranks
saturation  one rank, or all ranks of a node, with fewer and more atoms each

What varies stands in the point; all else comes from the deck, so that all points of a curve
integrate the same system: initial velocities go by global id, whatever the number of ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdapp.cli.inputs import load_input
from mdapp.cli.run import named
from mdapp.errors import InputError
from mdapp.parallel.grid import least_surface_grid
from scaling.studies.point import Point
from scaling.studies.sizes import natoms_of, resizer_of

if TYPE_CHECKING:
    from mdapp.deck import Deck

STUDIES = ("strong", "weak", "saturation")
LATER = ("imbalance", "checkpoint")
# Atoms of a rank in a saturation study, where none are asked for: from where the fixed cost of a
# step rules to where it is lost, in factors of two.
SATURATION_ATOMS = tuple(250 * 2**k for k in range(11))


@dataclass(frozen=True)
class Case:
    """What is run: an input, and how it is changed.

    Attributes
    ----------
    input : the deck or script
    overrides, variables : as --set and --var take them
    steps, warmup : of every launch; 0: to be found by a trial
    oversubscribe : whether ranks may share cores
    """

    input: Path
    overrides: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    steps: int = 0
    warmup: int | None = None
    oversubscribe: bool = False

    def deck(self, *more: str) -> Deck:
        """Read the deck as it is changed, and by `more` overrides."""
        return load_input(self.input, [*self.overrides, *more], named(self.variables))


def points_of(study: str, case: Case, ranks: Sequence[int], threads: Sequence[int],
              atoms: Sequence[int], cores: int) -> list[Point]:
    """List the points of a study; steps and warm-up may still be open (1 and 0).

    Parameters
    ----------
    ranks, threads
        Every number of ranks with every number of threads; threads empty: those of the deck.
    atoms
        strong: of the system; weak, saturation: of a rank. Empty: the deck's, or the default sizes.
    cores
        That may be used without sharing; more than these are marked.

    Raises
    ------
    InputError
        The deck cannot be read, or not be resized as the study needs.
    """
    deck = case.deck()
    shapes = [(p, t) for t in threads or [deck.run.threads] for p in ranks]
    if study == "strong":
        return _strong(case, deck, shapes, atoms, cores)
    return _blocks(study, case, deck, shapes, atoms, cores)


def _strong(case: Case, deck: Deck, shapes: Sequence[tuple[int, int]], atoms: Sequence[int],
            cores: int) -> list[Point]:
    if len(atoms) > 1:
        raise InputError("--atoms: a strong study has one size; give one number")
    sizing: tuple[str, ...] = ()
    natoms = natoms_of(deck)
    if atoms:
        resizer = resizer_of(deck, "strong (--atoms)")
        extent = resizer.nearest(atoms[0])
        sizing, natoms = (resizer.override(extent),), resizer.atoms(extent)
    return [_point("strong", case, p, t, natoms, sizing, None, cores) for p, t in shapes]


def _blocks(study: str, case: Case, deck: Deck, shapes: Sequence[tuple[int, int]],
            atoms: Sequence[int], cores: int) -> list[Point]:
    resizer = resizer_of(deck, study)
    if study == "weak":
        if len(atoms) > 1:
            raise InputError("--atoms-per-rank: a weak study has one size; give one number")
        blocks = [resizer.nearest(atoms[0]) if atoms else resizer.extent]
    else:
        blocks = list(dict.fromkeys(resizer.nearest(n) for n in atoms or SATURATION_ATOMS))
    made = []
    for block in blocks:
        for p, t in shapes:
            grid = least_surface_grid(p, np.ones(3))
            extent = resizer.times(block, grid)
            made.append(_point(study, case, p, t, resizer.atoms(extent),
                               (resizer.override(extent),), grid, cores))
    return made


def _point(study: str, case: Case, ranks: int, threads: int, atoms: int, sizing: tuple[str, ...],
           grid: tuple[int, int, int] | None, cores: int) -> Point:
    return Point.model_validate({
        "study": study, "name": f"{study}-n{atoms}-r{ranks}-t{threads}",
        "input": str(case.input.absolute()), "overrides": [*case.overrides, *sizing],
        "variables": case.variables, "atoms": atoms, "ranks": ranks, "threads": threads,
        "grid": grid, "steps": case.steps or 1, "warmup": case.warmup or 0,
        "oversubscribed": ranks * threads > cores and case.oversubscribe,
    })  # fmt: skip
