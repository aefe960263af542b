"""Commands that set up the run itself: units, forces, neighbour lists, output, and `run`."""

from __future__ import annotations

from typing import get_args

from mdapp.deck.fields import THERMO_ONE, DumpColumn, ThermoColumn
from mdapp.deck.messages import nearest
from mdapp.lammps.command import Command
from mdapp.lammps.lexer import substitute
from mdapp.lammps.pair import PairStyles
from mdapp.lammps.script import Script
from mdapp.model.units import UNITS


def units(script: Script, command: Command) -> None:
    """Set the unit system, which decides the defaults and what the lattice scale means."""
    command.expect(1)
    late = [name for name in ("lattice", "timestep", "neighbor", "thermo_modify")
            if name in script.seen]
    if late:
        raise command.error(f"must come before {late[0]}, which depends on the units")
    script.units = command.choice(0, UNITS, "unit system")
    script.lines["units"] = command.line


def dimension(script: Script, command: Command) -> None:
    """Take the only number of dimensions there is."""
    command.expect(1)
    if command.at(0) != "3":
        raise command.unsupported(f"dimension {command.at(0)}", "mdapp has three dimensions")


def boundary(script: Script, command: Command) -> None:
    """Set periodic (p) and open (f) axes.

    LAMMPS stops a run in which an atom leaves through a side f, so every run that it finishes is
    the same here, where such an atom stays in the run.
    """
    command.expect(3)
    for word in command.args:
        if word in ("s", "m"):
            raise command.unsupported(
                f"boundary {word}", "mdapp does not shrink a box around its atoms, which would "
                "change vol and press; write f: atoms that leave stay in the run, and the box "
                "keeps the size given")
        if word not in ("p", "f"):
            raise command.unsupported(f"boundary {word}", "each axis is p or f, on both sides")
    script.set("system.boundary", " ".join(command.args), command)


def atom_style(script: Script, command: Command) -> None:
    """Note whether atoms have charges."""
    command.expect(1)
    if command.at(0) not in ("atomic", "charge"):
        raise command.unsupported(f"atom_style {command.at(0)}", "mdapp has atom_style atomic and "
                                  "charge: no bonds or shapes")
    script.charged = command.at(0) == "charge"


def atom_modify(script: Script, command: Command) -> None:
    """Note that the order and the lookup of atoms are no matter of the user here."""
    if command.at(0) not in ("map", "sort"):
        raise command.unsupported(f"atom_modify {command.at(0)}", "remove it")
    script.note(command, "no effect: mdapp sorts atoms and finds them by id as it needs to")


def newton(script: Script, command: Command) -> None:
    """Note that Newton's third law holds either way."""
    command.expect(1, 2)
    for k in range(len(command.args)):
        command.boolean(k)
    script.note(command, "no effect: it chooses how LAMMPS shares work, not what is computed")


def processors(script: Script, command: Command) -> None:
    """Set the grid of ranks; three * leave it to mdapp."""
    command.expect(3)
    stars = command.args.count("*")
    if stars == 3:
        return
    if stars:
        raise command.error("give three numbers or three *: mdapp does not complete a grid")
    script.set("run.grid", [command.integer(k) for k in range(3)], command)


def pair_style(script: Script, command: Command) -> None:
    """Start the potential; pair_coeff and pair_modify add to it."""
    if script.pair is not None:
        raise command.error("there is a pair style already, and mdapp has one a run")
    if "zbl" in command.args and script.units != "metal":
        raise command.error(f"zbl knows eV and Angstrom, not the units {script.units}; give "
                            "'units metal'")
    script.pair = PairStyles.make(command)


def pair_coeff(script: Script, command: Command) -> None:
    """Set the coefficients of pairs of types."""
    if script.pair is None:
        raise command.error("needs a pair_style command before it")
    script.pair.coeff(command, script.type_count or 0)
    script.masses |= script.pair.masses()


def pair_modify(script: Script, command: Command) -> None:
    """Set the mixing rule and the energy shift."""
    if script.pair is None:
        raise command.error("needs a pair_style command before it")
    command.at(0)
    script.pair.modify(command)


def neighbor(script: Script, command: Command) -> None:
    """Set the skin."""
    command.expect(2)
    script.set("neighbors.skin", command.number(0), command)
    if command.at(1) != "bin":
        raise command.unsupported(f"neighbor ... {command.at(1)}", "write bin; the lists hold the "
                                                                   "same pairs")


