"""Frames to fit a potential to, from a classical one: hot runs, and strained cells shaken.

    python examples/fit/make_data.py copper.extxyz

Whatever potential labels them, a set needs what a run will meet: hot crystal and liquid for the
vibrations, strained cells for the elastic constants, short distances for collisions. The first come
from a run of mdapp, a frame every 50 steps; the second are made here. All are labelled alike, by
one evaluation each. Nothing is random but by the seed: the file is the same everywhere."""

import sys
from pathlib import Path

import numpy as np

import mdapp
from mdapp.evaluate import Structure, single_point
from mdapp.model.box import Box
from mdapp.structures.results import write_results
from potentials.shorthand import read_potential

HERE = Path(__file__).resolve().parent
DECK = HERE / "hot.toml"
POTENTIAL = f"eam/alloy:{HERE.parent / 'copper' / 'Cu.eam.alloy'}:Cu"
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
LATTICE_CONSTANT = 3.615             # Angstrom
TEMPERATURES = (600, 1600, 3200, 5000)     # K at the start; half of it is left, the last one melts
HOT_FRAMES, STRAINED_FRAMES = 30, 80


def hot(temperature: float):
    """Frames of a run, 108 atoms."""
    run = mdapp.Simulation.from_deck(DECK, [f"system.temperature={temperature}"])
    for _ in range(HOT_FRAMES):
        run.run(50)
        atoms = run.atoms
        order = np.argsort(atoms.id[:atoms.nlocal])
        yield run.box, atoms.x[:atoms.nlocal][order].copy()


def strained(rng: np.random.Generator):
    """32 atoms in a cell whose edges are changed by some percent, every atom moved."""
    for k in range(STRAINED_FRAMES):
        strain = rng.normal(0, 0.03, (3, 3))
        edges = 2 * LATTICE_CONSTANT * (np.eye(3) + 0.5 * (strain + strain.T))
        sites = np.concatenate([FCC + corner for corner in np.ndindex(2, 2, 2)])
        x = 0.5 * sites @ edges + rng.normal(0, 0.02 + 0.0015 * k, (len(sites), 3))
        yield Box.from_vectors(edges), x


def main(path: Path) -> None:
    """Write all frames."""
    spec = read_potential(POTENTIAL)
    potential = spec.make(1, ("Cu",))
    kernel = potential.compiled("double", False)
    one = path.with_suffix(".one")
    frames = [frame for t in TEMPERATURES for frame in hot(t)]
    frames += strained(np.random.default_rng(1))
    with path.open("w") as file:
        for box, x in frames:
            found = single_point(Structure.of_arrays(box, x, species=("Cu",)), potential,
                                 units="metal", kernel=kernel)
            at = found.structure
            write_results(one, at.box, at.elements, at.id, at.x, found.energy, found.energies,
                          found.forces, found.stress)
            file.write(one.read_text())
    one.unlink()
    print(f"{path}: {len(frames)} frames")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
