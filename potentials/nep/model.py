"""A neuroevolution potential as its file says it: shapes, cutoffs, networks, coefficients.

With T elements, radial functions n = 0..n_max[0], angular ones n = 0..n_max[1], basis functions
k = 0..basis_size, degrees l = 1..l_max and F flags that are set, a descriptor has

    dim = n_max[0] + 1 + (n_max[1] + 1) (l_max + F)

components: the radial ones, then those of each l, then those of each flag; n runs fastest. Energy
of an atom: sum_m w1_m tanh(sum_d w0_md scaler_d q_d - b0_m) - bias of its element.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
FLAGS = ("222", "1111", "112", "123", "233", "134")      # products of degrees, in a file's order
LEAST_L = (2, 1, 2, 3, 3, 4)                             # the largest degree in each of them
LARGEST_L = 8


@dataclass(frozen=True)
class ZBLSection:
    """Repulsion of nuclei at short distances.

    Attributes
    ----------
    inner, outer : radii of the switch in Angstrom; both 0 where `rows` holds them
    factor : of the sum of two elements' radii, the outer radius if it is smaller; None: not so
    rows : (T (T + 1) / 2, 10) float64, of the pairs 11 12 .. 1T 22 ..: inner and outer radius, four
        times a weight and a decay; None: the universal ones
    """

    inner: float
    outer: float
    factor: float | None = None
    rows: Array | None = None


@dataclass(frozen=True)
class NEPModel:
    """A model; arrays are float64, lengths in Angstrom, energies in eV.

    Attributes
    ----------
    version : 3, 4 or 5; 3 has one network for all elements
    elements : symbols
    radial_cutoff, angular_cutoff : (T,) of each element; that of a pair is the mean of two
    n_max, basis_size : of the radial and the angular functions
    l_max : degree of the spherical harmonics
    flags : whether the components of FLAGS are there
    w0 : (T, M, dim), of M neurons; (1, M, dim) in version 3
    b0, w1 : (T, M) or (1, M)
    bias : of all elements
    own_bias : (T,), of each, beside it; None: there are none
    c_radial : (n_max[0] + 1, basis_size[0] + 1, T, T), the third index is that of the centre
    c_angular : (n_max[1] + 1, basis_size[1] + 1, T, T)
    scaler : (dim,)
    zbl : or None
    seen : most radial and angular neighbours of an atom in training; None: the file does not say
    """

    version: int
    elements: tuple[str, ...]
    radial_cutoff: Array
    angular_cutoff: Array
    n_max: tuple[int, int]
    basis_size: tuple[int, int]
    l_max: int
    flags: tuple[bool, ...]
    w0: Array
    b0: Array
    w1: Array
    bias: float
    own_bias: Array | None
    c_radial: Array
    c_angular: Array
    scaler: Array
    zbl: ZBLSection | None = None
    seen: tuple[int, int] | None = None

    @property
    def dim(self) -> int:
        """Components of the descriptor."""
        return dimension(self.n_max, self.l_max, self.flags)

    @property
    def neurons(self) -> int:
        """Of a network."""
        return int(self.w0.shape[1])

    def bias_of(self, element: int) -> float:
        """What is taken off the energy of an atom."""
        own = 0.0 if self.own_bias is None else float(self.own_bias[element])
        return own + self.bias


def dimension(n_max: tuple[int, int], l_max: int, flags: tuple[bool, ...]) -> int:
    """Components of the descriptor of a model of these shapes."""
    return n_max[0] + 1 + (n_max[1] + 1) * (l_max + sum(flags))
