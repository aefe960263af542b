"""The commands that mdapp takes from LAMMPS scripts, and what to do instead of some it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mdapp.lammps import atoms, settings
from mdapp.lammps.command import Command
from mdapp.lammps.script import Script


class When(Enum):
    """At which point of a script LAMMPS takes a command."""

    ANY_TIME = "any time"
    BEFORE_BOX = "before the box is made by create_box or read_data"
    WITH_BOX = "after the box is made by create_box or read_data"
    WITH_ATOMS = "after the atoms are made by create_atoms or read_data"


@dataclass(frozen=True)
class Supported:
    """A command: the function that takes it, its form, and when it may come."""

    take: Callable[[Script, Command], None]
    usage: str
    when: When = When.ANY_TIME


BEFORE, BOX, ATOMS = When.BEFORE_BOX, When.WITH_BOX, When.WITH_ATOMS

COMMANDS: dict[str, Supported] = {
    "units": Supported(settings.units, "units lj|metal", BEFORE),
    "dimension": Supported(settings.dimension, "dimension 3", BEFORE),
    "boundary": Supported(settings.boundary, "boundary p|f p|f p|f", BEFORE),
    "atom_style": Supported(settings.atom_style, "atom_style atomic|charge",
                            BEFORE),
    "atom_modify": Supported(settings.atom_modify, "atom_modify map|sort ..."),
    "newton": Supported(settings.newton, "newton on|off [on|off]", BEFORE),
    "processors": Supported(settings.processors, "processors Px Py Pz", BEFORE),
    "variable": Supported(settings.variable, "variable NAME index|string|equal VALUE ..."),
    "lattice": Supported(atoms.lattice, "lattice sc|bcc|fcc|diamond|custom SCALE [origin X Y Z] "
                         "[orient x|y|z I J K] [a1|a2|a3 X Y Z] [basis X Y Z] ..."),
    "region": Supported(atoms.region, "region ID block XLO XHI YLO YHI ZLO ZHI "
                        "[units lattice|box] [side in]"),
    "create_box": Supported(atoms.create_box, "create_box N REGION", BEFORE),
    "create_atoms": Supported(atoms.create_atoms, "create_atoms TYPE box|region [REGION] "
                              "[basis M TYPE] ...", BOX),
    "read_data": Supported(atoms.read_data, "read_data FILE", BEFORE),
    "mass": Supported(atoms.mass, "mass TYPES VALUE", BOX),
    "set": Supported(atoms.set_charge, "set type TYPES|group all charge Q", ATOMS),
    "velocity": Supported(atoms.velocity, "velocity all create T SEED [dist uniform|gaussian] "
                          "[mom yes|no] [rot yes|no] [loop all|geom] [sum no]", ATOMS),
    "pair_style": Supported(settings.pair_style, "pair_style STYLE ..."),
    "pair_coeff": Supported(settings.pair_coeff, "pair_coeff TYPES TYPES ...", BOX),
    "pair_modify": Supported(settings.pair_modify, "pair_modify [shift yes|no] "
                             "[mix geometric|arithmetic|sixthpower] [tail no]"),
    "neighbor": Supported(settings.neighbor, "neighbor SKIN bin"),
    "neigh_modify": Supported(settings.neigh_modify, "neigh_modify [every N] [delay N] "
                              "[check yes|no]"),
    "fix": Supported(settings.fix, "fix ID all nve", BOX),
    "timestep": Supported(settings.timestep, "timestep DT"),
    "thermo": Supported(settings.thermo, "thermo N"),
    "thermo_style": Supported(settings.thermo_style, "thermo_style one|custom COLUMN ..."),
    "thermo_modify": Supported(settings.thermo_modify, "thermo_modify [norm yes|no] [lost error]"),
    "dump": Supported(settings.dump, "dump ID all atom|custom N FILE [COLUMN ...]", BOX),
    "run": Supported(settings.run, "run N", ATOMS),
}

AFTER_RUN = ("run", "variable")     # what may follow a run: neither changes what is computed

_ATOMIC = "mdapp has atoms without bonds"
_LONG = "mdapp has no long-range forces; pair_style coul/dsf does without"
_LOOP = "mdapp runs a script once from top to bottom; write a shell loop with -var or --set"
_LOOKS = "remove it: it changes what LAMMPS prints, not what it computes"
_FASTER = "remove it: mdapp has one kernel, the fast one; threads come from --set run.threads=N"

INSTEAD: dict[str, str] = {
    **dict.fromkeys(("bond_style", "bond_coeff", "angle_style", "angle_coeff", "dihedral_style",
                     "dihedral_coeff", "improper_style", "improper_coeff", "special_bonds",
                     "molecule", "create_bonds"), _ATOMIC),
    **dict.fromkeys(("kspace_style", "kspace_modify"), _LONG),
    **dict.fromkeys(("jump", "label", "next", "if", "include", "clear", "quit", "shell", "python",
                     "partition"), _LOOP),
    **dict.fromkeys(("print", "echo", "log", "info", "timer"), _LOOKS),
    **dict.fromkeys(("package", "suffix", "accelerator"), _FASTER),
    "dielectric": "mdapp has a dielectric constant of 1; divide the charges by its square root",
    "group": "mdapp has no groups but all",
    "compute": "temp, press, pe and ke are columns of thermo_style custom",
    "uncompute": "there are no computes to remove",
    "unfix": "split the script: mdapp runs one set-up a script",
    "undump": "remove it: dumps end with the run",
    "dump_modify": "give the columns in dump custom; snapshots are not changed otherwise",
    "run_style": "remove it: mdapp integrates with velocity Verlet",
    "reset_timestep": "remove it: mdapp counts steps from 0",
    "minimize": "mdapp integrates in time only",
    "min_style": "mdapp integrates in time only",
    "displace_atoms": "move the atoms in the data file",
    "delete_atoms": "leave them out of create_atoms or of the data file",
    "replicate": "write the larger system to the data file, or use a lattice with more cells",
    "change_box": "give the box in region or in the data file",
    "read_restart": "write a data file with LAMMPS's write_data and use read_data",
    "read_dump": "write a data file and use read_data",
    "write_data": "use dump to write positions and velocities",
    "write_dump": "use dump",
    "write_restart": "set checkpoint.every in a deck, or --set checkpoint.every=N",
    "restart": "set checkpoint.every in a deck, or --set checkpoint.every=N",
    "comm_modify": "remove it: mdapp takes the range of ghosts from the cutoff",
    "comm_style": "remove it: mdapp has one way to communicate",
    "balance": "remove it: mdapp has planes of even spacing",
    "rerun": "use mdapp eval on each structure",
    "delete_bonds": _ATOMIC,
}


def supported_commands() -> dict[str, str]:
    """Return the form of each supported command, by name, in the order of a script."""
    return {name: command.usage for name, command in COMMANDS.items()}
