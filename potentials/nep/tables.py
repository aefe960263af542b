"""From a model to the numbers that the passes read, for the types of a run.

With t = 1 - r / rc and x = 2 t^2 - 1 a radial function is

    g_n(r) = sum_k c_nk (T_k(x) + 1) / 2 fc(r) = fc(r) p_n(x),   g_n' = fc' p_n - (4 t / rc) fc p_n'

where p_n and its derivative p_n' are sums of Chebyshev polynomials with numbers that are known in
advance. So a neighbour needs T_k(x) by their recursion, and not their derivatives. The scaler goes
into the first layer of the networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from potentials.memory import aligned_copy
from potentials.nep.harmonics import LANES, bounds, padded, weights
from potentials.nep.invariants import CUBIC, terms
from potentials.nep.mode import BLOCK
from potentials.nep.model import FLAGS, NEPModel
from potentials.nep.zbl import zbl_table

Real = NDArray[np.float32] | NDArray[np.float64]
SUM_BITS = 42             # deterministic sums over neighbours resolve 2^-42 of the largest summand,
MOST_NEIGHBORS = 1 << 10  # and this many of them can be summed


class Tables(NamedTuple):
    """Numbers of a model; T types, the first of two is the centre's. `real` as the mode has it.

    Attributes
    ----------
    ranges2 : (T, T, 2) float64, squares of the distances of neighbours, and of angular ones
    cutoffs : (T, T, 2) real, radial and angular
    nradial, nangular : functions
    kradial, kangular : basis functions
    radial : (T, T, 2, nradial, kradial) real, of p_n and its derivative
    angular : flat, of [T, T, nangular / BLOCK rounded up, kangular, 2, BLOCK] real
    weights : (harmonics,) real, of the squares in q_l, padded
    quartic : first component of the descriptor that is a square of q_1, or -1
    cubic : (c,) int64, first component of each group of terms
    groups : (c + 1,) int64, where its terms begin
    factors, places : (terms,) real and (terms, 3) int64
    dim, neurons : components and neurons
    network : (T,) int64, which network a type has
    forward : flat, of [networks, neurons / 8 rounded up, dim, 8] real
    backward : flat, of [networks, dim / 8 rounded up, neurons, 8] real
    b0, w1 : (networks, neurons in whole eights) real and float64
    bias : (T,) float64
    zbl : (T, T, columns) float64
    magic : (T, nangular * harmonics) float64, see potentials.nep.mode
    magic_radial : the same of the radial sums
    """

    ranges2: NDArray[np.float64]
    cutoffs: Real
    nradial: int
    nangular: int
    kradial: int
    kangular: int
    radial: Real
    angular: Real
    weights: Real
    quartic: int
    cubic: NDArray[np.int64]
    groups: NDArray[np.int64]
    factors: Real
    places: NDArray[np.int64]
    dim: int
    neurons: int
    network: NDArray[np.int64]
    forward: Real
    backward: Real
    b0: Real
    w1: NDArray[np.float64]
    bias: NDArray[np.float64]
    zbl: NDArray[np.float64]
    magic: NDArray[np.float64]
    magic_radial: float


def ranges(model: NEPModel, rows: Sequence[int]) -> NDArray[np.float64]:
    """(T, T, 3) radial and angular cutoff and range of ZBL of each pair of types."""
    chosen = list(rows)
    cutoffs = [0.5 * np.add.outer(of[chosen], of[chosen])
               for of in (model.radial_cutoff, model.angular_cutoff)]
    return np.stack([*cutoffs, zbl_table(model, rows)[..., 1]], axis=-1)


def tables_of(model: NEPModel, rows: Sequence[int], real: type) -> Tables:
    """Numbers for types that are these elements of the model, in the precision `real`."""
    chosen = list(rows)
    reach = ranges(model, rows)
    series = [_series(c[:, :, chosen][..., chosen]) for c in (model.c_radial, model.c_angular)]
    nradial, nangular = model.n_max[0] + 1, model.n_max[1] + 1
    quartic, cubic, groups, factors, places = _products(model)
    shared = model.version == 3
    w0 = model.w0 * model.scaler
    forward, backward = _eights(w0), _eights(w0.swapaxes(1, 2))
    b0, w1 = (_in_eights(a, 1) for a in (model.b0, model.w1))
    largest = abs(model.c_angular[:, :, chosen][..., chosen]).sum(axis=1).max(axis=-1)
    limits = largest.T[:, :, None] * bounds(model.l_max) + 1e-30
    return Tables(
        np.stack([reach.max(axis=-1), reach[..., 1]], axis=-1)**2, reach[..., :2].astype(real),
        nradial, nangular, model.basis_size[0] + 1, model.basis_size[1] + 1,
        _flat(series[0].transpose(3, 4, 0, 1, 2), real, 5),
        _flat(_blocks(series[1]), real), weights(model.l_max).astype(real), quartic, cubic, groups,
        factors.astype(real), places, model.dim, model.neurons,
        np.array([0 if shared else row for row in chosen]), _flat(forward, real),
        _flat(backward, real), np.ascontiguousarray(b0, real), w1,
        np.array([model.bias_of(row) for row in chosen]), zbl_table(model, rows),
        magic(limits).reshape(len(chosen), nangular * padded(model.l_max)), float(magic(1.0)))


def magic(largest: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """What, added and taken away, rounds numbers up to `largest` to SUM_BITS bits."""
    rounding: NDArray[np.float64] = 1.5 * 2.0 ** (52 - SUM_BITS + np.ceil(np.log2(largest)))
    return rounding


def _series(c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of p_n and its derivative, (2, n, k, T, T), from coefficients (n, k, T, T)."""
    value = 0.5 * c
    value[:, 0] = c[:, 0] + 0.5 * c[:, 1:].sum(axis=1)
    slope = np.zeros_like(value)
    if value.shape[1] > 1:
        slope[:, :-1] = np.moveaxis(chebyshev.chebder(np.moveaxis(value, 1, 0)), 0, 1)
    return np.stack([value, slope])


