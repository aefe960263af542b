"""What a script has said so far, and the deck that comes of it.

Commands either set a key of the deck at once (`set`), or leave something here that a later command
builds on: regions, the box, masses, pair coefficients.  `tables` puts the two together when the
script ends, and is where LAMMPS's own defaults, where they differ from a deck's, are filled in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mdapp.errors import InputError
from mdapp.lammps.command import Command
from mdapp.lammps.pair_base import PairStyle
from mdapp.lammps.variables import Variables
from mdapp.model.crystal import Lattice
from mdapp.model.units import UNITS


@dataclass
class Script:
    """The state that commands change.

    Attributes
    ----------
    deck : tables of the deck so far; `lines` has the line on which a dotted key was set
    seen : names of the commands so far
    regions : bounds xlo xhi ylo yhi zlo zhi of each region in lattice spacings
    box : bounds of the box of a lattice
    type_count : number of atom types, once there is a box
    masses : mass of each type that has one, with the line of the command
    charged : whether the atom style has charges
    charges : charge of each type that a command sets
    """

    path: Path
    variables: Variables
    units: str = "lj"
    deck: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    lattice: Lattice | None = None
    regions: dict[str, tuple[float, ...]] = field(default_factory=dict)
    box: tuple[float, ...] | None = None
    type_count: int | None = None
    has_atoms: bool = False
    masses: dict[int, float] = field(default_factory=dict)
    charged: bool = False
    charges: dict[int, float] = field(default_factory=dict)
    pair: PairStyle | None = None
    integrator_line: int | None = None
    dumps: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def set(self, key: str, value: Any, command: Command) -> None:
        """Set a dotted key of the deck."""
        *sections, last = key.split(".")
        table = self.deck
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value
        self.lines[key] = command.line

    def get(self, key: str) -> Any:
        """Return the value of a dotted key of the deck, or None."""
        value: Any = self.deck
        for part in key.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def note(self, command: Command, text: str) -> None:
        """Keep something that the user should be told."""
        self.notes.append(f"{command.path}:{command.line}: {command.name}: {text}")

    def tables(self) -> dict[str, Any]:
        """Return the tables of the deck.

        Raises
        ------
        InputError : the script lacks something that a run needs
        """
        if not self.has_atoms:
            raise self._lacks("atoms", "give lattice, region, create_box and create_atoms, "
                                       "or read_data")
        if self.pair is None:
            raise self._lacks("forces", "give pair_style and pair_coeff")
        if self.get("run.steps") and self.integrator_line is None:
            raise self._lacks("time integration", "give 'fix 1 all nve' before run")
        assert self.type_count is not None
        self._finish_masses(self.type_count)
        self._finish_charges(self.type_count)
        self.deck["units"] = self.units
        self.deck["system"].setdefault("boundary", "p p p")
        self.deck["potential"] = self.pair.table(self.type_count)
        for output in self.pair.outputs():
            self.deck.setdefault("output", []).append(output)
        self.deck.setdefault("thermo", {}).setdefault("every", 0)
        self.deck.setdefault("neighbors", {}).setdefault("skin", UNITS[self.units].default_skin)
        self.deck.setdefault("run", {})
        if self.get("system.fill") == [{"type": 1}]:
            del self.deck["system"]["fill"]     # what a lattice does anyway
        return self.deck

    def _finish_masses(self, count: int) -> None:
        missing = [t for t in range(1, count + 1) if t not in self.masses]
        if missing and not (self.get("system.file") and not self.masses):
            raise self._lacks(f"the mass of type {missing[0]}", f"give 'mass {missing[0]} M'")
        if self.masses:
            self.deck["system"]["masses"] = [self.masses[t] for t in range(1, count + 1)]

    def _finish_charges(self, count: int) -> None:
        """Charges of types: 0 where no command sets them, as LAMMPS has it, but not of a file."""
        from_file = bool(self.get("system.file"))
        if not self.charged or (from_file and not self.charges):
            return
        missing = [t for t in range(1, count + 1) if t not in self.charges]
        if from_file and missing:
            raise self._lacks(f"the charge of type {missing[0]}", "give the charges of all types "
                              "by set, or all of them in the data file")
        self.deck["system"]["charges"] = [self.charges.get(t, 0.0) for t in range(1, count + 1)]

    def _lacks(self, what: str, remedy: str) -> InputError:
        return InputError(f"{self.path}: the script does not give {what}; {remedy}")
