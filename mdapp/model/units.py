"""The unit systems `lj` and `metal`, with the constants of LAMMPS.

Positions, energies, masses and times are in the units of the run everywhere in the program;
nothing is converted but at the boundary of files.  Four constants tie them together:

    kinetic energy   = 1/2 mvv2e sum m v^2
    temperature      = mvv2e sum m v^2 / (dof boltz)
    pressure         = nktv2p (N boltz T + virial / 3) / V
    energy of charges = qqr2e q_i q_j / r

and an acceleration is ftm2v f / m.  In `metal` these are the values that LAMMPS prints its
thermo lines with, not CODATA's newest: they differ in the seventh digit, and a line that is
compared with LAMMPS to the printed digits needs LAMMPS's.  Source:
https://docs.lammps.org/units.html and the values compiled into LAMMPS 22Jul2025
(`extract_global` returns them).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Units:
    """One unit system.

    Attributes
    ----------
    name : what a deck or a LAMMPS script calls it
    boltz : Boltzmann's constant, energy per temperature
    mvv2e : mass velocity^2 in energies
    nktv2p : energy per volume in pressures
    ftm2v : force time per mass in velocities, 1 / mvv2e
    qqr2e : charge^2 per length in energies, 1 / (4 pi eps0); charges are in e, reduced in lj
    default_timestep : time step where none is given (LAMMPS's)
    default_skin : neighbour skin where none is given (LAMMPS's)
    thermo_normalised : thermo lines show energies per atom (lj) or of the whole system (metal)
    length_label, time_label, ... : names of the units, for headings
    """

    name: str
    boltz: float
    mvv2e: float
    nktv2p: float
    ftm2v: float
    qqr2e: float
    default_timestep: float
    default_skin: float
    thermo_normalised: bool
    length_label: str
    time_label: str
    energy_label: str
    pressure_label: str
    temperature_label: str
    mass_label: str


UNITS: dict[str, Units] = {
    "lj": Units(
        name="lj", boltz=1.0, mvv2e=1.0, nktv2p=1.0, ftm2v=1.0, qqr2e=1.0,
        default_timestep=0.005, default_skin=0.3, thermo_normalised=True,
        length_label="sigma", time_label="tau", energy_label="epsilon",
        pressure_label="epsilon/sigma^3", temperature_label="epsilon/kB", mass_label="m"),
    "metal": Units(
        name="metal", boltz=8.617343e-5, mvv2e=1.0364269e-4, nktv2p=1.6021765e6,
        ftm2v=1.0 / 1.0364269e-4, qqr2e=14.399645,
        default_timestep=0.001, default_skin=2.0, thermo_normalised=False,
        length_label="A", time_label="ps", energy_label="eV",
        pressure_label="bar", temperature_label="K", mass_label="g/mol"),
}
