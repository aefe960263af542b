"""Stillinger-Weber silicon at 1000 K: LAMMPS's benchmark `bench/POTENTIALS/in.sw`.

Two- and three-body silicon of F. H. Stillinger and T. A. Weber 1985, doi 10.1103/PhysRevB.31.5262.
The diamond crystal stays solid at the 500 K that are left once half of the heat has become
potential energy, so each atom keeps its four neighbours. LAMMPS has no OPT form of the style.
"""

from scaling.peers.silicon import silicon

# Standard deviations times sqrt(atoms) by LAMMPS: 2048 atoms, the last 1300 of 2000 steps.
PROBLEM = silicon("sw", "Stillinger-Weber", {"temp": 800.0, "epair": 0.11, "press": 1.0e4})
