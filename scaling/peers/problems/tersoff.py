"""Tersoff silicon at 1000 K: LAMMPS's benchmark `bench/POTENTIALS/in.tersoff`.

Bond-order silicon of J. Tersoff 1988, doi 10.1103/PhysRevB.37.6991. The diamond
crystal stays solid at the 500 K that are left once half of the heat has become potential energy,
so each atom keeps its four neighbours. LAMMPS has no OPT form of the style.
"""

from scaling.peers.base import Problem, Tolerance
from scaling.peers.sizes import Cells

SCRIPT = """\
# Silicon crystal, tersoff: 32 cells^3 atoms, NVE

variable        cells index 10
variable        steps index 100
variable        long equal 2*${cells}

units           metal
atom_style      atomic

lattice         diamond 5.431
region          crystal block 0 ${long} 0 ${long} 0 ${cells}
create_box      1 crystal
create_atoms    1 box
mass            1 28.06

pair_style      tersoff
pair_coeff      * * Si.tersoff Si

velocity        all create 1000.0 376847 loop geom

neighbor        1.0 bin
neigh_modify    delay 5 every 1 check yes

fix             1 all nve
timestep        0.001
thermo          50
run             ${steps}
"""

# Standard deviations times sqrt(atoms) by LAMMPS: 2048 atoms, the last 1300 of 2000 steps.
PROBLEM = Problem(
    name="tersoff",
    title="silicon at 1000 K, diamond 5.431, Tersoff (Si.tersoff), NVE",
    script=SCRIPT,
    atoms=32_000,
    steps=100,
    variables=Cells("tersoff", 32, "a box of 2n x 2n x n diamond cells", least=1).variables,
    fixed_builds=False,
    tolerance=Tolerance(
        exact_steps=100,
        reduced=2e-5,
        conserved=5e-5,
        fluctuation={"temp": 440.0, "epair": 0.06, "press": 3.2e4},
        extensive=True,
    ),
    files=("Si.tersoff",),
    styles=("tersoff",),
    variants={"lammps": ("plain", "omp")},
    goals=(1.2, 2.0),
)
