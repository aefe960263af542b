"""Arrays that begin at a cache line, so that no vector register of theirs lies in two of them.

NumPy's begin 16 bytes behind one, or anywhere: each load of 64 bytes is then two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LINE = 64                     # bytes


def room(count: int, kind: Any) -> NDArray[Any]:
    """(count,) with anything in it."""
    nbytes = count * np.dtype(kind).itemsize
    memory = np.empty(nbytes + LINE, np.uint8)
    begin = -memory.ctypes.data % LINE
    return memory[begin:begin + nbytes].view(kind)


def aligned(shape: tuple[int, ...], kind: Any) -> NDArray[Any]:
    """Zeros."""
    nbytes = int(np.prod(shape)) * np.dtype(kind).itemsize
    memory = np.zeros(nbytes + LINE, np.uint8)
    begin = -memory.ctypes.data % LINE
    zeros: NDArray[Any] = memory[begin:begin + nbytes].view(kind).reshape(shape)
    return zeros


def aligned_copy(values: NDArray[Any], kind: Any) -> NDArray[Any]:
    """A copy of another type."""
    copy = room(values.size, kind).reshape(values.shape)
    copy[...] = values
    return copy
