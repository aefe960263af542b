"""Networks of many atoms at once, forward and back, as products of potentials.gemm.

Its panels have the atoms (or the neighbours, where the embedding is evaluated) in the lanes, so
that what lies between two products runs over whole registers, and no atom's numbers depend on the
company it is in. Weights are kept as they are and transposed, both in the blocks that products
want. For bf16 these are words of two rows, as are the panels that they multiply.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials import simd
from potentials.deep_potential.mode import lanes_of, load, spread
from potentials.deep_potential.model import Layer, Network
from potentials.gemm.product import blocks_of, multiply, paired, rounded_pairs
from potentials.gemm.tile import ROWS
from potentials.static import variant
from potentials.vector_math import like, tanh


class Dense(NamedTuple):
    """Networks of one shape; of a fitting network all but the last layer.

    Attributes
    ----------
    shape : (layers, 2) int64, widths before and after each layer
    copies : (networks, layers) int64, how many times the input of a layer is added
    curved : (networks, layers) bool, whether it has a tanh
    weight, back : (networks, all) real, blocks of the layers' weights and of their transposes,
        flat; or int32, pairs of bf16
    bias, step : (networks, all) real, of the layers, one behind another
    """

    shape: NDArray[np.int64]
    copies: NDArray[np.int64]
    curved: NDArray[np.bool_]
    weight: NDArray[np.float64]
    back: NDArray[np.float64]
    bias: NDArray[np.float64]
    step: NDArray[np.float64]


def dense(networks: Sequence[Network], real: type, half: bool = False) -> Dense:
    """Arrays of networks with the same widths; `half`: weights in bf16."""
    widths = networks[0].widths
    layers = range(len(networks[0].layers))

    def flat(array_of: Callable[[Layer], NDArray[Any]], kind: type = real) -> NDArray[Any]:
        return np.array([np.concatenate([array_of(a).ravel() for a in net.layers])
                         for net in networks], kind)

    def blocks(weight: NDArray[np.float64]) -> NDArray[Any]:
        found = blocks_of(weight, real)
        return paired(found) if half else found

    def steps(a: Layer) -> NDArray[np.float64]:
        return np.ones(a.weight.shape[1]) if a.step is None else a.step

    return Dense(np.array([widths[:-1], widths[1:]], np.int64).T.copy(),
                 np.array([[net.layers[k].copies for k in layers] for net in networks], np.int64),
                 np.array([[net.layers[k].tanh for k in layers] for net in networks]),
                 flat(lambda a: blocks(a.weight), np.int32 if half else real),
                 flat(lambda a: blocks(a.weight.T), np.int32 if half else real),
                 flat(lambda a: a.bias), flat(steps))


def whole_rows(width: int) -> int:
    """Rows that a panel must have for so many numbers of each atom."""
    return -(-width // ROWS) * ROWS


@njit(cache=True, nogil=True, error_model="numpy")
def rows_of(width):
    """The same in compiled code."""
    return (width + ROWS - 1) // ROWS * ROWS


@variant
def deep(form):
    """Rows of a block of weights, or words of them, for so many inputs."""
    return (lambda form, inputs: (inputs + 1) // 2) if form.half else lambda form, inputs: inputs


@variant
def factor(form):
    """What a product takes of panels of so many rows: themselves, or pairs of their rows in words.

    An odd row is paired with one that is there for whole blocks, and meets a weight of 0.
    """
    if not form.half:
        return lambda form, values, rows, panels, words: values

    def pairs(form, values, rows, panels, words):
        lanes = lanes_of(form)
        rounded_pairs(values, lanes, words[:panels * rows // 2 * lanes])
        return words
    return pairs


@njit(cache=True, nogil=True, error_model="numpy")
def fit(form, nets, which, last, constant, panels, d, outs, work, words, energy):
    """Energies of panels of descriptors, and their derivatives in place of the descriptors.

    Parameters
    ----------
    nets, which : hidden layers, and the number of the network
    last : (m,) real, weights of the linear layer behind them
    constant : float64, added to each energy
    d : flat real, (panels, whole_rows(inputs), lanes), in and out
    outs : flat real, panels of all layers one behind another, scratch: what each tanh gave
    work : (3, panels * rows * lanes) real, for the widest layer behind the first, scratch
    words : int32, half as many as d or a row of work has numbers, for pairs of bf16, scratch
    energy : (panels * lanes,) float64, out
    """
    lanes, layers = lanes_of(form), len(nets.shape)
    weights, backs, biases, begin = 0, 0, 0, 0
    x, other = work[0], work[1]
    for k in range(layers):
        before, after = nets.shape[k]
        rows, above = rows_of(after), rows_of(before)
        given, depth = d if k == 0 else x, deep(form, before)
        multiply(nets.weight[which], weights, rows // ROWS, depth,
                 factor(form, given, above, panels, words), deep(form, above), panels, other, rows,
                 lanes)
        for p in range(panels):
            bend(form, nets.curved[which, k], nets.copies[which, k], before, after,
                 nets.bias[which, biases:], nets.step[which, biases:],
                 given[p * above * lanes:], outs[begin + p * rows * lanes:],
                 other[p * rows * lanes:])
        x, other = other, x
        weights, backs = weights + rows * depth, backs + above * deep(form, after)
        biases, begin = biases + after, begin + panels * rows * lanes
    m, rows = len(last), rows_of(len(last))
    z = work[2]
    for p in range(panels):
        total = like(simd.as_float64(load(form, x, np.uint64(0))), constant)
        for a in range(m):
            at = np.uint64((p * rows + a) * lanes)
            total = simd.fma(simd.as_float64(load(form, x, at)),
                             like(total, np.float64(last[a])), total)
            simd.store(x, at, spread(form, last[a]))
        simd.store(energy, np.uint64(p * lanes), total)
    for k in range(layers - 1, -1, -1):
        before, after = nets.shape[k]
        rows, above = rows_of(after), rows_of(before)
        depth = deep(form, after)
        biases, begin, backs = biases - after, begin - panels * rows * lanes, backs - above * depth
        for p in range(panels):
            at = p * rows * lanes
            bend_back(form, nets.curved[which, k], after, nets.step[which, biases:],
                      outs[begin + at:], x[at:], z[at:])
        out = d if k == 0 else other
        multiply(nets.back[which], backs, above // ROWS, depth,
                 factor(form, z, rows, panels, words), deep(form, rows), panels, out, above, lanes)
        for p in range(panels):
            return_copies(form, nets.copies[which, k], before, x[p * rows * lanes:],
                          out[p * above * lanes:])
        x, other = other, x


@njit(cache=True, nogil=True, error_model="numpy")
def bend(form, curved, copies, before, after, bias, step, given, kept, x):
    """x = tanh(x + bias) step + copies of what was given, of a panel; the tanh is kept."""
    lanes = np.uint64(lanes_of(form))
    for c in range(max(copies, 1)):
        width = before if copies else after
        for a in range(np.uint64(width)):
            row = np.uint64(c * width) + a
            y = load(form, x, row * lanes) + spread(form, bias[row])
            if curved:
                y = tanh(y)
            simd.store(kept, row * lanes, y)
            y = y * spread(form, step[row])
            if copies:
                y = y + load(form, given, a * lanes)
            simd.store(x, row * lanes, y)


@njit(cache=True, nogil=True, error_model="numpy")
def bend_back(form, curved, after, step, kept, g, z):
    """z = g step (1 - y^2) of a panel, where y is what the tanh gave."""
    lanes = np.uint64(lanes_of(form))
    for a in range(np.uint64(after)):
        at = a * lanes
        slope = load(form, g, at) * spread(form, step[a])
        if curved:
            y = load(form, kept, at)
            slope = slope * (1.0 - y * y)
        simd.store(z, at, slope)


@njit(cache=True, nogil=True, error_model="numpy")
def return_copies(form, copies, before, g, out):
    """Add to the derivatives by the input of a layer those by its copies."""
    lanes = np.uint64(lanes_of(form))
    for c in range(np.uint64(copies)):
        for a in range(np.uint64(before)):
            at = a * lanes
            simd.store(out, at, load(form, out, at)
                       + load(form, g, at + c * np.uint64(before) * lanes))


@njit(cache=True, nogil=True, error_model="numpy")
def embed(form, nets, which, panels, s, work, values, slopes, room):
    """Outputs of an embedding network and their derivatives at panels * lanes scalars.

    Parameters
    ----------
    s : flat real
    work : (3, 2 * panels * rows * lanes) real, for the widest layer, scratch
    values, slopes : flat real, (scalars, room), of which the first columns are written
    """
    lanes = lanes_of(form)
    x, y, kept = work[0], work[1], work[2]
    above, weights, biases = 1, 0, 0
    for p in range(panels):
        at = np.uint64(p * lanes)
        simd.store(x, at, load(form, s, at))
        simd.store(x, at + np.uint64(panels * lanes), spread(form, 1.0))
    for k in range(len(nets.shape)):
        before, after = nets.shape[k]
        rows = rows_of(after)
        multiply(nets.weight[which], weights, rows // ROWS, before, x, above, 2 * panels, y, rows,
                 lanes)
        curved, copies = nets.curved[which, k], nets.copies[which, k]
        step = nets.step[which, biases:]
        for p in range(panels):
            at, on = p * rows * lanes, (panels + p) * rows * lanes
            bend(form, curved, copies, before, after, nets.bias[which, biases:], step,
                 x[p * above * lanes:], kept, y[at:])
            bend_back(form, curved, after, step, kept, y[on:], y[on:])
            for c in range(copies):
                add_panel(form, before, x[(panels + p) * above * lanes:],
                          y[on + c * before * lanes:])
        x, y = y, x
        above, weights, biases = rows, weights + rows * before, biases + after
    m = nets.shape[-1, 1]
    for p in range(panels):
        at, on = p * above * lanes, (panels + p) * above * lanes
        for lane in range(lanes):
            begin = (p * lanes + lane) * room
            for a in range(m):
                values[begin + a] = x[at + a * lanes + lane]
                slopes[begin + a] = x[on + a * lanes + lane]


@njit(cache=True, nogil=True, error_model="numpy")
def add_panel(form, rows, a, b):
    """b += a, so many rows."""
    lanes = np.uint64(lanes_of(form))
    for k in range(np.uint64(rows)):
        simd.store(b, k * lanes, load(form, b, k * lanes) + load(form, a, k * lanes))
