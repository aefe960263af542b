"""Products of panels of atoms and blocks of weights; see the package's head for both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from potentials.gemm.tile import BYTES, HAS_BF16, ROWS, product_tile

DEPTH = 256          # of inputs at once: a block of weights and the panels stay in the caches
PANEL = {np.dtype(np.float64): 2 * BYTES // 8,
         np.dtype(np.float32): 2 * BYTES // 4}      # atoms of a panel


def has_bf16() -> bool:
    """Whether this processor multiplies bf16 numbers."""
    return HAS_BF16


def panels_for(atoms: int, rows: int, dtype: Any) -> NDArray[Any]:
    """Zeros (panels, rows, PANEL) for so many atoms, rows rounded up to whole blocks."""
    lanes = PANEL[np.dtype(dtype)]
    return np.zeros((-(-atoms // lanes), -(-rows // ROWS) * ROWS, lanes), dtype)


def blocks_of(weights: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """(blocks, inputs, ROWS) from (inputs, outputs), outputs that are missing to a block zero."""
    inputs, outputs = weights.shape
    count = -(-outputs // ROWS)
    wide = np.zeros((inputs, count * ROWS), dtype)
    wide[:, :outputs] = weights
    return np.ascontiguousarray(wide.reshape(inputs, count, ROWS).swapaxes(0, 1))


def paired(blocks: NDArray[np.float32]) -> NDArray[np.int32]:
    """Blocks (blocks, inputs, ROWS) in bf16, two inputs in a word: (blocks, inputs / 2, ROWS).

    Numbers are rounded to the nearest, ties to even; bf16 is the upper half of a float32.
    """
    count, inputs, rows = blocks.shape
    even = np.zeros((count, inputs + inputs % 2, rows), np.float32)
    even[:, :inputs] = blocks
    words = np.empty((count, even.shape[1] // 2, rows), np.int32)
    for block, out in zip(even, words, strict=True):
        rounded_pairs(block.reshape(-1), rows, out.reshape(-1))
    return words


@njit(cache=True, nogil=True, error_model="numpy")
def rounded_pairs(values, lanes, words):
    """Round rows of `lanes` float32 to bf16, and put two rows in one of words.

    values : (2 n lanes,) float32; words : (n lanes,) int32, out
    """
    bits = values.view(np.uint32)
    out = words.view(np.uint32)
    for row in range(len(words) // lanes):
        for lane in range(lanes):
            low = bits[2 * row * lanes + lane]
            high = bits[(2 * row + 1) * lanes + lane]
            low = (low + np.uint32(0x7FFF) + ((low >> np.uint32(16)) & np.uint32(1)))
            high = (high + np.uint32(0x7FFF) + ((high >> np.uint32(16)) & np.uint32(1)))
            out[row * lanes + lane] = (low >> np.uint32(16)) | (high & np.uint32(0xFFFF0000))


@njit(cache=True, nogil=True, error_model="numpy")
def product(w, a, c):
    """c[p, n, lane] = sum_k w[k, n] a[p, k, lane] for all panels p; see the package's head.

    Parameters
    ----------
    w : (blocks, inputs, ROWS) of `blocks_of`, or of `paired`
    a : (panels, >= inputs, PANEL) of the same kind; of `rounded_pairs` with `paired` weights
    c : (panels, >= blocks * ROWS, PANEL), out; float32 where w and a are pairs
    """
    multiply(w.reshape(-1), 0, w.shape[0], w.shape[1], a.reshape(-1), a.shape[1], a.shape[0],
             c.reshape(-1), c.shape[1], a.shape[2])


@njit(cache=True, nogil=True, error_model="numpy")
def multiply(w, begin, blocks, depth, a, inputs, panels, c, outputs, lanes):
    """The same of flat arrays; the weights are w[begin:], inputs and outputs the rows of panels."""
    for first in range(0, depth, DEPTH):
        taken = min(DEPTH, depth - first)
        for b in range(blocks):
            for p in range(panels):
                product_tile(w, begin + (b * depth + first) * ROWS,
                             a, (p * inputs + first) * lanes, taken,
                             c, (p * outputs + b * ROWS) * lanes, first == 0, ROWS)