def neigh_modify(script: Script, command: Command) -> None:
    """Set when lists are rebuilt."""
    command.at(0)
    for k in range(0, len(command.args), 2):
        key = command.args[k]
        if key in ("every", "delay"):
            script.set(f"neighbors.{key}", command.integer(k + 1), command)
        elif key == "check":
            script.set("neighbors.check", command.boolean(k + 1), command)
        elif key in ("one", "page", "binsize"):
            raise command.unsupported(f"neigh_modify {key}", "remove it: lists grow as they need")
        else:
            raise command.unsupported(f"neigh_modify {key}", "mdapp has every, delay and check")


def fix(script: Script, command: Command) -> None:
    """Take the one integrator, once."""
    style = command.at(2)
    if style != "nve":
        raise command.unsupported(f"fix {style}", "mdapp integrates at constant energy, "
                                                  "'fix 1 all nve'")
    command.expect(3)
    command.group_all(1)
    if script.integrator_line is not None:
        raise command.error(f"line {script.integrator_line} integrates all atoms already")
    script.integrator_line = command.line
    script.set("run.ensemble", "nve", command)


def timestep(script: Script, command: Command) -> None:
    """Set the time step."""
    command.expect(1)
    script.set("run.timestep", command.number(0), command)


def thermo(script: Script, command: Command) -> None:
    """Set the steps between thermo lines; 0, the default, means the first and the last step."""
    command.expect(1)
    script.set("thermo.every", command.integer(0), command)


def thermo_style(script: Script, command: Command) -> None:
    """Set the columns of a thermo line."""
    style = command.choice(0, ("one", "custom"), "style")
    if style == "one":
        command.expect(1)
        columns: list[str] = list(THERMO_ONE)
    else:
        columns = [_column(command, k, get_args(ThermoColumn))
                   for k in range(1, max(2, len(command.args)))]
    script.set("thermo.columns", columns, command)


def thermo_modify(script: Script, command: Command) -> None:
    """Take what asks for the behaviour that mdapp has anyway."""
    normalised = UNITS[script.units].thermo_normalised
    command.at(0)
    for k in range(0, len(command.args), 2):
        key, value = command.args[k], command.at(k + 1)
        if key == "norm":
            if command.boolean(k + 1) != normalised:
                raise command.unsupported(
                    f"thermo_modify norm {value}", f"in {script.units} units energies are "
                    f"{'per atom' if normalised else 'of the whole system'}; remove it")
        elif (key, value) != ("lost", "error"):
            raise command.unsupported(f"thermo_modify {key} {value}", "mdapp has norm as LAMMPS's "
                                      "default for the units and lost error; remove it")


def dump(script: Script, command: Command) -> None:
    """Add an output of snapshots."""
    name, style, file = command.at(0), command.at(2), command.at(4)
    command.group_all(1)
    if name in script.dumps:
        raise command.error(f"there is a dump '{name}' already")
    if style not in ("atom", "custom"):
        raise command.unsupported(f"dump {style}", "mdapp has atom and custom")
    if any(c in file for c in "*%") or file.endswith((".gz", ".zst", ".bin")):
        raise command.error(f"file '{file}': mdapp writes all snapshots as text into one file, "
                            "without * or % in its name and not compressed")
    output: dict[str, object] = {"kind": style, "every": command.integer(3), "file": file}
    if style == "custom":
        output["columns"] = [_column(command, k, get_args(DumpColumn))
                             for k in range(5, max(6, len(command.args)))]
    else:
        command.expect(5)
    script.dumps.add(name)
    script.lines[f"output.{len(script.deck.setdefault('output', []))}"] = command.line
    script.deck["output"].append(output)


def _column(command: Command, k: int, known: tuple[str, ...]) -> str:
    word = command.at(k)
    if word.startswith(("c_", "f_", "v_")):
        raise command.error(f"column '{word}' is not supported: computes, fixes and variables are "
                            f"no columns here; there are {', '.join(known)}")
    if word not in known:
        hint = nearest(word, known)
        instead = f"did you mean {hint}?" if hint else f"there are {', '.join(known)}"
        raise command.error(f"column '{word}' is not supported; {instead}")
    return word


def variable(script: Script, command: Command) -> None:
    """Define a variable."""
    name, style, values = command.at(0), command.at(1), list(command.args[2:])
    if style == "string":
        # LAMMPS replaces variables in the value of a string variable even within its quotes.
        values = [substitute(value, script.variables) for value in values]
    script.variables.define(name, style, values)


def run(script: Script, command: Command) -> None:
    """Add to the number of steps: runs with nothing between them are one run."""
    if len(command.args) > 1:
        raise command.unsupported(f"run ... {command.args[1]}", "give the number of steps alone")
    steps = command.integer(0)
    if steps < 0:
        raise command.error(f"{steps} steps: there must be 0 or more")
    script.set("run.steps", (script.get("run.steps") or 0) + steps, command)