def _blocks(series: NDArray[np.float64]) -> NDArray[np.float64]:
    """[T, T, n / BLOCK, k, 2, BLOCK] of series (2, n, k, T, T)."""
    whole = _in_multiples(series, 1, BLOCK)
    parts = whole.reshape(2, -1, BLOCK, *whole.shape[2:])
    return parts.transpose(4, 5, 1, 3, 0, 2)


def _products(model: NEPModel) -> tuple[int, NDArray[np.int64], NDArray[np.int64],
                                        NDArray[np.float64], NDArray[np.int64]]:
    """`quartic`, `cubic`, `groups`, `factors` and `places` of Tables."""
    nangular = model.n_max[1] + 1
    at, quartic = model.n_max[0] + 1 + nangular * model.l_max, -1
    begins, groups, factors, places = [], [0], [np.zeros(0)], [np.zeros((0, 3), np.int64)]
    for name, on in zip(FLAGS, model.flags, strict=True):
        if not on:
            continue
        if name in CUBIC:
            f, p = terms(name)
            factors.append(f)
            places.append(p)
            begins.append(at)
            groups.append(groups[-1] + len(f))
        else:
            quartic = at
        at += nangular
    return (quartic, np.array(begins, np.int64), np.array(groups), np.concatenate(factors),
            np.concatenate(places))


def _in_multiples(a: NDArray[np.float64], axis: int, of: int) -> NDArray[np.float64]:
    """With zeros behind, so that an axis is a multiple."""
    widths = [(0, -a.shape[d] % of if d == axis else 0) for d in range(a.ndim)]
    return np.pad(a, widths)


def _in_eights(a: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.ascontiguousarray(_in_multiples(a, axis, LANES))


def _eights(w: NDArray[np.float64]) -> NDArray[np.float64]:
    """[networks, rows / 8, columns, 8] of (networks, rows, columns)."""
    whole = _in_eights(w, 1)
    return whole.reshape(len(w), -1, LANES, w.shape[2]).transpose(0, 1, 3, 2)


def _flat(a: NDArray[np.float64], real: type, ndim: int = 1) -> Real:
    copy: Real = aligned_copy(a, real)
    return copy if ndim > 1 else copy.reshape(-1)
