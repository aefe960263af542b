"""Commands that say which atoms there are: lattice, regions, the box, files, masses, velocities."""

from __future__ import annotations

import math
import re
from itertools import pairwise

from mdapp.deck.system import BASIS_ATOMS
from mdapp.errors import InputError
from mdapp.lammps.command import Command
from mdapp.lammps.script import Script
from mdapp.model.crystal import Lattice

HEADER_BYTES = 65536
ORIENT = {"x": 0, "y": 1, "z": 2}


def lattice(script: Script, command: Command) -> None:
    """Set the lattice; in lj units the number is a reduced density, else the lattice constant."""
    if script.lattice is not None:
        raise command.error("there is a lattice already, and mdapp builds one a run")
    style = command.choice(0, (*BASIS_ATOMS, "custom"), "style")
    script.set("system.lattice", style, command)
    scale = "density" if script.units == "lj" else "constant"
    script.set(f"system.{scale}", command.number(1), command)
    vectors = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    orient = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    basis: list[list[float]] = []
    k = 2
    while k < len(command.args):
        key = command.args[k]
        if key == "origin":
            script.set("system.origin", command.numbers(k + 1, 3), command)
        elif key == "orient":
            axis = ORIENT[command.choice(k + 1, ORIENT, "axis")]
            orient[axis] = [command.integer(n) for n in range(k + 2, k + 5)]
            script.set("system.orient", orient, command)
            k += 1
        elif key in ("a1", "a2", "a3") and style == "custom":
            vectors["123".index(key[1])] = command.numbers(k + 1, 3)
            script.set("system.vectors", vectors, command)
        elif key == "basis" and style == "custom":
            basis.append(command.numbers(k + 1, 3))
            script.set("system.basis", basis, command)
        else:
            raise command.unsupported(f"lattice {style} {key}", "there are origin and orient, and "
                                      "a1, a2, a3 and basis of a custom lattice; a spacing of your "
                                      "own can be multiplied into the regions instead")
        k += 4
    script.lattice = _lattice(script, command)


def _lattice(script: Script, command: Command) -> Lattice:
    given = script.deck["system"]
    keys = ("constant", "density", "vectors", "basis", "origin", "orient")
    try:
        made = Lattice.make(given["lattice"], **{key: given[key] for key in keys if key in given})
    except InputError as error:
        raise command.error(str(error)) from None
    if not all(0 < spacing < math.inf for spacing in made.spacing):
        raise command.error(f"the lattice spacings are {made.spacing.tolist()}: they must be "
                            "positive and finite")
    return made


