"""Tungsten under SNAP with 2 J = 8 and a ZBL core: dear pairs, few atoms.

Coefficients of M. A. Wood and A. P. Thompson 2017, arXiv:1702.07042, as LAMMPS distributes them;
58 neighbours with the skin, 56 components of the bispectrum. Time goes into their derivatives and
nowhere else. The style has no OPT or OPENMP form in LAMMPS.
"""

from scaling.peers.base import Problem, Tolerance
from scaling.peers.sizes import Cells

SCRIPT = """\
# Tungsten crystal, SNAP and ZBL: 2 cells^3 atoms, NVE

variable        cells index 10
variable        steps index 100

units           metal
atom_style      atomic

lattice         bcc 3.1803
region          crystal block 0 ${cells} 0 ${cells} 0 ${cells}
create_box      1 crystal
create_atoms    1 box
mass            1 183.84

pair_style      hybrid/overlay zbl 4.0 4.8 snap
pair_coeff      1 1 zbl 74 74
pair_coeff      * * snap W_2940_2017_2.snapcoeff W_2940_2017_2.snapparam W

velocity        all create 300.0 4928459 loop geom

neighbor        1.0 bin
neigh_modify    delay 0 every 1 check yes

fix             1 all nve
timestep        0.0005
thermo          50
run             ${steps}
"""

# Standard deviations times sqrt(atoms) by LAMMPS: 128 atoms, the last 1000 of 1500 steps.
PROBLEM = Problem(
    name="snap",
    title="tungsten at 300 K, bcc 3.1803, SNAP 2J = 8 (W_2940_2017_2) and ZBL, NVE",
    script=SCRIPT,
    atoms=2_000,
    steps=100,
    variables=Cells("snap", 2, "a cube of n x n x n bcc cells", least=4).variables,
    fixed_builds=False,
    tolerance=Tolerance(
        exact_steps=100,
        # The pressure, 3000 bar, is what pair virials of 7e5 bar leave. In the perfect crystal of
        # step 0 all atoms round alike: single precision is 0.3 bar off, 4e-7 of these virials.
        reduced=2e-4,
        conserved=5e-5,
        fluctuation={"temp": 320.0, "epair": 0.041, "press": 1.2e4},
        extensive=True,
    ),
    files=("W_2940_2017_2.snapcoeff", "W_2940_2017_2.snapparam"),
    styles=("hybrid/overlay", "zbl", "snap"),
    variants={"lammps": ("plain",)},
    goals=(1.5, 4.0),
)
