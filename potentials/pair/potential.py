"""What all pair potentials share: coefficients of each pair of types, and the kernel of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from potentials.pair.kernel import PairKernel
from potentials.pair.parameters import Matrix


class OfPairs(ABC):
    """Base of such potentials, frozen dataclasses; see potentials.base.Potential.

    Attributes
    ----------
    style : the name that it goes by
    rc : (ntypes, ntypes) cutoffs, 0 where it does not act
    """

    style: str
    rc: Matrix
    lists: ClassVar[str] = "clusters"
    precisions: ClassVar[tuple[str, ...]] = ("double", "mixed", "single")

    @property
    @abstractmethod
    def known(self) -> Mapping[str, str]:
        """What is not claimed."""

    @property
    def registered(self) -> str:
        """The name that its formula is registered under."""
        return self.style

    @property
    def cutoff(self) -> float:
        """The largest of all pairs."""
        return float(self.rc.max())

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.rc)

    @abstractmethod
    def table(self) -> NDArray[np.float64]:
        """(ntypes, ntypes, n) coefficients of the formula, the squared cutoff first."""

    def functions(self) -> NDArray[np.float64] | None:
        """(n,) tabulated functions, for a formula that looks them up."""
        return None

    @abstractmethod
    def strength(self) -> Matrix:
        """Typical forces, which set the units of deterministic sums."""

    def compiled(self, precision: str, deterministic: bool = False, span: float = 0.0
                 ) -> PairKernel:
        """The kernel for one of `precisions`.

        span : cutoff of the lists, where they are made for one that is longer than this
        """
        acts = self.rc > 0
        with np.errstate(all="ignore"):
            table, strength = self.table(), self.strength()
        table = np.where(acts[..., None], table, 0.0)
        strongest = float(np.max(strength[acts & np.isfinite(strength)], initial=0.0)) or 1.0
        scale = 2.0 ** np.ceil(np.log2(strongest))
        return self.kernel(table, max(self.cutoff, span), scale, precision, deterministic)

    def kernel(self, table: NDArray[np.float64], span: float, scale: float, precision: str,
               deterministic: bool) -> PairKernel:
        """The kernel of a table of coefficients; see PairKernel."""
        return PairKernel(self.registered, table, span, scale, precision, deterministic,
                          self.functions())
