"""Tersoff silicon at 1000 K: LAMMPS's benchmark `bench/POTENTIALS/in.tersoff`.

Bond-order silicon of J. Tersoff 1988, doi 10.1103/PhysRevB.37.6991. The diamond
crystal stays solid at the 500 K that are left once half of the heat has become potential energy,
so each atom keeps its four neighbours. LAMMPS has no OPT form of the style.
"""

from scaling.peers.silicon import silicon

# Standard deviations times sqrt(atoms) by LAMMPS: 2048 atoms, the last 1300 of 2000 steps.
PROBLEM = silicon("tersoff", "Tersoff", {"temp": 440.0, "epair": 0.06, "press": 3.2e4})
