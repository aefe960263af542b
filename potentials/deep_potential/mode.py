"""What the passes are compiled for.

Precision `mixed` has the table of the embedding, or its network, and the fitting network in single
precision. Rows of the environment, the sums over neighbours, the descriptor and all sums of
energies, forces and virials stay in double: they cost little and lose most. `bf16` is that with the
operands of the fitting network's hidden layers, forward and back, rounded to bf16; their sums stay
in single precision.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import types

from potentials import simd
from potentials.base import Want
from potentials.gemm import PANEL
from potentials.static import Static, variant
from potentials.sums import summand

LANES = 8                   # neighbours that are worked on at a time, in double


@dataclass(frozen=True)
class Form(Static):
    """What is evaluated, and in which arithmetic.

    Attributes
    ----------
    single : networks and table in single precision
    radial : the descriptor is the radial one
    tabulated : the embedding is a table, else its networks are evaluated
    half : hidden layers of the fitting network multiply bf16
    """

    single: bool
    radial: bool
    tabulated: bool
    half: bool = False

    @property
    def panel(self) -> int:
        """Atoms of a panel."""
        return int(PANEL[np.dtype(np.float32 if self.single else np.float64)])

    @property
    def outputs(self) -> int:
        """Outputs of the embedding that are worked on at a time: 64 bytes of them."""
        return 16 if self.single else 8


@dataclass(frozen=True)
class Mode(Static):
    """What is wanted, and how it is added up.

    Attributes
    ----------
    want : value of a Want
    deterministic : no result depends on the order of atoms, on ranks or threads
    single_sums : never, see potentials.sums
    """

    want: int
    deterministic: bool
    single_sums: bool = False


@variant
def lanes_of(form):
    """Atoms of a panel."""
    lanes = form.panel
    return lambda form: lanes


@variant
def outputs_of(form):
    """Outputs of the embedding that are worked on at a time."""
    outputs = form.outputs
    return lambda form: outputs


@variant
def load(form):
    """A row of a panel of a flat array."""
    lanes = form.panel
    return lambda form, a, at: simd.load(a, at, lanes)


@variant
def spread(form):
    """A number on all lanes of a panel's row."""
    lanes = form.panel
    real = types.float32 if form.single else types.float64
    return lambda form, v: simd.splat(real(v), lanes)


@variant
def put(form):
    """Store eight numbers in the precision of the networks."""
    if form.single:
        return lambda form, d, at, v: simd.store(d, at, simd.as_float32(v))
    return lambda form, d, at, v: simd.store(d, at, v)


@variant
def add_virial(mode):
    """Virial of one neighbour, -r f, to the neighbour or to the total of all."""
    if mode.want == Want.PER_ATOM.value:
        def to_neighbor(mode, w_out, j, w, per_unit):
            for k in range(6):
                w_out[j, k] += summand(mode, w[k], per_unit)
        return to_neighbor
    if mode.want == Want.TOTALS.value:
        def to_total(mode, w_out, j, w, per_unit):
            for k in range(6):
                w_out[0, k] += w[k]
        return to_total
    return lambda mode, w_out, j, w, per_unit: None
