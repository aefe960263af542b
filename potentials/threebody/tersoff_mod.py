"""Modified Tersoff (MOD): the sum of tersoff with other functions of angles and of the bond order,

    b_ij = (1 + (beta_ters zeta_ij)^eta)^(-1 / 2n)
    g    = c1 + c2 h^2 / (c3 + h^2) [1 + c4 exp(-c5 h^2)],     h = cos theta - cos theta0
    fc   = 1/2 - 9/16 sin x - 1/16 sin 3x,                     x = pi/2 (r - R) / D

and exp((alpha (r_ij - r_ik))^beta) in zeta. The switch fc has three continuous derivatives, that of
tersoff one. It was fitted to the elastic constants and the melting point of silicon. cos theta0 is
`h` of a file; beta outside of alpha's power, as in the paper, is the same for beta = 1, its value.

T. Kumagai, S. Izumi, S. Hara and S. Sakai, Comput. Mater. Sci. 39, 457 (2007), doi
10.1016/j.commatsci.2006.07.013.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potentials.threebody import tersoff_kernel as kernel
from potentials.threebody.entries import Entries, read_entries
from potentials.threebody.kernel import AtomEnergyKernel
from potentials.threebody.tersoff import Columns, Tersoff, bonds, compiled, require_bonds

FIELDS = ("beta", "alpha", "h", "eta", "beta_ters", "lambda2", "B", "R", "D", "lambda1", "A", "n",
          "c1", "c2", "c3", "c4", "c5")


@dataclass(frozen=True)
class TersoffMod(Tersoff):
    """The potential of `pair_style tersoff/mod`."""

    style: str = "tersoff/mod"

    @staticmethod
    def read(path: Path, elements: Sequence[str]) -> Entries:
        """See `read_tersoff_mod`."""
        return read_tersoff_mod(path, elements)

    def compiled(self, precision: str, deterministic: bool = False) -> AtomEnergyKernel:
        """The kernel for one of `precisions`."""
        return compiled(self.entries, columns_of(self.entries), self.cutoff, "alpha",
                        (kernel.MODIFIED,), precision, deterministic)


def read_tersoff_mod(path: Path, elements: Sequence[str]) -> Entries:
    """Read a file of entries and check that they make sense.

    Raises
    ------
    FileError : see read_entries; a parameter is out of range
    """
    entries = read_entries(path, elements, FIELDS)
    entries.require_one_of("beta", (1, 3))
    require_bonds(entries, powers=("n", "eta"))
    for name in ("beta_ters", "c5"):
        entries.require(entries[name] >= 0, name, "must not be negative")
    entries.require(entries["c3"] > 0, "c3", "must be greater than 0: it divides")
    return entries


def columns_of(entries: Entries) -> Columns:
    """Parameters as the kernel wants them, (ntypes, ntypes, ntypes) each."""
    return {**bonds(entries, "beta", "alpha", "eta", "n"),
            kernel.BETA: entries["beta_ters"], kernel.COSINE: entries["h"],
            kernel.SCALE: entries["c1"], kernel.C2: entries["c2"], kernel.D2: entries["c3"],
            kernel.C4: entries["c4"], kernel.C5: entries["c5"]}