def region(script: Script, command: Command) -> None:
    """Keep the bounds of a block, in lattice spacings, as LAMMPS reads them by default."""
    name = command.at(0)
    if command.at(1) != "block":
        raise command.unsupported(f"region {name} {command.at(1)}", "mdapp has the style block")
    if name in script.regions:
        raise command.error(f"there is a region '{name}' already")
    if script.lattice is None:
        raise command.error("needs a lattice command before it")
    in_spacings = True
    for k in range(8, len(command.args), 2):
        key = command.args[k]
        if key == "units":
            in_spacings = command.choice(k + 1, ("lattice", "box"), "units") == "lattice"
        elif key != "side" or command.at(k + 1) != "in":
            raise command.unsupported(f"region block ... {key}",
                                      "mdapp has units lattice|box and side in")
    spacings = [1.0] * 3 if in_spacings else [float(s) for s in script.lattice.spacing]
    script.regions[name] = tuple(_bound(script, command, k, spacings[(k - 2) // 2])
                                 for k in range(2, 8))
    for axis, (lo, hi) in zip("xyz", list(pairwise(script.regions[name]))[::2], strict=True):
        if not lo < hi:
            raise command.error(f"{axis}lo must be less than {axis}hi, not {lo:g} and {hi:g}")


def _bound(script: Script, command: Command, k: int, spacing: float) -> float:
    """Return argument k in spacings; INF and EDGE cut nothing off the box."""
    if command.at(k) in ("INF", "EDGE"):
        if script.box is None:
            raise command.error(f"{command.at(k)} needs a box made by create_box before it")
        return script.box[k - 2]
    value = command.number(k)
    # Of the neighbouring doubles take the one that multiplies back to the very number given.
    near = [value / spacing]
    near += [math.nextafter(near[0], direction) for direction in (-math.inf, math.inf)]
    return min(near, key=lambda quotient: abs(quotient * spacing - value))


def create_box(script: Script, command: Command) -> None:
    """Make a region the box."""
    command.expect(2)
    count = command.integer(0)
    if not 1 <= count <= 10000:
        raise command.error(f"{count} atom types: there must be 1 to 10000")
    script.type_count, script.box = count, _region(script, command, 1)
    script.set("system.region", list(script.box), command)


def _region(script: Script, command: Command, k: int) -> tuple[float, ...]:
    name = command.at(k)
    if name not in script.regions:
        known = ", ".join(script.regions) or "none"
        raise command.error(f"there is no region '{name}'; defined so far: {known}")
    return script.regions[name]


def create_atoms(script: Script, command: Command) -> None:
    """Add an entry to system.fill, whose order is that of the ids."""
    _before_velocity(script, command)
    if script.box is None:
        raise command.error("needs a box made by create_box: mdapp does not add to a file's atoms")
    assert script.type_count is not None
    fill: dict[str, object] = {"type": _type(script, command, 0)}
    style = command.choice(1, ("box", "region"), "style")
    if style == "region":
        fill["region"] = list(_region(script, command, 2))
    types: dict[int, int] = {}
    for k in range(2 if style == "box" else 3, len(command.args), 3):
        if command.args[k] != "basis":
            raise command.unsupported(f"create_atoms ... {command.args[k]}", "mdapp has basis")
        types[command.integer(k + 1)] = _type(script, command, k + 2)
    if types:
        assert script.lattice is not None
        sites = range(1, len(script.lattice.basis) + 1)
        if not set(types) <= set(sites):
            raise command.error(f"basis: the lattice has the basis atoms 1 to {len(sites)}")
        fill["basis_types"] = [types.get(site, fill["type"]) for site in sites]
    script.set("system.fill", [*(script.get("system.fill") or []), fill], command)
    script.has_atoms = True


def _before_velocity(script: Script, command: Command) -> None:
    """LAMMPS gives velocities to the atoms there are, with the masses they have then."""
    if "velocity" in script.seen:
        raise command.error("must come before velocity")


def _type(script: Script, command: Command, k: int) -> int:
    value, count = command.integer(k), script.type_count or 0
    if not 1 <= value <= count:
        raise command.error(f"type {value} is outside the types 1 to {count}")
    return value


def read_data(script: Script, command: Command) -> None:
    """Take the atoms of a data file; its number of types is needed for the ranges to come."""
    if len(command.args) > 1:
        raise command.unsupported(f"read_data ... {command.args[1]}",
                                  "give the name of the file alone")
    name = command.at(0)
    script.set("system.file", name, command)
    script.set("system.format", "lammps-data", command)
    script.type_count = _types_of_file(script, command, name)
    script.has_atoms = True
    for key in ("lattice", "constant", "density", "vectors", "basis", "origin", "orient"):
        script.deck["system"].pop(key, None)


def _types_of_file(script: Script, command: Command, name: str) -> int:
    try:
        with (script.path.parent / name).open("rb") as file:
            header = file.read(HEADER_BYTES).decode("latin-1")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise command.error(f"cannot read {script.path.parent / name}: {reason}") from None
    match = re.search(r"^\s*(\d{1,9})\s+atom\s+types\b", header, re.MULTILINE | re.ASCII)
    if not match or not 1 <= int(match[1]) <= 10000:
        raise command.error(f"{name} is not a LAMMPS data file: its header has no line "
                            "'N atom types' with N from 1 to 10000")
    return int(match[1])


def mass(script: Script, command: Command) -> None:
    """Set the mass of one or more types."""
    _before_velocity(script, command)
    command.expect(2)
    value = command.number(1)
    if value <= 0:
        raise command.error(f"mass {value:g} must be greater than 0")
    for t in command.types(0, script.type_count or 0):
        script.masses[t] = value


def set_charge(script: Script, command: Command) -> None:
    """Set the charges of types, or of all atoms."""
    command.expect(4)
    if command.at(2) != "charge":
        raise command.unsupported(f"set ... {command.at(2)}", "mdapp sets charges only; give types "
                                  "in create_atoms or in the data file")
    if command.at(0) == "group":
        command.group_all(1)
        types = range(1, (script.type_count or 0) + 1)
    elif command.at(0) == "type":
        types = command.types(1, script.type_count or 0)
    else:
        raise command.unsupported(f"set {command.at(0)}", "mdapp sets the charges of types: write "
                                  "set type, or give the charges in the data file")
    if not script.charged:
        raise command.error("atoms have no charges: give 'atom_style charge'")
    for t in types:
        script.charges[t] = command.number(3)
    script.lines["system.charges"] = command.line


def velocity(script: Script, command: Command) -> None:
    """Set the initial velocities; LAMMPS's defaults are loop all, dist uniform, mom yes, rot no."""
    command.group_all(0)
    if command.at(1) != "create":
        raise command.unsupported(f"velocity all {command.at(1)}", "mdapp has create; mom yes and "
                                  "rot yes do what zero linear and zero angular do")
    settings: dict[str, object] = {
        "temperature": command.number(2), "seed": command.integer(3), "velocities": "lammps-all",
        "distribution": "uniform", "zero_momentum": True, "zero_rotation": False}
    for k in range(4, len(command.args), 2):
        key = command.args[k]
        if key == "dist":
            settings["distribution"] = command.choice(k + 1, ("uniform", "gaussian"), "dist")
        elif key == "mom":
            settings["zero_momentum"] = command.boolean(k + 1)
        elif key == "rot":
            settings["zero_rotation"] = command.boolean(k + 1)
        elif key == "loop":
            loop = command.choice(k + 1, ("all", "geom"), "loop")
            settings["velocities"] = f"lammps-{loop}"
        elif key != "sum" or command.boolean(k + 1):
            raise command.unsupported(f"velocity ... {key}", "mdapp has dist, mom, rot and "
                                      "loop all|geom, and sum no")
    for key, value in settings.items():
        script.set(f"system.{key}", value, command)
