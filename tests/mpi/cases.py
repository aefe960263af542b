"""Decks for runs on many ranks, and what run_cases.py leaves of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PROGRAM = str(Path(__file__).parent / "run_cases.py")


def deck(
    system: str,
    potential: str = "epsilon = 1.0\nsigma = 1.0\nrc = 2.5",
    timestep: float = 0.004,
    skin: float = 0.3,
    every: int = 10,
    more: str = "",
) -> str:
    """A deck of Lennard-Jones atoms in lj units."""
    return f"""
units = "lj"
[system]
{system}
[potential]
style = "lj/cut"
{potential}
[neighbors]
skin = {skin}
[run]
steps = 0
timestep = {timestep}
[thermo]
every = {every}
{more}
"""


MELT = deck('lattice = "fcc"\ndensity = 0.8442\ncells = [5, 5, 5]\ntemperature = 1.44\nseed = 3')
ROD = deck('lattice = "fcc"\ndensity = 0.8442\ncells = [12, 2, 2]\ntemperature = 1.0\nseed = 4')
# A crystal slab between vacua, faces open, hot enough to lose atoms.
SLAB = deck(
    'lattice = "fcc"\ndensity = 0.9\nregion = [0, 4, 0, 4, 0, 9]\nboundary = "p p f"\n'
    "temperature = 2.0\nfill = [{ type = 1, region = [-1, 9, -1, 9, 3.1, 5.9] }]"
)
# All atoms in one corner of a large open box; they fly apart.
CORNER = deck(
    'lattice = "sc"\ndensity = 0.9\nregion = [0, 30, 0, 30, 0, 30]\nboundary = "f f f"\n'
    "temperature = 3.0\nfill = [{ type = 1, region = [-1, 4.1, -1, 4.1, -1, 4.1] }]"
)
ALLOY = deck(
    'lattice = "bcc"\nconstant = 1.4\ncells = [6, 6, 6]\nbasis_types = [1, 3]\n'
    "masses = [1.0, 2.0, 4.0]\ntemperature = 1.0\nseed = 5",
    'epsilon = [1.0, 0.5, 0.8]\nsigma = [1.0, 0.9, 1.1]\nrc = 2.5\nmix = "arithmetic"\n'
    "shift = true\n[[potential.pair]]\ntypes = [1, 3]\nepsilon = 1.2\nrc = 2.0",
)
# Atoms exactly on the planes, edges and corners of every even grid, and on both faces of the box.
FACES = deck('lattice = "sc"\nconstant = 1.125\ncells = [8, 8, 8]\ntemperature = 0.5\nseed = 6')
# Cutoff wider than the box: several images of each atom.
TINY = deck('lattice = "fcc"\ndensity = 0.8442\ncells = [1, 1, 1]\ntemperature = 0.5\nseed = 7')


@dataclass(frozen=True)
class Outcome:
    """State by id (`x0` is x at step 0), thermo rows and the rest of what rank 0 wrote."""

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self.arrays[name] if name in self.arrays else self.facts[name]


def case(
    name: str, text: str, ranks: int, steps: int, folder: Path, overrides: Sequence[str] = ()
) -> dict[str, Any]:
    """Write the deck of a case and describe it for run_cases.py."""
    path = folder / f"{name}.toml"
    path.write_text(text)
    return {
        "name": name,
        "deck": path.name,
        "ranks": ranks,
        "steps": steps,
        "overrides": list(overrides),
    }


def run(
    mpirun, folder: Path, cases: list[dict[str, Any]], timeout: float = 240.0
) -> dict[str, Outcome]:
    """Run all cases in one start of as many ranks as the largest needs."""
    (folder / "cases.json").write_text(json.dumps(cases))
    for c in cases:
        (folder / c["name"]).mkdir(exist_ok=True)
    end = mpirun(max(c["ranks"] for c in cases), [PROGRAM, "cases.json"], timeout=timeout)
    assert end.code == 0, end.stderr[-4000:]
    outcomes = {}
    for c in cases:
        with np.load(folder / f"{c['name']}.npz") as arrays:
            outcomes[c["name"]] = Outcome(
                dict(arrays), json.loads((folder / f"{c['name']}.json").read_text())
            )
    return outcomes


def grid_override(grid: Sequence[int] | None) -> list[str]:
    return [] if grid is None else [f"run.grid=[{','.join(map(str, grid))}]"]
