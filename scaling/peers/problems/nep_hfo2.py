"""Hafnia under NEP: two elements, some 220 radial neighbours in reach of which 30 are angular.

The model is MatPL's of HfO2 (cutoffs 8 and 4, five functions of thirteen), where a machine has it
(scaling/peers/nep_models.py).
"""

from scaling.peers.base import Problem, Tolerance
from scaling.peers.sizes import Cells

SCRIPT = """\
# Cubic hafnia, NEP: 12 cells^3 atoms, NVE

variable        cells index 5
variable        steps index 100

units           metal
atom_style      atomic

lattice         custom 5.05 a1 1 0 0 a2 0 1 0 a3 0 0 1 &
                basis 0 0 0 basis 0 0.5 0.5 basis 0.5 0 0.5 basis 0.5 0.5 0 &
                basis 0.25 0.25 0.25 basis 0.25 0.25 0.75 basis 0.25 0.75 0.25 &
                basis 0.25 0.75 0.75 basis 0.75 0.25 0.25 basis 0.75 0.25 0.75 &
                basis 0.75 0.75 0.25 basis 0.75 0.75 0.75
region          crystal block 0 ${cells} 0 ${cells} 0 ${cells}
create_box      2 crystal
create_atoms    1 box basis 5 2 basis 6 2 basis 7 2 basis 8 2 basis 9 2 basis 10 2 &
                basis 11 2 basis 12 2
mass            1 178.49
mass            2 15.999

pair_style      nep
pair_coeff      * * HfO2.nep.txt Hf O

velocity        all create 600.0 376847 loop geom

neighbor        0.5 bin
neigh_modify    delay 0 every 1 check yes

fix             1 all nve
timestep        0.001
thermo          50
run             ${steps}
"""

PROBLEM = Problem(
    name="nep_hfo2",
    title="cubic hafnia at 600 K, NEP (MatPL's HfO2 or its shape), NVE",
    script=SCRIPT,
    atoms=1_500,
    steps=100,
    variables=Cells("nep_hfo2", 12, "a cube of n x n x n cells of twelve atoms", least=4).variables,
    fixed_builds=False,
    tolerance=Tolerance(
        exact_steps=100,
        reduced=2e-4,
        conserved=5e-5,
        fluctuation={"temp": 500.0, "epair": 0.065, "press": 1e5},
        extensive=True,
    ),
    styles=("nep",),
    files=("HfO2.nep.txt",),
    goals=(5.0, 12.0),
)
