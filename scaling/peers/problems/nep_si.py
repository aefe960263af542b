"""Silicon under NEP: 28 neighbours in reach, all of them angular, 11 functions of 11.

The model is Si_2022_NEP4_4body of Z. Fan et al. 2022, doi 10.1063/5.0106617, where a machine has it
(scaling/peers/nep_models.py).
"""

from scaling.peers.base import Problem, Tolerance
from scaling.peers.sizes import Cells

SCRIPT = """\
# Silicon crystal, NEP: 8 cells^3 atoms, NVE

variable        cells index 6
variable        steps index 100

units           metal
atom_style      atomic

lattice         diamond 5.431
region          crystal block 0 ${cells} 0 ${cells} 0 ${cells}
create_box      1 crystal
create_atoms    1 box
mass            1 28.0855

pair_style      nep
pair_coeff      * * Si.nep.txt Si

velocity        all create 600.0 376847 loop geom

neighbor        0.5 bin
neigh_modify    delay 0 every 1 check yes

fix             1 all nve
timestep        0.001
thermo          50
run             ${steps}
"""

PROBLEM = Problem(
    name="nep_si",
    title="silicon at 600 K, diamond 5.431, NEP (Si_2022_NEP4_4body or its shape), NVE",
    script=SCRIPT,
    atoms=1_728,
    steps=100,
    variables=Cells("nep_si", 8, "a cube of n x n x n diamond cells", least=3).variables,
    fixed_builds=False,
    tolerance=Tolerance(
        exact_steps=100,
        reduced=5e-5,
        conserved=5e-5,
        fluctuation={"temp": 500.0, "epair": 0.065, "press": 3e4},
        extensive=True,
    ),
    styles=("nep",),
    files=("Si.nep.txt",),
    goals=(6.0, 15.0),
)
