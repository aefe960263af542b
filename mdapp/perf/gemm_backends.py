"""Who can multiply matrices here: mdapp's own kernel, BLAS, XLA and oneDNN, behind one interface.

A back end takes the numbers in the layout that it likes best, as a potential would give them, so
that only the product is timed. What is not installed is left out, and says so.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potentials import gemm

Matrix = NDArray[np.float64]
DTYPES = {"double": np.float64, "single": np.float32, "bf16": np.float32}     # of the results
ONEDNN = ("dnnl", "libdnnl.so.3", "libdnnl.so.2")


@dataclass(frozen=True)
class Product:
    """A product that is ready to be done again and again."""

    run: Callable[[], Any]
    result: Callable[[], Matrix]


@dataclass(frozen=True)
class Backend:
    """A way to multiply (m, k) by (k, n) in some of the precisions of `DTYPES`."""

    name: str
    precisions: tuple[str, ...]
    prepare: Callable[[Matrix, Matrix, str], Product]


def backends() -> tuple[list[Backend], Mapping[str, str]]:
    """Those of this machine, and for each that is absent what to install."""
    own = ("double", "single", "bf16") if gemm.has_bf16() else ("double", "single")
    found, absent = [Backend("mdapp", own, _panels), Backend("blas", own[:2], _blas)], {}
    if importlib.util.find_spec("jax"):
        found.append(Backend("xla", ("double", "single", "bf16"), _xla))
    else:
        absent["xla"] = "pip install 'mdapp[jax]'"
    if _onednn_library():
        found.append(Backend("onednn", ("single",), _onednn))
    else:
        absent["onednn"] = "Debian and Ubuntu: apt install libdnnl2 or libdnnl3"
    return found, absent


def _panels(a: Matrix, w: Matrix, precision: str) -> Product:
    dtype = DTYPES[precision]
    (m, k), n = a.shape, w.shape[1]
    panels, out = gemm.panels_for(m, k + k % 2, dtype), gemm.panels_for(m, n, dtype)
    lanes = panels.shape[2]
    padded = np.zeros((len(panels) * lanes, k), dtype)
    padded[:m] = a
    panels[:, :k] = padded.reshape(len(panels), lanes, k).swapaxes(1, 2)
    blocks = gemm.blocks_of(w, dtype)
    if precision == "bf16":
        blocks, panels = gemm.paired(blocks), gemm.paired(panels)
    return Product(lambda: gemm.product(blocks, panels, out), lambda: np.asarray(
        out[:, :n].swapaxes(1, 2).reshape(-1, n)[:m], np.float64))


def _blas(a: Matrix, w: Matrix, precision: str) -> Product:
    from scipy.linalg.blas import dgemm, sgemm  # the one that Numba's np.dot calls

    dtype = DTYPES[precision]
    multiply = dgemm if precision == "double" else sgemm
    left, right = np.asfortranarray(w.astype(dtype).T), np.asfortranarray(a.astype(dtype).T)
    out = np.zeros((w.shape[1], a.shape[0]), dtype, order="F")

    def run() -> None:
        multiply(1.0, left, right, c=out, overwrite_c=True)

    return Product(run, lambda: out.T.astype(np.float64))


def _xla(a: Matrix, w: Matrix, precision: str) -> Product:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    dtype = {"double": jnp.float64, "single": jnp.float32, "bf16": jnp.bfloat16}[precision]
    left, right = jnp.asarray(a).astype(dtype), jnp.asarray(w).astype(dtype)
    multiply = jax.jit(lambda x, y: jnp.matmul(x, y, preferred_element_type=DTYPES[precision]))
    return Product(lambda: multiply(left, right).block_until_ready(),
                   lambda: np.asarray(multiply(left, right), np.float64))


def _onednn_library() -> Any:
    names = [ctypes.util.find_library(ONEDNN[0]), *ONEDNN[1:]]
    for name in filter(None, names):
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        size, pointer, one = ctypes.c_int64, ctypes.c_void_p, ctypes.c_float
        library.dnnl_sgemm.argtypes = [ctypes.c_char, ctypes.c_char, size, size, size, one, pointer,
                                       size, pointer, size, one, pointer, size]
        return library
    return None


def _onednn(a: Matrix, w: Matrix, precision: str) -> Product:
    library = _onednn_library()
    (m, k), n = a.shape, w.shape[1]
    left, right = a.astype(np.float32), w.astype(np.float32)
    out = np.zeros((m, n), np.float32)

    def run() -> None:
        library.dnnl_sgemm(b"N", b"N", m, n, k, 1.0, left.ctypes.data, k, right.ctypes.data, n,
                           0.0, out.ctypes.data, n)

    return Product(run, lambda: out.astype(np.float64))
