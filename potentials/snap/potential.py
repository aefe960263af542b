"""Spectral neighbour analysis potential (SNAP): two files and the elements of the types.

A. P. Thompson et al. 2015, doi 10.1016/j.jcp.2014.12.018; quadratic: M. A. Wood and A. P. Thompson
2018, doi 10.1063/1.5017641; explicit elements: M. A. Cusentino et al. 2020,
doi 10.1021/acs.jpca.0c02450.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from potentials.files import find_file
from potentials.snap.files import (
    Coefficients,
    Parameters,
    chosen,
    read_coefficients,
    read_parameters,
    terms_of,
)
from potentials.snap.indices import halves, self_terms
from potentials.snap.kernel import SNAPKernel
from potentials.snap.passes import Model
from potentials.snap.products import couplings


@dataclass(frozen=True)
class SNAP:
    """A spectral neighbour analysis potential; see potentials.base.Potential.

    Attributes
    ----------
    parameters, coefficients : what the files say
    rows : of the coefficients, one a type; with explicit elements, triples are in the order of the
        file, whatever that of the types is (LAMMPS takes the order of pair_coeff for that of the
        file, which must therefore be the same)
    files : that they were read from
    """

    parameters: Parameters
    coefficients: Coefficients
    rows: tuple[int, ...]
    files: tuple[str, ...] = ()
    style: str = "snap"
    lists: str = "full"
    precisions: tuple[str, ...] = ("double", "mixed", "single")

    @property
    def cutoff(self) -> float:
        """The largest of two atoms."""
        return float(2 * self.coefficients.radius[list(self.rows)].max() * self.parameters.rcutfac)

    @property
    def ntypes(self) -> int:
        """Number of atom types."""
        return len(self.rows)

    @property
    def known(self) -> Mapping[str, str]:
        """Without a switching function, neighbours appear at the cutoff with their full weight."""
        if self.parameters.flags["switchflag"]:
            return {}
        return {"continuous_energy": "switchflag 0: neighbors are not switched off at the cutoff",
                "continuous_force": "switchflag 0: neighbors are not switched off at the cutoff"}

    @classmethod
    def from_options(cls, ntypes: int, *, file: Sequence[str],
                     species: Sequence[str] | str = ()) -> SNAP:
        """From a coefficient and a parameter file; `species` are elements, one a type.

        Raises
        ------
        ValueError : a file is missing or cannot be used
        """
        if isinstance(file, str) or len(file) != 2:
            raise ValueError(f"file = {file!r}: must be two names, of the coefficients and the "
                             'parameters, such as ["W.snapcoeff", "W.snapparam"]')
        names = [species] if isinstance(species, str) else list(species)
        if len(names) != ntypes:
            raise ValueError(f"species = {names}: {ntypes} atom types need an element each")
        first, second = find_file(file[0]), find_file(file[1])
        parameters = read_parameters(second)
        coefficients = read_coefficients(first, parameters)
        rows = chosen(first, coefficients, names)
        return cls(parameters, coefficients, tuple(rows), (str(first), str(second)))

    def compiled(self, precision: str, deterministic: bool = False) -> SNAPKernel:
        """The kernel for one of `precisions`."""
        p, flags = self.parameters, self.parameters.flags
        if precision not in self.precisions:
            raise ValueError(f"precision {precision!r}: snap has {', '.join(self.precisions)}")
        channels = len(self.coefficients.names) if flags["chemflag"] else 1
        coupled = couplings(p.twojmax, channels, flags["bnormflag"])
        return SNAPKernel(self._model(channels), halves(p.twojmax), coupled, precision,
                          deterministic)

    def _model(self, channels: int) -> Model:
        p, c, flags = self.parameters, self.coefficients, self.parameters.flags
        rows = np.array(self.rows)
        nterms = len(terms_of(p, len(c.names)))
        channel = rows if channels > 1 else np.zeros_like(rows)
        to_all = flags["wselfallflag"]
        own = np.ones((len(rows), channels)) if to_all else np.eye(channels)[channel]
        shift = np.zeros((len(rows), nterms))
        if flags["bzeroflag"]:
            shift = np.stack([self_terms(p.twojmax, channels, flags["bnormflag"], e, to_all)
                              for e in channel])
        constant, beta = c.beta[rows, 0].copy(), c.beta[rows, 1:nterms + 1].copy()
        alpha = np.zeros((0, 0, 0))
        if flags["quadraticflag"]:
            alpha = np.zeros((len(rows), nterms, nterms))
            upper = np.triu_indices(nterms)
            alpha[:, upper[0], upper[1]] = c.beta[rows, nterms + 1:]
            alpha[:, upper[1], upper[0]] = c.beta[rows, nterms + 1:]
        else:
            constant -= (beta * shift).sum(axis=1)
        radius = c.radius[rows]
        return Model(channel.astype(np.int64), c.weight[rows], p.rcutfac * np.add.outer(
            radius, radius), own, constant, beta, shift, alpha, p.rfac0, p.rmin0,
            flags["switchflag"])
