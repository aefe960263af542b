"""The state of a run and what storage keeps of it, in both directions.

Storage knows arrays with names and plain values; the run knows atoms, a deck and a potential. What
is given to storage are views: at a checkpoint there is no memory for a second copy.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mdapp.deck import Deck
from mdapp.errors import InputError
from mdapp.model.atoms import CHARGE, PER_ATOM, Atoms
from mdapp.storage.state import STANDARD, State
from potentials.files import FileError, find_file
from potentials.own_file import files_named

if TYPE_CHECKING:
    from mdapp.simulation import Simulation


def potential_identity(deck: Deck, ntypes: int) -> dict[str, Any]:
    """What a restart must find unchanged: the potential's style, parameters and files, hashed.

    Raises
    ------
    InputError : a file of parameters cannot be read
    """
    facts: dict[str, Any] = {"style": deck.potential.style, "ntypes": ntypes,
                             "parameters": deck.potential.parameters}
    try:
        paths = [find_file(name) for name in files_named(deck.potential_table())]
        hashes = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    except (FileError, OSError) as error:
        raise InputError(f"potential ({deck.potential.style}): {error}") from None
    if hashes:
        facts["files"] = by_name(hashes)
    text = json.dumps(facts, sort_keys=True)
    return {**json.loads(text), "hash": "sha256:" + hashlib.sha256(text.encode()).hexdigest()}


def by_name(hashes: Mapping[Path, str]) -> dict[str, str]:
    """Hashes by the names of files; a name that is there already gets a number."""
    named, times = {}, Counter[str]()
    for path, found in hashes.items():
        times[path.name] += 1
        again = f" ({times[path.name]})" if times[path.name] > 1 else ""
        named[path.name + again] = found
    return named


def state_of(sim: Simulation, invariants: Mapping[str, float],
             outputs: Sequence[Mapping[str, Any]] = ()) -> State:
    """The state of a run as storage wants it: views of its arrays, no copies."""
    atoms, n = sim.atoms, sim.atoms.nlocal
    names = [f.name for f in STANDARD] + [CHARGE] * atoms.charged
    return State(
        step=sim.step, time=sim.step * sim.deck.run.timestep, timestep=sim.deck.run.timestep,
        units=sim.units.name, box=sim.box, natoms=sim.natoms, species=sim.species,
        mass=atoms.mass, fields={name: getattr(atoms, name)[:n] for name in names},
        declared={CHARGE: ("charge", "charge")} if atoms.charged else {},
        integrator={"name": sim.deck.run.ensemble, "timestep": sim.deck.run.timestep},
        rng={"generator": "philox4x32-10", "seed": sim.deck.system.seed},
        potential=sim.potential_identity,
        decomposition={"grid": list(sim.grid.shape), "skin": sim.deck.neighbors.skin,
                       "cutoff": sim.potential.cutoff},
        deck=sim.deck.to_dict(), invariants=invariants, outputs=outputs)


def atoms_of(state: State) -> Atoms:
    """The owned atoms of a restored state."""
    atoms = Atoms(np.asarray(state.mass, np.float64))
    for name in (*PER_ATOM, *([CHARGE] if CHARGE in state.fields else [])):
        setattr(atoms, name, np.require(state.fields[name], requirements=["C", "W"]))
    atoms.nlocal = state.nlocal
    atoms.f = np.empty((state.nlocal, 3))
    return atoms


def refuse_another_system(deck: Deck, state: State, allow_potential_change: bool = False) -> str:
    """See whether a checkpoint's state can go on under this deck.

    Returns
    -------
    str
        What the user should know of it: that the potential is another one, if that is allowed.

    Raises
    ------
    InputError
        It cannot.
    """
    if state.units != deck.units:
        raise InputError(f"units = {deck.units!r}: the checkpoint is in {state.units} units")
    mine = potential_identity(deck, len(state.mass))
    if mine["hash"] == state.potential.get("hash"):
        return ""
    change = (f"the checkpoint was written with {state.potential.get('style')} "
              f"{state.potential.get('parameters')}, the deck has {mine['style']} "
              f"{mine['parameters']}")
    if mine.get("files") != state.potential.get("files") and (
            mine["parameters"] == state.potential.get("parameters")):
        change += f"; the contents of {', '.join(mine.get('files', {}))} are not what they were"
    if not allow_potential_change:
        raise InputError(f"potential: {change}; a restart needs the same potential, or "
                         "--allow-potential-change to go on with another one")
    return f"the potential changes at step {state.step}: {change}"
