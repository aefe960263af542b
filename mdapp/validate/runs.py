"""Runs of the engine from a structure of the suite: decks in memory, one rank or many.

Temperatures come from the potential: an atom gets a two-hundredth of what binds it, which is a
solid well below melting for most. Time steps are the defaults of the units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mdapp.deck import Deck
from mdapp.deck.loading import build_deck
from mdapp.evaluate import Structure
from mdapp.validate.bench import Bench, guarded

if TYPE_CHECKING:
    from mdapp.simulation import Simulation

COLD = 0.005                    # kT over the energy that binds an atom
UNBOUND = 0.02                  # kT where nothing binds, in units of energy
LONG = 0.15                     # skin, of the distance of neighbours


def temperature(bench: Bench, part: float = COLD) -> float:
    """Of a solid; `part` of what binds an atom, as kT."""
    depth = bench.crystal.depth or UNBOUND / COLD
    return part * depth / bench.subject.units.boltz


def tables(bench: Bench, start: Path, precision: str, *, steps: int = 0,
           run: Mapping[str, Any] | None = None, neighbors: Mapping[str, Any] | None = None,
           part: float = COLD, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The plain tables of a deck."""
    subject = bench.subject
    system: dict[str, Any] = {
        "file": str(start.resolve()), "species": list(subject.species),
        "masses": subject.masses.tolist(), "temperature": temperature(bench, part),
        "seed": bench.seed}
    if subject.charges is not None:
        system["charges"] = subject.charges.tolist()
    return {"units": subject.units.name, "system": system, "potential": subject.table(),
            "neighbors": {"skin": LONG * bench.crystal.distance, **(neighbors or {})},
            "run": {"steps": steps, "precision": precision, **(run or {})},
            "thermo": {"every": 0}, **(more or {})}


def write_start(bench: Bench, structure: Structure, name: str) -> Path:
    """The structure as a file, with all its digits."""
    path = bench.folder / f"{name}.extxyz"
    x, types = structure.x, structure.type
    if structure.box.periodic.any():
        inside = np.floor(structure.box.fractional(x)) * structure.box.periodic
        x = x - inside @ structure.box.edges
    edges = " ".join(repr(v) for v in structure.box.edges.ravel().tolist())
    pbc = " ".join("T" if p else "F" for p in structure.box.periodic)
    lines = [str(len(x)), f'Lattice="{edges}" Properties=species:S:1:pos:R:3:id:I:1 pbc="{pbc}"']
    lines += [f"{structure.species[t]} {a!r} {b!r} {c!r} {k}" for t, (a, b, c), k in
              zip(types.tolist(), x.tolist(), structure.id.tolist(), strict=True)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@contextmanager
def simulation(bench: Bench, structure: Structure, precision: str, **options: Any
               ) -> Iterator[Simulation]:
    """A run of this process alone, at step 0."""
    from mpi4py import MPI

    from mdapp.simulation import Simulation

    start = write_start(bench, structure, "start")
    deck: Deck = build_deck(tables(bench, start, precision, steps=10**6, **options))
    with guarded(structure):
        sim = Simulation(deck, MPI.COMM_SELF, out=bench.folder / "run")
        try:
            sim.run(0)
            yield sim
        finally:
            sim.close()


def unwrapped(sim: Simulation) -> NDArray[np.float64]:
    """(n, 3) positions by id, as if there were no boundaries."""
    n = sim.atoms.nlocal
    x = sim.atoms.x[:n] + sim.atoms.image[:n] * sim.box.lengths
    result: NDArray[np.float64] = x[np.argsort(sim.atoms.id[:n], kind="stable")]
    return result
