"""Pair formulas between charges: E_ij = k q_i q_j u(r), and u_0 k q_i^2 of each charge with itself.

Charges belong to atoms, not to types, and k to the units of the run. So the formula and its table
of coefficients are those of two unit charges; the loop multiplies by the charges of the pair, which
lie packed by slots as the types do. The engine hands the charges to the kernel whenever it has
built lists (`accept_charges`, potentials/base.py); they are multiplied by sqrt(k), rounded to the
precision of the pair arithmetic and packed once then, not in every step.

The energy of a charge with itself comes from summations that are cut off and neutralised: it has no
force, but it is part of the energy of the system and of the atom. It counts for atoms of the types
on which the formula acts.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, PairList, Result, Want
from potentials.pair.formula import PairPotential
from potentials.pair.kernel import PairKernel


class ChargedKernel(PairKernel):
    """A formula of unit charges compiled for one precision; see potentials.base.Kernel.

    Parameters
    ----------
    formula, table, cutoff, scale, precision, deterministic : see PairKernel
    own : (ntypes,) energy of a unit charge with itself
    """

    charged = True

    def __init__(self, formula: str, table: NDArray[np.float64], cutoff: float, scale: float,
                 precision: str, deterministic: bool, own: NDArray[np.float64]):
        super().__init__(formula, table, cutoff, scale, precision, deterministic)
        self.own = own
        self.charges: NDArray[np.float64] = np.empty(0)
        self._packed: NDArray[Any] | None = None

    def accept_charges(self, q: NDArray[np.float64], coulomb: float) -> None:
        """Take the charges of the atoms and ghosts of a new list; see potentials.base."""
        self.charges, self._packed = q * np.sqrt(coulomb), None

    def slot_charges(self, pairs: PairList) -> NDArray[Any]:
        """Charges times sqrt(k) by slots, 0 where there is no atom."""
        if self._packed is None:
            slots = pairs.slot_atom
            packed = np.where(slots >= 0, self.charges[slots], 0.0) if len(slots) else np.empty(0)
            self._packed = packed.astype(np.float32 if self.single else np.float64)
        return self._packed

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """Forces to f[:nlocal], and what `want` asks for; see potentials.base.Kernel.compute."""
        result = super().compute(x, type_, nlocal, pairs, f, want, exchange)
        if want is not Want.FORCES and self.own.any():
            energies = self.own[type_[:nlocal]] * self.charges[:nlocal] ** 2
            result.energy += float(energies.sum())
            if result.energies is not None:
                result.energies += energies
        return result


class ChargedPair(PairPotential):
    """Base of the formulas between charges; a subclass is a frozen dataclass.

    Attributes
    ----------
    formula : name of the function of unit charges, of which several styles may have one
    """

    formula: ClassVar[str]
    charges: ClassVar[bool] = True
    shifts = False
    shift = False

    @property
    def registered(self) -> str:
        """The name that its formula is registered under."""
        return self.formula

    def own(self) -> float:
        """Energy of a unit charge with itself."""
        return 0.0

    def kernel(self, table: NDArray[np.float64], span: float, scale: float, precision: str,
               deterministic: bool) -> ChargedKernel:
        """The kernel of a table of coefficients."""
        own = np.where((self.rc > 0).any(axis=1), self.own(), 0.0)
        return ChargedKernel(self.registered, table, span, scale, precision, deterministic, own)
