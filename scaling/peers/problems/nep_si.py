"""Silicon under NEP: 28 neighbours in reach, all of them angular, 11 functions of 11.

The model is Si_2022_NEP4_4body of Z. Fan et al. 2022, doi 10.1063/5.0106617, where a machine has it
(scaling/peers/nep_models.py).
"""

from scaling.peers.learned import learned
from scaling.peers.sizes import Cells

CRYSTAL = """
units           metal
atom_style      atomic

lattice         diamond 5.431
region          crystal block 0 ${cells} 0 ${cells} 0 ${cells}
create_box      1 crystal
create_atoms    1 box
mass            1 28.0855

pair_style      nep
pair_coeff      * * Si.nep.txt Si
"""

PROBLEM = learned(
    "nep_si", "silicon at 600 K, diamond 5.431, NEP (Si_2022_NEP4_4body or its shape), NVE",
    CRYSTAL, "nep", "Si.nep.txt",
    Cells("nep_si", 8, "a cube of n x n x n diamond cells", least=3), 6,
    reduced=5e-5, pressure=3e4, goals=(6.0, 15.0), goals_mixed=(8.0, 25.0),
)  # fmt: skip
