"""What a Deep Potential is made of, as arrays; and its networks in plain NumPy.

An atom sees each neighbour at distance r < rc through the row

    R = (w / (r + p), w x / (r + p)^2, w y / (r + p)^2, w z / (r + p)^2),   less a mean, scaled,

with w falling smoothly from 1 to 0. An embedding network makes of the first component alone a
vector G of ng numbers, and sums over neighbours make the descriptor,

    T = sum_j G_j R_j / n (ng x 4),   D = T T[:axis]^T (ng x axis),

of which a fitting network makes the atom's energy. The radial form takes D = sum_j G_j / (5 n).

n is the number of slots for neighbours, not of neighbours: `sel` counts slots of each type, and
an empty one has R = -mean / scale, which counts like a neighbour's. So `sel` is part of the model.

Sources: L. Zhang et al. 2018, arXiv:1805.09003; J. Zeng et al. 2023, doi 10.1063/5.0155600.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RADIAL_SCALE = 0.2          # of the radial descriptor, part of its definition
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Layer:
    """y = act(x weight + bias) * step, plus x, or x twice, where the widths allow it.

    Attributes
    ----------
    weight : (n, m)
    bias, step : (m,); step is None where there is none
    tanh : whether act is tanh; else it is the identity
    resnet : whether x is added
    """

    weight: Array
    bias: Array
    step: Array | None = None
    tanh: bool = True
    resnet: bool = False

    @property
    def copies(self) -> int:
        """How many times x is added: side by side to fill the width."""
        n, m = self.weight.shape
        return m // n if self.resnet and m in (n, 2 * n) else 0


@dataclass(frozen=True)
class Network:
    """Layers one behind another."""

    layers: tuple[Layer, ...]

    @property
    def widths(self) -> tuple[int, ...]:
        """Of the input and of each layer."""
        return (self.layers[0].weight.shape[0], *(a.weight.shape[1] for a in self.layers))

    def derivatives(self, s: Array) -> tuple[Array, Array, Array]:
        """Values, first and second derivatives (n, m) by a scalar input s (n,)."""
        x, dx, ddx = s[:, None], np.ones((len(s), 1)), np.zeros((len(s), 1))
        for layer in self.layers:
            y, dy, ddy = x @ layer.weight + layer.bias, dx @ layer.weight, ddx @ layer.weight
            if layer.tanh:
                y = np.tanh(y)
                slope = 1 - y * y
                dy, ddy = slope * dy, slope * (ddy - 2 * y * dy * dy)
            step = 1.0 if layer.step is None else layer.step
            y, dy, ddy = y * step, dy * step, ddy * step
            if layer.copies:
                y, dy, ddy = (a + np.tile(b, layer.copies)
                              for a, b in ((y, x), (dy, dx), (ddy, ddx)))
            x, dx, ddx = y, dy, ddy
        return x, dx, ddx


@dataclass(frozen=True)
class Model:
    """A Deep Potential of some elements; lengths in Angstrom, energies in eV.

    Attributes
    ----------
    elements : names of the types
    radial : whether the descriptor is the radial one
    cutoff, smooth : where w is 0, and where it begins to fall from 1
    sel : slots for neighbours of each type
    axis : how many columns T[:axis]^T has; 0 of a radial descriptor
    one_sided : whether embeddings depend on the neighbour's type only
    mean, scale : (ntypes, 4), or (ntypes, 1) if radial, of the rows, by the type of the centre
    protection : p, added to distances
    embeddings : by the neighbour's type; if not one-sided, of (centre, neighbour) number
        centre + ntypes * neighbour
    fittings : by the type of the centre
    bias : (ntypes,), energies added to the networks'
    nearest : shortest distance in the training data, None where the file does not say
    """

    elements: tuple[str, ...]
    radial: bool
    cutoff: float
    smooth: float
    sel: tuple[int, ...]
    axis: int
    one_sided: bool
    mean: Array
    scale: Array
    protection: float
    embeddings: tuple[Network, ...]
    fittings: tuple[Network, ...]
    bias: Array
    nearest: float | None = None

    @property
    def slots(self) -> int:
        """Of all types together."""
        return sum(self.sel)

    @property
    def outputs(self) -> int:
        """Width of the embedding."""
        return self.embeddings[0].widths[-1]

    @property
    def inputs(self) -> int:
        """Length of the descriptor."""
        return self.outputs if self.radial else self.outputs * self.axis

    def embedding(self, centre: int, neighbor: int) -> int:
        """Number of the network for a pair of types."""
        return neighbor if self.one_sided else centre + len(self.elements) * neighbor

    def empty_row(self, centre: int) -> Array:
        """(4,) or (1,): the row of an empty slot."""
        return np.asarray(-self.mean[centre] / self.scale[centre])

    def empty_slot(self, centre: int, neighbor: int) -> Array:
        """What an empty slot adds to n T: (ng, 4), or (ng, 1) if radial."""
        row = self.empty_row(centre)
        values = self.embeddings[self.embedding(centre, neighbor)].derivatives(row[:1])[0]
        return np.outer(values, np.ones(1) if self.radial else row)

    def of_elements(self, names: Sequence[str]) -> list[int]:
        """The type of each name.

        Raises
        ------
        ValueError : the model does not have one
        """
        for name in names:
            if name not in self.elements:
                raise ValueError(f"has no element {name!r}; it has {', '.join(self.elements)}")
        return [self.elements.index(name) for name in names]
