"""Copper at 1600 K: LAMMPS's benchmark of the embedded-atom method, `bench/in.eam`.

The universal functions of S. M. Foiles, M. I. Baskes and M. S. Daw 1986, doi
10.1103/PhysRevB.33.7983; 38 neighbours within 4.95 A. The crystal begins to melt, and the time step
of 5 fs is long for it: the total energy rises by 6e-4 eV an atom in the first 50 steps, in every
code alike.
"""

from scaling.peers.base import Problem, Tolerance
from scaling.peers.sizes import Cells

SCRIPT = """\
# Copper crystal, EAM: 4 cells^3 atoms, NVE

variable        cells index 20
variable        steps index 100

units           metal
atom_style      atomic

lattice         fcc 3.615
region          crystal block 0 ${cells} 0 ${cells} 0 ${cells}
create_box      1 crystal
create_atoms    1 box

pair_style      eam
pair_coeff      1 1 Cu_u3.eam

velocity        all create 1600.0 376847 loop geom

neighbor        1.0 bin
neigh_modify    delay 5 every 1 check yes

fix             1 all nve
timestep        0.005
thermo          50
run             ${steps}
"""

# Standard deviations times sqrt(atoms) by LAMMPS: 2048 atoms, the last 1000 of 1500 steps.
PROBLEM = Problem(
    name="eam",
    title="copper at 1600 K, fcc 3.615, EAM (Cu_u3.eam), NVE",
    script=SCRIPT,
    atoms=32_000,
    steps=100,
    variables=Cells("eam", 4, "a cube of n x n x n fcc cells", least=3).variables,
    fixed_builds=False,
    tolerance=Tolerance(
        exact_steps=100,
        reduced=5e-6,
        conserved=5e-4,
        fluctuation={"temp": 480.0, "epair": 0.065, "press": 2.1e4},
        extensive=True,
    ),
    files=("Cu_u3.eam",),
    styles=("eam",),
    goals=(2.0, 3.0),
)
