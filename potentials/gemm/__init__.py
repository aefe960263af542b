"""Matrix products for networks: many atoms times one matrix of weights.

    c[n, m] = sum_k w[k, n] a[k, m]        k inputs, n outputs, m atoms

Libraries keep an atom's numbers together. Here the atoms lie in the lanes: a *panel* is

    a[k, lane]        lane = 0 .. PANEL - 1, two registers of atoms

and a batch is an array of panels. An element of w then multiplies all lanes, the outputs of a
layer lie as its successor wants them, tanh and the adjoint run over whole registers, and nothing
is packed at run time: the weights are, once, into *blocks* of as many columns as the registers
can sum (`tile`). Two consequences matter more than the speed. A sum runs over k in one order
whatever else is in the batch, so that an atom's energy has the same bits on any number of ranks;
and it is called from compiled code, without a library's threads.

Gflop/s on one core of an AMD EPYC (Zen 4), 256 atoms, in double, single and bf16:

    inputs x outputs      240 x 240        1600 x 240
    this                  57  113  223     49  104  220
    OpenBLAS 0.3          48   97   -      39   85   -
"""

from potentials.gemm.probe import WORTH, gflops
from potentials.gemm.product import (
    PANEL,
    blocks_of,
    has_bf16,
    multiply,
    paired,
    panels_for,
    product,
    rounded_pairs,
)

__all__ = ["PANEL", "WORTH", "blocks_of", "gflops", "has_bf16", "multiply", "paired", "panels_for",
           "product", "rounded_pairs"]
