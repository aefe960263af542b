"""A committee of models: one drives the run, and all are asked how much they disagree.

Models that were fitted to the same data from different starts agree where the data are, and drift
apart where they extrapolate. The spread of their forces is the usual estimate of a model's error,
and of which structures are worth adding to its data (Y. Zhang et al. 2020,
doi 10.1016/j.cpc.2020.107206).

The first part of the table `[[potential.part]]` gives the forces of the run; the others are
evaluated only when a deviation is asked for, on the same lists, which reach as far as the farthest
of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potentials.base import Exchange, PairList, Result, Want
from potentials.hybrid import Hybrid, HybridKernel, Make, OneForm


@dataclass(frozen=True)
class Committee(Hybrid):
    """Models of the same atoms; see potentials.base.Potential."""

    @classmethod
    def of_parts(cls, ntypes: int, part: object, species: Sequence[str], make: Make) -> Committee:
        """From the tables of the parts; `make` makes a potential of one.

        Raises
        ------
        ValueError : a table cannot be used, or there are fewer than two
        """
        if isinstance(part, Sequence) and len(part) == 1:
            raise ValueError("one part: a committee needs two or more, to disagree")
        return cls.from_options(ntypes, part, species, "committee", make)

    @property
    def known(self) -> Mapping[str, str]:
        """What the driving model does not claim, and what no rank count or order may spoil."""
        shared = ("ranks", "deterministic")
        return dict(self.parts[0].known) | {
            key: text for key, text in super().known.items() if key in shared}

    def compiled(self, precision: str, deterministic: bool = False) -> CommitteeKernel:
        """The kernels of the parts for one precision."""
        return CommitteeKernel(self.kernels(precision, deterministic),
                               [part.lists for part in self.parts])


class CommitteeKernel(HybridKernel):
    """Kernels of which the first drives; see potentials.base.Kernel."""

    def compute(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, f: NDArray[np.float64], want: Want, exchange: Exchange
                ) -> Result:
        """What the first model says; see potentials.base.Kernel.compute."""
        return self.kernels[0].compute(x, type_, nlocal, OneForm(pairs, self.forms[0]), f, want,
                                       exchange)

    def answers(self, x: NDArray[np.float64], type_: NDArray[np.int32], nlocal: int,
                pairs: PairList, exchange: Exchange
                ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What all models say of the same atoms; collective.

        Returns
        -------
        forces : (models, nlocal, 3) float64
        virials : (models, 6) float64, this rank's shares
        """
        forces, virials = np.empty((len(self.kernels), nlocal, 3)), np.empty((len(self.kernels), 6))
        f = np.empty((len(x), 3))
        for k, (kernel, form) in enumerate(zip(self.kernels, self.forms, strict=True)):
            result = kernel.compute(x, type_, nlocal, OneForm(pairs, form), f, Want.TOTALS,
                                    exchange)
            forces[k], virials[k] = f[:nlocal], result.virial
        return forces, virials
