"""The input deck: what a run is asked to do, as a TOML file and as a checked object.

`schema` holds the sections, their keys, units, ranges and defaults, and is the only place that
lists them: the checks, the JSON schema and the hints of nearest keys are derived from it.
`loading` reads files and `--set key=value`, `messages` turns every problem found into one line
that names the key, its value and the fix, and `toml` writes the canonical form that a run keeps
for its provenance.  A LAMMPS script becomes the same object (`mdapp.lammps_script`).
"""

from mdapp.deck.checkpoint import Checkpoint
from mdapp.deck.loading import apply_overrides, build_deck, deck_schema, load_deck
from mdapp.deck.schema import (
    Deck,
    Neighbors,
    Output,
    Potential,
    Run,
    Thermo,
)
from mdapp.deck.system import Fill, System

__all__ = [
    "Checkpoint", "Deck", "Fill", "Neighbors", "Output", "Potential", "Run", "System", "Thermo",
    "apply_overrides", "build_deck", "deck_schema", "load_deck",
]
