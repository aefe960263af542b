"""Tersoff with the repulsion of nuclei at short range: each bond's energy V becomes

    F V + (1 - F) Z_i Z_j e^2 / r phi(r / a),        F = 1 / (1 + exp(-s (r - rc)))
    a   = 0.8854 a0 / (Z_i^0.23 + Z_j^0.23)
    phi = 0.1818 e^-3.2x + 0.5099 e^-0.9423x + 0.2802 e^-0.4029x + 0.02817 e^-0.2016x

with rc = ZBLcut and s = ZBLexpscale of the entry i j j; zeta is that of tersoff. For collisions:
cascades of fast atoms. The constants a0 = 0.529 A and e^2 = 1 / (4 pi 0.00552635) eV A are those
of LAMMPS's metal units.

R. Devanathan, T. Diaz de la Rubia and W. J. Weber, J. Nucl. Mater. 253, 47 (1998); phi:
J. F. Ziegler, J. P. Biersack and U. Littmark, The Stopping and Range of Ions in Matter (Pergamon,
1985), doi 10.1007/978-1-4615-8103-1_3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potentials.threebody import tersoff, tersoff_kernel
from potentials.threebody.entries import Entries, read_entries
from potentials.threebody.kernel import AtomEnergyKernel

FIELDS = (*tersoff.FIELDS, "Z_i", "Z_j", "ZBLcut", "ZBLexpscale")
BOHR = 0.529                                    # A
COULOMB = 1.0 / (4 * math.pi * 0.00552635)      # eV A


@dataclass(frozen=True)
class TersoffZBL(tersoff.Tersoff):
    """The potential of `pair_style tersoff/zbl`."""

    style: str = "tersoff/zbl"

    @staticmethod
    def read(path: Path, elements: Sequence[str]) -> Entries:
        """See `read_tersoff_zbl`."""
        return read_tersoff_zbl(path, elements)

    def compiled(self, precision: str, deterministic: bool = False) -> AtomEnergyKernel:
        """The kernel for one of `precisions`."""
        return tersoff.compiled(self.entries, columns_of(self.entries), self.cutoff, "lambda3",
                                (tersoff_kernel.SCREENED,), precision, deterministic)


def read_tersoff_zbl(path: Path, elements: Sequence[str]) -> Entries:
    """Read a file of entries and check that they make sense.

    Raises
    ------
    FileError : see read_entries; a parameter is out of range
    """
    entries = read_entries(path, elements, FIELDS)
    tersoff.require_tersoff(entries)
    for name in ("Z_i", "Z_j", "ZBLcut", "ZBLexpscale"):
        good = entries.of_pairs(name) > 0
        entries.require(good, name, "must be greater than 0", pairs=True)
        entries.require(entries[name] >= 0, name, "must not be negative")
    return entries


def columns_of(entries: Entries) -> tersoff.Columns:
    """Parameters as the kernel wants them, (ntypes, ntypes, ntypes) each."""
    z_i, z_j = entries["Z_i"], entries["Z_j"]
    return {**tersoff.columns_of(entries),
            tersoff_kernel.CHARGES: COULOMB * z_i * z_j / 2,          # half of a bond is i's
            tersoff_kernel.PER_A: (z_i**0.23 + z_j**0.23) / (0.8854 * BOHR),
            tersoff_kernel.TURN: entries["ZBLcut"], tersoff_kernel.STEEP: entries["ZBLexpscale"]}
