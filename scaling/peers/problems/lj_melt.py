"""The Lennard-Jones melt: the field's common benchmark.

A perfect fcc crystal at liquid density, heated to T* = 1.44, melts within a few hundred steps; one
type of atom, cutoff 2.5 sigma, NVE. These are the parameters of LAMMPS's benchmark `bench/in.lj`,
for which logs of many machines are public.

Lists are built every 20 steps without a look at how far atoms have moved, and at this temperature
that is a little late: some pairs enter the cutoff unseen. With lists built in time, LAMMPS itself
has T* = 0.75745998 at step 100 instead of 0.7574531. Two codes agree to the digits only
if their lists end at the same distance, which is a sharp test of "the same physics".
"""

from scaling.peers.base import Problem, Tolerance
from scaling.peers.sizes import Cells

SCRIPT = """\
# Lennard-Jones melt: 4 cells^3 atoms, NVE

variable        cells index 20
variable        steps index 100

units           lj
atom_style      atomic

lattice         fcc 0.8442
region          melt block 0 ${cells} 0 ${cells} 0 ${cells}
create_box      1 melt
create_atoms    1 box
mass            1 1.0

velocity        all create 1.44 87287 loop geom

pair_style      lj/cut 2.5
pair_coeff      1 1 1.0 1.0 2.5

neighbor        0.3 bin
neigh_modify    delay 0 every 20 check no

fix             1 all nve
run             ${steps}
"""


# Standard deviations times sqrt(atoms), measured over 3200 steps of 4000 atoms after the melting:
# 0.37, 0.56 and 2.7. The total energy wandered by 8e-5 (one standard deviation) in that run.
PROBLEM = Problem(
    name="lj_melt",
    title="Lennard-Jones melt, fcc 0.8442, T* = 1.44, cutoff 2.5, NVE",
    script=SCRIPT,
    atoms=32_000,
    steps=100,
    variables=Cells("lj_melt", 4, "a cube of n x n x n fcc cells", least=3).variables,
    fixed_builds=True,
    tolerance=Tolerance(
        exact_steps=100,
        reduced=5e-6,
        conserved=5e-4,
        fluctuation={"temp": 0.4, "epair": 0.6, "press": 3.0},
    ),
    styles=("lj/cut",),
)
