"""Hafnia under NEP: two elements, some 220 radial neighbours in reach of which 30 are angular.

The model is MatPL's of HfO2 (cutoffs 8 and 4, five functions of thirteen), where a machine has it
(scaling/peers/nep_models.py).
"""

from scaling.peers.learned import learned
from scaling.peers.sizes import Cells

CRYSTAL = """
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
"""

PROBLEM = learned(
    "nep_hfo2", "cubic hafnia at 600 K, NEP (MatPL's HfO2 or its shape), NVE",
    CRYSTAL, "nep", "HfO2.nep.txt",
    Cells("nep_hfo2", 12, "a cube of n x n x n cells of twelve atoms", least=4), 5,
    reduced=2e-4, pressure=1e5, goals=(5.0, 12.0),
)  # fmt: skip
